"""Classifiers as Processing trains and applies them."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

pytest.importorskip('qgis.core')

import numpy as np
from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProcessing,
    QgsProcessingException,
    QgsRendererCategory,
    QgsVectorLayer,
)

from quadrat.engine.jobs import (
    ClassDef,
    MapDeepFeaturesJob,
    ServeJob,
    SourceSpec,
    TrainDeepFeaturesJob,
    TrainVectorClassifierJob,
    VectorSpec,
)

# A network of local means, made where TensorFlow is.
MAKE = """
import sys
import keras

image = keras.Input((None, None, 2), name='image')
means = keras.layers.AveragePooling2D(3, 1, 'same')(image)
keras.Model(image, {'means': means, 'twice': keras.layers.Rescaling(2.0)(image)}).export(sys.argv[1], verbose=False)
"""
CODES = {10: '#ff0000', 20: '#00ff00'}


@pytest.fixture(scope='module')
def data(tmp_path_factory, engine_python):
    """The folder of a model, an image whose halves differ, polygons with the field ``code``, and points with values."""
    folder = tmp_path_factory.mktemp('data')
    subprocess.run([engine_python, '-c', MAKE, str(folder / 'model')], check=True, capture_output=True)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    pixels = np.random.default_rng(0).normal(500, 40, (2, 40, 60))
    pixels[:, :, 30:] += 300
    dataset = gdal.GetDriverByName('GTiff').Create(str(folder / 'image.tif'), 60, 40, 2, gdal.GDT_UInt16)
    dataset.SetGeoTransform((600000, 2, 0, 5800000, 0, -2))
    dataset.SetSpatialRef(crs)
    dataset.WriteRaster(0, 0, 60, 40, pixels.astype('uint16').tobytes())
    del dataset
    source = ogr.GetDriverByName('GPKG').CreateDataSource(str(folder / 'polygons.gpkg'))
    layer = source.CreateLayer('polygons', crs, ogr.wkbPolygon)
    for name, kind in (('code', ogr.OFTInteger), ('value_0', ogr.OFTReal), ('value_1', ogr.OFTReal)):
        layer.CreateField(ogr.FieldDefn(name, kind))
    for number in range(20):
        code = 10 if number % 2 else 20
        west, north = 600000 + (0 if number % 2 else 60) + 4 + number, 5800000 - 4 - 3 * number
        ring = f'{west} {north}, {west + 8} {north}, {west + 8} {north - 8}, {west} {north - 8}, {west} {north}'
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f'POLYGON (({ring}))'))
        for name, value in (('code', code), ('value_0', code + number % 3), ('value_1', number)):
            feature.SetField(name, value)
        layer.CreateFeature(feature)
    del layer, source
    return folder


def test_a_classifier_on_attributes(run, data, tmp_path):
    polygons = str(data / 'polygons.gpkg')
    parameters = {'INPUT': polygons, 'FIELD': 'code', 'CLASSIFIER': 'dt', 'OUTPUT': QgsProcessing.TEMPORARY_OUTPUT}
    results, said = run('trainvectorclassifier', {**parameters, 'CONFUSION': str(tmp_path / 'c.csv')})
    assert results['OUTPUT'].endswith('.skops') and results['ACCURACY'] == results['KAPPA'] == 1
    assert 'no samples for validation' in said and os.path.isfile(results['OUTPUT'])
    assert (tmp_path / 'c.csv').read_text().splitlines()[2:] == ['10,0', '0,10']


def test_from_polygons_to_a_styled_map(run, data, tmp_path):
    """With the colours that the polygons have in the project."""
    layer = QgsVectorLayer(str(data / 'polygons.gpkg'), 'polygons')
    categories = [
        QgsRendererCategory(code, QgsFillSymbol.createSimple({'color': colour}), f'class {code}')
        for code, colour in CODES.items()
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer('code', categories))
    images = {'MODEL': str(data / 'model'), 'INPUT': [str(data / 'image.tif')]}
    trained, said = run(
        'traindeepfeatures',
        {
            **images,
            'VECTOR': layer,
            'FIELD': 'code',
            'OUTPUT_NAMES': 'means',
            'OPTIONS': '{"n_estimators": 5}',
            'OUTPUT': str(tmp_path / 'c.skops'),
            'REPORT': str(tmp_path / 'r.html'),
        },
    )
    assert trained['ACCURACY'] == 1 and 'kept for validation' in said
    outputs = {name: str(tmp_path / f'{name}.tif') for name in ('OUTPUT', 'CONFIDENCE', 'PROBABILITIES')}
    results, _ = run('mapdeepfeatures', {**images, 'CLASSIFIER': trained['OUTPUT'], **outputs})
    assert results == outputs
    values = gdal.Open(outputs['OUTPUT']).ReadAsArray()
    assert (values[:, :29] == 10).all() and (values[:, 31:] == 20).all()
    style = (tmp_path / 'OUTPUT.qml').read_text('utf-8')
    assert all(f'value="{code}" label="class {code}" color="{colour}"' in style for code, colour in CODES.items())
    assert gdal.Open(outputs['PROBABILITIES']).GetRasterBand(2).GetDescription() == 'class 20'
    with open(outputs['OUTPUT'] + '.json', encoding='utf-8') as file:
        assert json.load(file)['job']['classifier'] == trained['OUTPUT']


@pytest.fixture
def job_of(run, monkeypatch):
    """A function: id, parameters -> the job that they make, which is not done."""
    from quadrat.algorithms import base

    jobs = []

    def keep(job, feedback):
        jobs.append(job)
        return {'MODEL_NAME': 'x', 'CLASS_MAP': True, **{name: path for name, path in job.outputs().items() if path}}

    def make(name, **parameters):
        run(name, parameters)
        return jobs.pop()

    monkeypatch.setattr(base.runner, 'run', keep)
    return make


def test_every_field_of_the_jobs_has_a_parameter(job_of, data, tmp_path):
    polygons, image, model = str(data / 'polygons.gpkg'), str(data / 'image.tif'), str(data / 'model')
    table, statistics = tmp_path / 'classes.csv', tmp_path / 's.xml'
    table.write_text('value,name,colour\n10,wood,#00ff00\n')
    statistics.write_text('<x/>')
    path = {name: str(tmp_path / name) for name in ('c.skops', 'c.csv', 'r.html', 'm.tif', 'conf.tif', 'p.tif')}
    trained = {
        'FIELD': 'code',
        'VALIDATION_VECTOR': polygons,
        'CLASSIFIER': 'ann',
        'OPTIONS': '{"hidden_layer_sizes": [5, 6]}',
        'SEED': 3,
        'CLASSES': str(table),
        'STATISTICS': str(statistics),
        'OUTPUT': path['c.skops'],
        'CONFUSION': path['c.csv'],
        'REPORT': path['r.html'],
    }
    vector = VectorSpec(polygons)
    common = {
        'vector': vector,
        'field': 'code',
        'output': path['c.skops'],
        'validation': vector,
        'classifier': 'ann',
        'options': {'hidden_layer_sizes': [5, 6]},
        'seed': 3,
        'classes': (ClassDef(10, 'wood', '#00ff00'),),
        'statistics': str(statistics),
        'confusion': path['c.csv'],
        'report': path['r.html'],
    }
    made = job_of('trainvectorclassifier', INPUT=polygons, FEATURES=['value_1', 'value_0'], **trained)
    assert made == TrainVectorClassifierJob(features=('value_1', 'value_0'), **common)
    applied = {'MODEL': model, 'INPUT': [image], 'OUTPUT_NAMES': 'twice,means', 'TILE_SIZE': 64, 'RECEPTIVE_FIELD': 3}
    numbers = {'MT': -1, 'MV': 7, 'BM': 0, 'VTR': 0.25}
    made = job_of('traindeepfeatures', VECTOR=polygons, **applied, **trained, **numbers)
    source = SourceSpec((image,), receptive_field=(3, 3))
    serving = ServeJob(model, (source,), output_names=('twice', 'means'), tile_size=64)
    assert made == TrainDeepFeaturesJob(serving=serving, mt=-1, mv=7, bm=0, vtr=0.25, **common)
    rasters = {'OUTPUT': path['m.tif'], 'CONFIDENCE': path['conf.tif'], 'PROBABILITIES': path['p.tif']}
    made = job_of('mapdeepfeatures', **applied, **rasters, CLASSIFIER=str(statistics), FILL_VALUE=0)
    expected = {name.lower(): place for name, place in rasters.items()}
    assert made == MapDeepFeaturesJob(
        model,
        (source,),
        **expected,
        output_names=('twice', 'means'),
        tile_size=64,
        fill_value=0.0,
        classifier=str(statistics),
    )


def test_what_is_wrong_is_said_in_one_line(run, data, tmp_path):
    polygons, model, image = str(data / 'polygons.gpkg'), str(data / 'model'), str(data / 'image.tif')
    vector = {'INPUT': polygons, 'FIELD': 'code', 'OUTPUT': str(tmp_path / 'c.skops')}
    deep = {'MODEL': model, 'INPUT': [image], 'VECTOR': polygons, 'FIELD': 'code', 'OUTPUT': str(tmp_path / 'c.skops')}
    mapped = {'MODEL': model, 'INPUT': [image], 'OUTPUT': str(tmp_path / 'm.tif')}
    for name, parameters, text in (
        ('trainvectorclassifier', {**vector, 'FIELD': None}, 'FIELD'),
        ('trainvectorclassifier', {**vector, 'OPTIONS': '{'}, 'not JSON'),
        ('trainvectorclassifier', {**vector, 'OPTIONS': '[1]'}, 'object'),
        ('trainvectorclassifier', {**vector, 'OPTIONS': '{"trees": 1}'}, 'trees: unknown field'),
        ('trainvectorclassifier', {**vector, 'CLASSIFIER': 'kmeans', 'CONFUSION': str(tmp_path / 'c.csv')}, 'k-means'),
        ('traindeepfeatures', {**deep, 'OPTIONS': '{"C": 1}'}, 'C: unknown field'),
        ('traindeepfeatures', {**deep, 'MODEL': str(tmp_path)}, 'no model'),
        ('mapdeepfeatures', {**mapped, 'CLASSIFIER': str(tmp_path / 'none.skops')}, 'none.skops'),
        ('mapdeepfeatures', {'MODEL': model, 'INPUT': [image], 'CLASSIFIER': polygons}, 'No output'),
    ):
        with pytest.raises(QgsProcessingException) as caught:
            run(name, parameters)
        assert text in str(caught.value), (name, parameters, str(caught.value))
    assert not os.listdir(tmp_path)
