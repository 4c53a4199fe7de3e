"""Networks as classes: made with TensorFlow's functions, trained on their targets, saved with everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from quadrat.engine import BaseModel, ModelBase, cropped_tensor_name, is_chief
from quadrat.engine.errors import EngineError, EngineMissing, InvalidJob, ModelError, OutputRefused
from quadrat.engine.networks.tensorflowcalls import TensorFlowCall, tensorflow_calls

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 1000, (20, 16, 16, 3)).astype('int16')
CLASSES = np.eye(2, dtype='float32')[(IMAGES[..., 0] > 500).astype(int)]
HEIGHTS = IMAGES.mean(-1, keepdims=True, dtype='float32') / 1000


class Small(ModelBase):
    """One convolution to classes, in the manner of users' networks."""

    def normalize_inputs(self, inputs):
        return {'image': tf.cast(inputs['image'], tf.float32) * 0.001}

    def get_outputs(self, normalized_inputs):
        x = tf.keras.layers.Conv2D(4, 3, padding='same', activation='relu')(normalized_inputs['image'])
        x = x + tf.nn.relu(x)
        return {'classes': tf.keras.layers.Conv2D(2, 1, activation='softmax', name='softmax')(x)}


class Two(Small):
    """With a second output that is trained, and one that is not."""

    def get_outputs(self, normalized_inputs):
        outputs = super().get_outputs(normalized_inputs)
        height = tf.keras.layers.Conv2D(1, 3, padding='same', name='metres')(normalized_inputs['image'])
        return {**outputs, 'height': height, 'sure': tf.reduce_max(outputs['classes'], axis=-1, keepdims=True)}


def batches(targets, inputs=None, size=8):
    return tf.data.Dataset.from_tensor_slices((inputs or {'image': IMAGES}, targets)).batch(size)


def made(kind=Small, targets=('classes',), **options):
    keras.utils.set_random_seed(1)
    available = {'classes': CLASSES, 'height': HEIGHTS}
    dataset = batches({name: available[name] for name in targets})
    return kind(dataset.element_spec, **options), dataset


# -- the network -------------------------------------------------------------------------------------------------------


def test_inputs_and_outputs_have_their_names():
    model, _ = made(Two)
    assert BaseModel is ModelBase
    assert model.inputs_shapes == {'image': (16, 16, 3)}
    assert {name: tensor.shape for name, tensor in model.model.input.items()} == {'image': (None, None, None, 3)}
    crops = (16, 32, 64, 96, 128)
    names = ('classes', 'height', 'sure')
    assert set(model.model.output) == {*names, *(cropped_tensor_name(name, crop) for name in names for crop in crops)}
    assert model.name == 'Two'
    assert model.get_layer('softmax_crop32').output is model.model.output['classes_crop32']
    few, _ = made(inference_cropping=[3])
    assert set(few.output) == {'classes', 'classes_crop3'}
    assert set(made(inference_cropping=[])[0].output) == {'classes', *(f'classes_crop{crop}' for crop in crops)}


def test_values_of_patches_have_no_crops():
    class Patch(Small):
        def get_outputs(self, normalized_inputs):
            mean = keras.layers.GlobalAveragePooling2D()(normalized_inputs['image'])
            return {'label': keras.layers.Dense(2)(mean), 'raw': mean}

    assert set(made(Patch)[0].output) == {'label', 'raw'}


def test_without_normalisation_of_its_own_it_warns():
    class Raw(ModelBase):
        def get_outputs(self, normalized_inputs):
            return {'sum': keras.ops.sum(normalized_inputs['image'], axis=-1, keepdims=True)}

    with pytest.warns(UserWarning, match='Raw has no normalize_inputs'):
        model, dataset = made(Raw)
    np.testing.assert_array_equal(model.predict(dataset, verbose=0)['sum'], IMAGES.sum(-1, keepdims=True))


def test_further_outputs_can_be_replaced():
    class Named(Small):
        def postprocess_outputs(self, outputs, inputs=None, normalized_inputs=None):
            assert set(inputs) == set(normalized_inputs) == {'image'}
            return {'number': tf.argmax(outputs['classes'], axis=-1)}

    model, dataset = made(Named)
    values = model.predict(dataset, verbose=0)
    assert set(values) == {'classes', 'number'}
    np.testing.assert_array_equal(values['number'], values['classes'].argmax(-1))


