"""Whether a classifier is as often right as it says.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15


class Calibration:
    """Predictions by their confidence, which is the probability of the predicted class.

    Attributes:
        sums: float64 (3, bins): predictions, sum of their confidences, and how many of them were right. Bins are of
            equal width from 0 to 1.
    """

    def __init__(self) -> None:
        self.sums = np.zeros((3, BINS), np.float64)

    def update(self, confidence: np.ndarray, right: np.ndarray, counted: np.ndarray) -> None:
        """Add predictions: arrays of one shape, of which those count where `counted`."""
        values = confidence[counted].astype(np.float64)
        places = np.clip((values * BINS).astype(np.int64), 0, BINS - 1)
        for row, weights in enumerate((None, values, right[counted].astype(np.float64))):
            self.sums[row] += np.bincount(places, weights, BINS)

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance between confidence and accuracy; NaN without any."""
        count, confidence, right = self.sums
        return float(np.abs(confidence - right).sum() / count.sum()) if count.sum() else float('nan')

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: mean confidence and accuracy of each bin, None where it is empty."""
        count, confidence, right = self.sums
        return {
            'error': None if np.isnan(self.error) else self.error,
            'count': [int(value) for value in count],
            'confidence': [a / n if n else None for a, n in zip(confidence.tolist(), count.tolist())],
            'accuracy': [a / n if n else None for a, n in zip(right.tolist(), count.tolist())],
        }
