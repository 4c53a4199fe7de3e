"""Counting and choosing pixels of classes as Processing runs it, in QGIS and through qgis_process."""

from __future__ import annotations

import os
from collections import Counter

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal, osr
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsVectorLayer,
)


def write_raster(path, left, mask=False):
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), 64, 64, 1, gdal.GDT_Byte)
    dataset.SetGeoTransform((left, 2, 0, 5800000, 0, -2))
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    dataset.SetSpatialRef(crs)
    if mask:
        dataset.WriteRaster(0, 0, 64, 64, bytes(col % 2 for row in range(64) for col in range(64)))
    return str(path)


@pytest.fixture
def inputs(tmp_path):
    """A folder with two images of 64 x 64 pixels side by side, and a mask of every other column of the first."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    write_raster(folder / 'a.tif', 600000)
    write_raster(folder / 'b.tif', 600128)
    write_raster(folder / 'mask.tif', 600000, mask=True)
    return folder


def square(left, top, side):
    """A square of `side` pixels, `left` and `top` counted in pixels of the first image."""
    x, y, size = 600000 + 2 * left, 5800000 - 2 * top, 2 * side
    return f'Polygon(({x} {y}, {x + size} {y}, {x + size} {y - size}, {x} {y - size}, {x} {y}))'


@pytest.fixture
def project():
    project = QgsProject()
    yield project
    project.clear()


@pytest.fixture
def land(project):
    """A memory layer: squares of 4, 6 and 3 pixels on the first image, and one of 5 on the second."""
    layer = QgsVectorLayer('Polygon?crs=EPSG:32631&field=kind:string(10)&field=size:double', 'Land', 'memory')
    for kind, geometry in (
        ('wood', square(2, 2, 4)),
        ('field', square(10, 2, 6)),
        ('wood', square(20, 20, 3)),
        ('wood', square(70, 8, 5)),
    ):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([kind, 0.25])
        feature.setGeometry(QgsGeometry.fromWkt(geometry))
        layer.dataProvider().addFeatures([feature])
    layer.setCustomProperty('skipMemoryLayersCheck', 1)
    project.addMapLayer(layer)
    return layer


@pytest.fixture
def go(run, project):
    """`run` with the project's layers."""

    def go(name, parameters):
        context = QgsProcessingContext()
        context.setProject(project)
        return run(name, parameters, context)

    return go


def samples(path):
    layer = QgsVectorLayer(path, 'samples', 'ogr')
    assert layer.isValid() and layer.crs().authid() == 'EPSG:32631'
    names = layer.fields().names()
    return [dict(zip(names, feature.attributes())) for feature in layer.getFeatures()]


def test_from_statistics_to_samples(go, inputs, land, tmp_path):
    """Of a layer in memory, of which only some features are selected; their ids stay."""
    land.selectByIds([2, 3, 4])
    vector = QgsProcessingFeatureSourceDefinition(land.id(), True)
    common = {'INPUT': str(inputs / 'a.tif'), 'VECTOR': vector, 'FIELD': 'kind', 'MASK': str(inputs / 'mask.tif')}
    outputs = {'OUTPUT': str(tmp_path / 's.xml'), 'TABLE': str(tmp_path / 's.csv')}
    results, said = go('polygonclassstatistics', {**common, **outputs})
    assert results == outputs and 'field' in said
    with open(outputs['TABLE'], encoding='utf-8') as file:
        assert file.read() == 'class,pixels,features,area\nfield,18,1,72\nwood,3,2,12\n'
    with open(outputs['OUTPUT'], encoding='utf-8') as file:
        text = file.read()
    assert '<StatisticMap key="field" value="18" />' in text and '<StatisticMap key="2" value="18" />' in text
    results, said = go(
        'selectsamples',
        {**common, 'STATISTICS': outputs['OUTPUT'], 'OUTPUT': 'TEMPORARY_OUTPUT', 'RATES': str(tmp_path / 'r.csv')},
    )
    found = samples(results['OUTPUT'])
    assert Counter((row['kind'], row['originfid']) for row in found) == {('field', 2): 3, ('wood', 3): 3}
    assert all(row['col'] % 2 == 1 and row['size'] == 0.25 for row in found)
    with open(results['RATES'], encoding='utf-8') as file:
        assert file.read().splitlines()[1:] == ['field\t3\t18\t0.166667', 'wood\t3\t3\t1']
    assert 'does not fit' not in said
    assert sorted(os.listdir(inputs)) == ['a.tif', 'b.tif', 'mask.tif']


