"""What is known of a model from the first time is all that the second takes: TensorFlow is not loaded then."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from quadrat.engine.gdalio import open_raster

SERVE = """
import json, sys
from quadrat import engine
from quadrat.engine.events import Log, Warn
from quadrat.engine.jobs import ServeJob, SourceSpec

model, image, output, runtime = sys.argv[1:]
said = []
job = ServeJob(model, (SourceSpec((image,)),), output=output, runtime=runtime)
engine.run(job, on_event=lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
loaded = [name for name in ('tensorflow', 'keras', 'openvino') if name in sys.modules]
json.dump({'said': said, 'loaded': loaded}, sys.stdout)
"""


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """A SavedModel that nobody says anything of, and the Keras file of the same network."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3), name='image')
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding='same', activation='relu')(image))
    model = keras.Model(image, {'out': layers.UpSampling2D(2)(layers.Conv2D(2, 3, padding='same')(x))})
    folder = tmp_path_factory.mktemp('models')
    model.save(str(folder / 'model.keras'))
    model.export(str(folder / 'saved'), verbose=False)
    return {'saved': str(folder / 'saved'), 'keras': str(folder / 'model.keras')}


@pytest.mark.skipif(importlib.util.find_spec('openvino') is None, reason='OpenVINO is not installed')
@pytest.mark.parametrize('kind', ['saved', 'keras'])
def test_tensorflow_is_loaded_once_in_the_lifetime_of_a_model(models, make_image, tmp_path, kind):
    image = make_image(70, 90)
    environment = {**os.environ, 'QUADRAT_CACHE': str(tmp_path / 'cache')}
    reports, maps = [], []
    for number, runtime in enumerate(('openvino', 'auto')):
        output = str(tmp_path / f'{number}.tif')
        command = [sys.executable, '-c', SERVE, models[kind], image, output, runtime]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(done.stdout))
        dataset = open_raster(output)
        maps.append(np.frombuffer(dataset.ReadRaster(), 'float32'))
    first, second = reports
    assert {'tensorflow', 'openvino'} <= set(first['loaded'])
    assert any('converted for OpenVINO' in text for text in first['said'])
    assert any('measured' in text for text in first['said'])
    assert second['loaded'] == ['openvino']
    assert not any('converted for OpenVINO' in text for text in second['said'])
    assert np.ptp(maps[0]) > 0 and np.array_equal(*maps)
