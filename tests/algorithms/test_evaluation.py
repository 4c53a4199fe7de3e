"""Evaluate a model as Processing runs it."""

from __future__ import annotations

import csv
import json
import os
import subprocess

import pytest

pytest.importorskip('qgis.core')

from qgis.core import QgsFeature, QgsGeometry, QgsPointXY, QgsProcessing, QgsProcessingException, QgsVectorLayer

from quadrat import engine
from quadrat.engine import jobs
from quadrat.engine.gdalio import gdal


@pytest.fixture(scope='module')
def place(tmp_path_factory, engine_python):
    """A demo scene, a dataset of it in patches of 16 pixels, and a model that saw it for one epoch.

    The training has a process of its own: TensorFlow and QGIS do not bear one another.
    """
    folder = tmp_path_factory.mktemp('place')
    image, points, data = str(folder / 'scene/ms.tif'), str(folder / 'points.gpkg'), str(folder / 'dataset')
    engine.run(jobs.DemoSceneJob(str(folder / 'scene'), 128, 3))
    engine.run(jobs.SelectPatchesJob(image, points, patch_size=16, block_size=32))
    labels = jobs.LabelRaster(str(folder / 'scene/truth.tif'))
    source = jobs.SourceSpec((image,), patch_size=(16, 16))
    engine.run(jobs.ExtractPatchesJob((source,), jobs.VectorSpec(points), data, labels=labels))
    options = jobs.TrainOptions(filters=4, depth=1)
    (folder / 'job.json').write_text(jobs.dumps(jobs.TrainJob(data, str(folder / 'model'), epochs=1, options=options)))
    command = [engine_python, '-m', 'quadrat', 'run', str(folder / 'job.json')]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_on_a_dataset_as_the_training_says(run, place):
    results, said = run(
        'evaluatemodel',
        {
            'MODEL': str(place / 'model'),
            'DATASET': str(place / 'dataset'),
            'RUNTIME': 'tensorflow',
            'REPORT': QgsProcessing.TEMPORARY_OUTPUT,
            'TABLE': QgsProcessing.TEMPORARY_OUTPUT,
        },
    )
    trained = json.loads((place / 'model/training.json').read_text())['results']['test']
    assert results['SCORE'] == pytest.approx(trained['mean_iou'], abs=1e-3) and 'mean IoU' in said
    assert os.path.isfile(results['REPORT']) and results['REPORT'].endswith('.html')
    with open(results['TABLE'], encoding='utf-8') as file:
        *classes, overall = csv.DictReader(file)
    assert [int(row['reference']) for row in classes] == trained['support'] and overall['value'] == 'all'
    assert float(overall['calibration_error']) == pytest.approx(trained['calibration']['error'], abs=1e-3)


def test_on_rasters_and_points_in_memory(run, place):
    image, truth = str(place / 'scene/ms.tif'), str(place / 'scene/truth.tif')
    given = {'MODEL': str(place / 'model/item.json'), 'INPUT': [image], 'RUNTIME': 'tensorflow'}
    layer = QgsVectorLayer('Point?crs=EPSG:32631&field=kind:integer', 'samples', 'memory')
    raster = gdal.Open(truth)
    west, size, _, north, _, _ = raster.GetGeoTransform()
    values = raster.ReadAsArray()
    features = []
    for row in range(10, 120, 20):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(west + (row + 0.5) * size, north - (row + 0.5) * size)))
        feature.setAttributes([int(values[row, row])])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    results, said = run('evaluatemodel', {**given, 'POINTS': layer, 'LABEL_FIELD': 'kind'})
    assert list(results) == ['SCORE'] and '6 labels' in said and 'POINTS' in said


def test_what_is_wrong_is_said_in_one_line(run, place):
    def refused(words, **parameters):
        with pytest.raises(QgsProcessingException, match=words) as caught:
            run('evaluatemodel', {'MODEL': str(place / 'model'), **parameters})
        assert '\n' not in str(caught.value)

    image, truth = str(place / 'scene/ms.tif'), str(place / 'scene/truth.tif')
    refused('Give a DATASET, or rasters')
    refused('REFERENCE are given', DATASET=str(place / 'dataset'), REFERENCE=truth)
    refused('INPUT: no raster given', REFERENCE=truth)
    refused('no class of the model', INPUT=[image], REFERENCE=image)
    refused('MODEL.*nowhere', MODEL='/nowhere', DATASET=str(place / 'dataset'))