def test_dense_counts_overlaps_once(go, inputs, land, tmp_path):
    feature = QgsFeature(land.fields())
    feature.setAttributes(['lake', 1.0])
    feature.setGeometry(QgsGeometry.fromWkt(square(12, 2, 2)))
    land.dataProvider().addFeatures([feature])  # on the field
    parameters = {'INPUT': str(inputs / 'a.tif'), 'VECTOR': land.id(), 'FIELD': 'kind'}
    for dense, field in ((False, 36), (True, 32)):
        output = str(tmp_path / f'{dense}.xml')
        go('polygonclassstatistics', {**parameters, 'DENSE': dense, 'OUTPUT': output})
        with open(output, encoding='utf-8') as file:
            text = file.read()
        assert f'key="field" value="{field}"' in text and 'key="lake" value="4"' in text


def test_several_images(go, inputs, land, tmp_path):
    """The same layer for both images, or one for each; numbers dealt out and of their own."""
    parameters = {
        'INPUT': str(inputs / 'a.tif'),
        'VECTOR': land.id(),
        'FIELD': 'kind',
        'STRATEGY': 'constant',
        'COUNT': 10,
        'SAMPLER': 'random',
        'IMAGES': [str(inputs / 'b.tif')],
    }
    results, _ = go(
        'selectsamples', {**parameters, 'OUTPUT': str(tmp_path / 's.gpkg'), 'RATES': str(tmp_path / 'r.csv')}
    )
    assert Counter((row['image'], row['kind']) for row in samples(results['OUTPUT'])) == {
        **{(1, 'field'): 10, (1, 'wood'): 5, (2, 'wood'): 5}
    }
    assert results['RATES'] == str(tmp_path / 'r_1.csv') and (tmp_path / 'r_2.csv').exists()
    wood = QgsVectorLayer('Point?crs=EPSG:32631&field=kind:string(10)', 'Trees', 'memory')
    for x in (600130.5, 600140.5, 600141.5):
        feature = QgsFeature(wood.fields())
        feature.setAttributes(['tree'])
        feature.setGeometry(QgsGeometry.fromWkt(f'Point({x} 5799990)'))
        wood.dataProvider().addFeatures([feature])
    own = {'VECTORS': [wood], 'IMAGE_RATES': 'custom', 'IMAGE_COUNTS': '4; 2', 'OUTPUT': str(tmp_path / 't.gpkg')}
    results, _ = go('selectsamples', {**parameters, **own})
    found = samples(results['OUTPUT'])
    assert Counter((row['image'], row['kind']) for row in found) == {
        **{(1, 'field'): 4, (1, 'wood'): 4, (2, 'tree'): 2}
    }
    assert {os.path.basename(row['raster']) for row in found} == {'a.tif', 'b.tif'}
    assert sorted(os.listdir(tmp_path / 't.gpkg.inputs')) == ['VECTOR.gpkg', 'VECTORS_1.gpkg']


