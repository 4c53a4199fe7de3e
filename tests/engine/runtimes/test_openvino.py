"""OpenVINO gives what TensorFlow gives, remembers what it converted, and says why it does not run a model."""

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

if importlib.util.find_spec('openvino') is None:
    pytest.skip('OpenVINO is not installed', allow_module_level=True)

from quadrat.engine.errors import EngineMissing, InvalidJob, ModelError, OutOfMemory
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.networks.unet import build_unet
from quadrat.engine.runtimes.base import load

TOLERANCE = 1e-5  # relative to the largest value, as sums are rounded; absolute for those up to 1


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty cache: the folder of the converted models."""
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache/openvino'


@pytest.fixture(scope='module')
def unet(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = build_unet(4, 5, input_name='source1', mean=[500.0] * 4, stddev=[300.0] * 4, filters=4, depth=2)
    path = tmp_path_factory.mktemp('unet') / 'saved'
    model.export(str(path), verbose=False)
    return str(path)


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    inputs = keras.Input((None, None, 2), name='image')
    path = tmp_path_factory.mktemp('small') / 'model.keras'
    keras.Model(inputs, {'out': layers.Conv2D(3, 3, padding='same')(inputs)}).save(str(path))
    return str(path)


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    """A patch classifier on two inputs of whole numbers, whose outputs come in another order than their layers."""
    keras.utils.set_random_seed(1)
    fine, coarse = keras.Input((16, 16, 3), dtype='uint8', name='z'), keras.Input((4, 4, 2), dtype='int16', name='a')
    x = layers.MaxPooling2D(4)(layers.Conv2D(8, 3, padding='same')(layers.Rescaling(1 / 255)(fine)))
    x = layers.Concatenate()([x, layers.Rescaling(1e-3)(coarse)])
    features = layers.Dense(8, activation='relu')(layers.Flatten(name='flat')(x))
    outputs = {'probabilities': layers.Dense(3, activation='softmax')(features), 'features': features}
    path = tmp_path_factory.mktemp('classifier') / 'model.keras'
    keras.Model([fine, coarse], outputs).save(str(path))
    return str(path)


def feeds(runtime, rows, cols, batch=2):
    rng = np.random.default_rng(0)
    shapes = {
        name: (batch, info.shape[1] or rows, info.shape[2] or cols, info.shape[3])
        for name, info in runtime.inputs.items()
    }
    return {name: rng.random(shape) * 255 for name, shape in shapes.items()}


def listen():
    heard = []
    return Reporter(heard.append), lambda: [event.text for event in heard if isinstance(event, (Log, Warn))]


def test_what_tensorflow_gives(unet, classifier, kept):
    for path in (unet, classifier):
        reference, runtime = load('tensorflow', path), load('openvino', path)
        assert runtime.name.startswith('openvino ')
        assert (runtime.inputs, runtime.outputs) == (reference.inputs, reference.outputs)
        # Odd sizes are what a U-Net cannot take; several, as models are made ready for each.
        for rows, cols in ((64, 64), (32, 96), (12, 4)):
            expected = reference.run(feeds(reference, rows, cols))
            found = runtime.run(feeds(runtime, rows, cols))
            for name, values in expected.items():
                assert found[name].shape == values.shape and found[name].dtype == values.dtype
                assert np.abs(found[name] - values).max() <= TOLERANCE * max(1.0, np.abs(values).max())
    size = {'source1': (128, 256)}
    estimate = load('tensorflow', unet).window_bytes(size)
    assert estimate <= load('openvino', unet).window_bytes(size) <= 2 * estimate


def test_only_what_is_asked_for_and_what_lies_inside(classifier, kept):
    runtime = load('openvino', classifier, ('features', 'flat'))
    assert list(runtime.outputs) == ['features', 'flat']
    expected = load('tensorflow', classifier, ('features', 'flat')).run(feeds(runtime, 0, 0))
    for name, values in runtime.run(feeds(runtime, 0, 0)).items():
        assert np.abs(values - expected[name]).max() <= TOLERANCE * max(1.0, np.abs(expected[name]).max())
    with pytest.raises(ModelError, match="no output 'feature'; did you mean 'features'"):
        load('openvino', classifier, ('feature',))


def test_tensorflow_is_loaded_once_in_a_lifetime(unet, kept, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    (tmp_path / 'home').mkdir()
    code = (
        'import sys, numpy as np\n'
        'from quadrat.engine.events import Reporter\n'
        'from quadrat.engine.runtimes.base import load\n'
        'runtime = load("auto", sys.argv[1], reporter=Reporter(print))\n'
        'print(runtime.run({"source1": np.full((1, 32, 32, 4), 700.0)})["probabilities"].sum())\n'
        'print(runtime.name.split()[0], "tensorflow" in sys.modules, "keras" in sys.modules)\n'
    )
    first, second = (
        subprocess.run([sys.executable, '-c', code, unet], capture_output=True, text=True, check=True).stdout.split(
            '\n'
        )
        for _ in range(2)
    )
    assert first[-2] == 'openvino True True' or first[-2] == 'openvino True False'
    assert second[-2] == 'openvino False False' and second[-3] == first[-3]
    assert any('converted for OpenVINO; it differs' in line for line in first)
    assert not any('convert' in line for line in second)
    assert len(os.listdir(kept)) == 1
    assert 'intel' not in os.listdir(tmp_path / 'home')  # where OpenVINO would count its uses, to report them


def test_damage_is_made_good(small, kept):
    load('openvino', small)
    (place,) = kept.iterdir()
    for name in ('about.json', 'model.xml', 'model.bin'):
        whole = (place / name).read_bytes()
        (place / name).write_bytes(whole[: len(whole) // 2])
        reporter, said = listen()
        load('openvino', small, reporter=reporter)
        assert any('damaged' in text for text in said()) and (place / name).stat().st_size > len(whole) // 2
    bits = bytearray((place / 'model.bin').read_bytes())
    bits[100] ^= 1
    (place / 'model.bin').write_bytes(bits)
    reporter, said = listen()
    load('openvino', small, reporter=reporter)
    assert any('model.bin has changed' in text for text in said())
    reporter, said = listen()
    load('openvino', small, reporter=reporter)
    assert not said()


def test_where_nothing_can_be_kept(small, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'file'))
    reporter, said = listen()
    runtime = load('openvino', small, reporter=reporter)
    assert any('cannot be kept' in text for text in said())
    assert runtime.run(feeds(runtime, 8, 8))['out'].shape == (2, 8, 8, 3)


def test_what_openvino_cannot_do_tensorflow_does(tensorflow1, kept, tmp_path, unet):
    def looked_up(tf):
        v1 = tf.compat.v1
        x = v1.placeholder(tf.int64, [None, None, None, 1], 'x')
        initial = v1.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant([10.0, 20.0]))
        return {'x': x}, {'y': tf.identity(v1.lookup.StaticHashTable(initial, -1.0).lookup(x), 'y')}

    path = tensorflow1(tmp_path / 'm', looked_up)
    for _ in range(2):  # the second time from what is kept
        reporter, said = listen()
        runtime = load('auto', path, reporter=reporter)
        assert runtime.name.startswith('tensorflow') and not runtime.graph.frozen
        assert any(text.startswith('TensorFlow runs the model, not OpenVINO') and 'table' in text for text in said())
        with pytest.raises(ModelError, match='cannot be converted for OpenVINO: it looks values up in a table'):
            load('openvino', path)
    with pytest.raises(InvalidJob, match='processor only, not on gpu:0'):
        load('openvino', unet, device='gpu:0')


def test_another_result_is_not_taken(small, kept, monkeypatch):
    from quadrat.engine.runtimes import conversion

    monkeypatch.setattr(conversion, 'TOLERANCE', -1.0)
    monkeypatch.setattr(conversion.np, 'finfo', lambda dtype: type('None_', (), {'eps': -1.0}))
    reporter, said = listen()
    assert load('auto', small, reporter=reporter).name.startswith('tensorflow')
    assert any('the output out differs from TensorFlow by' in text for text in said())
    (place,) = kept.iterdir()
    assert os.listdir(place) == ['about.json'] and json.loads((place / 'about.json').read_text())['refused']


def test_without_openvino(small, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'openvino' else find(name))
    reporter, said = listen()
    assert load('auto', small, reporter=reporter).name.startswith('tensorflow')
    assert any('OpenVINO is not installed' in text for text in said())
    with pytest.raises(EngineMissing, match='use RUNTIME tensorflow'):
        load('openvino', small)


def test_a_gpu_is_tensorflows(small, monkeypatch):
    from quadrat.engine.runtimes import choice

    monkeypatch.setattr(choice, '_has_gpu', lambda: True)
    assert load('auto', small).name.startswith('tensorflow')
    assert load('auto', small, device='cpu').name.startswith('openvino')


def test_constants(tensorflow1, kept, tmp_path):
    def scaled(tf):
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float32, [None, None, None, 2], 'x')
        gain = v1.placeholder_with_default(1.0, [], 'gain')
        offsets = v1.placeholder(tf.float32, [None], 'offsets')
        return {'x': x, 'offsets': offsets}, {'y': tf.identity(x * gain + offsets, 'y')}

    path = tensorflow1(tmp_path / 'm', scaled)
    for gain in ('2', '-3'):
        runtime = load('openvino', path, constants={'gain': gain, 'offsets:0': '(1, 5)'})
        assert list(runtime.inputs) == ['x']
        assert runtime.run({'x': np.ones((1, 1, 1, 2))})['y'].ravel().tolist() == [1.0 + int(gain), 5.0 + int(gain)]
    assert len(os.listdir(kept)) == 1  # converted for any values
    with pytest.raises(InvalidJob, match='gain=x'):
        load('openvino', path, constants={'gain': 'x', 'offsets': '(1, 2)'})


def test_names_that_only_signatures_can_have(kept, tmp_path):
    import tensorflow as tf

    class Scaled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None] * 3 + [2], name='in-1'), tf.TensorSpec([], name='2gain')])
        def __call__(self, x, gain):
            return {'b-c': x * gain, '1 a': x + gain}

    module = Scaled()
    path = str(tmp_path / 'm')
    tf.saved_model.save(module, path, signatures={'my-own': module.__call__.get_concrete_function()})
    for name in ('tensorflow', 'openvino'):
        runtime = load(name, path, constants={'2gain': '3'})
        assert list(runtime.inputs) == ['in-1'] and list(runtime.outputs) == ['1 a', 'b-c']
        found = runtime.run({'in-1': np.ones((1, 1, 1, 2))})
        assert found['1 a'].max() == 4 and found['b-c'].max() == 3


def test_errors_are_one_line(unet, kept, monkeypatch):
    runtime = load('openvino', unet, threads=1)
    with pytest.raises(ModelError, match=r'cannot be run on source1 \(1, 9, 9, 4\)') as caught:
        runtime.run({'source1': np.zeros((1, 9, 9, 4), np.float32)})
    assert '\n' not in str(caught.value)
    monkeypatch.setattr(runtime, '_for_shapes', lambda shapes: (_ for _ in ()).throw(RuntimeError('std::bad_alloc')))
    with pytest.raises(OutOfMemory, match=r'1 x 8 x 8 x 4 values.*smaller TILE_SIZE'):
        runtime.run({'source1': np.zeros((1, 8, 8, 4), np.float32)})


def test_bfloat16_says_what_it_changes(unet, kept):
    reporter, said = listen()
    runtime = load('openvino', unet, precision='bfloat16', reporter=reporter)
    text = ' '.join(said())
    exact = load('openvino', unet).run(feeds(runtime, 64, 64))['probabilities']
    difference = np.abs(runtime.run(feeds(runtime, 64, 64))['probabilities'] - exact).max()
    if 'no bfloat16' in text:
        assert difference == 0
    else:
        assert 'differ from those in float32 by up to' in text and 0 < difference < 0.1


@pytest.mark.baseline
def test_the_peers_models(shared, kept):
    for number in (1, 2, 3, 4, 5):
        path = str(shared / f'data/otbtf-suite/models/model{number}')
        reference, runtime = load('tensorflow', path), load('auto', path)
        assert runtime.name.startswith('openvino') and list(runtime.inputs) == list(reference.inputs)
        arrays = {
            name: np.random.default_rng(0).random((2, *([192] * 2 if name == 'x2' else [48] * 2), info.shape[3] or 1))
            for name, info in runtime.inputs.items()
        }
        expected = reference.run(arrays)
        for name, values in runtime.run(arrays).items():
            assert np.abs(values - expected[name]).max() <= TOLERANCE * max(1.0, np.abs(expected[name]).max())
