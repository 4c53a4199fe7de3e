"""How QGIS paints polygons of classes, kept in the GeoPackage itself.

A style file beside it would have the name of the one beside the class map of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..gdalio import gdal, ogr
from ..jobs import ClassDef
from .classes import attribute, rgb

_TABLE = 'layer_styles'  # where QGIS keeps the styles of a database
_TEXTS = ('f_table_catalog', 'f_table_schema', 'f_table_name', 'f_geometry_column', 'styleName', 'styleQML', 'styleSLD')


def polygon_qml(classes: Sequence[ClassDef], key: str) -> str:
    """A QGIS layer style that paints polygons in their classes' colours, with their names.

    Args:
        classes: as `classes.styled` gives them.
        key: the field that holds the value of the class.
    """
    categories = ''.join(
        f'      <category symbol="{number}" value="{item.value}" label="{attribute(item.name)}" render="true"/>\n'
        for number, item in enumerate(classes)
    )
    symbols = ''.join(_symbol(number, item.colour) for number, item in enumerate(classes))
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">\n'
        f'  <renderer-v2 type="categorizedSymbol" attr="{attribute(key)}" enableorderby="0" forceraster="0" '
        'symbollevels="0">\n'
        f'    <categories>\n{categories}    </categories>\n'
        f'    <symbols>\n{symbols}    </symbols>\n'
        '  </renderer-v2>\n'
        '  <blendMode>0</blendMode>\n'
        '</qgis>\n'
    )


def _symbol(number: int, colour: str) -> str:
    """A fill without an outline, which would hide small areas."""
    red, green, blue = rgb(colour)
    options = {'color': f'{red},{green},{blue},255', 'style': 'solid', 'outline_style': 'no'}
    lines = ''.join(
        f'          <Option type="QString" name="{name}" value="{value}"/>\n' for name, value in options.items()
    )
    return (
        f'      <symbol type="fill" name="{number}" alpha="1" clip_to_extent="1" force_rhr="0">\n'
        '        <layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">\n'
        f'{lines}'
        '        </Option></layer>\n'
        '      </symbol>\n'
    )


def store_style(path: str, style: str) -> None:
    """Put a style for the first layer into a GeoPackage, where QGIS looks for it when the layer is loaded.

    Raises:
        RuntimeError: it cannot be written.
    """
    file = gdal.OpenEx(path, gdal.OF_VECTOR | gdal.OF_UPDATE)
    layer = file.GetLayer(0)
    table = file.CreateLayer(_TABLE, None, ogr.wkbNone, ['FID=id'])
    for name in _TEXTS:
        table.CreateField(ogr.FieldDefn(name, ogr.OFTString))
    default = ogr.FieldDefn('useAsDefault', ogr.OFTInteger)
    default.SetSubType(ogr.OFSTBoolean)
    table.CreateField(default)
    for name in ('description', 'owner', 'ui'):
        table.CreateField(ogr.FieldDefn(name, ogr.OFTString))
    changed = ogr.FieldDefn('update_time', ogr.OFTDateTime)
    changed.SetDefault('CURRENT_TIMESTAMP')
    table.CreateField(changed)
    row = ogr.Feature(table.GetLayerDefn())
    values = {
        'f_table_catalog': '',
        'f_table_schema': '',
        'f_table_name': layer.GetName(),
        'f_geometry_column': layer.GetGeometryColumn(),
        'styleName': layer.GetName(),
        'styleQML': style,
        'styleSLD': '',
        'useAsDefault': 1,
        'description': 'classes',
        'owner': '',
    }
    for name, value in values.items():
        row.SetField(name, value)
    table.CreateFeature(row)
