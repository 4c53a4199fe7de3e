"""Models of any kind opened as one thing, without TensorFlow."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from quadrat.engine.errors import InputMissing, ModelError
from quadrat.engine.model_package.card import InputCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.importers import Placeholder, open_model, with_geometry
from quadrat.engine.model_package.package import write_package


@pytest.fixture(scope='module')
def package(tmp_path_factory, model, card):
    path = tmp_path_factory.mktemp('packages') / 'wald'
    write_package(str(path), model, card)
    return path


@pytest.fixture(scope='module')
def bare(tmp_path_factory):
    """A Keras model of two inputs, exported and saved."""
    keras.utils.set_random_seed(0)
    fine, coarse = keras.Input((None, None, 3), dtype='uint8', name='z'), keras.Input((None, None, None), name='a')
    x = layers.Conv2D(2, 3, padding='same', name='inner')(layers.Rescaling(1 / 255)(fine))
    mean = keras.ops.mean(coarse, axis=-1, keepdims=True)
    outputs = {'sum': layers.Add()([x, layers.UpSampling2D(2)(mean)]), 'flat': layers.GlobalMaxPooling2D()(x)}
    path = tmp_path_factory.mktemp('bare')
    model = keras.Model([fine, coarse], outputs)
    model.export(str(path / 'saved'), verbose=False)
    model.save(str(path / 'forest.keras'))
    return path


def graph(tf):
    v1 = tf.compat.v1
    x = v1.placeholder(tf.int16, [None, None, None, 2], 'x')
    label = v1.placeholder(tf.int32, [None, None, None, 1], 'y')
    rate = v1.placeholder_with_default(tf.constant(0.25), [], 'rate')
    mode = v1.placeholder(tf.int32, [], 'mode')
    out = tf.identity(tf.cast(x, tf.float32) * rate + tf.cast(mode, tf.float32), 'out')
    loss = tf.identity(tf.reduce_mean(out - tf.cast(label, tf.float32), [0, 1, 2, 3], keepdims=True)[None], 'loss')
    return {'x': x, 'y': label, 'mode': mode}, {'out': out, 'loss': loss, 'values': tf.reshape(out, [-1])}


def test_packages(package, card, tmp_path):
    archive = shutil.make_archive(str(tmp_path / 'packed'), 'zip', package.parent, package.name)
    for path in (str(package), str(package / 'item.json'), archive):
        with open_model(path) as model:
            assert model.path == path and model.card.inputs == card.inputs and model.package is not None
            assert model.savedmodel.endswith('savedmodel') and model.keras.endswith('.keras')
            assert model.tag_sets == (('serve',),) and 'serving_default' in model.signatures
            # Layers that are no outputs are there, too.
            runtime = model.load('tensorflow', ('logits', 'probabilities'))
            assert runtime.run({'image': np.zeros((1, 4, 4, 2))})['logits'].shape == (1, 4, 4, 3)
        assert (package / 'item.json').is_file()
    assert not shutil.os.path.exists(model.savedmodel)  # what was unpacked is gone


def test_savedmodels_and_keras_files(bare):
    for path, name in ((bare / 'saved', 'saved'), (bare / 'forest.keras', 'forest')):
        with open_model(str(path)) as model:
            assert (model.card.name, model.card.task, model.package, model.training) == (name, '', None, {})
            assert model.card.inputs == (InputCard('a', ()), InputCard('z', ('B1', 'B2', 'B3'), 'uint8'))
            runtime = model.load('tensorflow', ('sum',))
            assert list(runtime.inputs) == ['a', 'z'] and list(runtime.outputs) == ['sum']
            known = with_geometry(model.card, model.survey(('sum',))['sum'])
            assert known.inputs[1].field == ReceptiveField(1, 1, 1, 1) and known.inputs[0].stride == 1
            assert OutputCard('sum', 2) in known.outputs
    assert bool(open_model(str(bare / 'saved')).savedmodel) and not open_model(str(bare / 'forest.keras')).savedmodel


def test_graphs_of_tensorflow_1(tensorflow1, tmp_path):
    path = tensorflow1(tmp_path / 'm', graph)
    model = open_model(path)
    assert model.card.inputs == (InputCard('x', ('B1', 'B2'), 'int16'),)  # the labels are for training alone
    assert model.card.outputs == (OutputCard('out', 2), OutputCard('values', 1))  # an output of five axes is no map
    mode, rate = model.placeholders
    assert mode == Placeholder('mode', 'int32', ()) and (rate.name, rate.shape, rate.default) == ('rate', (), 0.25)
    assert open_model(str(tmp_path / 'm/saved_model.pb')).card == model.card
    runtime = model.load('tensorflow', ('out',), constants={'mode': '1', 'rate': '2'})
    assert runtime.run({'x': np.ones((1, 1, 1, 2))})['out'].max() == 3


def test_tags_and_signatures(tensorflow1, tmp_path):
    path = tensorflow1(tmp_path / 'm', graph, tags=('serve', 'gpu'), signature=False)
    model = open_model(path)  # the only tag set there is
    assert model.spec.tags == ('serve', 'gpu') and model.signatures == ()
    assert {item.name for item in model.card.inputs} == {'x', 'y'} and {item.name for item in model.placeholders} == {
        'mode',
        'rate',
    }
    assert [item.name for item in model.card.outputs] == ['Reshape', 'loss']
    assert model.load('tensorflow', ('out:0',), constants={'mode': '0'}).outputs['out:0'].shape == (None, None, None, 2)
    with pytest.raises(ModelError, match='no graph with the tags serve; it has serve,gpu'):
        open_model(path, tags=('serve',))
    with pytest.raises(ModelError, match="no signature 'x'; it has none"):
        open_model(path, signature='x')


def test_what_is_no_model_is_said_in_one_line(bare, package, tmp_path):
    with pytest.raises(InputMissing, match='nowhere'):
        open_model(str(tmp_path / 'nowhere'))
    (tmp_path / 'text').write_text('x')
    for path in (tmp_path, tmp_path / 'text'):
        with pytest.raises(ModelError, match=r'no model. Give the folder') as caught:
            open_model(str(path))
        assert '\n' not in str(caught.value)
    with pytest.raises(ModelError, match='no graph with the tags train'):
        open_model(str(package), tags=('train',))
    copy = tmp_path / 'copy'
    shutil.copytree(package, copy)
    (copy / 'model/savedmodel/saved_model.pb').write_bytes(b'x')
    with pytest.raises(ModelError, match='damaged'):
        open_model(str(copy))


def test_opening_takes_no_tensorflow(bare, package):
    code = (
        'import sys; from quadrat.engine.model_package.importers import open_model\n'
        'for path in sys.argv[1:]: open_model(path)\n'
        'sys.exit(" ".join(name for name in ("tensorflow", "keras", "openvino") if name in sys.modules) or 0)'
    )
    paths = [str(package), str(bare / 'saved'), str(bare / 'forest.keras')]
    found = subprocess.run([sys.executable, '-c', code, *paths], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.baseline
def test_the_peers_models(shared):
    found = {}
    for number in (1, 2, 3, 4, 5):
        model = open_model(str(shared / f'data/otbtf-suite/models/model{number}'))
        found[number] = (
            {item.name: len(item.bands) for item in model.card.inputs},
            {item.name: item.bands for item in model.card.outputs},
        )
        assert not model.placeholders and model.card.framework_version == '2.4.1'
    assert found == {
        1: ({'x': 4}, {'features': 32, 'prediction': 1}),
        2: ({'x1': 4, 'x2': 1}, {'features': 128, 'prediction': 1}),
        3: ({'x': 4}, {'features': 32, 'prediction': 1}),
        4: ({'x': 4}, {'prediction': 1, 'prediction_fcn': 1}),
        5: ({'x': 0}, {'tf.reshape': 1, 'tf.reshape_1': 1, 'tf.reshape_2': 1, 'tf.reshape_3': 1}),
    }
    assert dataclasses.replace(model.spec, path='') == type(model.spec)('')
