"""Map with a model as Processing runs it, in QGIS and through qgis_process."""

from __future__ import annotations

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


def test_maps_are_loaded_with_names_and_colours(run, package, image):
    from processing.gui.Postprocessing import handleAlgorithmResults

    project = QgsProject()
    outputs = {
        name: QgsProcessingOutputLayerDefinition(QgsProcessing.TEMPORARY_OUTPUT, project)
        for name in ('OUTPUT', 'PROBABILITIES')
    }
    context = QgsProcessingContext()
    context.setProject(project)
    results, said = run('servemodel', {'MODEL': package, 'INPUT': [image], 'TILE_SIZE': 32, **outputs}, context)
    assert set(results) == {'OUTPUT', 'PROBABILITIES'} and '70 x 90 pixels in 9 tiles' in said
    assert all(path.endswith('.tif') for path in results.values())
    gc.collect()
    algorithm = QgsApplication.processingRegistry().algorithmById('quadrat:servemodel')
    assert handleAlgorithmResults(algorithm, context, QgsProcessingFeedback(), parameters=outputs)
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    assert set(layers) == {'Class map (Valley)', 'Class probabilities (Valley)'}
    renderer = layers['Class map (Valley)'].renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    legend = [(item.value, item.label, item.color.name()) for item in renderer.classes()]
    assert legend == [(7, 'meadow', '#00aa00'), (2, 'lake <&"é>', '#0000ff')]
    assert layers['Class probabilities (Valley)'].bandName(1) == 'Band 1: meadow'
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


def test_what_is_wrong_is_said_in_one_line(run, package, image, tmp_path):
    output = str(tmp_path / 'm.tif')

    def refused(words, **parameters):
        everything = {'MODEL': package, 'INPUT': [image], 'OUTPUT': output, **parameters}
        with pytest.raises(QgsProcessingException, match=words) as caught:
            run('servemodel', {key: value for key, value in everything.items() if value is not None})
        assert '\n' not in str(caught.value) and not os.path.exists(output)

    refused('No output asked for', OUTPUT=None)
    refused(r'1 band, but the model wants 3 \(red, green, blue\)', INPUT=[image.replace('image', 'grey')])
    refused('no such file', INPUT=[image + 'x'])
    refused('no such file', MODEL=package + 'x')
    refused('no model package', MODEL=os.path.dirname(image))
    refused('is an input', OUTPUT=image)
    refused('no folder', OUTPUT=str(tmp_path / 'none' / 'm.tif'))
    refused('did you mean COMPRESS', CREATION_OPTIONS='COMPRES=LZW')
    refused('number', NODATA='zero')


def test_through_qgis_process(qgis_process, package, image, tmp_path):
    output = tmp_path / 'm.tif'
    done = qgis_process('servemodel', MODEL=package, INPUT=image, OUTPUT=output)
    assert done.returncode == 0 and output.is_file(), done.stdout
    assert 'tile 1 of 1' in done.stdout or '1 tile of' in done.stdout
    assert sorted(os.listdir(os.path.dirname(image))) == ['grey.tif', 'image.tif']
    failed = qgis_process('servemodel', MODEL=package, INPUT=image.replace('image', 'grey'), OUTPUT=tmp_path / 'n.tif')
    assert failed.returncode != 0 and 'the model wants 3' in failed.stdout
    assert not [name for name in os.listdir(tmp_path) if name.startswith('n.')]