def test_inputs_are_taken_by_name_from_batches_that_hold_more():
    inputs = {'aside': np.zeros((20, 16, 16, 3), 'float32'), 'image': IMAGES, 'site': np.full(20, 'É')}
    dataset = batches({'classes': CLASSES}, inputs)
    keras.utils.set_random_seed(1)
    model = Small(dataset.element_spec, input_keys=['image'])
    expected = model.predict(batches({'classes': CLASSES}), verbose=0)['classes']
    assert np.ptp(expected) > 0.01
    np.testing.assert_array_equal(model.predict(dataset, verbose=0)['classes'], expected)


class Nothing(Small):
    def get_outputs(self, normalized_inputs):
        return [normalized_inputs['image']]


class Blank(Small):
    def get_outputs(self, normalized_inputs):
        return {'two words': normalized_inputs['image']}


class Variable(Small):
    def get_outputs(self, normalized_inputs):
        return {'classes': tf.nn.bias_add(normalized_inputs['image'], tf.Variable([1.0, 2.0, 3.0]))}


SPEC = ({'image': tf.TensorSpec((None, 8, 8, 3)), 'site': tf.TensorSpec((None,), tf.string)}, {})


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: Small(SPEC[0]), 'name the targets of the dataset with targets_keys'),
        (lambda: Small(SPEC, input_keys=['imgae']), "no input 'imgae'; it has image, site"),
        (lambda: Small(SPEC), "'site' is text"),
        (lambda: Small(SPEC, ['image'], [0, 16]), 'inference_cropping'),
        (lambda: Nothing(SPEC, ['image']), 'get_outputs gives no dictionary'),
        (lambda: Blank(SPEC, ['image']), "'two words' cannot be saved"),
        (lambda: Variable(SPEC, ['image']), 'tf.nn.bias_add is called with a variable'),
        (lambda: ModelBase(SPEC), 'abstract'),
    ],
)
def test_what_cannot_be_is_said(make, message):
    with pytest.raises((InvalidJob, TypeError), match=message) as raised:
        make()
    assert '\n' not in str(raised.value)


def test_summary_is_whole_and_only_the_chief_prints(capsys, tmp_path):
    model, _ = made()
    model.summary()
    printed = capsys.readouterr().out
    assert 'Param #' in printed and 'softmax_crop128 (Activation)' in printed and f'{model.count_params():,}' in printed

    def strategy(task_type, task_id):
        resolver = types.SimpleNamespace(task_type=task_type, task_id=task_id)
        return types.SimpleNamespace(cluster_resolver=resolver)

    assert is_chief(None) and is_chief(tf.distribute.get_strategy())
    assert is_chief(strategy('chief', 0)) and is_chief(strategy('worker', 0)) and is_chief(strategy(None, None))
    assert not is_chief(strategy('worker', 1)) and not is_chief(strategy('ps', 0))
    model.summary(strategy('worker', 1))
    model.plot(str(tmp_path / 'model.png'), strategy('worker', 1))
    assert not capsys.readouterr().out and not os.listdir(tmp_path)


def test_plot_draws_or_says_what_is_missing(tmp_path):
    model, _ = made()
    try:
        model.plot(str(tmp_path / 'model.png'), show_shapes=True)
        assert (tmp_path / 'model.png').read_bytes().startswith(b'\x89PNG')
    except EngineMissing as error:
        assert 'pydot' in str(error)


# -- functions of TensorFlow -------------------------------------------------------------------------------------------

FUNCTIONS = {
    'arithmetic': lambda x: (x[..., 2:] - x[..., :1]) / (x[..., 2:] + x[..., :1] + 1.0),
    'booleans': lambda x: tf.cast(tf.logical_and(x > 0, tf.less(x, 5)), tf.uint8),
    'clip': lambda x: tf.clip_by_value(x, 1, 4),
    'concat': lambda x: tf.concat([x, 2.0 * x], axis=-1),
    'constants': lambda x: tf.constant([1.0, 2.0, 3.0]) * x - tf.constant(1.0),
    'convolution': lambda x: tf.nn.conv2d(x, np.ones((3, 3, 3, 2), 'float32'), 1, 'SAME'),
    'einsum': lambda x: tf.einsum('bijk,kl->bijl', x, np.ones((3, 2), 'float32')),
    'equal': lambda x: tf.cast(tf.reduce_all(x == 0, axis=-1), tf.float32),
    'gather': lambda x: tf.gather(x, [2, 0], axis=-1),
    'maximum': lambda x: tf.maximum(x, 2.0),
    'mean': lambda x: tf.nn.moments(x, [1, 2], keepdims=True)[0],
    'norm': lambda x: tf.norm(x, axis=-1, keepdims=True),
    'numpy first': lambda x: np.float32([1, 2, 3]) * x + np.float32(2) * x - np.ones(3, 'float32'),
    'one hot': lambda x: tf.one_hot(tf.squeeze(tf.cast(x[..., :1], tf.int32), axis=-1), 6),
    'pad': lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]], mode='REFLECT'),
    'reshape': lambda x: tf.reshape(x, [-1, tf.shape(x)[1] * tf.shape(x)[2], 3]),
    'resize': lambda x: tf.image.resize(x[:, ::2, ::2], tf.shape(x)[1:3], method='nearest'),
    'split': lambda x: tf.split(x, 3, axis=-1)[1],
    'where': lambda x: tf.where(tf.equal(x, 0), tf.ones_like(x), tf.math.log(x + 1e-3)),
}


