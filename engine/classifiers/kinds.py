"""The kinds of classifiers: estimators of scikit-learn with their options, behind one normalisation."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import UNSUPERVISED

SCALER, CLASSIFIER = 'normalisation', 'classifier'  # steps of the pipeline
_FOLDS = 5  # of the cross-validation that probabilities of a support vector machine come from
_SLOW = 50_000  # samples that a support vector machine takes very long for


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of classifier.

    Attributes:
        name: for people.
        estimator: its class.
        make: from options and seed to an estimator that is not trained.
    """

    name: str
    estimator: type[BaseEstimator]
    make: Callable[[dict[str, Any], int], BaseEstimator]


def _seeded(estimator: type[BaseEstimator]) -> Callable[[dict[str, Any], int], BaseEstimator]:
    return lambda options, seed: estimator(random_state=seed, **options)


def _plain(estimator: type[BaseEstimator], **fixed: Any) -> Callable[[dict[str, Any], int], BaseEstimator]:
    return lambda options, seed: estimator(**options, **fixed)


KINDS = {
    'rf': Kind('Random forest', RandomForestClassifier, _seeded(RandomForestClassifier)),
    'extratrees': Kind('Extremely randomised trees', ExtraTreesClassifier, _seeded(ExtraTreesClassifier)),
    'gbt': Kind('Gradient boosting', HistGradientBoostingClassifier, _seeded(HistGradientBoostingClassifier)),
    'dt': Kind('Decision tree', DecisionTreeClassifier, _seeded(DecisionTreeClassifier)),
    'svm': Kind('Support vector machine', SVC, _seeded(SVC)),
    # The trees of neighbours that scikit-learn can make need a library of their own to be stored safely; distances to
    # all samples take about as long for the number of features that networks give.
    'knn': Kind('Nearest neighbours', KNeighborsClassifier, _plain(KNeighborsClassifier, algorithm='brute')),
    'logistic': Kind('Logistic regression', LogisticRegression, _seeded(LogisticRegression)),
    'ann': Kind('Multi-layer perceptron', MLPClassifier, _seeded(MLPClassifier)),
    'bayes': Kind('Naive Bayes', GaussianNB, _plain(GaussianNB)),
    'kmeans': Kind('K-means', KMeans, _seeded(KMeans)),
}


def train(
    kind: str,
    options: Any,
    seed: int,
    values: np.ndarray,
    labels: np.ndarray,
    reporter: Reporter,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
) -> Pipeline:
    """A trained pipeline: the normalisation, and the classifier.

    Args:
        kind: of `KINDS`.
        options: as `jobs.classifier_options` gives them.
        seed: of what is random in training.
        values: float32 (samples, features).
        labels: (samples) class indices, all from 0 on; not looked at by the unsupervised kinds.
        statistics: mean and standard deviation of each feature to normalise with; None: those of the samples.

    Raises:
        InvalidJob: options that scikit-learn does not take, or that the samples do not suffice for.
    """
    if kind == 'svm' and len(values) > _SLOW:
        reporter.warn(f'{len(values)} samples: a support vector machine may take hours; sample fewer, or take rf.')
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            estimator = _make(kind, options, seed, labels, reporter)
            scaler = StandardScaler().fit(values)
            if statistics is not None:
                scaler.mean_, scaler.scale_ = statistics
                scaler.var_ = scaler.scale_**2
            # Trees and folds are told apart by seeds, so that it does not matter which is done first.
            with parallel_config('threading', n_jobs=os.cpu_count()):
                estimator.fit(scaler.transform(values), None if kind in UNSUPERVISED else labels)
    except (ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InvalidJob(f'CLASSIFIER {kind}: scikit-learn cannot train it with these options: {first}') from error
    for text in dict.fromkeys(str(item.message).splitlines()[0] for item in said):
        reporter.warn(f'scikit-learn: {text}')
    return Pipeline([(SCALER, scaler), (CLASSIFIER, estimator)])


def _make(kind: str, options: Any, seed: int, labels: np.ndarray, reporter: Reporter) -> BaseEstimator:
    """The estimator of a kind, with what depends on the samples."""
    chosen = dataclasses.asdict(options)
    if chosen.get('class_weight') == 'none':
        chosen['class_weight'] = None
    if kind == 'knn' and chosen['n_neighbors'] > len(labels):
        reporter.warn(f'There are {len(labels)} samples only, so that many neighbours are looked at.')
        chosen['n_neighbors'] = len(labels)
    probability = chosen.pop('probability', False)
    estimator = KINDS[kind].make(chosen, seed)
    if not probability:
        return estimator
    smallest = int(np.bincount(labels).min())
    if smallest < 2:
        raise InvalidJob(
            'CLASSIFIER svm: a class has one sample, which is too little to tell probabilities; add samples, or set '
            'OPTIONS {"probability": false}.'
        )
    return CalibratedClassifierCV(estimator, ensemble=False, cv=min(_FOLDS, smallest))
