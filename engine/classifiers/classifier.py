"""A trained classifier, ready to tell classes."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..jobs import UNSUPERVISED, ClassDef

_CHUNK = 1 << 14  # samples that a thread classifies together


@dataclasses.dataclass(frozen=True)
class ClassifierCard:
    """What is known of a classifier.

    Attributes:
        kind: one of `jobs.CLASSIFIERS`.
        options: of that kind, all of them.
        seed: of the training.
        features: names of what it looks at, in their order.
        classes: in the order of what it gives.
        samples: of each class that it was trained with.
        mean, scale: of each feature: what it is normalised with.
        outputs: of the network whose values the features are; empty where they are attributes.
        model, model_id: the network's name, and what tells its weights from others.
        created: date and time.
        versions: of what made it.
    """

    kind: str
    options: dict[str, Any]
    seed: int
    features: tuple[str, ...]
    classes: tuple[ClassDef, ...]
    samples: tuple[int, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    outputs: tuple[str, ...] = ()
    model: str = ''
    model_id: str = ''
    created: str = ''
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def has_probabilities(self) -> bool:
        """Whether it says how sure it is."""
        return self.kind not in UNSUPERVISED and self.options.get('probability', True)


class Classifier:
    """Tells classes.

    Args:
        card: what it is.
        pipeline: normalisation and trained estimator of scikit-learn.
    """

    def __init__(self, card: ClassifierCard, pipeline: Any) -> None:
        self.card, self.pipeline = card, pipeline

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """float32 (samples, classes); of classifiers that do not say how sure they are, 1 for the class they tell.

        Samples are classified by as many threads as there are cores, each of them alone, so that the result does not
        depend on which is done first.

        Args:
            values: float32 (samples, features), finite.
        """
        out = np.zeros((len(values), len(self.card.classes)), np.float32)
        parts = [slice(start, start + _CHUNK) for start in range(0, len(values), _CHUNK)]

        def classify(part: slice) -> None:
            if self.card.has_probabilities:
                out[part] = self.pipeline.predict_proba(values[part])
            else:
                told = self.pipeline.predict(values[part])
                out[np.arange(part.start, part.start + len(told)), told] = 1

        with ThreadPoolExecutor(os.cpu_count(), initializer=_one_thread) as threads:
            list(threads.map(classify, parts))
        return out

    def predict(self, values: np.ndarray) -> np.ndarray:
        """(samples) class indices: of several classes that are equally probable the first, as on a map."""
        return self.probabilities(values).argmax(-1)


def _one_thread() -> None:
    """Keep OpenMP from making threads in one of ours."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, 'openmp')
