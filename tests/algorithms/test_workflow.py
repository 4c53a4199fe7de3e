"""The Processing models that come with Quadrat, as qgis_process runs them."""

from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from osgeo import gdal, ogr

from quadrat.engine import registry
from quadrat.engine.jobs import DemoSceneJob

MODEL = Path(__file__).resolve().parents[2] / 'resources/workflows/train_and_map.model3'


@pytest.fixture(scope='module')
def scene(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('workflow') / 'scene'
    registry.run(DemoSceneJob(str(folder), 256, 3))
    return folder


@pytest.mark.parametrize('algorithm', ['quadrat:train_and_map', str(MODEL)], ids=['by its id', 'by its file'])
def test_train_and_map(scene, qgis_profile, tmp_path, algorithm):
    values = {
        'IMAGE': scene / 'ms.tif',
        'LABELS': scene / 'truth.tif',
        'CLASSES': scene / 'classes.csv',
        'PATCH_SIZE': 32,
        'EPOCHS': 1,
        'map:MAP': tmp_path / 'map.tif',
        'train:PACKAGE': tmp_path / 'package',
    }
    command = ['qgis_process.bin', 'run', algorithm, '--', *(f'{key}={value}' for key, value in values.items())]
    done = subprocess.run(command, env=qgis_profile, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found, image = gdal.Open(str(tmp_path / 'map.tif')), gdal.Open(str(scene / 'ms.tif'))
    assert found.GetGeoTransform() == image.GetGeoTransform() and found.RasterXSize == image.RasterXSize
    assert (tmp_path / 'package/report.html').exists()
    style = (tmp_path / 'map.qml').read_text()
    assert all(name in style for name in ('field', 'forest', 'water', 'road', 'building'))


def test_patches_from_polygons(scene, qgis_profile, tmp_path):
    values = {
        'IMAGE': scene / 'ms.tif',
        'POLYGONS': scene / 'polygons.gpkg',
        'CLASS_FIELD': 'class',
        'COUNT': 60,
        'PATCH_SIZE': 8,
        'extract:DATASET': tmp_path / 'dataset',
        'split:POINTS': tmp_path / 'points.gpkg',
        'statistics:STATISTICS': tmp_path / 'statistics.xml',
    }
    command = ['qgis_process.bin', 'run', 'quadrat:patches_from_polygons', '--']
    command += [f'{key}={value}' for key, value in values.items()]
    done = subprocess.run(command, env=qgis_profile, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = ElementTree.parse(tmp_path / 'statistics.xml').findall("Statistic[@name='samplesPerClass']/StatisticMap")
    available = {int(item.get('key')): int(item.get('value')) for item in counted}
    points = ogr.Open(str(tmp_path / 'points.gpkg'))
    classes = Counter(feature.GetField('class') for feature in points.GetLayer(0))
    assert classes == {value: min(60, count) for value, count in available.items()}
    manifest = json.loads((tmp_path / 'dataset/manifest.json').read_text())
    assert manifest['labels']['shape'] == [1, 1, 1] and {item['value'] for item in manifest['classes']} == set(classes)
    assert set(manifest['splits']) == {'train', 'validation', 'test'}
    truth = gdal.Open(str(scene / 'truth.tif')).ReadAsArray()
    labels = np.load(tmp_path / 'dataset/labels-00000.npy').ravel()
    with open(tmp_path / 'dataset/samples.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    west, pixel, _, north, _, _ = gdal.Open(str(scene / 'truth.tif')).GetGeoTransform()
    for row, label in zip(rows, labels):
        col, line = (float(row['x']) - west) // pixel, (north - float(row['y'])) // pixel
        assert truth[int(line), int(col)] == label
