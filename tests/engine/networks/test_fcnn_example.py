"""The example of the Python interface, run as a user runs it; its model maps an image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from osgeo import gdal

from quadrat import engine
from quadrat.engine.jobs import ServeJob, SourceSpec

SCRIPT = Path(__file__).parents[3] / 'docs' / 'examples' / 'fcnn.py'


def run(*arguments) -> dict[str, float]:
    """Run the script; the figures that it prints at the end."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {key: float(value) for key, value in (line.split(': ') for line in done.stdout.splitlines()[-3:])}


@pytest.mark.baseline
def test_patches_to_a_map(shared, tmp_path):
    data = shared / 'data' / 'otbtf-suite' / 'data'
    images = [
        argument
        for name, zone in (('train', 'A'), ('valid', 'B'))
        for argument in (
            f'--{name}-images', data / f'amsterdam_patches_{zone}.tif',
            f'--{name}-labels', data / f'amsterdam_labels_{zone}.tif',
        )
    ]  # fmt: skip
    model, records = tmp_path / 'model', tmp_path / 'records'
    options = ('--epochs', 2, '--learning-rate', 0.001, '--seed', 1, '--model', model)
    figures = [run(*images, *options), run(*images, '--tfrecords', records, *options)]
    assert sorted(os.listdir(records)) == ['train', 'valid']
    for loss, precision, recall in (each.values() for each in figures):
        assert 0 < loss < 0.69 and 0 <= precision <= 1 and 0 <= recall <= 1

    source, output = str(data / 'fake_spot6.jp2'), str(tmp_path / 'map.tif')
    engine.run(
        ServeJob(
            model=str(model),
            sources=(SourceSpec((source,), receptive_field=(128, 128)),),
            output=output,
            mode='otbtf-fullyconv',
            expression_field=(64, 64),
            output_names=('classes_crop32',),
        )
    )
    values = gdal.Open(output).ReadAsArray()
    assert values.shape == (2, 960, 960)
    np.testing.assert_allclose(values.sum(0), 1, atol=1e-5)
    # A tile of 64 pixels is the middle of what the network makes of 128.
    window = gdal.Open(source).ReadAsArray(64, 192, 128, 128).astype('float32').transpose(1, 2, 0)
    signature = tf.saved_model.load(str(model)).signatures['serving_default']
    tile = signature(image=tf.constant(window[None]))['softmax_crop32'][0].numpy()
    np.testing.assert_allclose(values[:, 192:256, 64:128], tile.transpose(2, 0, 1), atol=1e-5)
