"""Bare models of every kind mapped whole: the same whatever the tiles, and what the network says of the whole image."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from quadrat.engine.events import Log
from quadrat.engine.jobs import SourceSpec

pytestmark = [pytest.mark.own_network]

TILES = (16, 64, 4096)
FAR = 64  # pixels beyond which no network here looks; a multiple of all strides


def noise(rows, cols, bands=2, dtype='float32', seed=0):
    values = np.random.default_rng((rows, cols, bands, seed)).random((rows, cols, bands))
    return (values * (200 if np.dtype(dtype).kind in 'iu' else 1)).astype(dtype)


def network(*parts, bands=2):
    image = keras.Input((None, None, bands), name='image')
    return keras.Model(image, {'out': functools.reduce(lambda x, part: part(x), parts, image)})


def convolution(filters, size, **options):
    options = {'activation': 'relu', 'bias_initializer': 'random_uniform', **options}
    return layers.Conv2D(filters, size, **options)


def unet():
    def inside(x):
        first = convolution(4, 3, padding='same')(x)
        x = convolution(6, 3, padding='same')(layers.MaxPooling2D(2)(first))
        low = convolution(8, 3, padding='same')(layers.MaxPooling2D(2)(x))
        x = layers.Concatenate()([x, layers.UpSampling2D(2)(low)])
        return layers.Concatenate()([first, layers.UpSampling2D(2)(convolution(4, 3, padding='same')(x))])

    return network(inside, layers.Conv2D(3, 1, activation='softmax'))


def smooth():
    """Wants to know the size of its input, which Keras asks for enlarging it smoothly."""
    return network(
        layers.AveragePooling2D(2), convolution(3, 3, padding='same'), layers.UpSampling2D(2, interpolation='bilinear')
    )


def strided():
    return network(
        convolution(4, 3, strides=2, padding='same'),
        convolution(6, 3, strides=2, padding='same'),
        layers.Conv2DTranspose(4, 3, strides=2, padding='same', activation='relu'),
        layers.Conv2DTranspose(2, 4, strides=2, padding='same'),
    )


def dilated():
    return network(*(convolution(3, 3, padding='same', dilation_rate=rate) for rate in (1, 2, 4)))


def twice_as_fine():
    return network(
        convolution(4, 3, padding='same'),
        layers.Conv2DTranspose(2, 4, strides=2, padding='same'),
        convolution(2, 3, padding='same'),
    )


def four_times_as_fine():
    return network(convolution(4, 5, padding='same'), layers.UpSampling2D(4))


def twice_as_fine_cropped():
    return network(*twice_as_fine().layers[1:], layers.Cropping2D(4))


def half_as_fine():
    return network(convolution(4, 3, padding='same'), layers.AveragePooling2D(2), convolution(2, 3, padding='same'))


def classifier():
    """Of patches of 16 pixels, applied to images of any size: one pixel for each four."""
    return network(
        convolution(4, 5), layers.MaxPooling2D(2), convolution(4, 3), layers.MaxPooling2D(2), convolution(3, 2)
    )


def odd_field():
    return network(convolution(3, 5))


def even_field():
    return network(convolution(3, 9), convolution(3, 8))


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, and how to compute its map at once.

    Attributes:
        build: the network.
        factor: pixels of the map to one of the image.
        before: pixels to pad the image with at its start so that the output begins with the map, or `crop` before it.
        kind: of the file.
    """

    build: Callable[[], keras.Model]
    factor: Fraction = Fraction(1)
    before: int = FAR
    crop: int = FAR
    kind: str = 'savedmodel'

    def expected(self, model, pixels, mode='reflect'):
        rows, cols = pixels.shape[:2]
        after = [FAR + -(length + self.before) % 16 for length in (rows, cols)]
        padded = np.pad(pixels, ((self.before, after[0]), (self.before, after[1]), (0, 0)), mode)
        found = model(padded[None].astype('float32'))['out'].numpy()[0]
        size = [-(-length * self.factor // 1) for length in (rows, cols)]
        return found[self.crop : self.crop + size[0], self.crop : self.crop + size[1]]


CASES = [
    Case(unet),
    Case(smooth, kind='keras'),
    Case(strided, kind='keras'),
    Case(dilated),
    Case(twice_as_fine, Fraction(2), crop=2 * FAR, kind='keras'),
    Case(four_times_as_fine, Fraction(4), crop=4 * FAR),
    Case(twice_as_fine_cropped, Fraction(2), crop=2 * FAR - 4, kind='keras'),
    Case(half_as_fine, Fraction(1, 2), crop=FAR // 2),
    Case(classifier, Fraction(1, 4), before=6, crop=0, kind='keras'),
    Case(odd_field, before=2, crop=0),
    Case(even_field, before=8, crop=0, kind='keras'),
]


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.build.__name__)
def test_tiles_are_cut_from_what_the_network_says_of_it_all(bare, write_image, mapped, case):
    path, model = bare(case.build, case.kind)
    for size, tiles in (((75, 90), TILES), ((64, 48), (48,)), ((13, 7), (16, 4096)), ((3, 2), (0,))):
        pixels = noise(*size)
        image, expected = write_image(pixels), case.expected(model, pixels)
        for tile in tiles:
            found = mapped(path, image, tile_size=tile).pixels
            assert found.shape == expected.shape, (size, tile)
            assert np.abs(found - expected).max() <= 1e-5, (size, tile)


@pytest.mark.parametrize('kind', ['savedmodel', 'keras'])
def test_both_kinds_of_files_give_the_same(bare, write_image, mapped, kind):
    path, model = bare(unet, kind)
    pixels = noise(50, 41)
    found = mapped(path, write_image(pixels), tile_size=16, batch_size=3)
    assert np.abs(found.pixels - Case(unet).expected(model, pixels)).max() <= 1e-5


PLACES = {
    '0.3 m': ((651234.3, 0.3, 0, 5123456.7, 0, -0.3), 32631),
    '0.6 m': ((651234.7, 0.6, 0, 5123456.1, 0, -0.6), 32631),
    'degrees': ((7.1 / 3, 0.1 / 3600, 0, 143.3 / 3, 0, -0.1 / 3600), 4326),
    'south-up': ((651234.3, 0.3, 0, 5123456.7, 0, 0.3), 32631),
    'turned': ((651234.3, 0.3, 0.1, 5123456.7, 0.1, -0.3), 32631),
    'not square': ((651234.3, 0.3, 0, 5123456.7, 0, -0.5), 32631),
    'nowhere': (None, None),
}


@pytest.mark.parametrize('build', [unet, twice_as_fine, classifier])
def test_pixels_do_not_depend_on_where_the_image_lies(bare, write_image, mapped, build):
    path, _ = bare(build, 'keras')
    pixels = noise(45, 70)
    plain = mapped(path, write_image(pixels), tile_size=32).pixels
    factor = plain.shape[1] / 70 if build is not classifier else 0.25
    for transform, epsg in PLACES.values():
        image = write_image(pixels, transform=transform, epsg=epsg)
        found = mapped(path, image, tile_size=32)
        assert np.array_equal(found.pixels, plain)
        x, across, skew, y, tilt, down = transform or (0, 1, 0, 0, 0, 1)
        expected = (x, across / factor, skew / factor, y, tilt / factor, down / factor)
        assert np.allclose(found.transform, expected, rtol=1e-14, atol=0)
        assert bool(found.dataset.GetProjection()) == bool(epsg)


# -- one patch a pixel ------------------------------------------------------------------------------------------------


def patches():
    image = keras.Input((16, 16, 2), name='image')
    x = layers.Flatten()(convolution(3, 3)(image))
    return keras.Model(image, {'out': layers.Dense(3, activation='softmax')(x)})


def pooled():
    """Takes patches of any size."""
    return network(convolution(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3))


def of_patches(model, pixels, size, scale, start, half):
    """The map of patches that begin `start` pixels before every so many; the map begins `half` a pixel before them."""
    rows, cols = pixels.shape[:2]
    padded = np.pad(pixels, ((FAR, FAR), (FAR, FAR), (0, 0)), 'reflect')
    down, across = (FAR + np.arange(0, length + half, scale, int) - start for length in (rows, cols))
    cut = [padded[i : i + size, j : j + size] for i in down for j in across]
    return model(np.stack(cut))['out'].numpy().reshape(len(down), len(across), -1)


@pytest.mark.parametrize(('build', 'size', 'kind'), [(patches, 16, 'keras'), (pooled, 7, 'savedmodel')])
@pytest.mark.parametrize('scale', [1, 2, 4])
def test_a_patch_for_each_pixel(bare, write_image, mapped, build, size, kind, scale):
    path, model = bare(build, kind)
    pixels = noise(37, 50)
    # The centres of patch and pixel are one; where none is, with scale 1, it is right of and below the middle.
    before = -(-(size - scale) // 2)
    half = (size - scale) % 2 / 2 if scale > 1 else 0
    expected = of_patches(model, pixels, size, scale, before, half)
    source = SourceSpec((write_image(pixels),), receptive_field=(size, size) if build is pooled else (0, 0))
    for tile, batch in ((16, 0), (32, 7), (0, 0)):
        found = mapped(path, source, tile_size=tile, batch_size=batch, spacing_scale=float(scale))
        assert found.pixels.shape == expected.shape and np.abs(found.pixels - expected).max() <= 1e-5
        assert found.transform == (600000 - 1.5 * half, 1.5 * scale, 0, 5800000 + 1.5 * half, 0, -1.5 * scale)


# -- other kinds of models --------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def module(tmp_path_factory):
    """A SavedModel of a module that takes whole numbers of 8 bits and gives the mean around as float and rounded."""

    class Around(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2), tf.uint8, name='pixels')])
        def __call__(self, pixels):
            x = tf.nn.avg_pool2d(tf.cast(pixels, tf.float32), 3, 1, 'VALID')
            return {'mean': x, 'rounded': tf.cast(tf.round(x), tf.int64)}

    path = str(tmp_path_factory.mktemp('module') / 'model')
    tf.saved_model.save(Around(), path)
    return path


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """A SavedModel as TensorFlow 1 wrote them: int16, strides, one row for all pixels, constants, unusual tags."""
    path = str(tmp_path_factory.mktemp('graph') / 'model')
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.int16, (None, None, None, 2), 'x')
        gain = v1.placeholder_with_default(tf.constant(2.0), (), 'gain')
        kernel = v1.get_variable('kernel', initializer=noise(4, 4, 6).reshape(4, 4, 2, 3))
        y = tf.nn.conv2d(tf.cast(x, tf.float32) / 100, kernel, 2, 'VALID') * gain
        y = tf.identity(y, 'y')
        label = tf.argmax(y, -1, name='label')
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(path)
        signature = v1.saved_model.predict_signature_def({'x': x}, {'y': y, 'label': label})
        builder.add_meta_graph_and_variables(session, ['mine', 'cpu'], {'maps': signature})
        builder.save()
    return path


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'float32'])
def test_whole_numbers_are_fed_as_the_model_wants_them(module, write_image, mapped, dtype):
    pixels = noise(40, 33, dtype='int16').astype(dtype)
    if dtype != 'uint8':
        pixels[4, 5] = 300, -7  # the nearest that the model's type holds
    for tile in (16, 0):
        found = mapped(module, write_image(pixels), tile_size=tile).pixels
        fed = np.pad(pixels.clip(0, 255).astype('float64'), ((1, 1), (1, 1), (0, 0)), 'reflect')
        mean = sum(fed[i : i + 40, j : j + 33] for i in range(3) for j in range(3)) / 9
        assert found.dtype == 'float32' and np.abs(found[..., :2] - mean).max() <= 1e-4
        assert np.abs(found[..., 2:] - mean).max() <= 0.5 + 1e-4 and np.array_equal(
            found[..., 2:], found[..., 2:].round()
        )
    whole = mapped(module, write_image(pixels), output_names=('rounded',))
    assert whole.pixels.dtype == 'int32' and np.array_equal(whole.pixels, found[..., 2:])


