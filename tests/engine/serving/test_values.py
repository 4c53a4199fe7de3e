"""What maps of bare models hold: outputs side by side or each in its file, classes, certainty, types and fillings."""

from __future__ import annotations

import functools
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from quadrat.engine.errors import InvalidJob, ModelError
from quadrat.engine.jobs import ClassDef

pytestmark = [pytest.mark.own_network]

CLASSES = (ClassDef(7, 'a', '#ff0000'), ClassDef(3, 'b'), ClassDef(40, 'c'))
VALUES = np.array([7, 3, 40])


def noise(rows=40, cols=33, bands=2, seed=0):
    return np.random.default_rng((rows, cols, bands, seed)).random((rows, cols, bands)).astype('float32')


def softmax(values):
    found = np.exp(values - values.max(-1, keepdims=True))
    return found / found.sum(-1, keepdims=True)


@pytest.fixture(scope='module')
def several(tmp_path_factory):
    """A SavedModel of a logit a class, their probabilities, and the position of the largest."""

    class Several(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2), tf.float32, name='image')])
        def __call__(self, image):
            x = tf.concat([4 * image, 4 * tf.reduce_mean(image, -1, keepdims=True) + 0.3], -1, name='logits')
            return {'probs': tf.nn.softmax(x), 'label': tf.argmax(x, -1), 'embedding': tf.concat([x, x], -1)}

    path = str(tmp_path_factory.mktemp('several') / 'model')
    tf.saved_model.save(Several(), path)
    return path


def logits(image):
    return np.concatenate([4 * image, 4 * image.mean(-1, keepdims=True) + np.float32(0.3)], -1)


def test_all_outputs_side_by_side_and_each_in_its_file(several, write_image, mapped, read_map, tmp_path):
    pixels = noise()
    pixels[3, 4] = np.nan
    folder = tmp_path / 'outputs'
    found = mapped(several, write_image(pixels), output_folder=str(folder), tile_size=16)
    expected = logits(pixels)
    assert found.pixels.dtype == 'float32' and found.pixels.shape == (40, 33, 10)
    names = [found.dataset.GetRasterBand(number + 1).GetDescription() for number in range(10)]
    assert names == [*(f'embedding_{i}' for i in range(1, 7)), 'label', 'probs_1', 'probs_2', 'probs_3']
    known = ~np.isnan(pixels[..., 0])
    assert np.isnan(found.pixels[~known]).all()
    assert np.abs(found.pixels[..., 7:] - softmax(expected))[known].max() <= 1e-6
    assert np.array_equal(found.pixels[known][:, 6], expected[known].argmax(-1))
    assert sorted(os.listdir(folder)) == ['embedding.tif', 'label.tif', 'probs.tif']
    label, probs = read_map(folder / 'label.tif'), read_map(folder / 'probs.tif')
    assert label.pixels.dtype == 'int32' and label.dataset.GetRasterBand(1).GetNoDataValue() == -(2**31)
    assert np.array_equal(label.pixels[known], found.pixels[known][:, 6:7]) and label.pixels[3, 4] == -(2**31)
    assert np.array_equal(probs.pixels, found.pixels[..., 7:], equal_nan=True)


def test_outputs_by_name(several, tunable, bare, write_image, mapped, tmp_path):
    pixels = noise()
    image = write_image(pixels)
    both = mapped(several, image, output_names=('label', 'probs')).pixels
    assert np.abs(both[..., 1:] - softmax(logits(pixels))).max() <= 1e-6
    assert np.array_equal(both[..., 0], logits(pixels).argmax(-1))
    for name, factor in (('y', 1), ('y:0', 1), ('weighted:0', 0.5)):  # the last is a tensor that no signature names
        inner = mapped(tunable, image, output_names=(name,)).pixels
        assert np.abs(inner - factor * 2 * pixels * (1, -1)).max() <= 1e-5
    path, network = bare(two_layers, 'keras')
    features = mapped(path, image, output_names=('features',), tile_size=16).pixels
    whole = keras.Model(network.inputs, network.get_layer('features').output)
    assert np.abs(features - np.asarray(whole({'image': pixels[None]}))[0])[4:-4, 4:-4].max() <= 1e-5
    for model, name in ((several, 'probes'), (path, 'featured')):
        with pytest.raises(ModelError, match=f"no output '{name}'; did you mean '{name[:4]}"):
            mapped(model, image, output_names=(name,))


def two_layers():
    image = keras.Input((None, None, 2), name='image')
    x = layers.Conv2D(4, 3, padding='same', name='features')(image)
    return keras.Model(image, {'out': layers.Conv2D(2, 3, padding='same')(x)})


# -- types, fillings, thresholds --------------------------------------------------------------------------------------


def identity():
    image = keras.Input((None, None, 1), name='image')
    return keras.Model(image, {'out': layers.Activation('linear')(image)})


LIST = np.float32([-1e10, -40000, -5.4, -0.6, 0.4, 1.5, 2.5, 254.6, 300, 40000.4, 70000, 1e10, 2147483520])


