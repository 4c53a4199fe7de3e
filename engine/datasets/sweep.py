"""Windows of a raster in any number and order, read so that each block of the file is read once."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Optional, Protocol

import numpy as np

from ..gdalio import config, gdal
from ..grid import Grid, Window

MEMORY = 256 << 20  # bytes of a raster that are held at a time
_GDAL_MEMORY = 64 << 20  # GDAL's own cache of blocks: nothing is asked of it twice
_ROWS = 128  # at least read together, so that several strips are decoded at the same time
_BATCH = 4 << 20  # bytes of windows that are cut together


class Raster(Protocol):
    """What can be swept: a `raster.RasterStack`, or something that is read like one."""

    @property
    def grid(self) -> Grid: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def bands(self) -> tuple[str, ...]: ...

    @property
    def block(self) -> tuple[int, int]: ...

    def read(self, window: Window, out: Optional[np.ndarray] = None) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class _Strip:
    """Rows of the raster in memory, from `top` on; only the blocks that windows need are filled in."""

    top: int
    pixels: np.ndarray


class Sweep:
    """Reads windows of a raster from top to bottom, in strips of whole blocks.

    A strip is read when the first window reaches into it, and its last rows are kept for the windows that go on below.
    While windows are cut from one strip, a thread reads the next, and GDAL decodes its blocks on all cores. Where a
    strip is too wide for the memory, the windows are taken in swaths from left to right, and blocks on the seams are
    read twice.

    Args:
        raster: what is read.
        windows: (n, 4) whole numbers: column, row, width and height, inside the grid of the raster.
        memory: bytes of pixels held at a time. A strip holds at least a window, whatever it takes.
    """

    def __init__(self, raster: Raster, windows: np.ndarray, memory: int = MEMORY) -> None:
        self._raster = raster
        self._windows = np.asarray(windows, np.int64).reshape(-1, 4)
        self._pixel = raster.dtype.itemsize * len(raster.bands)
        if len(self._windows):
            self._plan(memory)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(numbers of windows, ascending; their pixels as (windows, rows, columns, bands)), batch by batch.

        The windows of a batch have the same size.

        Raises:
            InputUnreadable: the raster is damaged, and where.
        """
        if len(self._windows):
            cols = self._windows[:, 0]
            swath = (cols - cols.min()) // self._width
            with _small_cache(self._block_bytes() if self._in_parts else 0):
                for number in np.unique(swath):
                    yield from self._down(np.flatnonzero(swath == number))

    def _block_bytes(self) -> int:
        """What GDAL must keep of a raster whose blocks are read in parts: those side by side in a strip."""
        cols, rows = self._raster.block
        return rows * min(-(-self._width // cols) * cols + cols, self._raster.grid.width) * self._pixel

    def _plan(self, memory: int) -> None:
        """Choose the rows of a strip and the width of a swath."""
        block_cols, block_rows = self._raster.block
        _, _, widths, heights = self._windows.T
        self._tallest, widest = int(heights.max()), int(widths.max())
        room = memory // (2 * self._pixel)  # pixels of a strip: one is cut while the next is read
        whole = self._raster.grid.width
        least = min(whole, 2 * (widest + min(block_cols, whole)))
        rows = _multiple(max(self._tallest, _ROWS), block_rows)
        if (self._tallest + rows) * whole > room:
            rows = _multiple(self._tallest // 4, block_rows)
        self._in_parts = block_rows > self._tallest and (self._tallest + rows) * least > room
        if self._in_parts:
            rows = max(1, self._tallest // 4, room // least - self._tallest)
        self._rows = rows
        width = min(whole, max(least, room // (self._tallest + rows)))
        # The seams of swaths lie between blocks, unless blocks are wider than swaths.
        self._cell = block_cols if block_cols < width else 1
        self._width = max(1, (width - widest) // self._cell * self._cell) if width < whole else whole

    def _down(self, members: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The windows of one swath."""
        cols, rows, widths, heights = self._windows[members].T
        self._left = int(cols.min()) // self._cell * self._cell
        right = min(-(-int((cols + widths).max()) // self._cell) * self._cell, self._raster.grid.width)
        first, last = rows // self._rows, (rows + heights - 1) // self._rows
        steps = _covered(first, last)
        shape = (self._tallest - 1 + self._rows, right - self._left, len(self._raster.bands))
        buffers = [np.empty(shape, self._raster.dtype) for _ in range(min(2, len(steps)))]
        with ThreadPoolExecutor(1) as pool:
            strip: _Strip | None = None
            for number in range(len(steps) + 1):
                # A strip takes over rows of the one before, so each is finished before the next begins.
                ahead = None
                if number < len(steps):
                    step = int(steps[number])
                    reached = members[(first <= step) & (step <= last)]
                    ahead = pool.submit(self._load, step, reached, strip, buffers[number % 2])
                if strip is not None:
                    yield from self._cut(strip, members[last == steps[number - 1]])
                strip = ahead.result() if ahead else None

    def _load(self, step: int, members: np.ndarray, before: _Strip | None, buffer: np.ndarray) -> _Strip:
        """Read what some windows need of a step's rows; above them stand the rows they need of the strip before."""
        start = step * self._rows
        stop = min(start + self._rows, self._raster.grid.height)
        cols, rows, widths, heights = self._windows[members].T
        top = min(int(rows.min()), start)
        if before is not None and top < start:
            buffer[: start - top] = before.pixels[top - before.top : start - before.top]
        cell_rows = min(self._raster.block[1], self._rows)
        cell_cols = self._cell if self._cell > 1 else buffer.shape[1]
        needed = _painted(
            (np.maximum(rows, start) - start) // cell_rows,
            (np.minimum(rows + heights, stop) - 1 - start) // cell_rows,
            (cols - self._left) // cell_cols,
            (cols + widths - 1 - self._left) // cell_cols,
        )
        with config(GDAL_NUM_THREADS='ALL_CPUS'):
            for cell in _rectangles(needed):
                row, col = start + cell.row * cell_rows, cell.col * cell_cols
                height = min(cell.height * cell_rows, stop - row)
                width = min(cell.width * cell_cols, buffer.shape[1] - col)
                part = buffer[row - top : row - top + height, col : col + width]
                self._raster.read(Window(self._left + col, row, width, height), part)
        return _Strip(top, buffer)

    def _cut(self, strip: _Strip, members: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Windows that end in a strip."""
        sizes = self._windows[members, 2:]
        for width, height in np.unique(sizes, axis=0).tolist():
            chosen = members[(sizes == (width, height)).all(1)]
            view = _every_window(strip.pixels, width, height)
            at_once = max(1, _BATCH // (width * height * self._pixel))
            for start in range(0, len(chosen), at_once):
                batch = chosen[start : start + at_once]
                cols, rows = self._windows[batch, 0] - self._left, self._windows[batch, 1] - strip.top
                yield batch, view[rows, cols].reshape(len(batch), height, width, -1)


@contextlib.contextmanager
def _small_cache(least: int) -> Iterator[None]:
    """Within the block, GDAL keeps few blocks, but `least` bytes: what is swept would be held twice."""
    before = gdal.GetCacheMax()
    gdal.SetCacheMax(max(least, min(before, _GDAL_MEMORY)))
    try:
        yield
    finally:
        gdal.SetCacheMax(before)


def _multiple(number: int, unit: int) -> int:
    """The smallest multiple of `unit`, above 0, that is no less than a number."""
    return unit * max(1, -(-number // unit))


def _covered(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The numbers in any of the ranges from `first` to `last`, ascending."""
    ends = np.zeros(int(last.max()) + 2, np.int64)
    np.add.at(ends, first, 1)
    np.add.at(ends, last + 1, -1)
    return np.flatnonzero(ends.cumsum()[:-1])


def _painted(top: np.ndarray, bottom: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Booleans (rows, columns) of the cells in any of some rectangles, whose last rows and columns count."""
    ends = np.zeros((int(bottom.max()) + 2, int(right.max()) + 2), np.int64)
    for rows, cols, change in (
        (top, left, 1),
        (top, right + 1, -1),
        (bottom + 1, left, -1),
        (bottom + 1, right + 1, 1),
    ):
        np.add.at(ends, (rows, cols), change)
    return ends.cumsum(0).cumsum(1)[:-1, :-1] > 0


def _rectangles(cells: np.ndarray) -> Iterator[Window]:
    """The True cells as rectangles: runs of a row, and of the rows below that are like it."""
    row = 0
    while row < len(cells):
        same = 1
        while row + same < len(cells) and np.array_equal(cells[row + same], cells[row]):
            same += 1
        edges = np.flatnonzero(np.diff(np.concatenate([[False], cells[row], [False]]).astype(np.int8)))
        for left, right in edges.reshape(-1, 2).tolist():
            yield Window(left, row, right - left, same)
        row += same


def _every_window(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """A view (first row, first column, rows, columns · bands) of each window of a size."""
    rows, cols, bands = pixels.shape
    line, pixel, band = pixels.strides
    shape = (rows - height + 1, cols - width + 1, height, width * bands)
    return np.lib.stride_tricks.as_strided(pixels, shape, (line, pixel, line, band), writeable=False)
