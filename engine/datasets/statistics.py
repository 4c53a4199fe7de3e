"""Mean and spread of bands, with the same result however the samples lie in files."""

from __future__ import annotations

import numpy as np

from .manifest import Statistics

_SCRATCH = 1 << 17  # numbers that are worked on together: they stay in the processor's cache
_GROUP = 256  # samples that are merged at a time


class RunningStatistics:
    """Count, mean, standard deviation, minimum and maximum of each band in float64.

    The moments of each sample are computed by themselves, and merged in the order of the samples, always the same
    number at a time, after Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979): no sum of squares loses digits where the mean is large.
    """

    def __init__(self, bands: int) -> None:
        self._bands = bands
        self._count = 0
        self._mean = np.zeros(bands)
        self._square = np.zeros(bands)  # sum of squared differences from the mean
        self._minimum = np.full(bands, np.inf)
        self._maximum = np.full(bands, -np.inf)
        self._group: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # counts, means, squares
        self._grouped = 0

    def add(self, pixels: np.ndarray, valid: np.ndarray) -> None:
        """Merge a sample: `pixels` (rows, columns, bands), of which those count where `valid` (rows, columns)."""
        self.add_many(pixels[None], valid[None])

    def add_many(self, pixels: np.ndarray, valid: np.ndarray | None = None) -> None:
        """Merge samples: `pixels` (samples, rows, columns, bands), of which those count where `valid` (samples, rows,
        columns); None: all."""
        for start, stop, whole in _runs(len(pixels), valid):
            if whole:
                step = max(1, _SCRATCH // max(1, pixels[0].size))
                for first in range(start, stop, step):
                    self._add_whole(pixels[first : min(first + step, stop)])
                lines = pixels[start:stop].reshape(stop - start, *pixels.shape[1:2], -1)
                self._reach(lines.min(0).min(0), lines.max(0).max(0))
            elif valid is not None:
                self._add_part(pixels[start], valid[start])

    def _add_whole(self, pixels: np.ndarray) -> None:
        """Samples whose pixels all count."""
        count, rows, cols, bands = pixels.shape
        lines = pixels.reshape(count, rows, cols * bands)
        values = lines.astype(np.float64)
        means = values.sum(1).reshape(count, cols, bands).sum(1) / (rows * cols)
        values -= np.tile(means, (1, cols))[:, None]
        squares = np.einsum('krc,krc->kc', values, values).reshape(count, cols, bands).sum(1)
        self._append(np.full(count, rows * cols), means, squares)

    def _add_part(self, pixels: np.ndarray, valid: np.ndarray) -> None:
        """A sample of which some pixels count."""
        values = np.ascontiguousarray(pixels[valid].T, np.float64)  # bands first: sums run along memory
        if values.shape[1]:
            means = values.mean(1)
            self._reach(values.min(1), values.max(1))
            squares = np.square(values - means[:, None]).sum(1)
            self._append(np.array([values.shape[1]]), means[None], squares[None])

    def _reach(self, low: np.ndarray, high: np.ndarray) -> None:
        """Minimum and maximum with the lowest and the highest of pixels one after another, all bands of each."""
        self._minimum = np.minimum(self._minimum, low.reshape(-1, self._bands).min(0))
        self._maximum = np.maximum(self._maximum, high.reshape(-1, self._bands).max(0))

    def _append(self, counts: np.ndarray, means: np.ndarray, squares: np.ndarray) -> None:
        """Queue the moments of samples, and merge those of full groups."""
        while len(counts):
            room = _GROUP - self._grouped
            self._group.append((counts[:room], means[:room], squares[:room]))
            self._grouped += len(counts[:room])
            counts, means, squares = counts[room:], means[room:], squares[room:]
            if self._grouped == _GROUP:
                self._merge()

    def _merge(self) -> None:
        """Merge the moments that are queued."""
        if not self._group:
            return
        counts, means, squares = (np.concatenate(column) for column in zip(*self._group))
        self._group, self._grouped = [], 0
        added = int(counts.sum())
        mean = (counts[:, None] * means).sum(0) / added
        square = (squares + counts[:, None] * (means - mean) ** 2).sum(0)
        count = self._count + added
        shift = mean - self._mean
        self._square += square + shift**2 * (self._count * added / count)
        self._mean += shift * (added / count)
        self._count = count

    def result(self) -> Statistics:
        """The statistics; zeros where there was no valid pixel. Nothing can be added afterwards."""
        self._merge()
        if not self._count:
            nothing = (0.0,) * self._bands
            return Statistics((0,) * self._bands, nothing, nothing, nothing, nothing)
        return Statistics(
            (self._count,) * self._bands,
            tuple(self._mean.tolist()),
            tuple(np.sqrt(self._square / self._count).tolist()),
            tuple(self._minimum.tolist()),
            tuple(self._maximum.tolist()),
        )


def _runs(count: int, valid: np.ndarray | None) -> list[tuple[int, int, bool]]:
    """Ranges of samples: of those that are whole as many as follow one another, of others each by itself."""
    if valid is None:
        return [(0, count, True)]
    whole = valid.reshape(count, -1).all(1)
    out = []
    start = 0
    while start < count:
        stop = start + 1
        while whole[start] and stop < count and whole[stop]:
            stop += 1
        out.append((start, stop, bool(whole[start])))
        start = stop
    return out
