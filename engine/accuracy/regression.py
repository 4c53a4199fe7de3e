"""What predicted values say beside measured ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

BINS = 48  # of the scatter plot, along each axis


class PairMoments:
    """Sums over pairs of a reference value and a prediction; all that the scores need, whatever their number.

    Attributes:
        shift: subtracted from both before they are summed, so that large values lose no digits.
        sums: float64 (7,): number of pairs, sums of reference, prediction, their squares, their product, and of the
            absolute error.
    """

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift
        self.sums = np.zeros(7, np.float64)

    def update(self, reference: np.ndarray, prediction: np.ndarray, counted: np.ndarray | None = None) -> None:
        """Add pairs of arrays of one shape; where `counted` is False they are left out."""
        if counted is not None:
            reference, prediction = reference[counted], prediction[counted]
        x = reference.astype(np.float64).ravel() - self.shift
        y = prediction.astype(np.float64).ravel() - self.shift
        self.sums += [len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y, np.abs(y - x).sum()]

    def scores(self) -> RegressionScores:
        """What the sums say."""
        return RegressionScores.of(self)


@dataclasses.dataclass(frozen=True)
class RegressionScores:
    """Errors of predicted values. What is not defined is NaN.

    Attributes:
        count: number of pairs.
        rmse: root of the mean squared error, in the unit of the values, as the next two.
        mae: mean absolute error.
        bias: mean of prediction minus reference.
        r2: coefficient of determination: 1 minus the share of the reference's variance that is left.
        correlation: Pearson's.
    """

    count: int
    rmse: float
    mae: float
    bias: float
    r2: float
    correlation: float

    @classmethod
    def of(cls, moments: PairMoments) -> RegressionScores:
        n, x, y, xx, yy, xy, absolute = moments.sums.tolist()
        if not n:
            return cls(0, *[float('nan')] * 5)
        squared = max(xx - 2 * xy + yy, 0.0)
        spread, other, both = xx - x * x / n, yy - y * y / n, xy - x * y / n
        tiny = 1e-12 * max(xx, 1e-300)
        defined = spread > tiny and other > tiny
        return cls(
            count=int(n),
            rmse=float(np.sqrt(squared / n)),
            mae=absolute / n,
            bias=(y - x) / n,
            r2=1 - squared / spread if spread > tiny else float('nan'),
            correlation=both / float(np.sqrt(spread * other)) if defined else float('nan'),
        )

    def summary(self) -> dict[str, float]:
        """The scores that are one number."""
        return {name: getattr(self, name) for name in ('rmse', 'mae', 'bias', 'r2')}

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; NaN becomes None."""
        plain = dataclasses.asdict(self)
        return {key: None if value != value else value for key, value in plain.items()}


class PairCounts:
    """Counts of pairs in cells of a square between two values: a scatter plot of any number of points.

    Args:
        low, high: ends of both axes; what lies beyond is counted in the outermost cells.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high if high > low else low + 1
        self.counts = np.zeros((BINS, BINS), np.int64)  # rows: reference

    def update(self, reference: np.ndarray, prediction: np.ndarray, counted: np.ndarray) -> None:
        """Add pairs, as in `PairMoments.update`."""
        cells = [self._cells(values[counted]) for values in (reference, prediction)]
        self.counts += np.bincount(cells[0] * BINS + cells[1], minlength=BINS * BINS).reshape(BINS, BINS)

    def _cells(self, values: np.ndarray) -> np.ndarray:
        places = (values.astype(np.float64) - self.low) / (self.high - self.low) * BINS
        return np.clip(places, 0, BINS - 1).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {'low': self.low, 'high': self.high, 'counts': self.counts.tolist()}
