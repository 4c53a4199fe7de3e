"""Class rasters: the type that fits, and names and colours that GDAL reads back."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat.engine.errors import LabelError, OutputRefused
from quadrat.engine.gdalio import gdal, open_raster
from quadrat.engine.grid import Grid, Window
from quadrat.engine.jobs import ClassDef
from quadrat.engine.maps.classes import check_style, class_type, dress, qml, styled
from quadrat.engine.maps.part import PartFolder
from quadrat.engine.maps.writer import RasterSpec, RasterWriter


@pytest.mark.parametrize(
    ('values', 'dtype', 'nodata'),
    [
        ([0, 1], 'uint8', 255),
        ([1, 255], 'uint8', 0),
        ([0, 255], 'uint8', 254),
        ([0, 254, 255], 'uint8', 253),
        (range(256), 'uint16', 65535),
        ([0, 300], 'uint16', 255),
        ([-1, 3], 'int16', 255),
        ([-1, 255], 'int16', -32768),
        ([-32768, 255, 0], 'int16', 32767),
        ([-1, 40000], 'int32', 255),
        ([70000], 'int32', 255),
        (range(65536), 'int32', -(2**31)),
    ],
)
def test_the_smallest_type_with_room_for_no_data(values, dtype, nodata):
    assert class_type(values) == (np.dtype(dtype), nodata)


def test_values_beyond_32_bits_are_refused():
    with pytest.raises(LabelError, match='32 bits'):
        class_type([0, 2**31])


def write(path, classes):
    dtype, nodata = class_type(item.value for item in classes)
    spec = RasterSpec(Grid('', (0, 1, 0, 0, 0, 1), 16, 16), dtype, nodata, ('class',), (16, 16))
    pixels = np.full((16, 16, 1), classes[0].value, dtype)
    with PartFolder(path) as part, RasterWriter(part, spec, lambda dataset: dress(dataset, classes)) as writer:
        writer.write(Window(0, 0, 16, 16), pixels, np.ones((16, 16), bool))
        writer.finish()
        writer.publish()


@pytest.mark.parametrize('values', [(3, 11, 250), (1, 300), (1, 60000), (-5, 7), (1, 100000)])
def test_names_and_colours_are_read_back(tmp_path, values):
    classes = styled([ClassDef(value, f'name "{value}" <&é>', '') for value in values])
    path = str(tmp_path / 'map.tif')
    write(path, classes)
    dataset = open_raster(path)  # GDAL's bands do not keep it
    band = dataset.GetRasterBand(1)
    table = band.GetDefaultRAT()
    rows = [
        (table.GetValueAsInt(i, 0), table.GetValueAsString(i, 1), [table.GetValueAsInt(i, c) for c in (2, 3, 4)])
        for i in range(table.GetRowCount())
    ]
    levels = [[int(item.colour[i : i + 2], 16) for i in (1, 3, 5)] for item in classes]
    assert rows == [(item.value, item.name, level) for item, level in zip(classes, levels)]
    if band.DataType in (gdal.GDT_Byte, gdal.GDT_UInt16):
        for item, level in zip(classes, levels):
            assert list(band.GetColorTable().GetColorEntry(item.value))[:3] == level
    if max(values) < 4096 and min(values) >= 0:
        assert {i: name for i, name in enumerate(band.GetCategoryNames()) if name} == {
            item.value: item.name for item in classes
        }
    else:
        assert not band.GetCategoryNames()


def test_every_class_gets_a_name_and_a_colour_of_its_own():
    classes = styled([ClassDef(9), ClassDef(2, 'water', '#0000ff'), ClassDef(4)])
    assert [item.value for item in classes] == [9, 2, 4]
    assert [item.name for item in classes] == ['9', 'water', '4']
    assert len({item.colour for item in classes}) == 3


def test_names_cannot_break_the_style(tmp_path):
    text = qml([ClassDef(1, 'a"<b>&\x00\n\'é', '#112233')])
    assert 'label="a&quot;&lt;b&gt;&amp; &#x27;é"' in text
    assert '\x00' not in text


def test_a_style_of_another_layer_is_not_replaced(tmp_path):
    raster = str(tmp_path / 'fields.tif')
    check_style(raster)
    style = tmp_path / 'fields.qml'
    style.write_text(qml([ClassDef(1, 'x', '#112233')]))
    check_style(raster)
    style.write_text('<qgis><renderer-v2 type="singleSymbol"/></qgis>')
    with pytest.raises(OutputRefused, match=os.path.basename(style)):
        check_style(raster)
