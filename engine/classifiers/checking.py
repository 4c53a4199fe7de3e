"""Whether a classifier that was read from a file can be run safely.

What is computed in compiled code trusts the numbers it is given: a tree whose nodes point outside of it, or support
vectors that are fewer than they claim to be, would make it read anything in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from .classifier import ClassifierCard
from .kinds import CLASSIFIER, KINDS, SCALER


class Unsafe(Exception):
    """The file is not one that Quadrat wrote. The message is a part of a sentence."""


def check(pipeline: Any, card: ClassifierCard) -> None:
    """Raise `Unsafe` where a pipeline is not what its card says, or holds numbers that lead astray.

    Whatever else a crafted file may hold in places that are not looked at here raises errors of Python's.
    """
    _require(type(pipeline) is Pipeline, 'it holds no pipeline')
    names = [name for name, _ in pipeline.steps]
    _require(names == [SCALER, CLASSIFIER], 'its pipeline has other steps')
    scaler, estimator = (step for _, step in pipeline.steps)
    features, classes = len(card.features), len(card.classes)
    _require(type(scaler) is StandardScaler and np.shape(scaler.mean_) == (features,), 'its normalisation is another')
    if type(estimator) is CalibratedClassifierCV:
        _require(len(estimator.calibrated_classifiers_) == 1, 'it has several machines')
        calibrated = estimator.calibrated_classifiers_[0]
        _require(len(calibrated.calibrators) == max(classes, 2) - (classes == 2), 'its probabilities are others')
        estimator = calibrated.estimator
    _require(type(estimator) is KINDS[card.kind].estimator, f'it holds no {card.kind}')
    _require(estimator.n_features_in_ == features, 'it has another number of features')
    if card.kind in _CHECKS:
        _CHECKS[card.kind](estimator, features, classes)


def _require(fine: Any, problem: str) -> None:
    if not bool(fine):
        raise Unsafe(problem)


def _forest(forest: Any, features: int, classes: int) -> None:
    for tree in forest.estimators_:
        _tree(tree, features, classes)
    _require(forest.n_classes_ == classes and forest.n_outputs_ == 1, 'it has other classes')


def _tree(estimator: Any, features: int, classes: int) -> None:
    """A decision tree: children come after their parents, so that every way ends at a leaf."""
    _require(type(estimator) in (DecisionTreeClassifier, ExtraTreeClassifier), 'its trees differ')
    tree = estimator.tree_
    shape = tree.n_features, tree.n_outputs, tree.max_n_classes
    _require(shape == (features, 1, classes) and tree.value.shape == (tree.node_count, 1, classes), 'its trees differ')
    _require(estimator.n_outputs_ == 1 and estimator.n_classes_ == classes, 'it has other classes')
    _nodes(tree.children_left, tree.children_right, tree.feature, tree.children_left == -1, features)


def _boosting(estimator: Any, features: int, classes: int) -> None:
    for trees in estimator._predictors:
        _require(len(trees) == (classes if classes > 2 else 1), 'it has other classes')
        for tree in trees:
            _require(type(tree).__name__ == 'TreePredictor', 'its trees differ')
            nodes = tree.nodes
            _require(not nodes['is_categorical'].any(), 'its trees differ')
            _nodes(nodes['left'], nodes['right'], nodes['feature_idx'], nodes['is_leaf'] != 0, features)


def _nodes(left: np.ndarray, right: np.ndarray, feature: np.ndarray, leaf: np.ndarray, features: int) -> None:
    """Raise `Unsafe` where an inner node looks at no feature, or leads back or out of the tree."""
    inner = np.flatnonzero(~leaf)
    _require(len(left) and len(left) == len(right) == len(feature), 'a tree is empty')
    for children in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        _require((children > inner).all() and (children < len(left)).all(), 'a tree leads astray')
    looked_at = feature[inner].astype(np.int64)
    _require((looked_at >= 0).all() and (looked_at < features).all(), 'a tree looks at a feature that is not there')


def _machine(machine: Any, features: int, classes: int) -> None:
    vectors, counts = machine.support_vectors_, machine._n_support
    pairs = classes * (classes - 1) // 2
    _require(machine._sparse is False and machine.kernel in ('rbf', 'linear', 'poly', 'sigmoid'), 'its kernel differs')
    _require(counts.shape == (classes,) and (counts >= 0).all() and counts.sum() == len(vectors), 'its vectors differ')
    _require(vectors.shape == (len(machine.support_), features), 'its vectors differ')
    _require(machine._dual_coef_.shape == (classes - 1, len(vectors)), 'its coefficients differ')
    _require(machine._intercept_.shape == (pairs,), 'its intercepts differ')
    _require(machine._probA.size == machine._probB.size == 0, 'its probabilities are others')


def _neighbours(estimator: Any, features: int, classes: int) -> None:
    samples = estimator._fit_X
    _require(isinstance(samples, np.ndarray) and samples.ndim == 2 and samples.shape[1] == features, 'samples differ')
    _require(estimator._tree is None and estimator._fit_method == 'brute', 'it is searched in another way')
    _require(estimator._y.shape == (len(samples),), 'it has other labels than samples')
    _require((estimator._y >= 0).all() and (estimator._y < classes).all(), 'it has other classes')
    _require(0 < estimator.n_neighbors <= len(samples) == estimator.n_samples_fit_, 'it has too few samples')
    _require(estimator.effective_metric_ == 'euclidean' and estimator.outputs_2d_ is False, 'its distances are others')


def _clusters(estimator: Any, features: int, classes: int) -> None:
    _require(estimator.cluster_centers_.shape == (classes, features), 'it has other clusters')


_CHECKS = {
    'rf': _forest,
    'extratrees': _forest,
    'gbt': _boosting,
    'dt': _tree,
    'svm': _machine,
    'knn': _neighbours,
    'kmeans': _clusters,
}
