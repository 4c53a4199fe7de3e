"""Maps of the classes that a classifier tells from what a network gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..classes import complete, merge
from ..errors import InvalidJob, ModelError
from ..events import Reporter
from ..jobs import MapDeepFeaturesJob
from ..model_package.card import OutputCard
from ..model_package.importers import Model, open_model, tag_set
from ..runtimes.cache import content_of
from ..serving.network import Network, Values
from ..serving.serve import serve_model
from .classifier import Classifier
from .store import load_classifier

_NAME = 'class'  # of what the classifier gives
_TOGETHER = 1 << 18  # pixels that are classified before the user can stop it again


def map_deep_features(job: MapDeepFeaturesJob, reporter: Reporter) -> dict[str, Any]:
    """Make a map with a network and a classifier; the values of the network are never written.

    Returns:
        What `serve_model` returns.

    Raises:
        EngineError: of the fitting class, with one line; see `serve_model`.
    """
    if not job.classifier:
        raise InvalidJob('CLASSIFIER: no classifier given; name the file that "Train a classifier" made.')
    classifier = load_classifier(job.classifier)
    _check(job, classifier)
    names = job.output_names or classifier.card.outputs or _outputs(job)
    _warn_of_another_model(job, classifier, reporter)
    stage = Classifying(classifier, job, reporter)
    return serve_model(dataclasses.replace(job, output_names=names), reporter, stage=stage)


def _check(job: MapDeepFeaturesJob, classifier: Classifier) -> None:
    """Raise `InvalidJob` for what the classifier cannot give."""
    card = classifier.card
    if job.output_folder:
        raise InvalidJob('OUTPUT_FOLDER: values of the model are not written here; "Map with a model" writes them.')
    unsure = [name for name in ('probabilities', 'confidence', 'entropy', 'margin') if getattr(job, name)]
    if unsure and not card.has_probabilities:
        raise InvalidJob(
            f'{unsure[0].upper()}: {job.classifier} ({card.kind}) does not say how sure it is. Leave it out, or train '
            'another classifier; svm with OPTIONS {"probability": true}.'
        )
    known = {item.value for item in card.classes}
    foreign = [item.value for item in job.classes if item.value not in known]
    if foreign:
        raise InvalidJob(f'CLASSES: {foreign[0]} is no class of {job.classifier}, which has {sorted(known)}.')


def _outputs(job: MapDeepFeaturesJob) -> tuple[str, ...]:
    """Names of all outputs of the model."""
    with _open(job) as model:
        return tuple(item.name for item in model.card.outputs)


def _warn_of_another_model(job: MapDeepFeaturesJob, classifier: Classifier, reporter: Reporter) -> None:
    """Say so where the classifier was trained on what another model gives."""
    card = classifier.card
    if not card.model_id or job.ensemble:
        return
    with _open(job) as model:
        same = content_of(model.spec.path).startswith(card.model_id)
    if not same:
        reporter.warn(
            f'{job.classifier} was trained on what another model gives ({card.model}); with this one the map may be of '
            'no use.'
        )


def _open(job: MapDeepFeaturesJob) -> Model:
    return open_model(job.model, tags=tag_set(job.tags), signature=job.signature)


class Classifying:
    """The classifier between the network and the maps; see `serving.stage.Stage`.

    Args:
        classifier: tells the classes.
        job: whose names and colours of classes count.
        reporter: can stop it.
    """

    def __init__(self, classifier: Classifier, job: MapDeepFeaturesJob, reporter: Reporter) -> None:
        card = classifier.card
        self._classifier, self._path, self._reporter = classifier, job.classifier, reporter
        classes = complete((item.value for item in card.classes), merge(job.classes, card.classes))
        self.output = OutputCard(_NAME, len(classes), classes)
        self.values = Values(_NAME, np.dtype('float32'), slice(0, len(classes)))

    def require(self, network: Network) -> None:
        """Raise `ModelError` where the classifier was trained on other features."""
        wanted = len(self._classifier.card.features)
        if network.bands != wanted:
            given = ', '.join(f'{item.name} ({item.bands})' for item in network.outputs)
            raise ModelError(
                f'{self._path}: the classifier was trained on {wanted} features, but the outputs {given} give '
                f'{network.bands}. Name in OUTPUT_NAMES those it was trained on, in that order.'
            )

    def run(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Probabilities (rows, columns, classes) from features (rows, columns, features); NaN where there are none."""
        out = np.full((*valid.shape, self.values.bands), np.nan, np.float32)
        for top in range(0, len(values), height := max(_TOGETHER // values.shape[1], 1)):
            self._reporter.check_cancelled()
            rows = np.s_[top : top + height]
            known = valid[rows] & np.isfinite(values[rows]).all(-1)
            if known.any():
                out[rows][known] = self._classifier.probabilities(values[rows][known].astype(np.float32, copy=False))
        return out
