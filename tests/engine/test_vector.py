"""Vector files that are whole or not there, with all that the features they are made of had."""

from __future__ import annotations

import os
import sqlite3

import numpy as np
import pytest

from quadrat.engine.errors import OutputRefused
from quadrat.engine.gdalio import gdal, ogr
from quadrat.engine.jobs import VectorSpec
from quadrat.engine.vector import VectorLayer, VectorWriter, field, write_points


def source(path):
    """A layer with fields of all kinds, among them one named like a GeoPackage's own."""
    kinds = (ogr.OFTInteger64, ogr.OFTReal, ogr.OFTString, ogr.OFTDate, ogr.OFTDateTime, ogr.OFTInteger, ogr.OFTString)
    names = ('big', 'real', 'text', 'day', 'time', 'fid', 'A name of many letters')
    dataset = gdal.GetDriverByName('GeoJSON').Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer('a')
    for name, kind in zip(names, kinds):
        layer.CreateField(ogr.FieldDefn(name, kind))
    for number in range(3):
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField('big', 2**40 + number)
        feature.SetField('real', 0.1 * number)
        feature.SetField('text', 'wässer "\n' if number else None)
        feature.SetField('day', 2024, 2, 29, 0, 0, 0.0, 0)
        feature.SetField('time', 2024, 2, 29, 12, 30, 15.0, 100)
        feature.SetField('fid', 7)
        feature.SetField('A name of many letters', f'long {number}')
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f'POINT ({number} 0)'))
        layer.CreateFeature(feature)
    del layer, dataset
    return VectorLayer(VectorSpec(str(path)))


@pytest.mark.parametrize('name', ['out.gpkg', 'out.geojson', 'out.shp', 'out.sqlite', 'out.fgb', "o'dd name.gpkg"])
def test_attributes_are_carried_and_added(tmp_path, name):
    layer, path = source(tmp_path / 'in.geojson'), str(tmp_path / name)
    added = (field('text', ogr.OFTString), field('value', ogr.OFTReal), field('row', ogr.OFTInteger64))
    with VectorWriter(path, layer.crs, added, like=layer) as writer:
        for number, feature in enumerate(layer):
            assert not os.path.exists(path)
            values = {'text': f'new {number}', 'value': number / 3, 'row': None if number else 2**35}
            writer.add_point(float(number), 5.0, values, like=feature)
    written = VectorLayer(VectorSpec(path))
    assert len(written) == 3
    for number, (old, new) in enumerate(zip(layer, written)):
        for name in ('big', 'day', 'fid'):
            # Some formats have no dates, only times.
            assert new.GetFieldAsString(name).removesuffix(' 00:00:00') == old.GetFieldAsString(name), name
        long = next(
            i for i in range(new.GetFieldCount()) if new.GetFieldDefnRef(i).GetName().lower().startswith('a name')
        )
        assert new.GetField(long) == f'long {number}'
        assert new.GetField('real') == pytest.approx(0.1 * number) and new.GetField('text') == f'new {number}'
        assert new.GetField('value') == pytest.approx(number / 3)
        assert new.GetField('row') == (None if number else 2**35)
        assert (new.GetGeometryRef().GetX(), new.GetGeometryRef().GetY()) == (number, 5)
    assert not os.path.exists(path + '.part')


def test_an_error_within_leaves_what_was_there(tmp_path):
    path = tmp_path / 'points.gpkg'
    write_points(str(path), '', np.arange(4.0), np.zeros(4), {'id': np.arange(4)})
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), VectorWriter(str(path), '', (field('id', ogr.OFTInteger64),)) as writer:
        writer.add_point(1.0, 2.0, {'id': 1})
        raise ZeroDivisionError
    assert path.read_bytes() == before and os.listdir(tmp_path) == ['points.gpkg']
    with pytest.raises(OutputRefused, match=r'\.gpkg, \.geojson'):
        VectorWriter(str(tmp_path / 'points.txt'), '')


def test_a_geopackage_has_its_spatial_index(tmp_path):
    path = str(tmp_path / "o'dd.gpkg")
    write_points(path, '', np.arange(4.0), np.zeros(4), {'id': np.arange(4)})
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute('SELECT name FROM sqlite_master')]
    assert "rtree_o'dd_geom" in tables
