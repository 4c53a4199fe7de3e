"""Layers as users have them: what the engine gets is what they see."""

from __future__ import annotations

import json
import os
import zipfile

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRendererCategory,
    QgsSymbol,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtGui import QColor


@pytest.fixture(scope='module')
def inputs(provider):
    from quadrat.plugin import inputs

    return inputs


@pytest.fixture
def project():
    project = QgsProject()
    yield project
    project.clear()


@pytest.fixture
def read(provider, inputs, project, tmp_path):
    """A function that gives the features the engine would see of a POINTS input, and whether they are the file's."""
    algorithm = provider.algorithm('extractpatches').create()

    def features(value, fields=('name',)):
        context = QgsProcessingContext()
        context.setProject(project)
        parameters = {'POINTS': value}
        spec = inputs.vector_file(algorithm, parameters, 'POINTS', context)
        plain = spec is not None
        if not plain:
            output = str(tmp_path / 'out' / 'dataset')
            spec = inputs.vector_export(
                algorithm, parameters, 'POINTS', context, QgsProcessingFeedback(), output, fields
            )
            assert spec.path == output + '.inputs/POINTS.gpkg'
        dataset = gdal.OpenEx(spec.path, gdal.OF_VECTOR)
        layer = dataset.GetLayerByName(spec.layer) if spec.layer else dataset.GetLayer(0)
        found = [(f.items(), f.GetGeometryRef().GetX(), f.GetGeometryRef().GetY()) for f in layer]
        return plain, [items.get(fields[0]) for items, _, _ in found], found, layer.GetSpatialRef()

    return features


@pytest.fixture
def path(tmp_path):
    """A GeoPackage of five points named a to e in the layer ``dots``, the second of two."""
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    dataset = ogr.GetDriverByName('GPKG').CreateDataSource(str(tmp_path / 'points.gpkg'))
    dataset.CreateLayer('empty', crs, ogr.wkbPoint)
    layer = dataset.CreateLayer('dots', crs, ogr.wkbPoint)
    for name, kind in (('name', ogr.OFTString), ('key', ogr.OFTInteger)):
        layer.CreateField(ogr.FieldDefn(name, kind))
    for i, name in enumerate('abcde'):
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField(0, name)
        feature.SetField(1, i)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f'POINT({600000 + i} 5800000)'))
        layer.CreateFeature(feature)
    del layer, dataset
    return str(tmp_path / 'points.gpkg')


@pytest.fixture
def layer(path, project):
    layer = QgsVectorLayer(path + '|layername=dots', 'Dots', 'ogr')
    assert project.addMapLayer(layer)
    return layer


def test_a_plain_file_is_passed_as_it_is(layer, path, read):
    for value in (
        layer,
        layer.id(),
        'Dots',
        path + '|layername=dots',
        QgsProcessingFeatureSourceDefinition(layer.id()),
    ):
        plain, names, _, _ = read(value)
        assert plain and names == list('abcde')
    assert not os.path.exists(os.path.dirname(path) + '/out')


def test_selected_features_only(layer, read):
    layer.selectByExpression("\"name\" in ('b', 'd')")
    assert read(QgsProcessingFeatureSourceDefinition(layer.id(), True))[:2] == (False, ['b', 'd'])
    assert read(layer)[:2] == (True, list('abcde'))  # a selection counts only where it is asked for
    assert read(QgsProcessingFeatureSourceDefinition(layer.id(), False, 3))[:2] == (False, ['a', 'b', 'c'])


def test_filters(layer, path, read):
    assert layer.setSubsetString('"key" > 2')
    assert read(layer)[:2] == (False, ['d', 'e'])
    assert read(path + '|layername=dots|subset="key" < 2')[:2] == (False, ['a', 'b'])
    definition = QgsProcessingFeatureSourceDefinition(layer.id())
    if hasattr(definition, 'filterExpression'):
        definition.filterExpression = '"key" = 3'
        assert read(definition)[:2] == (False, ['d'])


