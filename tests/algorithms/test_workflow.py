"""The Processing model that comes with Quadrat, from a label raster to a map, as qgis_process runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from osgeo import gdal

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
