"""Map with a model as Processing runs it, in QGIS and through qgis_process."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import subprocess

import pytest

pytest.importorskip('qgis.core')

import numpy as np
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsPalettedRasterRenderer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
)

from quadrat.engine.jobs import ClassDef, ServeJob, SourceSpec, VectorSpec

# A package with an untrained network, made where TensorFlow is.
MAKE = """
import sys
from quadrat.engine.jobs import ClassDef
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.package import write_package
from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet

network = build_unet(3, 2, input_name='source1', mean=[500.0] * 3, stddev=[100.0] * 3, filters=2, depth=2)
reach = receptive_field(network)
source = InputCard('source1', ('red', 'green', 'blue'), field=ReceptiveField(*reach.sides), stride=reach.stride,
                   fill=(500.0,) * 3)
classes = (ClassDef(7, 'meadow', '#00aa00'), ClassDef(2, 'lake <&"é>', '#0000ff'))
write_package(sys.argv[1], network, ModelCard('Valley', 'segmentation', 'unet', (source,),
                                              (OutputCard('probabilities', 2, classes),)))
"""


@pytest.fixture(scope='module')
def package(tmp_path_factory, engine_python):
    path = str(tmp_path_factory.mktemp('model') / 'package')
    subprocess.run([engine_python, '-c', MAKE, path], check=True, capture_output=True)
    return path


@pytest.fixture
def image(tmp_path):
    """A raster of 90 rows, 70 columns and 3 bands, no-data at the upper left."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(300, 700, (3, 90, 70)).astype('uint16')
    pixels[:, :20, :20] = 0
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    for name, bands in (('image.tif', 3), ('grey.tif', 1)):
        dataset = gdal.GetDriverByName('GTiff').Create(str(folder / name), 70, 90, bands, gdal.GDT_UInt16)
        dataset.SetGeoTransform((600000, 2, 0, 5800000, 0, -2))
        dataset.SetSpatialRef(crs)
        dataset.GetRasterBand(1).SetNoDataValue(0)
        dataset.WriteRaster(0, 0, 70, 90, pixels[:bands].tobytes())
        del dataset
    return str(folder / 'image.tif')


@pytest.fixture
def load(run):
    """A function: parameters, names of outputs -> results, all that was said, and the layers that come of it.

    The layers are there as long as the project, which is given too.
    """
    from processing.gui.Postprocessing import handleAlgorithmResults

    def go(parameters, *names):
        project = QgsProject()
        outputs = {name: QgsProcessingOutputLayerDefinition(QgsProcessing.TEMPORARY_OUTPUT, project) for name in names}
        context = QgsProcessingContext()
        context.setProject(project)
        results, said = run('servemodel', {**parameters, **outputs}, context)
        gc.collect()
        algorithm = QgsApplication.processingRegistry().algorithmById('quadrat:servemodel')
        assert handleAlgorithmResults(algorithm, context, QgsProcessingFeedback(), parameters=outputs)
        return results, said, {layer.name(): layer for layer in project.mapLayers().values()}, project

    return go


def test_maps_are_loaded_with_names_and_colours(load, package, image):
    names = ('OUTPUT', 'PROBABILITIES', 'POLYGONS')
    results, said, layers, _ = load({'MODEL': package, 'INPUT': [image], 'TILE_SIZE': 32}, *names)
    assert set(results) == set(names) and '70 x 90 pixels in 9 tiles' in said
    assert [os.path.splitext(results[name])[1] for name in names] == ['.tif', '.tif', '.gpkg']
    assert set(layers) == {'Class map (Valley)', 'Class probabilities (Valley)', 'Class polygons (Valley)'}
    renderer = layers['Class map (Valley)'].renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    legend = [(item.value, item.label, item.color.name()) for item in renderer.classes()]
    assert legend == [(7, 'meadow', '#00aa00'), (2, 'lake <&"é>', '#0000ff')]
    assert layers['Class probabilities (Valley)'].bandName(1) == 'Band 1: meadow'
    polygons = layers['Class polygons (Valley)']
    drawn = {item.label(): item.symbol().color().name() for item in polygons.renderer().categories()}
    assert drawn == {'meadow': '#00aa00', 'lake <&"é>': '#0000ff'}
    assert sum(feature['area'] for feature in polygons.getFeatures()) == (70 * 90 - 20 * 20) * 4
    provider = layers['Class map (Valley)'].dataProvider()
    assert provider.sourceNoDataValue(1) == 255 and provider.xSize() == 70
    assert (
        os.listdir(os.path.dirname(image)) == ['image.tif', 'grey.tif'] or len(os.listdir(os.path.dirname(image))) == 2
    )