def test_joined_and_virtual_fields(layer, project, read):
    table = QgsVectorLayer('None?field=id:integer&field=class:string(20)', 'Table', 'memory')
    for i in range(4):
        feature = QgsFeature(table.fields())
        feature.setAttributes([i, f'class {i}'])
        table.dataProvider().addFeatures([feature])
    project.addMapLayer(table)
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(table)
    join.setJoinFieldName('id')
    join.setTargetFieldName('key')
    join.setUsingMemoryCache(True)
    assert layer.addJoin(join)
    assert read(layer, ('Table_class',))[:2] == (False, ['class 0', 'class 1', 'class 2', 'class 3', None])
    layer.removeJoin(table.id())
    layer.addExpressionField('"key" * 10', QgsField('ten', QVariant.Int))
    plain, values, found, _ = read(layer, ('ten',))
    assert (plain, values) == (False, [0, 10, 20, 30, 40])
    assert list(found[0][0]) == ['ten']  # no more than what was asked for


def test_edits_that_are_not_saved(layer, read):
    layer.startEditing()
    layer.deleteFeature(next(layer.getFeatures('"name" = \'c\'')).id())
    assert read(layer)[:2] == (False, ['a', 'b', 'd', 'e'])
    layer.rollBack()
    assert read(layer)[:2] == (True, list('abcde'))


def test_a_reference_system_set_by_hand(layer, read):
    layer.setCrs(QgsCoordinateReferenceSystem('EPSG:32632'))
    plain, _, _, crs = read(layer)
    assert not plain and crs.GetAuthorityCode(None) == '32632'


def test_memory_layers_and_a_field_called_fid(project, read):
    memory = QgsVectorLayer('Point?crs=EPSG:4326&field=fid:string(10)&field=name:string(10)', 'Memory', 'memory')
    for x in range(3):
        feature = QgsFeature(memory.fields())
        feature.setAttributes(['same', f'p{x}'])
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(x, 50)))
        memory.dataProvider().addFeatures([feature])
    project.addMapLayer(memory)
    plain, names, found, crs = read(memory, ('name', 'fid', 'no such field'))
    assert not plain and names == ['p0', 'p1', 'p2'] and crs.GetAuthorityCode(None) == '4326'
    assert [x for _, x, _ in found] == [0, 1, 2] and found[0][0] == {'name': 'p0', 'fid': 'same'}


def test_other_formats(tmp_path, project, read):
    file = tmp_path / 'p.geojson'
    feature = {'type': 'Feature', 'properties': {'name': 'a'}, 'geometry': {'type': 'Point', 'coordinates': [3, 52]}}
    file.write_text(json.dumps({'type': 'FeatureCollection', 'features': [feature]}))
    assert read(str(file))[:2] == (True, ['a'])
    zipped = '/vsizip/' + str(tmp_path / 'p.zip') + '/p.geojson'
    with zipfile.ZipFile(tmp_path / 'p.zip', 'w') as archive:
        archive.write(file, 'p.geojson')
    layer = QgsVectorLayer(zipped, 'Zipped', 'ogr')
    project.addMapLayer(layer)
    assert read(layer)[:2] == (False, ['a'])


# -- rasters ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def raster(tmp_path):
    """A label raster of two bands with no-data 0 and a colour table, as a path."""
    dataset = gdal.GetDriverByName('GTiff').Create(str(tmp_path / 'labels.tif'), 8, 8, 2, gdal.GDT_Byte)
    dataset.SetGeoTransform((0, 1, 0, 0, 0, -1))
    table = gdal.ColorTable()
    for value in range(4):
        table.SetColorEntry(value, (value, 2 * value, 3 * value, 255))
    dataset.GetRasterBand(1).SetColorTable(table)
    for number in (1, 2):
        dataset.GetRasterBand(number).SetNoDataValue(0)
        dataset.GetRasterBand(number).WriteRaster(0, 0, 8, 8, bytes(i % 4 for i in range(64)))
    del dataset
    return str(tmp_path / 'labels.tif')


def test_paths_of_rasters(inputs, raster, tmp_path):
    assert inputs.raster_path(QgsRasterLayer(raster, 'Labels')) == raster
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert inputs.raster_path(QgsRasterLayer('labels.tif', 'Labels')) == raster
    finally:
        os.chdir(here)
    gdal.GetDriverByName('GTiff').CreateCopy('/vsimem/m.tif', gdal.Open(raster))
    tiles = QgsRasterLayer('type=xyz&url=https://tile.invalid/{z}/{x}/{y}.png', 'Street map', 'wms')
    for layer, words in (
        (tiles, '"Street map" is no raster file .*Export'),
        (QgsRasterLayer('/vsimem/m.tif', 'Scratch'), '"Scratch" exists only in the memory .*Export'),
        (QgsRasterLayer(str(tmp_path / 'gone.tif'), 'Gone'), '"Gone" cannot be read'),
        (QgsVectorLayer('Point', 'Dots', 'memory'), '"Dots" is no raster'),
    ):
        with pytest.raises(QgsProcessingException, match=words):
            inputs.raster_path(layer)
    gdal.Unlink('/vsimem/m.tif')