@pytest.mark.parametrize('tags', ['', 'cpu,mine'])
def test_graphs_of_the_first_tensorflow(graph, write_image, mapped, tags):
    pixels = noise(41, 60, dtype='int16')
    maps = [mapped(graph, write_image(pixels), tile_size=tile, tags=tags) for tile in (16, 0)]
    assert np.array_equal(maps[0].pixels, maps[1].pixels)
    padded = np.pad(pixels, ((1, 4), (1, 4), (0, 0)), 'reflect').astype('float64')
    kernel = noise(4, 4, 6).reshape(4, 4, 2, 3)
    expected = np.zeros((21, 30, 3))
    for i in range(4):
        for j in range(4):
            expected += padded[i : i + 42 : 2, j : j + 60 : 2] @ kernel[i, j] / 50
    values, label = maps[0].pixels[..., 1:], maps[0].pixels[..., 0]
    assert maps[0].pixels.shape == (21, 30, 4)
    assert np.abs(values - expected).max() <= 1e-4 and np.array_equal(label, values.argmax(-1))


def test_the_log_says_what_was_measured(bare, write_image, mapped):
    events = []
    mapped(bare(strided)[0], write_image(noise(20, 20)), events=events)
    texts = [event.text for event in events if isinstance(event, Log)]
    assert any('receptive field 4 left, 4 top, 7 right, 7 bottom; stride 4, scale 1' in text for text in texts)
