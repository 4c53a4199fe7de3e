"""Long calls of GDAL: how far they are, how they are stopped, and the memory they need to read line by line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType

from ..events import Reporter
from ..gdalio import gdal

_ROWS = 3  # rows of blocks kept of each raster: the one that is worked on, and what is left of the one before


class Watch:
    """Reports progress and looks whether the user has asked to stop. A context manager around a call of GDAL whose
    callback it is; GDAL's complaint of having been stopped becomes the reason for stopping.

    Args:
        reporter: hears of the progress.
        text: what is being done.
        start, end: which part of the reporter's stage this is.
    """

    def __init__(self, reporter: Reporter, text: str = '', start: float = 0.0, end: float = 1.0) -> None:
        self._reporter, self._text, self._start, self._end = reporter, text, start, end
        self._reason: BaseException | None = None

    def part(self, text: str, start: float, end: float) -> Watch:
        """For a part of this, from one share of it to another."""
        span = self._end - self._start
        return Watch(self._reporter, text or self._text, self._start + span * start, self._start + span * end)

    def progress(self, share: float) -> None:
        """Say which share is done; raises `Cancelled`."""
        self._reporter.check_cancelled()
        self._reporter.progress(self._start + (self._end - self._start) * share, self._text)

    def __call__(self, share: float, message: str, data: object) -> int:
        try:
            self.progress(share)
        except BaseException as reason:  # none can pass through GDAL
            self._reason = reason
            return 0
        return 1

    def __enter__(self) -> Watch:
        self.progress(0.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reason is not None:
            raise self._reason from None


@contextlib.contextmanager
def line_cache(*datasets: gdal.Dataset) -> Iterator[None]:
    """Room in GDAL's cache for what is read or written line by line, within a block.

    A line touches a whole row of blocks. Were there no room for it, each block would be decoded again for each line,
    and written more than once.
    """
    needed = 0
    for dataset in datasets:
        band = dataset.GetRasterBand(1)
        cols, rows = band.GetBlockSize()
        width = -(-dataset.RasterXSize // cols) * cols
        needed += _ROWS * width * rows * gdal.GetDataTypeSize(band.DataType) // 8 * dataset.RasterCount
    before = gdal.GetCacheMax()
    gdal.SetCacheMax(max(before, needed))
    try:
        yield
    finally:
        gdal.SetCacheMax(before)
