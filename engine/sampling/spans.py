"""Runs of pixels under a polygon or along a line, in raster order, without holding the pixels one by one.

All coordinates are (column, row) in pixels of the grid, (0, 0) being the outer corner of the first one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

_SNAP = 1e-6  # pixels; positions so near to an edge or a centre are on it: the division by the pixel size is not exact
_MOST = 1 << 20  # crossings of edges with rows that are looked at together


@dataclasses.dataclass(frozen=True)
class Spans:
    """Runs of pixels.

    Attributes:
        row: of each run, int64.
        start, stop: a run covers the columns from `start` up to, not including, `stop`.
    """

    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        """Number of pixels up to the end of each run."""
        return np.cumsum(self.stop - self.start)

    def __len__(self) -> int:
        """The number of pixels."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows of pixels by their numbers, which count from 0 in raster order."""
        run = np.searchsorted(self._ends, numbers, 'right')
        return self.stop[run] - (self._ends[run] - numbers), self.row[run]

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows of all pixels."""
        return self.at(np.arange(len(self)))


def snap(positions: np.ndarray) -> np.ndarray:
    """Positions that are whole or half pixels but for noise become exactly that."""
    halves = np.round(2 * positions) / 2
    return np.where(np.abs(positions - halves) < _SNAP, halves, positions)


def polygon_spans(rings: Sequence[np.ndarray], rows: range, width: int) -> Iterator[Spans]:
    """The pixels whose centre lies inside the exterior ring and outside every hole.

    A ring that crosses itself bounds what lies inside an odd number of its turns. A centre exactly on an edge is inside
    where the polygon lies on its left or below, so that of two polygons along a common edge just one has it.

    Args:
        rings: (n, 2) vertices, the exterior ring first; closed or not.
        rows: of the grid to look at.
        width: columns of the grid.

    Yields:
        One or several `Spans`, which follow each other in raster order.
    """
    ends = [(ring, np.concatenate([ring[1:], ring[:1]])) for ring in rings]
    upper, lower = _downwards(*(np.concatenate(side) for side in zip(*ends)))
    ring = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    # The centre of row r is at r + 0.5; an edge crosses those from its upper end on, up to but not at its lower one.
    first = np.ceil(_within(upper[:, 1], rows.start, rows.stop) - 0.5).astype(np.int64)
    end = np.ceil(_within(lower[:, 1], rows.start, rows.stop) - 0.5).astype(np.int64)
    for edge, row in _crossings(first, end, rows):
        (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
        x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        key = row * (width + 1) + _within(np.floor(x + 0.5), 0, width).astype(np.int64)
        starts, stops = _inside(key, ring[edge], rows.stop * (width + 1))
        yield _spans(starts, stops, width + 1)


def line_spans(line: np.ndarray, rows: range, width: int) -> Iterator[Spans]:
    """The pixels whose square, its border included, a line touches; each of them once.

    Args:
        line: (n, 2) vertices.
        rows, width: as in `polygon_spans`.
    """
    upper, lower = _downwards(line[:-1], line[1:]) if len(line) > 1 else (line, line)
    first = np.ceil(_within(upper[:, 1], rows.start + 1, rows.stop + 1)).astype(np.int64) - 1
    end = np.floor(_within(lower[:, 1], rows.start - 1, rows.stop - 1)).astype(np.int64) + 1
    for edge, row in _crossings(first, end, rows):
        (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
        height = np.where(y1 == y0, 1, y1 - y0)
        enters = np.where(row <= y0, x0, x0 + (row - y0) * (x1 - x0) / height)
        leaves = np.where(row + 1 >= y1, x1, x0 + (row + 1 - y0) * (x1 - x0) / height)
        start = _within(np.ceil(np.minimum(enters, leaves)) - 1, 0, width).astype(np.int64)
        stop = _within(np.floor(np.maximum(enters, leaves)) + 1, 0, width).astype(np.int64)
        yield _united(row * (width + 1) + start, row * (width + 1) + stop, width + 1)


def _downwards(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower ends of edges, so that a common edge is computed alike for both of its polygons."""
    upper, lower = np.where((a[:, 1] <= b[:, 1])[:, None], (a, b), (b, a))
    return upper, lower


def _within(values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """What `np.clip` does, in less time for a few values."""
    return np.minimum(np.maximum(values, lowest), highest)


def _crossings(first: np.ndarray, end: np.ndarray, rows: range) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(edge, row) of every crossing, row `first` up to, not including, `end` of each edge; not too many at a time.

    Each time all crossings of some rows come together.
    """
    counts = end - first
    total = int(counts.sum())
    if total > _MOST and len(rows) > 1:
        middle = (rows.start + rows.stop) // 2
        above, below = range(rows.start, middle), range(middle, rows.stop)
        yield from _crossings(np.minimum(first, middle), np.minimum(end, middle), above)
        yield from _crossings(np.maximum(first, middle), np.maximum(end, middle), below)
    elif total:
        edge = np.repeat(np.arange(len(counts)), counts)
        yield edge, np.arange(total) + (first - (np.cumsum(counts) - counts))[edge]


def _inside(key: np.ndarray, ring: np.ndarray, beyond: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of what is inside ring 0 and outside all others.

    Args:
        key: where rings cross rows, as one number that grows in raster order; each ring crosses each row evenly often.
        ring: the number of the ring that crosses there.
        beyond: more than any key.
    """
    if not ring.any():
        key.sort()
        return key[::2], key[1::2]
    key = np.sort(ring * beyond + key)
    exterior = np.searchsorted(key, beyond)
    starts, stops = key[::2] % beyond, key[1::2] % beyond
    # Inside the exterior ring counts 1, inside a hole -2: the sum is 1 only inside the one and no other.
    steps = np.where(np.arange(len(starts)) < exterior // 2, 1, -2)
    where = np.concatenate([starts, stops])
    order = np.argsort(where, kind='stable')
    level = np.cumsum(np.concatenate([steps, -steps])[order])
    inside = np.flatnonzero(level[:-1] == 1)
    return where[order][inside], where[order][inside + 1]


def _united(start: np.ndarray, stop: np.ndarray, stride: int) -> Spans:
    """Runs that may overlap as runs that do not."""
    order = np.argsort(start, kind='stable')
    start, reach = start[order], np.maximum.accumulate(stop[order])
    new = np.flatnonzero(np.concatenate([[True], start[1:] > reach[:-1]]))
    return _spans(start[new], reach[np.append(new[1:] - 1, len(reach) - 1)], stride)


def _spans(starts: np.ndarray, stops: np.ndarray, stride: int) -> Spans:
    """Spans of keys ``row * stride + column``, without those that are empty."""
    some = stops > starts
    starts, stops = starts[some], stops[some]
    row = starts // stride
    return Spans(row, starts - row * stride, stops - row * stride)
