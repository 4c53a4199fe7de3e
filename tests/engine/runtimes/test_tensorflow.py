"""Models of any kind through TensorFlow: names, values, constants, and errors in one line."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from quadrat.engine.errors import InvalidJob, ModelError, OutOfMemory
from quadrat.engine.events import Log, Reporter
from quadrat.engine.runtimes.base import load


@pytest.fixture(scope='module')
def savedmodel(tmp_path_factory):
    """Two outputs whose order in the signature is not that of their names' first use, and a batch normalisation."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3), name='image')
    x = layers.Conv2D(8, 3, padding='same', use_bias=False, name='first_layer')(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2DTranspose(8, 2, 2, name='deep')(x)
    outputs = {
        'second': layers.Conv2D(2, 1, activation='softmax')(x),
        'first': layers.Conv2D(5, 1)(layers.Concatenate()([x, inputs])),
    }
    model = keras.Model(inputs, outputs)
    path = tmp_path_factory.mktemp('model')
    model.export(str(path / 'saved'), verbose=False)
    model.save(str(path / 'model.keras'))
    return str(path / 'saved'), model, str(path / 'model.keras')


def pixels(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def controlled(tf):
    """Control flow of TensorFlow 1, a placeholder with a default that is not in the signature, and tables if wanted."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, None, None, 1], 'x')
    doubled = v1.placeholder_with_default(False, [], 'doubled')
    weights = v1.get_variable('weights', initializer=tf.ones([3, 3, 1, 1]))
    y = tf.nn.conv2d(x, weights, 1, 'SAME', name='inner')
    y = v1.cond(doubled, lambda: 2 * y, lambda: y)
    y = v1.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a + 1), [0, y])[1]
    return {'x': x}, {'y': tf.identity(y, 'y')}


def looked_up(tf):
    v1 = tf.compat.v1
    x = v1.placeholder(tf.int32, [None, None, None, 1], 'x')
    initial = v1.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant([10.0, 20.0]))
    table = v1.lookup.StaticHashTable(initial, -1.0)
    weight = v1.get_variable('weight', initializer=3.0)
    return {'x': x}, {'y': tf.identity(table.lookup(tf.cast(x, tf.int64)) * weight, 'y')}


def test_values_are_those_of_the_model(savedmodel):
    path, model, file = savedmodel
    expected = model(pixels(2, 64, 32, 3))
    for place in (path, file):
        runtime = load('tensorflow', place)
        assert runtime.name.startswith('tensorflow ') and list(runtime.inputs) == ['image']
        assert runtime.inputs['image'].shape == (None, None, None, 3) and runtime.inputs['image'].dtype == np.float32
        found = runtime.run({'image': pixels(2, 64, 32, 3)})
        assert list(found) == list(runtime.outputs) == ['first', 'second']
        for name, values in found.items():
            assert runtime.outputs[name].shape[3] == values.shape[3]
            assert np.abs(values - expected[name].numpy()).max() <= 1e-6
        assert runtime.graph.parameters == model.count_params()


def test_only_outputs_asked_for_are_computed(savedmodel):
    runtime = load('tensorflow', savedmodel[0], ('second',))
    assert set(runtime.run({'image': np.zeros((1, 8, 8, 3), np.float32)})) == {'second'}


def test_layers_and_tensors_inside(savedmodel):
    path, model, file = savedmodel
    wanted = keras.Model(model.inputs, model.get_layer('deep').output)
    expected = wanted([pixels(1, 8, 8, 3)]).numpy()
    for place, options in ((file, {}), (path, {'keras': file})):
        found = load('tensorflow', place, ('deep', 'second'), **options).run({'image': pixels(1, 8, 8, 3)})
        assert np.abs(found['deep'] - expected).max() <= 1e-6 and found['second'].shape == (1, 8, 8, 2)
    with pytest.raises(ModelError, match=r"no output 'deep'; did you mean '.*/deep_.*/BiasAdd'") as caught:
        load('tensorflow', path, ('deep',))
    inside = str(caught.value).split("'")[3]
    assert load('tensorflow', path, (inside,)).run({'image': pixels(1, 8, 8, 3)})[inside].shape[:3] == (1, 8, 8)


def test_memory_is_told_by_the_graph_alone(savedmodel):
    everything, one = load('tensorflow', savedmodel[0]), load('tensorflow', savedmodel[0], ('second',))
    size, count = {'image': (512, 512)}, 512 * 512
    assert everything.window_bytes(size) == load('tensorflow', savedmodel[0]).window_bytes(size)
    # A tensor of 8 float32 channels and its successor live together, at least.
    assert 64 * count <= one.window_bytes(size) <= everything.window_bytes(size) <= 1000 * count
    with pytest.raises(ModelError, match='image 9 x 8 pixels'):
        everything.window_bytes({'image': (8, 9)})


def test_errors_are_one_line_that_says_what(savedmodel, tmp_path):
    with pytest.raises(ModelError, match=r"no output 'frist'; did you mean 'first'.* It has first, second"):
        load('tensorflow', savedmodel[0], ('frist',))
    with pytest.raises(ModelError, match="no input 'imag'; did you mean 'image'"):
        load('tensorflow', savedmodel[0], inputs=('imag',))
    with pytest.raises(ModelError, match='not a SavedModel'):
        load('tensorflow', str(tmp_path))
    with pytest.raises(InvalidJob, match='known are auto, tensorflow'):
        load('torch', savedmodel[0])
    with pytest.raises(InvalidJob, match='known are float32, bfloat16'):
        load('tensorflow', savedmodel[0], precision='int8')
    with pytest.raises(InvalidJob, match=r"Device 'gpu': .*it sees cpu:0"):
        load('tensorflow', savedmodel[0], device='gpu')
    runtime = load('tensorflow', savedmodel[0], device='cpu')
    with pytest.raises(ModelError, match='Dimension'):
        runtime.run({'image': np.zeros((1, 9, 9, 3), np.float32)})
    with pytest.raises(ModelError, match='also takes image; it is fed pixels'):
        runtime.run({'pixels': np.zeros((1, 8, 8, 3), np.float32)})


def test_no_memory_says_what_to_do(savedmodel, monkeypatch):
    runtime = load('tensorflow', savedmodel[0])

    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')

    monkeypatch.setattr(runtime, 'graph', dataclasses.replace(runtime.graph, function=full))
    with pytest.raises(OutOfMemory, match=r'1 x 8 x 8 x 3 values.*smaller TILE_SIZE'):
        runtime.run({'image': np.zeros((1, 8, 8, 3), np.float32)})


def test_graphs_of_tensorflow_1(tensorflow1, tmp_path):
    path = tensorflow1(tmp_path / 'm', controlled)
    image = np.ones((1, 5, 5, 1))
    plain = load('tensorflow', path)
    assert plain.graph.frozen and list(plain.inputs) == ['x']
    assert plain.run({'x': image})['y'][0, 2, 2, 0] == 9 + 3
    doubled = load('tensorflow', path, ('y:0',), constants={'doubled': 'true'})
    assert doubled.run({'x': image})['y:0'][0, 2, 2, 0] == 18 + 3
    inner = load('tensorflow', path, ('inner',)).run({'x': image})['inner']
    assert inner[0, 2, 2, 0] == 9
    fed = load('tensorflow', path, ('y',), inputs=('inner:0',))
    assert list(fed.inputs) == ['inner:0'] and fed.run({'inner:0': image})['y'].min() == 1 + 3
    with pytest.raises(ModelError, match="no placeholder 'doubld'; did you mean 'doubled'"):
        load('tensorflow', path, constants={'doubld': 'true'})
    with pytest.raises(InvalidJob, match=r'doubled=maybe.*neither true nor false'):
        load('tensorflow', path, constants={'doubled': 'maybe'})


def test_what_cannot_be_frozen_runs_as_it_is(tensorflow1, tmp_path):
    heard = []
    runtime = load('tensorflow', tensorflow1(tmp_path / 'm', looked_up), reporter=Reporter(heard.append))
    assert not runtime.graph.frozen and any('in a table' in event.text for event in heard if isinstance(event, Log))
    values = runtime.run({'x': np.array([0, 1, 2]).reshape(1, 1, 3, 1)})['y']
    assert values.ravel().tolist() == [30.0, 60.0, -3.0] and runtime.window_bytes({'x': (64, 64)}) > 64 * 64 * 4


def test_inputs_without_images(tensorflow1, tmp_path):
    def scaled(tf):
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float64, [None, None, None, 2], 'x')
        weights = v1.placeholder(tf.float64, [None], 'weights')
        hidden = v1.placeholder(tf.float64, [], 'hidden')
        label = v1.placeholder(tf.int32, [None], 'label')
        return {'x': x, 'weights': weights, 'label': label}, {'y': tf.identity(x * weights + hidden, 'y')}

    path = tensorflow1(tmp_path / 'm', scaled)
    with pytest.raises(ModelError, match='also depend on hidden; give a value with USER_PLACEHOLDERS'):
        load('tensorflow', path)
    with pytest.raises(ModelError, match=r'the input weights wants a vector .float64.*weights=value'):
        load('tensorflow', path, constants={'hidden': '1'})
    runtime = load('tensorflow', path, constants={'hidden': '1', 'weights:0': '(2, 3)', 'label': '(1)'})
    assert list(runtime.inputs) == ['x'] and runtime.inputs['x'].dtype == np.float64
    assert runtime.run({'x': np.ones((1, 1, 1, 2))})['y'].ravel().tolist() == [3.0, 4.0]


@pytest.mark.parametrize('dtype', ['uint8', 'int8', 'int16', 'uint16', 'int32', 'int64', 'float16', 'float64', 'bool'])
def test_inputs_of_any_type(dtype, tmp_path):
    inputs = keras.Input((None, None, 1), dtype=dtype, name='x')
    keras.Model(inputs, keras.ops.cast(inputs, 'float32')).save(str(tmp_path / 'm.keras'))
    runtime = load('tensorflow', str(tmp_path / 'm.keras'))
    values = np.array([-6e4, -2.7, 0.0, 1.0, 3.9, 6e4], np.float32)
    (found,) = runtime.run({'x': values.reshape(1, 1, -1, 1)}).values()
    kind = np.dtype(dtype)
    if kind.kind in 'iu':  # fractions are cut off, and what is too large becomes the largest
        limits = np.iinfo(kind)
        values = np.trunc(values).clip(limits.min, limits.max)
    assert np.array_equal(found.ravel(), values.astype(kind).astype(np.float32))


def test_several_inputs_of_which_not_all_are_needed(tmp_path):
    b, a = keras.Input((None, None, 1), name='b'), keras.Input((None, None, 2), name='a')
    model = keras.Model([b, a], {'sum': layers.Add()([b, layers.Conv2D(1, 1)(a)]), 'only_b': layers.Rescaling(2.0)(b)})
    model.export(str(tmp_path / 'm'), verbose=False)
    model.save(str(tmp_path / 'm.keras'))
    for path in (str(tmp_path / 'm'), str(tmp_path / 'm.keras')):
        assert list(load('tensorflow', path).inputs) == ['a', 'b']
        runtime = load('tensorflow', path, ('only_b',))
        assert list(runtime.inputs) == ['b'] and runtime.run({'b': np.ones((1, 2, 2, 1))})['only_b'].max() == 2
        assert list(load('tensorflow', path, inputs=('b', 'a:0')).inputs) == ['a:0', 'b']
        found = load('tensorflow', path).run({'a': pixels(1, 2, 2, 2), 'b': pixels(1, 2, 2, 1)})
        assert np.allclose(found['sum'], model([pixels(1, 2, 2, 1), pixels(1, 2, 2, 2)])['sum'], atol=1e-6)


def test_outputs_that_are_no_images(tmp_path, tensorflow1):
    def build(tf):
        x = tf.compat.v1.placeholder(tf.float32, [None, None, None, 1], 'x')
        five, text = tf.identity(x[None], 'five'), tf.strings.as_string(x, name='text')
        return {'x': x}, {
            'five': five,
            'text': text,
            'y': tf.identity(x, 'y'),
            'loose': tf.reshape(x, [-1, 1, 1, 1, 1]),
        }

    path = tensorflow1(tmp_path / 'm', build)
    assert list(load('tensorflow', path).outputs) == ['y']
    for name in ('five', 'loose'):
        with pytest.raises(ModelError, match=f'{name} has 5 axes'):
            load('tensorflow', path, (name,))
    with pytest.raises(ModelError, match='text is string, not numbers'):
        load('tensorflow', path, ('text',))


def test_code_in_a_keras_file_is_not_run(tmp_path):
    inputs = keras.Input((None, None, 1))
    keras.Model(inputs, layers.Lambda(lambda x: x + 1)(inputs)).save(str(tmp_path / 'm.keras'))
    with pytest.raises(ModelError, match=r'Lambda layer.*not run') as caught:
        load('tensorflow', str(tmp_path / 'm.keras'))
    assert '\n' not in str(caught.value)
    (tmp_path / 'n.keras').write_bytes(b'PK')
    with pytest.raises(ModelError, match='not a Keras 3 model file'):
        load('tensorflow', str(tmp_path / 'n.keras'))


def test_layers_that_want_to_know_sizes(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 2), name='image')
    model = keras.Model(inputs, {'out': layers.UpSampling2D(2, interpolation='bilinear')(layers.Conv2D(3, 3)(inputs))})
    model.save(str(tmp_path / 'm.keras'))
    runtime = load('tensorflow', str(tmp_path / 'm.keras'))
    assert not runtime.graph.frozen and runtime.outputs['out'].shape == (None, None, None, 3)
    for rows, cols in ((8, 8), (5, 9)):
        image = pixels(2, rows, cols, 2)
        assert np.abs(runtime.run({'image': image})['out'] - model(image)['out']).max() <= 1e-6
    assert runtime.window_bytes({'image': (64, 64)}) >= 64 * 64 * 4 * 3 * 4


def test_shorter_numbers_say_what_they_change(savedmodel):
    heard = []
    runtime = load('tensorflow', savedmodel[0], ('first',), precision='bfloat16', reporter=Reporter(heard.append))
    said = [event.text for event in heard if isinstance(event, Log) and 'bfloat16 the outputs differ' in event.text]
    assert len(said) == 1 and 'by up to' in said[0]
    exact = load('tensorflow', savedmodel[0], ('first',)).run({'image': pixels(1, 64, 64, 3)})['first']
    found = runtime.run({'image': pixels(1, 64, 64, 3)})['first']
    assert np.abs(found - exact).max() <= 0.05 * np.abs(exact).max()


@pytest.mark.baseline
def test_the_peers_models(shared):
    models = shared / 'data/otbtf-suite/models'
    infos = {}
    for number, side, inputs in ((1, 16, 'x'), (2, 8, 'x1 x2'), (3, 16, 'x'), (4, 64, 'x'), (5, 4, 'x')):
        runtime = load('tensorflow', str(models / f'model{number}'))
        assert list(runtime.inputs) == inputs.split()  # and not y, the labels of the training
        feeds = {}
        for name, info in runtime.inputs.items():
            length = side * 4 if name == 'x2' else side
            feeds[name] = pixels(3, length, length, info.shape[3] or 1)
        infos[number] = {name: values.shape for name, values in runtime.run(feeds).items()}
    assert infos == {
        1: {'features': (3, 32), 'prediction': (3,)},
        2: {'features': (3, 128), 'prediction': (3,)},
        3: {'features': (3, 32), 'prediction': (3,)},
        4: {'prediction': (3, 64, 64, 1), 'prediction_fcn': (3, 32, 32, 1)},
        5: {'tf.reshape': (48,), 'tf.reshape_1': (48, 1), 'tf.reshape_2': (3, 4, 4), 'tf.reshape_3': (3, 4, 4, 1)},
    }


@pytest.mark.baseline
def test_the_peers_maps(shared):
    """Patches of the image through the first and the third model give the maps that the peer made of it."""
    from quadrat.engine.gdalio import gdal, open_raster

    def image(name):
        dataset = open_raster(str(shared / 'data/otbtf-suite/data' / name))
        array = np.empty((dataset.RasterCount, dataset.RasterYSize, dataset.RasterXSize), np.float32)
        dataset.ReadRaster(buf_type=gdal.GDT_Float32, buf_obj=array)
        return array.transpose(1, 2, 0)

    source = image('pxs_subset.tif')
    windows = np.lib.stride_tricks.sliding_window_view(source, (16, 16), (0, 1)).transpose(0, 1, 3, 4, 2)
    for number, name, different in ((1, 'CNN16x16PB', 1), (3, 'FCNN16x16PB', 0)):
        runtime = load('tensorflow', str(shared / f'data/otbtf-suite/models/model{number}'), ('prediction',))
        rows = [runtime.run({'x': row})['prediction'] for row in windows[::16]]
        expected = image(f'apTvClTensorflowModelServe{name}.tif')[::16, :, 0]
        # One pixel of the whole map lies on the edge between two classes.
        assert np.count_nonzero(np.stack(rows) != expected) <= different
