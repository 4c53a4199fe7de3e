"""Whole rasters as arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...errors import InputUnreadable
from ...gdalio import gdal, gdal_type, open_raster
from ..stores import image_dtype


def gdal_open(filename: str) -> gdal.Dataset:
    """Open a raster for reading.

    Raises:
        InputMissing, InputUnreadable: naming the file.
    """
    return open_raster(os.fspath(filename))


def read_as_np_arr(gdal_ds: gdal.Dataset, as_patches: bool = True, dtype: Any = None) -> np.ndarray:
    """All pixels of an open raster, always with four axes.

    Args:
        gdal_ds: the raster.
        as_patches: square patches of the raster's width W stand below one another in it.
        dtype: of the array; None keeps that of the raster.

    Returns:
        (height / W, W, W, bands) if `as_patches`, else (1, height, width, bands).

    Raises:
        InputUnreadable: the height is no multiple of the width although it should be, or the file is damaged.
    """
    path = gdal_ds.GetDescription()
    width, height, bands = gdal_ds.RasterXSize, gdal_ds.RasterYSize, gdal_ds.RasterCount
    rows = square_patches(path, width, height) if as_patches else 1
    own = image_dtype(gdal_ds, path)
    pixels = np.empty((height, width, bands), own)
    try:
        done = gdal_ds.ReadRaster(
            buf_type=gdal_type(own),
            buf_pixel_space=own.itemsize * bands,
            buf_line_space=own.itemsize * bands * width,
            buf_band_space=own.itemsize,
            buf_obj=pixels,
        )
        if done is None:  # what GDAL's own threads run into is no exception
            raise RuntimeError('a block cannot be decoded')
    except RuntimeError as error:
        raise InputUnreadable(f'{path}: cannot be read; the file is damaged or not complete ({error}).') from error
    return pixels.reshape(rows, height // rows, width, bands).astype(dtype or own, copy=False)


def square_patches(path: str, width: int, height: int) -> int:
    """How many patches stand in a raster of this size; `InputUnreadable` where they are not square."""
    if height % width:
        raise InputUnreadable(
            f'{path}: {width} x {height} pixels are no whole number of square patches. The patches of an image of '
            'patches are as high as it is wide.'
        )
    return height // width