def test_probabilities_alone(run, package, image, tmp_path):
    path = str(tmp_path / 'p.tif')
    results, _ = run(
        'servemodel',
        {'MODEL': package, 'INPUT': [image], 'PROBABILITIES': path, 'CREATION_OPTIONS': 'COMPRESS=LZW'},
    )
    assert results == {'PROBABILITIES': path}
    dataset = gdal.Open(path)
    assert dataset.GetMetadataItem('COMPRESSION', 'IMAGE_STRUCTURE') == 'LZW'
    values = dataset.ReadAsArray()
    assert np.isnan(values[:, :20, :20]).all() and np.abs(values[:, 30:].sum(0) - 1).max() < 1e-5
    with open(path + '.json', encoding='utf-8') as file:
        assert json.load(file)['job']['creation_options'] == ['COMPRESS=LZW']


def test_bands_of_several_rasters_are_stacked_and_qgis_finds_the_style(run, package, image, tmp_path):
    grey = image.replace('image', 'grey')
    results, _ = run(
        'servemodel',
        {'MODEL': os.path.join(package, 'item.json'), 'INPUT': [grey] * 3, 'OUTPUT': str(tmp_path / 'm.tif')},
    )
    layer = QgsRasterLayer(results['OUTPUT'], 'any')
    assert layer.height() == 90
    assert {item.label for item in layer.renderer().classes()} == {'meadow', 'lake <&"é>'}


# -- from parameters to the job ---------------------------------------------------------------------------------------


@pytest.fixture
def job_of(run, monkeypatch):
    """A function: parameters -> the job that they make, which is not done."""
    from quadrat.algorithms import base

    jobs = []

    def keep(job, feedback):
        jobs.append(job)
        return {'MODEL_NAME': 'x', 'CLASS_MAP': True, **{name: path for name, path in job.outputs().items() if path}}

    def make(parameters):
        run('servemodel', parameters)
        return jobs.pop()

    monkeypatch.setattr(base.runner, 'run', keep)
    return make


def bare(folder):
    """What looks like a SavedModel."""
    folder.mkdir()
    (folder / 'saved_model.pb').touch()
    return str(folder)


def test_little_has_to_be_said(job_of, package, image, tmp_path):
    output = str(tmp_path / 'm.tif')
    assert job_of({'MODEL': package, 'INPUT': [image], 'OUTPUT': output}) == ServeJob(
        package, (SourceSpec((image,)),), output
    )


