"""Describing a model: what the card says, what the graph says where the card does not, and models without a card."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings

import keras
import pytest
from keras import layers

from quadrat.engine.errors import ModelError, OutputRefused
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import DescribeJob
from quadrat.engine.model_package.describe import describe_model
from quadrat.engine.model_package.package import write_package


@pytest.fixture(scope='module')
def folder(tmp_path_factory, model, card):
    """A package whose card does not know the receptive field."""
    source = dataclasses.replace(card.inputs[0], field=None, stride=1)
    path = tmp_path_factory.mktemp('packages') / 'wald'
    write_package(str(path), model, dataclasses.replace(card, inputs=(source,)))
    return path


def describe(job):
    events = []
    values = describe_model(job, Reporter(events.append))
    said = [event.text for event in events if isinstance(event, Log)]
    return values, said, [event.text for event in events if isinstance(event, Warn)]


def description(path, tmp_path):
    values, said, warned = describe(DescribeJob(str(path), str(tmp_path / 'r.html'), str(tmp_path / 'd.json')))
    return values, json.loads((tmp_path / 'd.json').read_text()), '\n'.join(said), warned


def test_what_the_graph_says(folder, tmp_path):
    report, file = tmp_path / 'r.html', tmp_path / 'd.json'
    values, found, said, warned = description(folder, tmp_path)
    assert values == {'RECEPTIVE_FIELD': 17, 'STRIDE': 2, 'REPORT': str(report), 'JSON': str(file)} and not warned
    (source,), (output,) = found['inputs'], found['outputs']
    assert source['receptive_field'] == {'left': 8, 'top': 8, 'right': 8, 'bottom': 8}
    assert source['shape'] == [None, None, None, 2] and output['shape'] == [None, None, None, 3]
    assert (source['scale'], output['lost'], output['dtype']) == ('1', [0, 0], 'float32')
    assert sum(layer['parameters'] for layer in found['layers']) == found['parameters']
    assert found['window'] == [512, 512] and 10 < found['memory'] < 200
    assert found['tag_sets'] == [['serve']] and 'serving_default' in found['signatures']
    for text in ('2 bands (blue, near infrared)', '-3 Büro & Läden, 11, 70000 c', 'MiB for a window of 512 x 512'):
        assert text in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ['d.json', 'r.html']


def test_what_it_was_trained_on(folder, tmp_path):
    copy, trained = tmp_path / 'copy', {'folder': '/data/wald', 'fingerprint': 'f00d' * 16}
    shutil.copytree(folder, copy)
    (copy / 'training.json').write_text(json.dumps({'dataset': trained}))
    _, found, said, _ = description(copy, tmp_path)
    assert found['training']['dataset'] == trained and f'Trained on /data/wald: fingerprint {"f00d" * 16}' in said
    page = (tmp_path / 'r.html').read_text()
    assert '/data/wald' in page and 'f00d' * 16 in page


def test_without_the_keras_file_it_is_measured(folder, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    (copy / 'model/model.keras').unlink()
    values, said, warned = describe(DescribeJob(str(copy)))
    assert values == {'RECEPTIVE_FIELD': 17, 'STRIDE': 2} and not warned and any('tried' in text for text in said)


def test_a_keras_file(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3), dtype='uint8', name='image')
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 5)(layers.Rescaling(1 / 255)(inputs)))
    keras.Model(inputs, {'classes': layers.Conv2D(2, 2)(x)}).save(str(tmp_path / 'm.keras'))
    values, found, said, warned = description(tmp_path / 'm.keras', tmp_path)
    assert (values['RECEPTIVE_FIELD'], values['STRIDE']) == (8, 2) and not warned
    assert (found['inputs'][0]['scale'], found['outputs'][0]['lost']) == ('1/2', [6, 6])
    assert found['outputs'][0]['bands'] == 2 and found['parameters'] == 304 + 34 and found['layers']
    assert 'scale 1/2' in said and '6 columns and 6 rows fewer' in said and 'uint8' in said
    page = (tmp_path / 'r.html').read_text()
    assert '1/2 pixels of the output' in page and 'Smaller than its input' in page


def test_a_bare_savedmodel(tensorflow1, tmp_path):
    def graph(tf):
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float32, [None, None, None, 2], 'x')
        rate = v1.placeholder_with_default(0.5, [], 'rate')
        weights = v1.get_variable('weights', initializer=tf.ones([3, 3, 2, 1]))
        out = tf.nn.conv2d(x, weights, 1, 'SAME') * rate
        return {'x': x}, {'out': out, 'classes': tf.argmax(tf.concat([out, -out], -1), -1)}

    values, found, said, _ = description(tensorflow1(tmp_path / 'm', graph), tmp_path)
    assert (values['RECEPTIVE_FIELD'], values['STRIDE']) == (3, 1) and found['parameters'] == 18
    assert found['placeholders'] == [{'name': 'rate', 'dtype': 'float32', 'shape': [], 'default': '0.5'}]
    assert [(item['name'], item['bands'], item['dtype']) for item in found['outputs']] == [
        ('classes', 1, 'int64'),
        ('out', 1, 'float32'),
    ]
    assert 'Placeholder rate: float32, default 0.5' in said and 'tags serve; signatures serving_default' in said
    assert 'rate' in (tmp_path / 'r.html').read_text()


def test_what_cannot_be_told_is_said(tensorflow1, tmp_path):
    inputs = keras.Input((None, None, 2), name='image')
    whole = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    keras.Model(inputs, {'out': layers.Add()([inputs, whole])}).save(str(tmp_path / 'm.keras'))
    values, _, warned = describe(DescribeJob(str(tmp_path / 'm.keras')))
    assert values == {'RECEPTIVE_FIELD': 0, 'STRIDE': 1} and any('or on the whole image' in text for text in warned)

    def graph(tf):
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float32, [None, None, None, 2], 'x')
        return {'x': x}, {'out': x * v1.placeholder(tf.float32, [], 'needed')}

    values, said, warned = describe(DescribeJob(tensorflow1(tmp_path / 'm', graph)))
    assert values['RECEPTIVE_FIELD'] == 0 and any('give a value with USER_PLACEHOLDERS' in text for text in warned)
    assert any('Placeholder needed: float32, to be given' in text for text in said)


def test_a_damaged_model_and_a_place_where_nothing_can_be_written(folder, tmp_path):
    with pytest.raises(OutputRefused, match='nowhere'):
        describe(DescribeJob(str(folder), str(tmp_path / 'nowhere/r.html')))
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    (copy / 'model/model.keras').write_bytes(b'PK')
    with warnings.catch_warnings(), pytest.raises(ModelError, match=r'model\.keras'):
        warnings.simplefilter('ignore')
        describe(DescribeJob(str(copy)))


@pytest.mark.baseline
def test_the_peers_models(shared, tmp_path):
    models = shared / 'data/otbtf-suite/models'
    values, found, said, warned = description(models / 'model1', tmp_path)
    assert (values['RECEPTIVE_FIELD'], values['STRIDE'], found['inputs'][0]['scale']) == (16, 4, '1/4') and not warned
    values, found, said, warned = description(models / 'model4', tmp_path)
    assert values['STRIDE'] == 16 and [item['lost'] for item in found['outputs']] == [[0, 0], [32, 32]]
    assert 'lie differently' in said
