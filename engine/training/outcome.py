"""What a pass over samples gives: the loss, and how good the predictions were."""

from __future__ import annotations

import abc
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..accuracy.calibration import Calibration
from ..accuracy.confusion import ConfusionMatrix, Scores
from ..accuracy.regression import PairCounts, PairMoments
from .devices import Devices
from .monitor import CLASS_NUMBERS, VALUE_NUMBERS
from .splits import ValueSpread

_TOTAL = 'sums-total'


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

    def gathered(self, devices: Devices) -> Outcome:
        """The same with the sums of all processes."""
        found = copy.deepcopy(self)
        found.gather(devices)
        return found

    def sums(self) -> dict[str, np.ndarray]:
        """All that there is so far, by name, for `resume`."""
        total = np.array([self.loss, self.pixels], np.float64)
        return {_TOTAL: total, **{f'sums-{number}': array for number, array in enumerate(self._arrays())}}

    def resume(self, sums: Mapping[str, np.ndarray]) -> None:
        """Go on from what `sums` gave."""
        self.loss, self.pixels = float(sums[_TOTAL][0]), int(sums[_TOTAL][1])
        for number, array in enumerate(self._arrays()):
            array[...] = sums[f'sums-{number}']

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

    shown = CLASS_NUMBERS

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

    shown = VALUE_NUMBERS

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