def test_functions_of_tensorflow_take_part_in_networks_and_their_files(tmp_path):
    class Functions(Small):
        def normalize_inputs(self, inputs):
            return inputs

        def get_outputs(self, normalized_inputs):
            return {
                name.replace(' ', '_'): function(normalized_inputs['image']) for name, function in FUNCTIONS.items()
            }

        def postprocess_outputs(self, outputs, inputs=None, normalized_inputs=None):
            return {}

    model, _ = made(Functions)
    model.save(tmp_path / 'model.keras')
    loaded = keras.models.load_model(tmp_path / 'model.keras')
    images = tf.constant(RNG.integers(0, 6, (2, 8, 6, 3)), tf.float32)
    results, reloaded = model.model({'image': images}), loaded({'image': images})
    for name, function in FUNCTIONS.items():
        key = name.replace(' ', '_')
        np.testing.assert_allclose(results[key], function(images), rtol=1e-6, err_msg=name)
        np.testing.assert_array_equal(reloaded[key], results[key], err_msg=name)


def test_keras_is_as_before_afterwards():
    def state():
        return {name: vars(keras.KerasTensor).get(name) for name in ('__eq__', '__getitem__', '__array_ufunc__')}

    own, tensor = state(), keras.Input((3,))
    with pytest.raises(InvalidJob), tensorflow_calls():
        with tensorflow_calls():
            assert isinstance(tf.abs(tensor), keras.KerasTensor)
        assert isinstance(tensor == 0, keras.KerasTensor)
        assert tensor == tensor and not tensor == 'image' and tensor in [None, 'image', tensor]  # noqa: SIM201
        raise InvalidJob('within')
    assert state() == own
    with pytest.raises(ValueError, match='KerasTensor'):
        tf.abs(tensor)


@pytest.mark.parametrize(
    'name', ['io.write_file', 'compat.v1.write_file', 'print', 'py_function', 'load_library', 'x.y']
)
def test_files_cannot_call_what_they_like(name):
    with pytest.raises(ModelError, match='no function of TensorFlow that a model file may call'):
        TensorFlowCall(name)


def test_what_a_file_cannot_hold_is_said_when_saving(tmp_path):
    class Quantised(Small):
        def get_outputs(self, normalized_inputs):
            return {'classes': tf.quantization.fake_quant_with_min_max_args(normalized_inputs['image'])}

    model, _ = made(Quantised)
    with pytest.raises(ModelError, match='file cannot hold'):
        model.save(tmp_path / 'model.keras')
    assert not os.listdir(tmp_path)
    model.save(tmp_path / 'model')


# -- training ----------------------------------------------------------------------------------------------------------


def test_trains_on_the_outputs_that_have_targets():
    with tf.distribute.MirroredStrategy().scope():
        model, dataset = made()
        model.compile(
            loss=tf.keras.losses.CategoricalCrossentropy(),
            optimizer=tf.keras.optimizers.Adam(learning_rate=0.02),
            metrics=[tf.keras.metrics.Precision(name='precision'), 'accuracy'],
        )
        first = model.fit(dataset, epochs=3, validation_data=dataset, verbose=0).history
        second = model.fit(dataset, epochs=3, verbose=0).history
    assert set(first) == {'loss', 'precision', 'accuracy', 'val_loss', 'val_precision', 'val_accuracy'}
    assert second['loss'][-1] < first['loss'][-1] < first['loss'][0]
    loss, precision, accuracy = model.evaluate(dataset, batch_size=64, verbose=0)
    values = model.predict(dataset, verbose=0)['classes']
    right = (values.argmax(-1) == CLASSES.argmax(-1)).mean()
    assert loss == pytest.approx(-np.log((values * CLASSES).sum(-1)).mean(), rel=1e-5)
    assert precision == pytest.approx(right) and accuracy == pytest.approx(right)


