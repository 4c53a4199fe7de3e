"""Names and colours of classes that come with a raster."""

from __future__ import annotations

from ..classes import merge, read_qml, sidecar
from ..gdalio import gdal, open_raster
from ..jobs import ClassDef


def raster_legend(path: str, band: int = 1) -> tuple[ClassDef, ...]:
    """What a label raster says of its values: the QGIS style beside it, else its attribute table, else its category
    names and colour table.

    Raises:
        InputMissing, InputUnreadable: as `open_raster`; a style that cannot be read.
    """
    dataset = open_raster(path)  # a band does not keep its dataset alive
    raster = dataset.GetRasterBand(band)
    style = sidecar(path)
    return merge(read_qml(style) if style else (), _attribute_table(raster), _categories(raster), _colours(raster))


def _attribute_table(band: gdal.Band) -> tuple[ClassDef, ...]:
    """Classes of a raster attribute table with a column of values."""
    table = band.GetDefaultRAT()
    if table is None:
        return ()
    column = {table.GetUsageOfCol(i): i for i in reversed(range(table.GetColumnCount()))}
    value = column.get(gdal.GFU_MinMax, column.get(gdal.GFU_Min))
    if value is None:
        value = next((i for i in range(table.GetColumnCount()) if table.GetNameOfCol(i).lower() == 'value'), None)
    if value is None:
        return ()
    texts = [i for i in range(table.GetColumnCount()) if table.GetTypeOfCol(i) == gdal.GFT_String]
    label = column.get(gdal.GFU_Name, texts[0] if texts else None)
    rgb = [column.get(usage) for usage in (gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue)]
    out = []
    for row in range(table.GetRowCount()):
        number = table.GetValueAsDouble(row, value)
        if not number.is_integer():
            continue
        name = table.GetValueAsString(row, label) if label is not None else ''
        known = [table.GetValueAsInt(row, i) for i in rgb if i is not None]
        out.append(ClassDef(int(number), name.strip(), _hex(known) if len(known) == 3 else ''))
    return tuple(out)


def _categories(band: gdal.Band) -> tuple[ClassDef, ...]:
    """Classes of a list of category names, which starts at 0."""
    return tuple(ClassDef(i, name.strip()) for i, name in enumerate(band.GetCategoryNames() or []) if name.strip())


def _colours(band: gdal.Band) -> tuple[ClassDef, ...]:
    """Colours of a colour table; entries that are fully transparent say nothing."""
    table = band.GetColorTable()
    if table is None:
        return ()
    entries = [(i, table.GetColorEntry(i)) for i in range(table.GetCount())]
    return tuple(ClassDef(i, '', _hex(list(entry[:3]))) for i, entry in entries if entry[3])


def _hex(rgb: list[int]) -> str:
    return '#' + ''.join(f'{min(max(part, 0), 255):02x}' for part in rgb)
