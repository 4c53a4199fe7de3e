"""Mean and spread of bands, sample by sample, with the same result however the samples lie in files."""

from __future__ import annotations

import numpy as np

from .manifest import Statistics


class RunningStatistics:
    """Count, mean, standard deviation, minimum and maximum of each band in float64.

    Samples are merged one by one in the order given, after Chan, Golub and LeVeque, "Updating formulae and a pairwise
    algorithm for computing sample variances" (1979): no sum of squares loses digits where the mean is large.
    """

    def __init__(self, bands: int) -> None:
        self._count = 0
        self._mean = np.zeros(bands)
        self._square = np.zeros(bands)  # sum of squared differences from the mean
        self._minimum = np.full(bands, np.inf)
        self._maximum = np.full(bands, -np.inf)

    def add(self, pixels: np.ndarray, valid: np.ndarray) -> None:
        """Merge a sample: `pixels` (rows, columns, bands), of which those count where `valid` (rows, columns)."""
        values = np.ascontiguousarray(pixels[valid].T, np.float64)  # bands first: sums run along memory
        added = values.shape[1]
        if not added:
            return
        count = self._count + added
        mean = values.mean(1)
        shift = mean - self._mean
        self._minimum = np.minimum(self._minimum, values.min(1))
        self._maximum = np.maximum(self._maximum, values.max(1))
        values -= mean[:, None]
        self._square += np.square(values, out=values).sum(1) + shift**2 * (self._count * added / count)
        self._mean += shift * (added / count)
        self._count = count

    def result(self) -> Statistics:
        """The statistics; zeros where there was no valid pixel."""
        if not self._count:
            nothing = (0.0,) * len(self._mean)
            return Statistics((0,) * len(self._mean), nothing, nothing, nothing, nothing)
        return Statistics(
            (self._count,) * len(self._mean),
            tuple(self._mean.tolist()),
            tuple(np.sqrt(self._square / self._count).tolist()),
            tuple(self._minimum.tolist()),
            tuple(self._maximum.tolist()),
        )
