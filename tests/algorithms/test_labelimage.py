"""Label rasters, values at points and splits of samples as Processing runs them, in QGIS and through qgis_process."""

from __future__ import annotations

import os
from collections import Counter

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal, osr
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRange,
    QgsVectorLayer,
)

SIDE = 64


@pytest.fixture
def folder(tmp_path):
    """Two rasters of 64 x 64 pixels: classes -3 and 8 in stripes below 99 (no-data), and a ramp in two bands."""
    place = tmp_path / 'inputs'
    place.mkdir()
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    stripes = [99 if row < 4 else (-3, 8)[col // 8 % 2] for row in range(SIDE) for col in range(SIDE)]
    for name, bands in (('labels.tif', [stripes]), ('ramp.tif', [range(SIDE**2), range(SIDE**2, 0, -1)])):
        dataset = gdal.GetDriverByName('GTiff').Create(str(place / name), SIDE, SIDE, len(bands), gdal.GDT_Int16)
        dataset.SetGeoTransform((600000, 2, 0, 5800000, 0, -2))
        dataset.SetSpatialRef(crs)
        for number, values in enumerate(bands, 1):
            band = dataset.GetRasterBand(number)
            if name == 'labels.tif':
                band.SetNoDataValue(99)
            data = b''.join(int(value).to_bytes(2, 'little', signed=True) for value in values)
            band.WriteRaster(0, 0, SIDE, SIDE, data, buf_type=gdal.GDT_Int16)
    return place


@pytest.fixture
def points(run, folder, tmp_path):
    parameters = {'INPUT': str(folder / 'labels.tif'), 'COUNT': 50, 'OUTPUT': str(tmp_path / 'points.gpkg')}
    return run('samplelabelimage', parameters)[0]['OUTPUT']


def rows(path):
    """The attributes of each feature, without the feature's number."""
    layer = QgsVectorLayer(path, 'x', 'ogr')
    assert layer.isValid() and layer.crs().authid() == 'EPSG:32631'
    names = [field.name() for field in layer.fields()]
    return [{k: v for k, v in zip(names, f.attributes()) if k != 'fid'} for f in layer.getFeatures()]


def test_the_least_that_is_needed(run, folder, points, tmp_path):
    """Points on a label raster, the values of another raster there, and a split."""
    found = rows(points)
    assert Counter(row['class'] for row in found) == {-3: 50, 8: 50}
    assert all(row['row'] >= 4 and (-3, 8)[row['col'] // 8 % 2] == row['class'] for row in found)
    parameters = {'INPUT': [str(folder / 'ramp.tif')], 'POINTS': points, 'OUTPUT': 'TEMPORARY_OUTPUT'}
    results, _ = run('samplevalues', parameters)
    valued = rows(results['OUTPUT'])
    assert [{key: row[key] for key in ('id', 'class', 'row', 'col')} for row in valued] == found
    assert all(row['value_0'] == SIDE * row['row'] + row['col'] == SIDE**2 - row['value_1'] for row in valued)
    results, said = run('splitsamples', {'INPUT': results['OUTPUT'], 'OUTPUT': str(tmp_path / 'split.shp')})
    assert Counter(row['split'] for row in rows(results['OUTPUT'])) == {'train': 60, 'validation': 20, 'test': 20}
    assert 'validation' in said
    assert sorted(os.listdir(folder)) == ['labels.tif', 'ramp.tif']


def test_all_parameters(run, folder, tmp_path):
    labels = str(folder / 'labels.tif')
    parameters = {'INPUT': labels, 'STRATEGY': 'total', 'COUNT': 70, 'NODATA': '-3', 'PAD': 2, 'SEED': 4}
    results, _ = run('samplelabelimage', {**parameters, 'OUTPUT': str(tmp_path / 'a.geojson')})
    found = rows(results['OUTPUT'])
    assert len(found) == 70 and {row['class'] for row in found} == {8, 99}
    assert all(2 <= row[key] < SIDE - 2 for row in found for key in ('row', 'col'))
    parameters = {'INPUT': labels, 'STRATEGY': 'smallest', 'OTBTF': True, 'OUTPUT': str(tmp_path / 'b.gpkg')}
    results, _ = run('samplelabelimage', parameters)
    found = rows(results['OUTPUT'])
    assert Counter(row['class'] for row in found) == {0: 1920, 11: 1920}
    parameters = {'INPUT': [labels, str(folder / 'ramp.tif')], 'POINTS': results['OUTPUT'], 'PREFIX': 'b'}
    results, _ = run('samplevalues', {**parameters, 'OUTPUT': str(tmp_path / 'c.gpkg')})
    assert [row['b0'] - row['class'] for row in rows(results['OUTPUT'])] == [-3] * 3840
    parameters = {'INPUT': results['OUTPUT'], 'STRATEGY': 'kfold', 'FOLDS': 4, 'GROUP_FIELD': 'row'}
    results, _ = run('splitsamples', {**parameters, 'OUTPUT': str(tmp_path / 'd.gpkg')})
    found = rows(results['OUTPUT'])
    assert Counter(row['fold'] for row in found) == dict.fromkeys((1, 2, 3, 4), 960)
    assert len({(row['row'], row['fold']) for row in found}) == SIDE - 4
    parameters = {'INPUT': results['OUTPUT'], 'STRATEGY': 'blocks', 'BLOCK_SIZE': 16, 'TRAIN': 1, 'VALIDATION': 0}
    results, _ = run('splitsamples', {**parameters, 'TEST': 1, 'OUTPUT': str(tmp_path / 'e.gpkg')})
    assert {row['split'] for row in rows(results['OUTPUT'])} == {'train', 'test'}


def test_layers_as_the_user_sees_them(run, folder, points, tmp_path):
    """Selected features, a layer in memory, and no-data set in the properties of a raster layer."""
    project, context = QgsProject(), QgsProcessingContext()
    context.setProject(project)
    layer = QgsVectorLayer(points, 'points', 'ogr')
    memory = QgsVectorLayer('Point?crs=EPSG:32631&field=n:integer&field=fid:string', 'memory', 'memory')
    feature = QgsFeature(memory.fields())
    feature.setAttributes([7, 'a'])
    feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(600003, 5799997)))
    memory.dataProvider().addFeatures([feature])
    project.addMapLayers([layer, memory])
    layer.selectByIds([1, 2, 3, 4, 5])
    selected = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    results, _ = run('splitsamples', {'INPUT': selected, 'OUTPUT': str(tmp_path / 'a.gpkg')}, context)
    kept = ('id', 'class', 'row', 'col')
    assert [{key: row[key] for key in kept} for row in rows(results['OUTPUT'])] == rows(points)[:5]
    parameters = {'INPUT': [str(folder / 'ramp.tif')], 'POINTS': memory.id(), 'OUTPUT': str(tmp_path / 'b.gpkg')}
    results, _ = run('samplevalues', parameters, context)
    (row,) = rows(results['OUTPUT'])
    assert (row['n'], row['value_0'], row['value_1']) == (7, SIDE + 1, SIDE**2 - SIDE - 1)
    ramp = QgsRasterLayer(str(folder / 'ramp.tif'), 'ramp')
    ramp.dataProvider().setUserNoDataValue(1, [QgsRasterRange(SIDE + 1, SIDE + 1)])
    project.addMapLayer(ramp)
    parameters = {'INPUT': [ramp.id()], 'POINTS': memory.id(), 'OUTPUT': str(tmp_path / 'c.gpkg')}
    results, said = run('samplevalues', parameters, context)
    assert not rows(results['OUTPUT'])[0]['value_0'] and 'lie on no-data' in said


@pytest.mark.parametrize(
    'name, changes, words',
    [
        ('samplelabelimage', {'INPUT': '/no/such.tif'}, 'INPUT: /no/such.tif: no such file'),
        ('samplelabelimage', {'NODATA': 'zero'}, "'zero' is neither a number"),
        ('samplelabelimage', {'PAD': 32}, 'a border of 32 pixels on all sides leaves nothing'),
        ('samplelabelimage', {'STRATEGY': 'percent'}, 'STRATEGY'),
        ('samplelabelimage', {'OUTPUT': '/proc/points.gpkg'}, 'cannot be written'),
        ('samplevalues', {'INPUT': ['/no/such.tif']}, 'INPUT: /no/such.tif: no such file'),
        ('samplevalues', {'POINTS': '/no/such.gpkg'}, 'POINTS: /no/such.gpkg: no such file'),
        ('splitsamples', {'STRATEGY': 'group'}, 'GROUP_FIELD: the strategy group needs a field'),
        ('splitsamples', {'STRATEGY': 'group', 'GROUP_FIELD': 'nothing'}, "no field 'nothing'"),
        ('splitsamples', {'STRATEGY': 'group', 'GROUP_FIELD': 'class'}, 'makes only 2 groups, but each of 3 splits'),
        ('splitsamples', {'TRAIN': 0, 'VALIDATION': 0, 'TEST': 0}, 'must be above 0'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, folder, points, tmp_path, name, changes, words):
    inputs = {
        'samplelabelimage': {'INPUT': str(folder / 'labels.tif')},
        'samplevalues': {'INPUT': [str(folder / 'ramp.tif')], 'POINTS': points},
        'splitsamples': {'INPUT': points},
    }
    output = str(tmp_path / 'other.gpkg')
    with pytest.raises(QgsProcessingException, match=words):
        run(name, {**inputs[name], 'OUTPUT': output, **changes})
    assert not os.path.exists(output) and not os.path.exists(output + '.part')


def test_the_chain_through_qgis_process(qgis_process, folder, tmp_path):
    labels, ramp = str(folder / 'labels.tif'), str(folder / 'ramp.tif')
    sampled, valued, split = (str(tmp_path / f'{name}.gpkg') for name in ('sampled', 'valued', 'split'))
    for name, parameters in (
        ('samplelabelimage', {'INPUT': labels, 'STRATEGY': 'constant', 'COUNT': 40, 'OUTPUT': sampled}),
        ('samplevalues', {'INPUT': [labels, ramp], 'POINTS': sampled, 'OUTPUT': valued}),
        ('splitsamples', {'INPUT': valued, 'STRATEGY': 'group', 'GROUP_FIELD': 'row', 'OUTPUT': split}),
    ):
        done = qgis_process(name, **parameters)
        assert done.returncode == 0, done.stdout
    found = rows(split)
    assert len(found) == 80 and all(row['value_0'] == row['class'] for row in found)
    assert len({(row['row'], row['split']) for row in found}) == len({row['row'] for row in found})
    assert sorted(os.listdir(folder)) == ['labels.tif', 'ramp.tif']
    done = qgis_process('splitsamples', INPUT=valued, STRATEGY='kfold', FOLDS=500, OUTPUT=tmp_path / 'none.gpkg')
    assert done.returncode != 0 and 'only 80 features, but each of 500 folds' in done.stdout
    assert not (tmp_path / 'none.gpkg').exists()