@pytest.mark.parametrize('kind', ['uint8', 'int16', 'uint16', 'int32', 'float32', 'auto'])
@pytest.mark.parametrize('fill', [None, 77.0])
def test_types(bare, write_image, mapped, kind, fill):
    path, _ = bare(identity, 'keras')
    pixels = np.tile(LIST, (5, 3))[..., None]
    pixels[2, 3] = np.nan
    found = mapped(path, write_image(pixels), output_type=kind, fill_value=fill)
    dtype = np.dtype('float32' if kind == 'auto' else kind)
    expected = pixels.astype('float64')
    if dtype.kind != 'f':
        limits = np.iinfo(dtype)
        expected = np.rint(expected).clip(limits.min, limits.max)
    nodata = found.dataset.GetRasterBand(1).GetNoDataValue()
    default = np.nan if dtype.kind == 'f' else np.iinfo(dtype).min or np.iinfo(dtype).max
    assert np.array_equal(nodata, default if fill is None else fill, equal_nan=True)
    expected[2, 3] = nodata
    assert found.pixels.dtype == dtype and np.array_equal(found.pixels, expected.astype(dtype), equal_nan=True)


def test_fillings_that_a_type_does_not_hold(bare, write_image, mapped):
    path, _ = bare(identity, 'keras')
    image = write_image(np.ones((5, 5, 1), 'float32'))
    for kind, value in (('uint8', -1.0), ('uint8', 256.0), ('int16', 0.5), ('uint8', float('nan'))):
        with pytest.raises(InvalidJob, match='FILL_VALUE'):
            mapped(path, image, output_type=kind, fill_value=value)
    assert np.isnan(mapped(path, image, fill_value=float('nan')).dataset.GetRasterBand(1).GetNoDataValue())


@pytest.mark.parametrize('threshold', [0.5, -1.0])
def test_thresholds_of_values(bare, write_image, mapped, threshold):
    path, _ = bare(identity, 'keras')
    pixels = noise(20, 20, 1)
    pixels[0, 0], pixels[0, 1] = np.nan, 0.5
    found = mapped(path, write_image(pixels), threshold=threshold)
    expected = (pixels >= threshold).astype('uint8')
    expected[0, 0] = found.dataset.GetRasterBand(1).GetNoDataValue()
    assert found.pixels.dtype == 'uint8' and expected[0, 0] == 255 and np.array_equal(found.pixels, expected)


# -- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['float32', 'uint8', 'uint16'])
def test_certainty(several, write_image, mapped, read_map, tmp_path, kind):
    pixels = noise()
    pixels[3, 4] = np.nan
    names = ('probabilities', 'confidence', 'entropy', 'margin')
    paths = {name: str(tmp_path / f'{name}.tif') for name in names}
    options = {'classes': CLASSES, 'output_names': ('probs',), 'probability_type': kind}
    found = mapped(several, write_image(pixels), **options, **paths, tile_size=16)
    known = ~np.isnan(pixels[..., 0])
    given = softmax(logits(pixels).astype('float64'))
    best = np.sort(given, -1)
    expected = {
        'probabilities': given,
        'confidence': best[..., -1:],
        'entropy': -(given * np.log(given)).sum(-1, keepdims=True),
        'margin': best[..., -1:] - best[..., -2:-1],
    }
    assert found.pixels.dtype == 'uint8' and found.dataset.GetRasterBand(1).GetCategoryNames()[40] == 'c'
    assert np.array_equal(found.pixels[..., 0][known], VALUES[given[known].argmax(-1)])
    assert found.pixels[3, 4] == found.dataset.GetRasterBand(1).GetNoDataValue() == 255
    for name, path in paths.items():
        one = read_map(path)
        band = one.dataset.GetRasterBand(1)
        whole = kind != 'float32' and name != 'entropy'
        assert one.pixels.dtype == (kind if whole else 'float32')
        scale = band.GetScale() if whole else 1.0
        assert not band.GetOffset() and scale == ({'uint8': 0.004, 'uint16': 0.00002}[kind] if whole else 1)
        assert np.abs(one.pixels[known] * scale - expected[name][known]).max() <= (scale / 2 if whole else 0) + 1e-6
        missing = np.broadcast_to(np.asarray(band.GetNoDataValue(), one.pixels.dtype), one.pixels[3, 4].shape)
        assert np.array_equal(one.pixels[3, 4], missing, equal_nan=True)
        assert not (one.pixels[known] == missing[0]).any()
    probabilities = read_map(paths['probabilities']).dataset
    assert [probabilities.GetRasterBand(i).GetDescription() for i in (1, 2, 3)] == ['a', 'b', 'c']