@pytest.mark.parametrize(
    ('name', 'changes', 'words'),
    [
        ('polygonclassstatistics', {'OUTPUT': 's.txt'}, 'give a name that ends in .xml'),
        ('polygonclassstatistics', {'FIELD': 'sort'}, "no field 'sort'; it has kind, size"),
        ('polygonclassstatistics', {'MASK': 'b.tif'}, 'b.tif'),
        ('polygonclassstatistics', {'VECTOR': 'a.tif'}, 'VECTOR'),
        ('selectsamples', {'FIELD': 'size'}, '0.25 is no class'),
        ('selectsamples', {'STRATEGY': 'byclass'}, 'BY_CLASS: the strategy byclass needs a table'),
        ('selectsamples', {'BY_CLASS': '/no/such.csv'}, 'BY_CLASS: /no/such.csv: no such file'),
        ('selectsamples', {'PERCENT': 50}, 'PERCENT'),
        ('selectsamples', {'IMAGES': ['b.tif'], 'MASKS': ['mask.tif', 'mask.tif']}, 'MASKS: 2 layers for 1 further'),
        ('selectsamples', {'IMAGE_COUNTS': '1;2'}, 'IMAGE_COUNTS is for IMAGE_RATES custom'),
        (
            'selectsamples',
            {'STRATEGY': 'constant', 'IMAGE_RATES': 'custom', 'IMAGE_COUNTS': '5', 'IMAGES': ['b.tif']},
            'IMAGE_COUNTS: 1 values for 2 images',
        ),
        (
            'selectsamples',
            {'STRATEGY': 'percent', 'IMAGE_RATES': 'custom', 'IMAGE_COUNTS': '0.5; half'},
            "IMAGE_COUNTS: 'half' is no number for the strategy percent",
        ),
        (
            'selectsamples',
            {'IMAGE_RATES': 'custom', 'IMAGE_COUNTS': '5'},
            'IMAGE_COUNTS: the strategy smallest asks for no numbers',
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(go, inputs, land, tmp_path, name, changes, words):
    output = 's.xml' if name == 'polygonclassstatistics' else 's.gpkg'
    parameters = {'INPUT': 'a.tif', 'VECTOR': land.id(), 'FIELD': 'kind', 'OUTPUT': output, **changes}
    parameters['OUTPUT'] = str(tmp_path / parameters['OUTPUT'])
    for key, value in parameters.items():
        if isinstance(value, list):
            parameters[key] = [str(inputs / item) for item in value]
        elif value in ('a.tif', 'b.tif', 'mask.tif'):
            parameters[key] = str(inputs / value)
    with pytest.raises(QgsProcessingException, match=words):
        go(name, parameters)
    assert not os.path.exists(parameters['OUTPUT'])
    assert sorted(os.listdir(inputs)) == ['a.tif', 'b.tif', 'mask.tif']


def test_through_qgis_process(qgis_process, inputs, tmp_path):
    polygons = inputs / 'p.geojson'
    ring = '[[600004, 5799996], [600012, 5799996], [600012, 5799988], [600004, 5799988], [600004, 5799996]]'
    polygons.write_text(
        '{"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:32631"}}, "features": '
        '[{"type": "Feature", "properties": {"kind": 7}, "geometry": '
        f'{{"type": "Polygon", "coordinates": [{ring}]}}}}]}}'
    )
    common = {'INPUT': inputs / 'a.tif', 'VECTOR': polygons, 'FIELD': 'kind'}
    done = qgis_process('polygonclassstatistics', **common, OUTPUT=tmp_path / 's.xml')
    assert done.returncode == 0 and 'key="7" value="16"' in (tmp_path / 's.xml').read_text(), done.stdout
    done = qgis_process('selectsamples', **common, STRATEGY='percent', PERCENT=0.25, OUTPUT=tmp_path / 's.geojson')
    assert done.returncode == 0 and len(samples(str(tmp_path / 's.geojson'))) == 4, done.stdout
    done = qgis_process('selectsamples', **common, MASK=inputs / 'b.tif', OUTPUT=tmp_path / 'none.gpkg')
    assert done.returncode != 0 and 'b.tif' in done.stdout and not (tmp_path / 'none.gpkg').exists()
