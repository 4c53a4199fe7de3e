"""Class rasters: the type that holds the class values, the table of colours, the names, and the style for QGIS."""

from __future__ import annotations

import html
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..classes import complete
from ..errors import LabelError, OutputRefused
from ..gdalio import gdal
from ..jobs import ClassDef

DTYPES = ('uint8', 'uint16', 'int16', 'int32')
NODATA = 255  # unless it is a class, or the type does not hold it
LONGEST_LIST = 4096  # names listed by value, one for each number from 0 on; beyond it only the table names them


def class_type(values: Iterable[int]) -> tuple[np.dtype, int]:
    """The smallest type that holds class values and a no-data value that is none of them, and that value.

    Raises:
        LabelError: values beyond 32 bits.
    """
    wanted = set(values)
    for name in DTYPES:
        low, high = np.iinfo(name).min, np.iinfo(name).max
        if low <= min(wanted) and max(wanted) <= high:
            for nodata in _candidates(low, high):
                if nodata not in wanted:
                    return np.dtype(name), nodata
    raise LabelError(f'Class values from {min(wanted)} to {max(wanted)} do not fit into 32 bits; use smaller ones.')


def _candidates(low: int, high: int) -> Iterator[int]:
    """No-data values in the order of preference."""
    ends = (low, high) if low < 0 else (high, low)
    return itertools.chain((NODATA,), ends, range(high - 1, low, -1))


def styled(classes: Sequence[ClassDef]) -> tuple[ClassDef, ...]:
    """The classes in their order, each with a name and a colour."""
    return complete((definition.value for definition in classes), classes)


def dress(dataset: gdal.Dataset, classes: Sequence[ClassDef]) -> None:
    """Give a new class raster its colours and names, before pixels are written.

    Colours go into the file where GeoTIFF can (unsigned types). Names go into the .aux.xml that GDAL writes beside
    it when ``GDAL_PAM_ENABLED`` is set: as a list by value, and as an attribute table, which takes any value.

    Args:
        dataset: open for update, one band.
        classes: as `styled` gives them.
    """
    band = dataset.GetRasterBand(1)
    listed = max(definition.value for definition in classes) < LONGEST_LIST
    if band.DataType in (gdal.GDT_Byte, gdal.GDT_UInt16):
        table = gdal.ColorTable()
        names = [''] * (1 + max(definition.value for definition in classes) if listed else 0)
        for definition in classes:
            table.SetColorEntry(definition.value, (*rgb(definition.colour), 255))
            if listed:
                names[definition.value] = definition.name
        band.SetRasterColorTable(table)
        if listed:
            band.SetRasterCategoryNames(names)
    band.SetDefaultRAT(_attribute_table(classes))


def _attribute_table(classes: Sequence[ClassDef]) -> gdal.RasterAttributeTable:
    """Value, name and colour of each class."""
    table = gdal.RasterAttributeTable()
    table.CreateColumn('Value', gdal.GFT_Integer, gdal.GFU_MinMax)
    table.CreateColumn('Name', gdal.GFT_String, gdal.GFU_Name)
    for name, usage in (('Red', gdal.GFU_Red), ('Green', gdal.GFU_Green), ('Blue', gdal.GFU_Blue)):
        table.CreateColumn(name, gdal.GFT_Integer, usage)
    table.SetRowCount(len(classes))
    for row, definition in enumerate(classes):
        table.SetValueAsInt(row, 0, definition.value)
        table.SetValueAsString(row, 1, definition.name)
        for column, level in enumerate(rgb(definition.colour), 2):
            table.SetValueAsInt(row, column, level)
    return table


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb``, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def style_path(raster: str) -> str:
    """Where QGIS looks for the style of a raster: the same name, ending in .qml."""
    return os.path.splitext(raster)[0] + '.qml'


def check_style(raster: str) -> None:
    """Raise `OutputRefused` where the style of a class raster would replace that of another kind of layer."""
    path = style_path(raster)
    if not os.path.isfile(path):
        return
    with open(path, encoding='utf-8', errors='replace') as file:
        if '<rasterrenderer' not in file.read():
            raise OutputRefused(f'{path}: would be replaced, but is the style of another layer; give another name.')


def qml(classes: Sequence[ClassDef]) -> str:
    """A QGIS layer style that paints the values of band 1 in the classes' colours, with their names.

    Args:
        classes: as `styled` gives them.
    """
    entries = ''.join(
        f'        <paletteEntry value="{item.value}" label="{attribute(item.name)}" color="{item.colour}" '
        'alpha="255"/>\n'
        for item in classes
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">\n'
        '  <pipe>\n'
        '    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">\n'
        f'      <colorPalette>\n{entries}      </colorPalette>\n'
        '    </rasterrenderer>\n'
        '  </pipe>\n'
        '  <blendMode>0</blendMode>\n'
        '</qgis>\n'
    )


def attribute(text: str) -> str:
    """Text as the value of an XML attribute, without the control characters that XML does not allow."""
    return html.escape(re.sub(r'[\x00-\x1f\x7f\ufffe\uffff]+', ' ', text))