def test_every_field_of_the_job_has_a_parameter(job_of, image, tmp_path):
    model = bare(tmp_path / 'm')
    others = [bare(tmp_path / 'n') + '/saved_model.pb', str(tmp_path / 'o.keras')]
    (tmp_path / 'o.keras').touch()
    table, polygons = tmp_path / 'c.csv', tmp_path / 'p.geojson'
    table.write_text('value,name,colour\n3,wood,#00ff00\n1,lake,#0000ff\n')
    polygons.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": {"type": '
        '"Polygon", "coordinates": [[[4, 52], [5, 52], [5, 53], [4, 52]]]}}]}'
    )
    grey = image.replace('image', 'grey')
    rasters = ('OUTPUT', 'PROBABILITIES', 'CONFIDENCE', 'ENTROPY', 'MARGIN')
    outputs = {name: str(tmp_path / f'{name}.tif') for name in rasters}
    outputs.update(POLYGONS=str(tmp_path / 'areas.gpkg'), OUTPUT_FOLDER=str(tmp_path / 'each'))
    # parameter, its value, the field of the job, its value
    table_of_all = [
        ('ENSEMBLE', others, 'ensemble', (str(tmp_path / 'n'), others[1])),
        ('OUTPUT_NAMES', 'a, b', 'output_names', ('a', 'b')),
        ('USER_PLACEHOLDERS', 'lr=1e-3; w=(1, 2)', 'user_placeholders', 'lr=1e-3; w=(1, 2)'),
        ('TAGS', 'serve,gpu', 'tags', 'serve,gpu'),
        ('SIGNATURE', 'predict', 'signature', 'predict'),
        ('CLASSES', str(table), 'classes', (ClassDef(3, 'wood', '#00ff00'), ClassDef(1, 'lake', '#0000ff'))),
        ('MODE', 'otbtf-fullyconv', 'mode', 'otbtf-fullyconv'),
        ('EXPRESSION_FIELD', 32, 'expression_field', (32, 32)),
        ('SPACING_SCALE', 0.25, 'spacing_scale', 0.25),
        ('FILL_VALUE', -1, 'fill_value', -1.0),
        ('OUTPUT_TYPE', 'int16', 'output_type', 'int16'),
        ('PROBABILITY_TYPE', 'uint8', 'probability_type', 'uint8'),
        ('THRESHOLD', 0, 'threshold', 0.0),
        ('TILE_SIZE', 128, 'tile_size', 128),
        ('BATCH_SIZE', 7, 'batch_size', 7),
        ('MEMORY', 99, 'memory', 99),
        ('BLEND', 'cosine', 'blend', 'cosine'),
        ('PADDING', 'constant', 'padding', 'constant'),
        ('PADDING_VALUE', 2.5, 'padding_value', 2.5),
        ('TTA', 'd4', 'tta', 'd4'),
        ('RUNTIME', 'tensorflow', 'runtime', 'tensorflow'),
        ('PRECISION', 'bfloat16', 'precision', 'bfloat16'),
        ('DEVICE', 'gpu:1', 'device', 'gpu:1'),
        ('WINDOW', '0, 5,40,30', 'window', (0, 5, 40, 30)),
        ('MASK', grey, 'mask', grey),
        ('MASK_LAYER', str(polygons), 'mask_layer', VectorSpec(str(polygons))),
        ('SIEVE', 9, 'sieve', 9),
        ('CONNECTIVITY', '8', 'connectivity', 8),
        ('RESUME', False, 'resume', False),
        ('COG', True, 'cog', True),
        ('OVERVIEWS', True, 'overviews', True),
        ('CREATION_OPTIONS', 'A=1|B=2 C=3', 'creation_options', ('A=1', 'B=2', 'C=3')),
        *((name, path, name.lower(), path) for name, path in outputs.items()),
    ]
    given = {name: value for name, value, _, _ in table_of_all}
    details = {'NODATA_2': '9', 'NODATA_POLICY_2': 'all', 'PLACEHOLDER_2': 'x2', 'RECEPTIVE_FIELD_2': 64}
    first = {'NODATA': '0', 'NODATA_POLICY': 'ignore', 'PLACEHOLDER': 'x1', 'RECEPTIVE_FIELD': 16}
    images = {'INPUT': [image, grey], **first, 'INPUT_2': [grey], **details, 'INPUT_3': [image]}
    made = job_of({'MODEL': model + '/saved_model.pb', **images, **given})
    expected = ServeJob(
        model,
        (
            SourceSpec((image, grey), 'source1', (), (64, 64), '0', 'ignore', (), 'x1', (16, 16)),
            SourceSpec((grey,), 'source2', (), (64, 64), '9', 'all', (), 'x2', (64, 64)),
            SourceSpec((image,), 'source3'),
        ),
        **{field: value for _, _, field, value in table_of_all},
    )
    assert made == expected
    default = ServeJob('', ())
    same = [
        field.name
        for field in dataclasses.fields(ServeJob)
        if getattr(made, field.name) == getattr(default, field.name)
    ]
    assert same == ['extent']


