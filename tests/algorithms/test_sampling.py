"""Select and extract patches as Processing runs them, in QGIS and through qgis_process."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip('qgis.core')

from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor


@pytest.fixture
def image(tmp_path):
    """A raster of 256 x 256 pixels whose labels are 0 (declared as no-data) and 1."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    for name, bands, kind in (('image.tif', 3, gdal.GDT_UInt16), ('labels.tif', 1, gdal.GDT_Byte)):
        dataset = gdal.GetDriverByName('GTiff').Create(str(folder / name), 256, 256, bands, kind)
        dataset.SetGeoTransform((600000, 2, 0, 5800000, 0, -2))
        dataset.SetSpatialRef(crs)
        if bands == 1:
            dataset.GetRasterBand(1).SetNoDataValue(0)
            dataset.WriteRaster(
                0, 0, 256, 256, bytes((row // 8 + col // 8) % 2 for row in range(256) for col in range(256))
            )
        del dataset
    return str(folder / 'image.tif')


@pytest.fixture
def points(run, image, tmp_path):
    results, _ = run('selectpatches', {'INPUT': image, 'PATCH_SIZE': 16, 'OUTPUT': str(tmp_path / 'points.gpkg')})
    return results['OUTPUT']


def manifest(folder):
    with open(os.path.join(folder, 'manifest.json'), encoding='utf-8') as file:
        return json.load(file)


def labels_of(image):
    return image.replace('image.tif', 'labels.tif')


def test_the_least_that_is_needed(run, image, points, tmp_path):
    """INPUT, POINTS, OUTPUT and labels; a declared no-data background is left out with a warning."""
    parameters = {'INPUT': [image], 'POINTS': points, 'PATCH_SIZE': 16, 'OUTPUT': str(tmp_path / 'dataset')}
    results, said = run('extractpatches', {**parameters, 'LABEL_RASTER': labels_of(image)})
    assert results['COUNT'] == 256 and results['OUTPUT'] == parameters['OUTPUT']
    found = manifest(results['OUTPUT'])
    assert [c['value'] for c in found['classes']] == [1] and found['labels']['nodata'] == 0
    assert '32768 (50.0%) label pixels are left out' in said
    assert set(found['splits']) == {'train', 'validation', 'test'}
    assert sorted(os.listdir(os.path.dirname(image))) == ['image.tif', 'labels.tif']


def test_a_table_of_classes_and_the_point_layers(run, image, points, tmp_path):
    (tmp_path / 'classes.csv').write_text('value,name,colour\n0,ground,#aaaaaa\n1,roof,#ff0000\n')
    parameters = {
        'INPUT': [image, image],
        'POINTS': points,
        'PATCH_SIZE': 24,  # reaches over the edges of the image
        'LABEL_RASTER': labels_of(image),
        'CLASSES': str(tmp_path / 'classes.csv'),
        'NODATA': '65535',
        'NODATA_POLICY': 'all',
        'OUTPUT': 'TEMPORARY_OUTPUT',
        'ACCEPTED': str(tmp_path / 'accepted.shp'),
        'REJECTED': 'TEMPORARY_OUTPUT',
    }
    results, _ = run('extractpatches', parameters)
    found = manifest(results['OUTPUT'])
    assert [(c['value'], c['name'], c['colour']) for c in found['classes']] == [
        (0, 'ground', '#aaaaaa'),
        (1, 'roof', '#ff0000'),
    ]
    assert found['sources'][0]['shape'] == [24, 24, 6] and found['sources'][0]['nodata'] == ['65535'] * 6
    accepted, rejected = (QgsVectorLayer(results[name], name, 'ogr') for name in ('ACCEPTED', 'REJECTED'))
    assert accepted.featureCount() == results['COUNT'] and accepted.featureCount() + rejected.featureCount() == 256
    assert {f['reason'] for f in rejected.getFeatures()} == {'patch reaches over the edge of the image'}


def test_a_memory_layer_of_polygons_in_another_crs(run, image, points, tmp_path):
    project = QgsProject()
    layer = QgsVectorLayer('Polygon?crs=EPSG:32632&field=kind:string(10)', 'Land', 'memory')
    west, east = osr.SpatialReference(), osr.SpatialReference()
    west.ImportFromEPSG(32631)
    east.ImportFromEPSG(32632)
    to_32632 = osr.CoordinateTransformation(west, east)
    for kind, x in (('wood', 600000), ('acre', 600128)):
        geometry = ogr.CreateGeometryFromWkt(
            f'POLYGON(({x} 5800000, {x + 128} 5800000, {x + 128} 5799488, {x} 5799488, {x} 5800000))'
        )
        geometry.Transform(to_32632)
        feature = QgsFeature(layer.fields())
        feature.setAttributes([kind])
        feature.setGeometry(QgsGeometry.fromWkt(geometry.ExportToWkt()))
        layer.dataProvider().addFeatures([feature])
    project.addMapLayer(layer)
    parameters = {
        'INPUT': [image],
        'POINTS': points,
        'PATCH_SIZE': 16,
        'LABEL_POLYGONS': layer.id(),
        'CLASS_FIELD': 'kind',
        'OUTSIDE': 0,
        'OUTPUT': str(tmp_path / 'dataset'),
    }
    context = QgsProcessingContext()
    context.setProject(project)
    results, _ = run('extractpatches', parameters, context)
    found = manifest(results['OUTPUT'])
    assert [(c['value'], c['name']) for c in found['classes']] == [(0, 'outside'), (1, 'acre'), (2, 'wood')]
    pixels = {value: sum(info['pixels'][value] for info in found['splits'].values()) for value in '012'}
    assert pixels == {'0': 128 * 256, '1': 64 * 256, '2': 64 * 256}
    assert os.listdir(str(tmp_path / 'dataset.inputs')) == ['LABEL_POLYGONS.gpkg']


@pytest.mark.parametrize(
    'name, changes, words',
    [
        ('selectpatches', {'INPUT': '/no/such/image.tif'}, 'INPUT: /no/such/image.tif: no such file'),
        ('selectpatches', {'INPUT': 'no such layer'}, 'INPUT: no such layer: no such file, and no such layer'),
        ('selectpatches', {'INPUT': __file__}, 'INPUT: .*test_sampling.py: not a layer that QGIS can read'),
        ('extractpatches', {'INPUT': [__file__]}, 'INPUT: .*test_sampling.py: not a layer that QGIS can read'),
        ('selectpatches', {'BLOCK_SIZE': 8}, 'BLOCK_SIZE: blocks of 8 pixels hold no patch of 16'),
        ('selectpatches', {'TRAIN': 0, 'VALIDATION': 0, 'TEST': 0}, 'must be above 0'),
        ('selectpatches', {'PATCH_SIZE': 300}, 'smaller than a patch of 300'),
        ('selectpatches', {'STRATEGY': 'chess'}, 'STRATEGY'),
        ('selectpatches', {'STRATEGY': 'stratified'}, 'LABELS: the strategy stratified looks at classes'),
        ('selectpatches', {'STRATEGY': 'balanced'}, 'LABELS: the strategy balanced looks at classes'),
        ('selectpatches', {'STRATEGY': 'random', 'BUFFER': 3}, 'BUFFER: the strategy random keeps none'),
        ('selectpatches', {'STRATEGY': 'chessboard', 'TRAIN': 0, 'VALIDATION': 0}, 'shares TRAIN, VALIDATION must'),
        ('selectpatches', {'MASK': '/no/such/mask.tif'}, 'MASK: /no/such/mask.tif: no such file'),
        ('selectpatches', {'NODATA': 'zero'}, "'zero' is neither a number"),
        ('extractpatches', {'INPUT': ['/no/such/image.tif']}, 'INPUT: /no/such/image.tif: no such file'),
        ('extractpatches', {'CLASSES': '/no/such/classes.csv'}, 'CLASSES: /no/such/classes.csv: no such file'),
        ('extractpatches', {'LABEL_POLYGONS': 'POINTS'}, 'give one of them'),
        ('extractpatches', {'CLASS_FIELD': 'x'}, 'CLASS_FIELD is a field of LABEL_POLYGONS'),
        ('extractpatches', {'NODATA': 'zero'}, "'zero' is neither a number"),
        ('extractpatches', {'SPLIT_FIELD': 'row'}, 'splits are called train, validation, test'),
        ('extractpatches', {'OUTPUT': '/proc/dataset'}, 'cannot be written'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, image, points, tmp_path, name, changes, words):
    output = str(tmp_path / ('dataset' if name == 'extractpatches' else 'other.gpkg'))
    parameters = {'INPUT': image, 'PATCH_SIZE': 16, 'OUTPUT': output}
    if name == 'extractpatches':
        parameters.update(INPUT=[image], POINTS=points, LABEL_RASTER=labels_of(image))
    changes = {key: points if value == 'POINTS' else value for key, value in changes.items()}
    with pytest.raises(QgsProcessingException, match=words):
        run(name, {**parameters, **changes})
    assert not os.path.exists(output)
    assert sorted(os.listdir(os.path.dirname(image))) == ['image.tif', 'labels.tif']


def test_all_parameters_of_selectpatches(run, image, tmp_path):
    """Labels as the layer has them: no-data switched off, names from the symbology; a mask; a shifted grid."""
    layer = QgsRasterLayer(labels_of(image), 'labels')
    layer.dataProvider().setUseSourceNoDataValue(1, False)
    classes = [
        QgsPalettedRasterRenderer.Class(value, QColor('red'), name) for value, name in ((0, 'field'), (1, 'wood'))
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    parameters = {
        'INPUT': image,
        'PATCH_SIZE': 16,
        'STEP': 20,
        'OFFSET_X': -15,
        'OFFSET_Y': 3,
        'MASK': labels_of(image),
        'STRATEGY': 'stratified',
        'LABELS': layer,
        'OUTPUT': str(tmp_path / 'p.gpkg'),
    }
    with pytest.raises(QgsProcessingException, match='not wholly on pixels above 0 of the mask'):
        run('selectpatches', parameters)
    assert not os.path.exists(parameters['OUTPUT'])
    results, said = run('selectpatches', {**parameters, 'MASK': None, 'NODATA': '7'})
    assert '0 field' in said and '1 wood' in said and 'no label' not in said
    found = QgsVectorLayer(results['OUTPUT'])
    assert found.featureCount() == 12 * 12 and found.fields().names() == ['fid', 'id', 'split', 'row', 'col']
    for feature in found.getFeatures():
        assert (feature['row'] - 8 - 3) % 20 == 0 and (feature['col'] - 8 + 15) % 20 == 0
        point = feature.geometry().asPoint()
        assert (point.x(), point.y()) == (600001 + 2 * feature['col'], 5799999 - 2 * feature['row'])
    results, said = run('selectpatches', {**parameters, 'MASK': None, 'STRATEGY': 'split', 'OTBTF': True})
    found = QgsVectorLayer(results['OUTPUT'])
    assert min(feature['row'] for feature in found.getFeatures()) == 8 + 1 + 3 + 1


def test_every_parameter_has_help(provider):
    for name in ('selectpatches', 'extractpatches'):
        for definition in provider.algorithm(name).parameterDefinitions():
            assert definition.help(), definition.name()


def test_the_chain_through_qgis_process(qgis_process, image, tmp_path):
    points, dataset = tmp_path / 'p.geojson', tmp_path / 'dataset'
    done = qgis_process('selectpatches', INPUT=image, PATCH_SIZE=32, STRATEGY='all', OUTPUT=points)
    assert done.returncode == 0, done.stdout
    done = qgis_process(
        'extractpatches',
        INPUT=image,
        POINTS=points,
        PATCH_SIZE=32,
        LABEL_RASTER=labels_of(image),
        LABEL_NODATA='none',
        OUTPUT=dataset,
    )
    assert done.returncode == 0, done.stdout
    found = manifest(dataset)
    assert found['count'] == 64 and [c['value'] for c in found['classes']] == [0, 1]
    assert sorted(os.listdir(os.path.dirname(image))) == ['image.tif', 'labels.tif']
    done = qgis_process('extractpatches', INPUT=image, POINTS=points, PATCH_SIZE=300, OUTPUT=tmp_path / 'none')
    assert done.returncode != 0 and 'No patch is left' in done.stdout and not (tmp_path / 'none').exists()
