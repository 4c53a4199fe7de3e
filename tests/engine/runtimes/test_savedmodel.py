"""What is read of SavedModels without TensorFlow, against what TensorFlow reads."""

from __future__ import annotations

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from quadrat.engine import wire
from quadrat.engine.errors import InputMissing, ModelError
from quadrat.engine.runtimes import savedmodel


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    inputs = [keras.Input((None, None, 4), name='b'), keras.Input((None, None, None), dtype='uint8', name='a')]
    outputs = {'y': keras.layers.Conv2D(2, 3)(inputs[0]), 'x': keras.layers.Rescaling(2.0)(inputs[1])}
    path = tmp_path_factory.mktemp('exported') / 'model'
    keras.Model(inputs, outputs).export(str(path), verbose=False)
    return path


def graph_with_defaults(tf):
    v1 = tf.compat.v1
    x = v1.placeholder(tf.int16, [None, None, None, 3], 'x')
    rate = v1.placeholder_with_default(tf.constant([0.5, 2.0]), [2], 'rate')
    unused = v1.placeholder(tf.float32, [], 'unused')
    loose = v1.placeholder(tf.float32, None, 'loose')
    y = tf.identity(tf.cast(x, tf.float32) * rate[0] + loose, 'y')
    tf.identity(unused, 'z')
    return {'x': x, 'unused': unused}, {'y': y}


def test_signatures_are_those_that_tensorflow_reads(exported):
    (graph,) = savedmodel.read(str(exported))
    loaded = tf.saved_model.load(str(exported))
    assert graph.tags == ('serve',) and graph.version == tf.__version__
    assert set(graph.signatures) == set(loaded.signatures)
    for name, signature in graph.signatures.items():
        expected = loaded.signatures[name]
        specs = expected.structured_input_signature[1]
        for mine, theirs in ((signature.inputs, specs), (signature.outputs, expected.structured_outputs)):
            assert list(mine) == sorted(theirs)
            for key, item in mine.items():
                assert item.dtype == theirs[key].dtype.name and item.shape == tuple(theirs[key].shape.as_list())
    assert graph.signature_name('m') == 'serving_default'


def test_placeholders_that_outputs_depend_on(tensorflow1, tmp_path):
    graph = savedmodel.choose(tensorflow1(tmp_path / 'm', graph_with_defaults), ('serve',))
    found = {node.name: node for node in graph.placeholders(['y:0'])}
    assert set(found) == {'x', 'rate', 'loose'} and set(graph.signature('m').inputs) == {'x', 'unused'}
    assert np.array_equal(graph.default(found['rate']), [0.5, 2.0]) and graph.default(found['x']) is None
    assert found['rate'].tensor == savedmodel.Tensor('rate:0', 'float32', (2,))
    assert found['loose'].tensor.shape is None and found['x'].tensor.dtype == 'int16'


def test_a_graph_without_signature(tensorflow1, tmp_path):
    graph = savedmodel.choose(tensorflow1(tmp_path / 'm', graph_with_defaults, signature=False), ('serve',))
    signature = graph.signature('m')
    assert set(signature.inputs) == {'x', 'unused', 'loose'} and set(signature.outputs) == {'y', 'z'}


def test_tags_and_places(tensorflow1, tmp_path):
    outer = tmp_path / 'outer'
    outer.mkdir()
    inner = tensorflow1(outer / '1', graph_with_defaults, tags=('serve', 'gpu'))
    assert savedmodel.locate(str(outer)) == savedmodel.locate(inner) == inner
    assert savedmodel.locate(f'{inner}/saved_model.pb') == inner and savedmodel.is_there(str(outer))
    assert savedmodel.choose(str(outer), ['gpu', 'serve']).tags == ('serve', 'gpu')
    with pytest.raises(ModelError, match='no graph with the tags serve; it has serve,gpu'):
        savedmodel.choose(inner, ['serve'])
    with pytest.raises(ModelError, match="no signature 'train'; it has serving_default"):
        savedmodel.choose(inner, ['serve', 'gpu']).signature('m', 'train')
    shutil.copytree(inner, outer / '2')
    with pytest.raises(ModelError, match='several SavedModels'):
        savedmodel.locate(str(outer))
    with pytest.raises(ModelError, match='not a SavedModel'):
        savedmodel.locate(str(tmp_path))
    with pytest.raises(InputMissing, match='nowhere'):
        savedmodel.locate(str(tmp_path / 'nowhere'))


def test_damaged_files_are_said_to_be(exported, tmp_path):
    whole = (exported / 'saved_model.pb').read_bytes()
    for content in (b'', b'x', b'\x08\x01', whole[: len(whole) // 2], b'\xff' * 30):
        (tmp_path / 'saved_model.pb').write_bytes(content)
        with pytest.raises(ModelError, match='not a SavedModel'):
            savedmodel.read(str(tmp_path))


def test_numbers_of_any_size():
    for number in (0, 1, 127, 128, 2**63 - 1, -1, -(2**63)):
        shape = tf.compat.v1.TensorShape([]).as_proto()
        shape.dim.add(size=number)
        (dimension,) = wire.messages(memoryview(shape.SerializeToString()), 2)
        assert wire.integer(dimension, 1) == number
