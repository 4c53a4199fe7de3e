"""Counting pixels in the patches of a grid: each pixel is looked at once, however many patches overlap there."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping

import numpy as np

from ..errors import InvalidJob

_STRIP_BYTES = 32 << 20
_MOST_COUNTS = 1 << 28


class PatchCounts:
    """Pixels of each kind in each patch of a grid, from rows of pixels that come once, from the top on.

    A patch holds what its columns held above its lower edge, less what they held above its upper edge. So running
    totals are enough: of the columns between two neighbouring edges of patches, a *cell*.

    Args:
        cols, rows: first pixels of the patches, ascending.
        size: (columns, rows) of a patch.

    Attributes:
        left, right: the columns that any patch covers, from `left` up to, not including, `right`.
        top, bottom: the same for rows.
    """

    def __init__(self, cols: np.ndarray, rows: np.ndarray, size: tuple[int, int]) -> None:
        self._columns = np.unique(np.concatenate([cols, cols + size[0]]))
        self._first = np.searchsorted(self._columns, cols)
        self._end = np.searchsorted(self._columns, cols + size[0])
        self._starts = {row: i for i, row in enumerate(rows.tolist())}
        self._ends = {row + size[1]: i for i, row in enumerate(rows.tolist())}
        self._edges = sorted({*self._starts, *self._ends})
        self._shape = len(rows), len(cols)
        self._running: dict[int, np.ndarray] = {}
        self._counts: dict[int, np.ndarray] = {}
        self.left, self.right = int(self._columns[0]), int(self._columns[-1])
        self.top, self.bottom = self._edges[0], self._edges[-1]

    @property
    def cells(self) -> np.ndarray:
        """The cell of each column from `left` to `right`."""
        return np.repeat(np.arange(len(self._columns) - 1), np.diff(self._columns))

    def strips(self, row_bytes: int, block: int) -> Iterator[tuple[int, int]]:
        """First row and end of the strips in which to read all rows: whole blocks, as far as memory allows."""
        rows = max(_STRIP_BYTES // row_bytes, 1)
        rows = max(rows // block * block, block) if block * row_bytes <= 8 * _STRIP_BYTES else rows
        top = self.top
        while top < self.bottom:
            end = min((top // rows + 1) * rows, self.bottom)
            yield top, end
            top = end

    def pieces(self, top: int, bottom: int) -> Iterator[tuple[int, int]]:
        """First row and end of the parts of a strip between edges of patches; `add` wants them one by one."""
        while top < bottom:
            end = min(self._edges[bisect.bisect_right(self._edges, top)], bottom)
            yield top, end
            top = end

    def add(self, end: int, counted: Mapping[int, np.ndarray]) -> None:
        """Count the rows of a piece.

        Args:
            end: of the piece.
            counted: pixels of each kind in each cell.
        """
        for kind, cells in counted.items():
            if kind not in self._running:
                if (len(self._running) + 1) * self._shape[0] * self._shape[1] > _MOST_COUNTS:
                    raise InvalidJob(
                        f'{self._shape[0] * self._shape[1]} patches are too many to count their classes; take a larger '
                        'STEP.'
                    )
                self._running[kind] = np.zeros(len(self._columns) - 1, np.int64)
                self._counts[kind] = np.zeros(self._shape, np.int64)
            self._running[kind] += cells
        above, below = self._ends.get(end), self._starts.get(end)
        if above is None and below is None:
            return
        for kind, cells in self._running.items():
            total = np.concatenate([[0], np.cumsum(cells)])
            patches = total[self._end] - total[self._first]
            if above is not None:
                self._counts[kind][above] += patches
            if below is not None:
                self._counts[kind][below] -= patches

    def of(self, kind: int) -> np.ndarray:
        """(patch rows, patch columns) pixels of a kind, once all rows are counted."""
        return self._counts.get(kind, np.zeros(self._shape, np.int64))

    @property
    def kinds(self) -> list[int]:
        """The kinds that were found, ascending."""
        return sorted(self._counts)
