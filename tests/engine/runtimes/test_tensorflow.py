"""SavedModels through TensorFlow: names, values, and errors in one line."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from quadrat.engine.errors import InvalidJob, ModelError, OutOfMemory
from quadrat.engine.runtimes.base import load


@pytest.fixture(scope='module')
def savedmodel(tmp_path_factory):
    """Two outputs whose order in the signature is not that of their names' first use, and a batch normalisation."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3), name='image')
    x = keras.layers.Conv2D(8, 3, padding='same', use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Conv2DTranspose(8, 2, 2)(x)
    outputs = {
        'second': keras.layers.Conv2D(2, 1, activation='softmax')(x),
        'first': keras.layers.Conv2D(5, 1)(keras.layers.Concatenate()([x, inputs])),
    }
    model = keras.Model(inputs, outputs)
    path = str(tmp_path_factory.mktemp('model') / 'saved')
    model.export(path, verbose=False)
    return path, model


def test_values_are_those_of_the_model(savedmodel):
    path, model = savedmodel
    pixels = np.random.default_rng(0).random((2, 64, 32, 3), np.float32)
    expected = model(pixels)
    runtime = load('auto', path)
    assert runtime.name.startswith('tensorflow ') and list(runtime.inputs) == ['image']
    assert runtime.inputs['image'].shape == (None, None, None, 3) and runtime.inputs['image'].dtype == np.float32
    found = runtime.run({'image': pixels})
    assert set(found) == set(runtime.outputs) == {'first', 'second'}
    for name, values in found.items():
        assert runtime.outputs[name].shape[3] == values.shape[3]
        assert np.abs(values - expected[name].numpy()).max() <= 1e-6


def test_only_outputs_asked_for_are_computed(savedmodel):
    runtime = load('tensorflow', savedmodel[0], ('second',))
    assert set(runtime.run({'image': np.zeros((1, 8, 8, 3), np.float32)})) == {'second'}


def test_memory_is_told_by_the_graph_alone(savedmodel):
    everything, one = load('auto', savedmodel[0]), load('auto', savedmodel[0], ('second',))
    size, pixels = {'image': (512, 512)}, 512 * 512
    assert everything.window_bytes(size) == load('auto', savedmodel[0]).window_bytes(size)
    # A tensor of 8 float32 channels and its successor live together, at least.
    assert 64 * pixels <= one.window_bytes(size) <= everything.window_bytes(size) <= 1000 * pixels


def test_errors_are_one_line_that_says_what(savedmodel, tmp_path):
    with pytest.raises(ModelError, match='no output'):
        load('auto', savedmodel[0], ('third',))
    with pytest.raises(ModelError, match='not a SavedModel'):
        load('auto', str(tmp_path))
    with pytest.raises(InvalidJob, match='known are auto, tensorflow'):
        load('torch', savedmodel[0])
    with pytest.raises(ModelError, match='Dimension'):
        load('auto', savedmodel[0]).run({'image': np.zeros((1, 9, 9, 3), np.float32)})


def test_no_memory_says_what_to_do(savedmodel, monkeypatch):
    runtime = load('auto', savedmodel[0])

    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')

    monkeypatch.setattr(runtime, '_graph', full)
    with pytest.raises(OutOfMemory, match=r'1 x 8 x 8 x 3 values.*smaller TILE_SIZE'):
        runtime.run({'image': np.zeros((1, 8, 8, 3), np.float32)})
