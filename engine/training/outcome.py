"""What a pass over samples gives: the loss, and how good the predictions were."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..accuracy.calibration import Calibration
from ..accuracy.confusion import ConfusionMatrix, Scores
from ..accuracy.regression import PairCounts, PairMoments
from .devices import Devices
from .splits import ValueSpread

MEASURES = {'segmentation': 'mean_iou', 'classification': 'macro_f1', 'regression': 'r2'}  # that epochs are judged by


class Outcome(abc.ABC):
    """Sums over the samples of a pass.

    Attributes:
        loss: summed over the pixels that count; `mean_loss` is what people are told.
        pixels: that count.
    """

    shown: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.loss, self.pixels = 0.0, 0

    @property
    def mean_loss(self) -> float:
        return self.loss / self.pixels if self.pixels else float('nan')

    def add(self, loss: float, labels: np.ndarray, counted: np.ndarray, found: Sequence[np.ndarray]) -> None:
        """Add a batch: its loss, what should be predicted where, and what the network says."""
        self.loss += loss
        self.pixels += int(counted.sum())
        self._add(labels, counted, found)

    @abc.abstractmethod
    def _add(self, labels: np.ndarray, counted: np.ndarray, found: Sequence[np.ndarray]) -> None: ...

    def gather(self, devices: Devices) -> None:
        """Make the sums those of all processes."""
        if devices.share is None:
            return
        totals = devices.total(np.array([self.loss, self.pixels], np.float64))
        self.loss, self.pixels = float(totals[0]), int(totals[1])
        for array in self._arrays():
            array[...] = devices.total(array)

    @abc.abstractmethod
    def _arrays(self) -> list[np.ndarray]:
        """The sums that are arrays."""

    @abc.abstractmethod
    def scores(self) -> Mapping[str, float]:
        """The scores that are one number."""

    def summary(self) -> dict[str, float]:
        """The numbers shown for each epoch."""
        scores = self.scores()
        return {'loss': self.mean_loss, **{name: scores[name] for name in self.shown}}

    @abc.abstractmethod
    def record(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""


class ClassOutcome(Outcome):
    """Of classes.

    Args:
        classes: their number.
        calibrated: whether the network says its confidence with each class.
    """

    shown = ('overall_accuracy', 'mean_iou', 'macro_f1')

    def __init__(self, classes: int, calibrated: bool = False) -> None:
        super().__init__()
        self.matrix = ConfusionMatrix(classes)
        self.calibration = Calibration() if calibrated else None

    def _add(self, labels: np.ndarray, counted: np.ndarray, found: Sequence[np.ndarray]) -> None:
        self.matrix.update(labels, found[0], counted)
        if self.calibration is not None:
            self.calibration.update(found[1], found[0] == labels, counted)

    def _arrays(self) -> list[np.ndarray]:
        return [self.matrix.counts, *([self.calibration.sums] if self.calibration is not None else [])]

    def scores(self) -> Mapping[str, float]:
        return self.matrix.scores().summary()

    def record(self) -> dict[str, Any]:
        counts = self.matrix.counts
        calibration = {} if self.calibration is None else {'calibration': self.calibration.to_dict()}
        return {'loss': self.mean_loss, **Scores.of(counts).to_dict(), 'confusion': counts.tolist(), **calibration}


class ValueOutcome(Outcome):
    """Of values.

    Args:
        spread: of the values of the training samples; about its mean sums lose no digits.
        scattered: whether pairs of reference and prediction are counted for a plot.
    """

    shown = ('rmse', 'mae', 'bias', 'r2')

    def __init__(self, spread: ValueSpread, scattered: bool = False) -> None:
        super().__init__()
        self.moments = PairMoments(spread.mean)
        self.pairs = PairCounts(spread.minimum, spread.maximum) if scattered else None

    def _add(self, labels: np.ndarray, counted: np.ndarray, found: Sequence[np.ndarray]) -> None:
        self.moments.update(labels, found[0], counted)
        if self.pairs is not None:
            self.pairs.update(labels, found[0], counted)

    def _arrays(self) -> list[np.ndarray]:
        return [self.moments.sums, *([self.pairs.counts] if self.pairs is not None else [])]

    def scores(self) -> Mapping[str, float]:
        return self.moments.scores().summary()

    def record(self) -> dict[str, Any]:
        pairs = {} if self.pairs is None else {'pairs': self.pairs.to_dict()}
        return {'loss': self.mean_loss, **self.moments.scores().to_dict(), **pairs}