def test_nodata_settings_of_layers_count(inputs, raster):
    plain, changed = QgsRasterLayer(raster, 'Plain'), QgsRasterLayer(raster, 'Changed')
    assert inputs.raster_nodata([plain, changed]) == '' == inputs.band_nodata(plain, 1)
    changed.dataProvider().setUseSourceNoDataValue(1, False)
    assert inputs.raster_nodata([plain, changed]) == '0.0 0.0 none 0.0'
    assert (inputs.band_nodata(changed, 1), inputs.band_nodata(changed, 2)) == ('none', '')
    changed.dataProvider().setUserNoDataValue(1, [QgsRasterRange(3, 3)])
    assert inputs.raster_nodata([changed]) == '3.0 0.0'
    changed.dataProvider().setUseSourceNoDataValue(1, True)
    with pytest.raises(QgsProcessingException, match='"Changed" has several no-data values in band 1'):
        inputs.raster_nodata([changed])


def test_classes_from_a_paletted_raster(inputs, raster):
    single = raster.replace('labels', 'single')
    gdal.Translate(single, raster, bandList=[1])
    layer = QgsRasterLayer(single, 'Labels')
    found = {c.value: (c.name, c.colour) for c in inputs.raster_legend(layer)}  # styled after its colour table
    assert found[2] == ('', '#020406')  # the labels QGIS gives are no names
    classes = [
        QgsPalettedRasterRenderer.Class(1, QColor('#ff0000'), 'Field'),
        QgsPalettedRasterRenderer.Class(3, QColor('#0000ff'), '3'),
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    assert [(c.value, c.name, c.colour) for c in inputs.raster_legend(layer)] == [
        (1, 'Field', '#ff0000'),
        (3, '', '#0000ff'),
    ]
    assert inputs.raster_legend(layer, 2) == ()


def test_classes_from_a_categorised_layer(inputs):
    layer = QgsVectorLayer('Polygon?field=kind:string(10)&field=code:integer', 'Land', 'memory')

    def style(field, items):
        categories = []
        for value, label, colour in items:
            symbol = QgsSymbol.defaultSymbol(layer.geometryType())
            symbol.setColor(QColor(colour))
            categories.append(QgsRendererCategory(value, symbol, label))
        layer.setRenderer(QgsCategorizedSymbolRenderer(field, categories))
        return [(c.value, c.name, c.colour) for c in inputs.vector_legend(layer, field.strip('"'))]

    codes = [
        (11, 'Field', '#00ff00'),
        (41, '41', '#0000ff'),
        (None, 'all others', '#000000'),
        ([1, 2], 'both', '#111111'),
    ]
    assert style('"code"', codes) == [(11, 'Field', '#00ff00'), (41, '', '#0000ff')]
    assert inputs.vector_legend(layer, 'kind') == ()
    kinds = [('wood', 'Woodland', '#00ff00'), ('12', 'Twelve', '#0000ff'), ('', '', '#000000')]
    assert style('kind', kinds) == [(0, 'wood', '#00ff00'), (12, 'Twelve', '#0000ff')]


def test_loading_by_path_leaves_no_sidecar(inputs, raster, tmp_path):
    before = gdal.GetConfigOption('GDAL_PAM_ENABLED')
    gdal.SetConfigOption('GDAL_PAM_ENABLED', 'YES')
    try:
        with inputs.no_sidecars():
            layer = QgsRasterLayer(raster, 'Labels')
            assert layer.isValid()
            del layer
        assert gdal.GetConfigOption('GDAL_PAM_ENABLED') == 'YES'
    finally:
        gdal.SetConfigOption('GDAL_PAM_ENABLED', before)
    assert os.listdir(tmp_path) == ['labels.tif']
