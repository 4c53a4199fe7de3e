"""Confusion matrices, and what they say of a classification."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


class ConfusionMatrix:
    """Counts of (reference, prediction) pairs of class indices.

    Attributes:
        counts: int64 (classes, classes); rows are the reference, columns the prediction.
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes), np.int64)

    def update(self, reference: np.ndarray, prediction: np.ndarray, counted: np.ndarray | None = None) -> None:
        """Add pairs.

        Args:
            reference, prediction: class indices of the same shape.
            counted: booleans of that shape; where False, the pair is left out, whatever it holds.
        """
        if counted is not None:
            reference, prediction = reference[counted], prediction[counted]
        size = len(self.counts)
        pairs = reference.astype(np.int64).ravel() * size + prediction.astype(np.int64).ravel()
        self.counts += np.bincount(pairs, minlength=size * size).reshape(size, size)

    def scores(self) -> Scores:
        """What the counts say."""
        return Scores.of(self.counts)


@dataclasses.dataclass(frozen=True)
class Scores:
    """Accuracy of a classification, after Congalton and Green, "Assessing the Accuracy of Remotely Sensed Data".

    A number that is not defined is NaN: recall of a class that the reference lacks, precision of one that was never
    predicted, F1 and intersection over union of one that is in neither. The means are over the classes that occur in
    the reference; so a class that a split happens to lack does not pull its score down.

    Attributes:
        support: pixels of each class in the reference.
        precision, recall, f1, iou: float64, one a class; in remote sensing user's and producer's accuracy for the
            first two.
        overall_accuracy: share of pixels with the right class.
        kappa: Cohen's, agreement beyond chance.
        mean_iou, macro_f1: means over the classes in the reference.
    """

    support: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    iou: np.ndarray
    overall_accuracy: float
    kappa: float
    mean_iou: float
    macro_f1: float

    @classmethod
    def of(cls, counts: np.ndarray) -> Scores:
        """The scores of a matrix of counts; rows are the reference."""
        matrix = np.asarray(counts, np.float64)
        right, reference, predicted, total = np.diag(matrix), matrix.sum(1), matrix.sum(0), matrix.sum()
        present = reference > 0
        f1 = _ratio(2 * right, reference + predicted)
        iou = _ratio(right, reference + predicted - right)
        agreement = _ratio(right.sum(), total)
        chance = _ratio((reference * predicted).sum(), total * total)
        return cls(
            support=np.asarray(counts).sum(1),
            precision=_ratio(right, predicted),
            recall=_ratio(right, reference),
            f1=f1,
            iou=iou,
            overall_accuracy=float(agreement),
            kappa=float(_ratio(agreement - chance, 1 - chance)),
            mean_iou=_mean(iou[present]),
            macro_f1=_mean(f1[present]),
        )

    def summary(self) -> dict[str, float]:
        """The scores that are one number."""
        names = ('overall_accuracy', 'kappa', 'mean_iou', 'macro_f1')
        return {name: float(getattr(self, name)) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; NaN becomes None."""
        plain: dict[str, Any] = {key: _plain(value) for key, value in self.summary().items()}
        for name in ('precision', 'recall', 'f1', 'iou'):
            plain[name] = [_plain(value) for value in getattr(self, name).tolist()]
        plain['support'] = [int(value) for value in self.support]
        return plain


def _ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """`part` / `whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole != 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float('nan')


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