def test_sources_in_json_and_the_extent_in_their_crs(job_of, package, image, tmp_path):
    listed = [{'rasters': [image], 'bands': ['B3', 'B1'], 'placeholder': 'x', 'receptive_field': [9, 5]}]
    parameters = {'MODEL': package, 'OUTPUT': str(tmp_path / 'm.tif'), 'EXTENT': '4.46,4.461,52.34,52.341 [EPSG:4326]'}
    for images in ({'SOURCES': json.dumps(listed)}, {'INPUT': [image]}):
        west, south, east, north = job_of({**parameters, **images}).extent
        assert 599000 < west < east < 600000 and 5799000 < south < north < 5800000
    made = job_of({**parameters, 'SOURCES': json.dumps(listed)})
    assert made.sources == (SourceSpec((image,), band_names=('B3', 'B1'), placeholder='x', receptive_field=(9, 5)),)


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_said_in_one_line(run, package, image, tmp_path):
    output = str(tmp_path / 'm.tif')
    (tmp_path / 'm.csv').write_text('wood;3')

    def refused(words, **parameters):
        everything = {'MODEL': package, 'INPUT': [image], 'OUTPUT': output, **parameters}
        with pytest.raises(QgsProcessingException, match=words) as caught:
            run('servemodel', {key: value for key, value in everything.items() if value is not None})
        assert '\n' not in str(caught.value) and not os.path.exists(output)

    refused('INPUT: no raster given', INPUT=None)
    refused('INPUT_3 is given, and the source before it is not', INPUT_3=[image])
    refused('SOURCES: not JSON', SOURCES='[{')
    refused('WINDOW: 0,0,5 should be four whole numbers', WINDOW='0,0,5')
    refused('WINDOW: 0,0,0,5 should be', WINDOW='0,0,0,5')
    refused('EXTENT and WINDOW both', WINDOW='0,0,5,5', EXTENT='600000,600010,5799990,5800000')
    refused('SIEVE is of the class map', SIEVE=5, OUTPUT=None, CONFIDENCE=str(tmp_path / 'c.tif'))
    refused('PADDING_VALUE is of PADDING=constant, which is reflect', PADDING_VALUE=1)
    refused('EXPRESSION_FIELD is of MODE=otbtf-fullyconv, which is native', EXPRESSION_FIELD=2)
    refused(r'CLASSES: .*m\.csv, line 1: ', CLASSES=str(tmp_path / 'm.csv'))
    refused(r'p\.shp: should be the path of a file whose name ends in \.gpkg', POLYGONS=str(tmp_path / 'p.shp'))
    refused(r'ENSEMBLE: .*gone: no such file', ENSEMBLE=[str(tmp_path / 'gone')])
    refused('ENSEMBLE: .*no model: no item.json', ENSEMBLE=[str(tmp_path)])
    refused('No output asked for', OUTPUT=None)
    refused(r'1 band, but the model wants 3 \(red, green, blue\)', INPUT=[image.replace('image', 'grey')])
    refused('no such file', INPUT=[image + 'x'])
    refused('no such file', MODEL=package + 'x')
    refused(r'MODEL: .*no model: no item\.json', MODEL=os.path.dirname(image))
    refused('is an input', OUTPUT=image)
    refused('no folder', OUTPUT=str(tmp_path / 'none' / 'm.tif'))
    refused('did you mean COMPRESS', CREATION_OPTIONS='COMPRES=LZW')
    refused('number', NODATA='zero')


# -- models without a package -----------------------------------------------------------------------------------------


@pytest.mark.baseline
def test_a_bare_savedmodel_maps_as_otbtf_does(load, shared, tmp_path, monkeypatch):
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'cache'))
    suite = shared / 'data/otbtf-suite'
    parameters = {
        'MODEL': str(suite / 'models/model4/saved_model.pb'),
        'INPUT': [str(suite / 'data/pxs_subset2.tif')],
        'MODE': 'otbtf-fullyconv',
        'RECEPTIVE_FIELD': 64,
        'EXPRESSION_FIELD': 32,
        'OUTPUT_NAMES': 'prediction_fcn',
        'OUTPUT_TYPE': 'uint8',
        'OUTPUT_FOLDER': str(tmp_path / 'each'),
    }
    results, _, layers, _ = load(parameters, 'OUTPUT')
    assert set(layers) == {'Values (model4)'}
    assert results['RASTERS'] == [str(tmp_path / 'each' / 'prediction_fcn.tif')]
    baseline = gdal.Open(str(suite / 'data/apTvClTensorflowModelServeFCNN64x64to32x32.tif'))
    for path in (results['OUTPUT'], *results['RASTERS']):
        found = gdal.Open(path)
        assert found.GetGeoTransform() == baseline.GetGeoTransform()
        np.testing.assert_array_equal(found.ReadAsArray(), baseline.ReadAsArray())


def test_through_qgis_process(qgis_process, package, image, tmp_path):
    output = tmp_path / 'm.tif'
    done = qgis_process('servemodel', MODEL=package, INPUT=image, OUTPUT=output)
    assert done.returncode == 0 and output.is_file(), done.stdout
    assert 'tile 1 of 1' in done.stdout or '1 tile of' in done.stdout
    assert sorted(os.listdir(os.path.dirname(image))) == ['grey.tif', 'image.tif']
    failed = qgis_process('servemodel', MODEL=package, INPUT=image.replace('image', 'grey'), OUTPUT=tmp_path / 'n.tif')
    assert failed.returncode != 0 and 'the model wants 3' in failed.stdout
    assert not [name for name in os.listdir(tmp_path) if name.startswith('n.')]