def test_classes_of_values_and_of_bands(several, write_image, mapped):
    pixels = noise()
    best = logits(pixels).argmax(-1)
    image = write_image(pixels)
    by_value = (ClassDef(0, 'none'), ClassDef(2, 'two'))
    found = mapped(several, image, classes=by_value, output_names=('label',))
    assert np.array_equal(found.pixels[..., 0], np.where(np.isin(best, (0, 2)), best, 255))
    assert found.dataset.GetRasterBand(1).GetNoDataValue() == 255
    assert found.dataset.GetRasterBand(1).GetCategoryNames()[:3] == ['none', '', 'two']
    # Without a name, the output that has as many bands is meant.
    assert np.array_equal(mapped(several, image, classes=CLASSES).pixels[..., 0], VALUES[best])
    with pytest.raises(InvalidJob, match='CLASSES: there are 2, but the output probs has 3 bands'):
        mapped(several, image, classes=by_value, output_names=('probs',))
    with pytest.raises(ModelError, match=r'outputs has classes.* CLASSES'):
        mapped(several, image, output='', confidence=image[:-4] + '.c.tif')


def test_a_threshold_leaves_doubtful_pixels_out(several, write_image, mapped):
    pixels = noise()
    given = softmax(logits(pixels))
    found = mapped(several, write_image(pixels), classes=CLASSES, output_names=('probs',), threshold=0.5)
    sure = given.max(-1) >= 0.5
    assert 0 < sure.mean() < 1
    assert np.array_equal(found.pixels[..., 0], np.where(sure, VALUES[given.argmax(-1)], 255))


@functools.cache
def sigmoid(gain, bands=1):
    def build():
        image = keras.Input((None, None, 2), name='image')
        kernel = keras.initializers.Constant(np.float32([gain, -gain]).reshape(1, 1, 2, 1).repeat(bands, -1))
        return keras.Model(
            image, {'out': layers.Conv2D(bands, 1, activation='sigmoid', kernel_initializer=kernel)(image)}
        )

    return build


def test_one_band_stands_for_two_classes(bare, write_image, mapped, read_map, tmp_path):
    path, network = bare(sigmoid(3), 'keras')
    pixels = noise()
    second = np.asarray(network(pixels[None])['out'])[0, ..., 0]
    two = CLASSES[:2]
    others = {name: str(tmp_path / f'{name}.tif') for name in ('probabilities', 'margin')}
    found = mapped(path, write_image(pixels), classes=two, **others)
    assert np.array_equal(found.pixels[..., 0], np.where(second > 0.5, 3, 7))
    probabilities = read_map(others['probabilities']).pixels
    assert np.abs(probabilities - np.stack([1 - second, second], -1)).max() <= 1e-6
    assert np.abs(read_map(others['margin']).pixels[..., 0] - np.abs(2 * second - 1)).max() <= 1e-6


# -- constants --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def tunable(tmp_path_factory):
    """A SavedModel of TensorFlow 1 with a number and a vector that have defaults, and a number that has none."""
    path = str(tmp_path_factory.mktemp('tunable') / 'model')
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, None, None, 2), 'x')
        gain = v1.placeholder_with_default(tf.constant(2.0), (), 'gain')
        weights = v1.placeholder_with_default(tf.constant([1.0, -1.0]), (2,), 'weights')
        step = v1.placeholder(tf.int32, (), 'step')
        y = tf.identity(gain * tf.multiply(x, weights, 'weighted'), 'y')
        z = tf.identity(y + tf.cast(step, tf.float32), 'z')
        info = v1.saved_model.predict_signature_def({'x': x}, {'y': y, 'z': z})
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ['serve'], {'serving_default': info})
        builder.save()
    return path


def test_constants(tunable, write_image, mapped):
    pixels = noise()
    image = write_image(pixels)
    for text, gain, weights in (
        ('', 2, (1, -1)),
        ('gain=0.5', 0.5, (1, -1)),
        ('weights=(3, 4.5)', 2, (3, 4.5)),
        (' gain = -1e1 ; weights:0=(0,1);', -10, (0, 1)),
    ):
        found = mapped(tunable, image, user_placeholders=text, output_names=('y',), tile_size=16).pixels
        assert np.abs(found - gain * pixels * np.float32(weights)).max() <= 1e-5
    found = mapped(tunable, image, user_placeholders='step=5', output_names=('z',)).pixels
    assert np.abs(found - (2 * pixels * (1, -1) + 5)).max() <= 1e-5


@pytest.mark.parametrize(
    ('text', 'error', 'message'),
    [
        ('gian=1', ModelError, r"no constant 'gian'|gian"),
        ('gain', InvalidJob, "'gain' names no value"),
        ('gain=(1,2)', InvalidJob, '2 values are given, but the model wants a single value'),
        ('weights=1', InvalidJob, r'the model wants the shape \[2\]'),
        ('step=1.5', InvalidJob, 'no whole number'),
        ('', ModelError, r'step'),
    ],
)
def test_constants_that_are_none(tunable, write_image, mapped, text, error, message):
    with pytest.raises(error, match=message) as caught:
        mapped(
            tunable,
            write_image(noise()),
            user_placeholders=text,
            output_names=('z' if 'step' in message or 'step' in text else 'y',),
        )
    assert '\n' not in str(caught.value) and str(caught.value).endswith('.')
