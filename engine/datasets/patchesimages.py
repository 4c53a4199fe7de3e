"""Writing patches-images: the patches of a key below one another in one raster, as OTBTF writes them.

Sample k stands in rows k·rows … (k+1)·rows - 1. There is no CRS; the centre of the first pixel is (0, 0), and pixels
are as large as those of the image. Uncompressed, the pixels lie in the file in their order, so that they can be
mapped into memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import InvalidJob, write_error
from ..gdalio import gdal, gdal_type, open_raster
from .stores import Form

_STRIP_BYTES = 8192  # at least: of patches of a few pixels, several share a strip
_CHUNK_BYTES = 4 << 20
_MOST_ROWS = 2**31 - 1


def write_patches_image(
    path: str,
    form: Form,
    count: int,
    pixel_size: tuple[float, float],
    read: Callable[[int, int], np.ndarray],
    nodata: float | None = None,
    bands: Sequence[str] = (),
    compress: bool = False,
) -> None:
    """Write a patches-image.

    Args:
        path: of the GeoTIFF.
        form: of a sample.
        count: samples.
        pixel_size: of the image in map units, with signs: (2, -2) is north up.
        read: gives the samples from one number to before another, (samples, rows, columns, bands).
        nodata: the value that is no-data in all bands, or None.
        bands: their descriptions.
        compress: deflate the pixels.

    Raises:
        InvalidJob: a GeoTIFF cannot hold such numbers, or as many patches.
        DiskFull, OutputRefused: it cannot be written.
    """
    rows, cols, depth = form.shape
    if rows * count > _MOST_ROWS:
        raise InvalidJob(
            f'{path}: {count} patches of {rows} rows are more than a raster can hold; choose another layout.'
        )
    patch = math.prod(form.shape) * form.dtype.itemsize
    # Patches; at least two strips, as readers of TIFF take a single one apart.
    strip = min(max(1, _STRIP_BYTES // patch), max(1, -(-count // 2)))
    chunk = strip * max(1, _CHUNK_BYTES // (strip * patch))
    options = ['BIGTIFF=IF_SAFER', 'INTERLEAVE=PIXEL', f'BLOCKYSIZE={strip * rows}']
    # Without the second, strips of zeros would be left out at first and come last in the file.
    options += ['COMPRESS=DEFLATE'] if compress else ['@WRITE_EMPTY_TILES_SYNCHRONOUSLY=YES']
    size = form.dtype.itemsize
    try:
        kind = gdal_type(form.dtype)
    except KeyError:
        raise InvalidJob(f'{path}: a raster cannot hold numbers of type {form.dtype}; choose another layout.') from None
    try:
        dataset = gdal.GetDriverByName('GTiff').Create(path, cols, rows * count, depth, kind, options)
        step_x, step_y = pixel_size
        dataset.SetGeoTransform((-step_x / 2, step_x, 0.0, -step_y / 2, 0.0, step_y))
        for number, name in enumerate(bands, 1):
            dataset.GetRasterBand(number).SetDescription(name)
        if nodata is not None:
            dataset.GetRasterBand(1).SetNoDataValue(nodata)  # GeoTIFF has one for all bands
        for start in range(0, count, chunk):
            stop = min(start + chunk, count)
            pixels = np.ascontiguousarray(read(start, stop), form.dtype)
            dataset.WriteRaster(
                0,
                start * rows,
                cols,
                (stop - start) * rows,
                pixels.data.cast('B'),
                buf_type=kind,
                buf_pixel_space=size * depth,
                buf_line_space=size * depth * cols,
                buf_band_space=size,
            )
        dataset.FlushCache()
        del dataset
        _verify(path, form, count)
    except (RuntimeError, OSError) as error:
        raise write_error(path, OSError(str(error) or 'not all of it was written')) from error


def _verify(path: str, form: Form, count: int) -> None:
    """Raise OSError where a file is not whole: GDAL does not always say so when it writes."""
    dataset = open_raster(path)
    band = dataset.GetRasterBand(1)
    with open(path, 'rb') as file:
        length = file.seek(0, 2)
    strips = -(-form.shape[0] * count // band.GetBlockSize()[1])
    for number in range(strips if count > 1 else 1):
        place, size = (
            int(band.GetMetadataItem(f'BLOCK_{what}_0_{number}', 'TIFF') or 0) for what in ('OFFSET', 'SIZE')
        )
        if not place or place + size > length:
            raise OSError(f'strip {number} did not arrive')
