"""GDAL set up for the engine, in the one place: exceptions on, nothing written beside inputs.

Import `gdal`, `ogr` and `osr` from here, never from `osgeo`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import numpy as np
from osgeo import gdal, ogr, osr

from .errors import InputMissing, InputUnreadable

__all__ = ['config', 'dtype_of', 'gdal', 'gdal_type', 'ogr', 'open_raster', 'osr', 'same_crs']

gdal.UseExceptions()
ogr.UseExceptions()
osr.UseExceptions()
# Statistics and the like would otherwise appear as .aux.xml beside the user's files.
gdal.SetConfigOption('GDAL_PAM_ENABLED', 'NO')
# The messages reach us as exceptions; libraries below GDAL must not print into the worker's streams as well.
gdal.PushErrorHandler('CPLQuietErrorHandler')

_DTYPES: dict[int, np.dtype] = {
    gdal.GDT_Byte: np.dtype('uint8'),
    gdal.GDT_UInt16: np.dtype('uint16'),
    gdal.GDT_Int16: np.dtype('int16'),
    gdal.GDT_UInt32: np.dtype('uint32'),
    gdal.GDT_Int32: np.dtype('int32'),
    gdal.GDT_Float32: np.dtype('float32'),
    gdal.GDT_Float64: np.dtype('float64'),
}
for _name, _dtype in (('GDT_Int8', 'int8'), ('GDT_UInt64', 'uint64'), ('GDT_Int64', 'int64')):
    if hasattr(gdal, _name):  # 64 bit came with GDAL 3.5, int8 with 3.7
        _DTYPES[getattr(gdal, _name)] = np.dtype(_dtype)
_TYPES = {dtype: code for code, dtype in _DTYPES.items()}


def dtype_of(band: gdal.Band, path: str) -> np.dtype:
    """The numpy type of a band's pixels; `InputUnreadable` for complex numbers."""
    try:
        dtype = _DTYPES[band.DataType]
    except KeyError:
        kind = gdal.GetDataTypeName(band.DataType)
        raise InputUnreadable(f'{path}: pixels of type {kind} cannot be used; convert them first.') from None
    if dtype == np.uint8 and band.GetMetadataItem('PIXELTYPE', 'IMAGE_STRUCTURE') == 'SIGNEDBYTE':
        raise InputUnreadable(f'{path}: signed bytes can be read with GDAL 3.7 and later; convert it to Int16 first.')
    return dtype


def gdal_type(dtype: np.dtype) -> int:
    """GDAL's code for a numpy type."""
    return _TYPES[np.dtype(dtype)]


@contextlib.contextmanager
def config(**options: str) -> Iterator[None]:
    """GDAL configuration options for this thread, within a block."""
    before = {key: gdal.GetThreadLocalConfigOption(key) for key in options}
    for key, value in options.items():
        gdal.SetThreadLocalConfigOption(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            gdal.SetThreadLocalConfigOption(key, value)


def open_raster(path: str) -> gdal.Dataset:
    """Open a raster for reading. What stands in an .aux.xml beside it is read, and never written.

    Raises:
        InputMissing: there is no such file.
        InputUnreadable: it is no raster, or holds several rasters (subdatasets) and none at the top.
    """
    try:
        # Without it GDAL would not see a CRS, no-data or attribute table kept in the .aux.xml; only asking for
        # statistics or setting something would write one.
        with config(GDAL_PAM_ENABLED='YES'):
            dataset = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY)
            dataset.GetGeoTransform()  # some drivers read the file only now
    except RuntimeError as error:
        if _is_file_name(path) and not os.path.exists(path):
            raise InputMissing(f'{path}: no such file.') from error
        raise InputUnreadable(f'{path}: not a raster that GDAL can read ({error}).') from error
    if dataset.RasterCount == 0:
        parts = [name for name, _ in dataset.GetSubDatasets()]
        hint = f' It holds several; give one of them, for example {parts[0]}' if parts else ''
        raise InputUnreadable(f'{path}: no raster bands in it.{hint}')
    return dataset


def _is_file_name(path: str) -> bool:
    """Whether a path names a plain file: no virtual one, no ``DRIVER:…`` text, no XML."""
    return not path.startswith('/vsi') and not re.match(r'\s*<|[A-Za-z]\w+:', path)


def same_crs(a: str, b: str) -> bool:
    """Whether two WKT texts name the same reference system; an unknown one equals only another unknown one."""
    if not a or not b:
        return not a and not b
    if a == b:
        return True
    return bool(
        osr.SpatialReference(wkt=a).IsSame(
            osr.SpatialReference(wkt=b), ['IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES', 'CRITERION=EQUIVALENT']
        )
    )