def test_several_targets_by_name():
    model, _ = made(Two, ('classes', 'height'))
    dataset = batches({'classes': CLASSES, 'height': HEIGHTS}, size=10)
    model.compile(
        optimizer='adam',
        loss={'classes': 'categorical_crossentropy', 'height': 'mse'},
        loss_weights={'classes': 0.5, 'height': 2.0},
        metrics={'height': ['mae']},
    )
    model.fit(dataset, verbose=0)
    figures = model.evaluate(dataset, verbose=0, return_dict=True)
    assert set(figures) == {'loss', 'classes_loss', 'height_loss', 'height_mae'}
    assert figures['loss'] == pytest.approx(0.5 * figures['classes_loss'] + 2 * figures['height_loss'], rel=1e-5)
    values = model.predict(dataset, verbose=0)['height']
    assert figures['height_mae'] == pytest.approx(abs(values - HEIGHTS).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ('targets', 'message'),
    [({'clases': CLASSES}, "named after the target 'clases'"), (CLASSES, 'no dictionary by the names')],
)
def test_targets_without_outputs_are_said(targets, message):
    model, _ = made()
    model.compile('adam', 'mse')
    with pytest.raises(InvalidJob, match=message):
        model.fit(batches(targets), verbose=0)


def test_several_devices_learn_what_one_does():
    code = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices('CPU')[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import test_modelbase as tests

weights = []
for devices in (['CPU:0'], ['CPU:0', 'CPU:1']):
    with tf.distribute.MirroredStrategy(devices).scope() as strategy:
        model, dataset = tests.made(tests.Two, ('classes', 'height'))
        model.compile(tf.keras.optimizers.SGD(0.1), 'mse', metrics=[[tf.keras.metrics.Precision()], ['mae']])
        model.fit(dataset.take(2), epochs=3, verbose=0)
        weights.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
print(abs(weights[0] - weights[1]).max(), np.ptp(weights[0]))
"""
    here = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get('PYTHONPATH', '')]))
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    difference, spread = map(float, done.stdout.split())
    assert difference <= 1e-6 < spread


# -- saving ------------------------------------------------------------------------------------------------------------


def test_a_savedmodel_gives_every_output_under_key_and_layer(tmp_path):
    model, _ = made(Two, inference_cropping=[2, 5])
    path = tmp_path / 'model'
    model.save(str(path))
    model.save(path)  # again
    signature = tf.saved_model.load(str(path)).signatures['serving_default']
    (image,) = signature.structured_input_signature[1].values()
    assert (image.name, image.shape.as_list(), image.dtype) == ('image', [None, None, None, 3], tf.float32)
    images = RNG.integers(0, 1000, (1, 20, 24, 3)).astype('float32')
    outputs = {name: value.numpy() for name, value in signature(image=tf.constant(images)).items()}
    for key, layer in (('classes', 'softmax'), ('height', 'metres')):
        expected = model.model({'image': images})[key].numpy()
        for end, crop in (('', slice(None)), ('_crop2', slice(2, -2)), ('_crop5', slice(5, -5))):
            for name in (key, layer):
                np.testing.assert_allclose(outputs[name + end], expected[:, crop, crop], atol=1e-6)
    assert os.listdir(tmp_path) == ['model']


def test_a_keras_file_goes_on_training(tmp_path):
    model, dataset = made()
    model.compile('adam', 'mse', metrics=['mae'])
    model.fit(dataset, verbose=0)
    path = tmp_path / 'model.keras'
    model.save(path)
    assert os.listdir(tmp_path) == ['model.keras']
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read('config.json'))['config']
    calls = [layer['config'] for layer in config['layers'] if layer['class_name'] == 'TensorFlowCall']
    assert [call['function'] for call in calls] == ['cast', 'nn.relu']
    assert 'Lambda' not in {layer['class_name'] for layer in config['layers']}
    loaded = keras.models.load_model(path)
    for one, other in zip(
        loaded.fit(dataset, verbose=0).history.values(), model.fit(dataset, verbose=0).history.values()
    ):
        assert one == pytest.approx(other, rel=1e-6)
    np.testing.assert_array_equal(
        loaded.predict(dataset, verbose=0)['classes'], model.predict(dataset, verbose=0)['classes']
    )


def test_saving_replaces_only_models(tmp_path):
    model, _ = made()
    mine = tmp_path / 'mine'
    mine.mkdir()
    (mine / 'thesis.txt').write_text('x')
    with pytest.raises(OutputRefused, match='which is no part of a SavedModel'):
        model.save(mine)
    with pytest.raises(OutputRefused, match='exists'):
        model.save(mine, overwrite=False)
    with pytest.raises(EngineError):
        model.save(tmp_path / 'none' / 'model.keras')
    with pytest.raises(InvalidJob, match='save_format'):
        model.save(tmp_path / 'model', save_format='h5')
    assert sorted(os.listdir(tmp_path)) == ['mine'] and os.listdir(mine) == ['thesis.txt']
