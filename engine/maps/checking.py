"""Whether a finished raster is whole, and the same as another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import OutputRefused
from ..gdalio import dtype_of, gdal, gdal_type, open_raster
from ..grid import Window

_BYTES = 8 << 20  # of pixels held at a time of each raster


def check_blocks(dataset: gdal.Dataset, path: str, blocks: Iterable[tuple[int, int]]) -> None:
    """Raise `OutputRefused` where blocks are not in a GeoTIFF.

    Args:
        dataset: the file, open.
        path: of the file.
        blocks: (column, row) of those that hold data.
    """
    length = os.path.getsize(path)
    blocks = tuple(blocks)
    separate = dataset.GetMetadataItem('INTERLEAVE', 'IMAGE_STRUCTURE') == 'BAND'
    for number in range(1, dataset.RasterCount + 1 if separate else 2):
        band = dataset.GetRasterBand(number)
        for col, row in blocks:
            values: list[Any] = [
                band.GetMetadataItem(f'BLOCK_{item}_{col}_{row}', 'TIFF') for item in ('OFFSET', 'SIZE')
            ]
            if None in values or int(values[0]) + int(values[1]) > length:
                raise OutputRefused(f'block {(col, row)} of the finished file is missing')


def check_layout(made: gdal.Dataset, source: gdal.Dataset) -> None:
    """Raise `OutputRefused` where a raster has another size, other bands or other types than the one it was made of."""
    found, wanted = (
        (item.RasterXSize, item.RasterYSize, [item.GetRasterBand(i + 1).DataType for i in range(item.RasterCount)])
        for item in (made, source)
    )
    if found != wanted:
        raise OutputRefused(f'the finished file has {found} columns, rows and types of bands, but should have {wanted}')


def count_changes(made: gdal.Dataset, source: gdal.Dataset, progress: Callable[[float], None]) -> int:
    """At how many pixels two rasters of the same layout differ; both are read to their end.

    Args:
        progress: told the share that is done; may raise to stop.

    Raises:
        OutputRefused: a pixel is without data in one of them only, or one cannot be read.
    """
    changed = 0
    nodata = source.GetRasterBand(1).GetNoDataValue()
    for share, window in _windows(source):
        pixels, before = _read(made, window), _read(source, window)
        different = pixels != before
        if pixels.dtype.kind == 'f':
            different &= ~(np.isnan(pixels) & np.isnan(before))
        where = different.any(0)
        if nodata is not None and ((before[:, where] == nodata) != (pixels[:, where] == nodata)).any():
            raise OutputRefused('the finished file has lost pixels, or data where there are none')
        changed += int(where.sum())
        progress(share)
    return changed


def count_valid(dataset: gdal.Dataset) -> int:
    """How many pixels of the first band have data."""
    mask = dataset.GetRasterBand(1).GetMaskBand()
    found = 0
    for _, window in _windows(dataset):
        pixels = np.empty((window.height, window.width), np.uint8)
        _fill(mask, window, pixels)
        found += int(np.count_nonzero(pixels))
    return found


def read_overviews(path: str, progress: Callable[[float], None]) -> None:
    """Read all overviews of a raster to their end; `OutputRefused` where that cannot be done."""
    dataset = open_raster(path)
    count = dataset.GetRasterBand(1).GetOverviewCount()
    for level in range(count):
        overview = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY, open_options=[f'OVERVIEW_LEVEL={level}'])
        for share, window in _windows(overview):
            _read(overview, window)
            progress((level + share) / count)


def _windows(dataset: gdal.Dataset) -> Iterator[tuple[float, Window]]:
    """Windows of whole blocks that cover a raster, each with the share of it that is done with them."""
    band = dataset.GetRasterBand(1)
    cols, rows = band.GetBlockSize()
    size = np.dtype(dtype_of(band, dataset.GetDescription())).itemsize * dataset.RasterCount
    width = min(dataset.RasterXSize, cols * max(1, _BYTES // (cols * rows * size)))
    height = rows * max(1, _BYTES // (width * rows * size))
    whole = Window(0, 0, dataset.RasterXSize, dataset.RasterYSize)
    for row in range(0, whole.height, height):
        for col in range(0, whole.width, width):
            window = Window(col, row, width, height).intersect(whole)
            done = row * whole.width + window.right * window.height
            yield done / (whole.width * whole.height), window


def _read(dataset: gdal.Dataset, window: Window) -> np.ndarray:
    """Pixels as (bands, rows, columns)."""
    dtype = dtype_of(dataset.GetRasterBand(1), dataset.GetDescription())
    pixels = np.empty((dataset.RasterCount, window.height, window.width), dtype)
    _fill(dataset, window, pixels)
    return pixels


def _fill(raster: gdal.Dataset | gdal.Band, window: Window, pixels: np.ndarray) -> None:
    """Read a window into an array of its shape."""
    try:
        done = raster.ReadRaster(
            window.col, window.row, window.width, window.height, buf_type=gdal_type(pixels.dtype), buf_obj=pixels
        )
        if done is None:  # what GDAL's own threads run into is no exception
            raise RuntimeError('a block cannot be decoded')
    except RuntimeError as error:
        raise OutputRefused(
            f'columns {window.col}-{window.right - 1}, rows {window.row}-{window.bottom - 1} of the finished file '
            f'cannot be read ({error})'
        ) from error
