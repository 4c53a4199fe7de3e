"""Networks that look at everything there is, or take windows of one size only: maps of overlapping pieces."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from quadrat.engine.errors import InvalidJob
from quadrat.engine.events import Warn
from quadrat.engine.jobs import ClassDef, SourceSpec

pytestmark = [pytest.mark.own_network]


def noise(rows, cols, bands=2):
    return np.random.default_rng((rows, cols, bands)).random((rows, cols, bands)).astype('float32')


def attentive(size=None, strided=False):
    """Weighs bands by their mean over all of the window."""
    image = keras.Input((size, size, 2), name='image')
    x = layers.Conv2D(4, 3, padding='same', activation='relu')(image)
    if strided:
        x = layers.MaxPooling2D(4)(x)
    weights = layers.Dense(4, activation='sigmoid')(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Conv2D(3, 3, padding='same')(layers.Multiply()([x, weights]))
    if strided:
        x = layers.UpSampling2D(4)(x)
    return keras.Model(image, {'out': x})


def strided():
    return attentive(strided=True)


def fixed():
    return attentive(64)


def identity(size=None, crop=0, everything=False):
    """Gives what it takes; `everything`: it depends on all of it nonetheless, by nothing."""
    image = keras.Input((size, size, 2), name='image')
    x = layers.Cropping2D(crop)(image) if crop else layers.Activation('linear')(image)
    if everything:
        x = layers.Add()([x, layers.Rescaling(0.0)(layers.GlobalAveragePooling2D(keepdims=True)(image))])
    return keras.Model(image, {'out': x})


def fixed_identity():
    return identity(64)


def fixed_cropped():
    return identity(64, 16)


def fixed_cropped_unevenly():
    return identity(64, 10)


def global_identity():
    return identity(everything=True)


def piece_source(path, side):
    """Pieces as large as a receptive field that is said."""
    return SourceSpec((path,), receptive_field=(side, side))


NETWORKS = [
    (attentive, 'keras', 48),
    (strided, 'savedmodel', 48),
    (fixed, 'keras', 0),
    (fixed_cropped, 'savedmodel', 0),
    (fixed_cropped_unevenly, 'keras', 0),
    (fixed_identity, 'keras', 0),
    (global_identity, 'savedmodel', 41),
]
SAME = {fixed_cropped: 1.0}  # what pixels the map has cannot be told of 32 for 64


@pytest.mark.parametrize('blend', ['auto', 'none', 'cosine'])
@pytest.mark.parametrize(('build', 'kind', 'side'), NETWORKS, ids=lambda item: getattr(item, '__name__', None))
def test_the_map_does_not_depend_on_the_tiles(bare, write_image, mapped, build, kind, side, blend):
    path, _ = bare(build, kind)
    options = {'blend': blend, 'spacing_scale': SAME.get(build, 0.0)}
    pixels, events = noise(133, 90), []
    source = piece_source(write_image(pixels), side)
    whole = mapped(path, source, events=events, **options)
    told = [event.text for event in events if isinstance(event, Warn)]
    assert len(told) == 1 and 'overlapping pieces' in told[0] and ('cosine' in told[0]) == (blend != 'none')
    assert whole.pixels.shape[:2] == (133, 90) and whole.transform == (600000, 1.5, 0, 5800000, 0, -1.5)
    for tile, batch in ((16, 0), (48, 3)):
        found = mapped(path, source, tile_size=tile, batch_size=batch, **options).pixels
        assert np.abs(found - whole.pixels).max() <= 1e-5
    part = mapped(path, source, window=(30, 50, 40, 21), **options).pixels
    assert np.abs(part - whole.pixels[50:71, 30:70]).max() <= 1e-5
    if 'identity' in build.__name__ or 'cropped' in build.__name__:
        assert np.abs(whole.pixels - pixels).max() <= 1e-6


@pytest.mark.parametrize('build', [attentive, strided, fixed])
def test_there_are_no_seams(bare, write_image, mapped, build):
    """The weights add up to one everywhere; and pieces fade, so that steps are small where they meet."""
    path, model = bare(build, 'keras')
    flat = np.broadcast_to(np.float32([0.3, 0.7]), (150, 140, 2))
    side = 0 if build is fixed else 64
    found = mapped(path, piece_source(write_image(flat), side), tile_size=16, blend='none').pixels
    assert np.ptp(found, (0, 1)).max() <= 1e-6
    inner = model(np.broadcast_to(flat[:1, :1], (1, 64, 64, 2)))['out'].numpy()[0, 32, 32]
    assert np.abs(found - inner).max() <= 1e-5

    steep = np.zeros((64, 260, 2), 'float32') + np.linspace(0, 1, 260, dtype='float32')[:, None] ** 4
    image = piece_source(write_image(steep), side)
    faded, hard = (mapped(path, image, blend=blend, tta='none').pixels for blend in ('auto', 'none'))
    steps = [np.abs(np.diff(values, axis=1))[20:44, 40:220].max() for values in (faded, hard)]
    assert steps[0] <= steps[1] + 1e-6


def test_of_an_image_smaller_than_a_piece(bare, write_image, mapped):
    path, _ = bare(fixed_identity, 'keras')
    for size in ((3, 2), (40, 70)):
        pixels = noise(*size)
        assert np.abs(mapped(path, write_image(pixels)).pixels - pixels).max() <= 1e-6


def test_pieces_without_data_do_not_count(bare, write_image, mapped):
    """No-data splits the image; each part is as if there was nothing else."""
    path, _ = bare(fixed_identity, 'keras')
    pixels = noise(100, 200)
    pixels[:, 90:120] = np.nan
    found = mapped(path, write_image(pixels), tile_size=32).pixels
    assert np.array_equal(np.isnan(found), np.isnan(pixels))
    known = ~np.isnan(pixels)
    assert np.abs(found[known] - pixels[known]).max() <= 1e-6


@functools.cache
def labels(size=None):
    def build():
        image = keras.Input((size, size, 2), name='image')
        x = layers.Add()([image, layers.Rescaling(0.0)(layers.GlobalAveragePooling2D(keepdims=True)(image))])
        return keras.Model(image, {'out': ArgMax()(x)})

    return build


@keras.saving.register_keras_serializable('tests')
class ArgMax(layers.Layer):
    def call(self, x):
        return keras.ops.argmax(x, -1)


@pytest.mark.parametrize('size', [None, 64])
def test_whole_numbers_are_those_of_the_middle(bare, write_image, mapped, size):
    path, _ = bare(labels(size))
    pixels, events = noise(100, 130), []
    source = piece_source(write_image(pixels), 0 if size else 40)
    found = mapped(path, source, tile_size=32, events=events)
    assert found.pixels.dtype == 'int32' and np.array_equal(found.pixels[..., 0], pixels.argmax(-1))
    assert any('of which the middle is taken' in event.text for event in events if isinstance(event, Warn))
    classes = (ClassDef(0, 'a'), ClassDef(1, 'b'))
    mine = mapped(path, source, classes=classes)
    assert mine.pixels.dtype == 'uint8' and np.array_equal(mine.pixels[..., 0], pixels.argmax(-1))
    with pytest.raises(InvalidJob, match=r'BLEND cosine: .* whole numbers'):
        mapped(path, source, blend='cosine')


def logarithm():
    """Takes 64 pixels, and gives what is not a number for one of them in its corner."""
    image = keras.Input((64, 64, 2), name='image')
    weights = np.ones((64, 64, 1), 'float32')
    weights[3, 5] = 0
    zeros = keras.layers.Multiply()([image, Weights(weights)(image)])
    return keras.Model(image, {'out': zeros / zeros * image})


@keras.saving.register_keras_serializable('tests')
class Weights(layers.Layer):
    def __init__(self, values):
        super().__init__()
        self.values = values

    def call(self, x):
        return keras.ops.ones_like(x[..., :1]) * self.values


def test_only_what_counts_of_a_piece_can_spoil_the_map(bare, write_image, mapped):
    path, _ = bare(logarithm)
    pixels = noise(100, 130)
    found = mapped(path, write_image(pixels), blend='none').pixels
    assert np.abs(found - pixels).max() <= 1e-6


def bounded():
    image = keras.Input((None, None, 2), name='image')
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, padding='same', activation='relu')(image))
    return keras.Model(image, {'out': layers.UpSampling2D(2)(layers.Conv2D(3, 3, padding='same')(x))})


def test_of_a_bounded_network_where_it_is_asked_for(bare, write_image, mapped):
    path, _ = bare(bounded, 'keras')
    source, events = piece_source(write_image(noise(140, 150)), 64), []
    exact = mapped(path, write_image(noise(140, 150))).pixels
    maps = [mapped(path, source, blend='cosine', tile_size=tile, events=events).pixels for tile in (16, 64, 0)]
    assert not [event for event in events if isinstance(event, Warn)]
    assert np.abs(maps[0] - maps[1]).max() <= 1e-5 and np.abs(maps[0] - maps[2]).max() <= 1e-5
    # Only the edges of pieces are different, where the network pads them and their weights are small.
    difference = np.abs(maps[0] - exact)
    assert 1e-6 < difference.max() < 0.1 * np.ptp(exact) and np.median(difference) <= 1e-6


def test_turned_pieces(bare, write_image, mapped):
    """D4 with pieces: the map of the turned image is the turned map."""
    path, _ = bare(fixed, 'keras')
    pixels = noise(128, 128)
    plain = mapped(path, write_image(pixels), tta='d4', tile_size=32).pixels
    turned = mapped(path, write_image(np.flip(pixels, 1), 'turned.tif'), tta='d4').pixels
    assert np.abs(np.flip(turned, 1) - plain)[:, 40:-40].max() <= 1e-5


def test_two_sources_of_fixed_sizes(tmp_path, write_image, mapped):
    class Both(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec((None, 64, 64, 1), tf.float32, name='fine'),
                tf.TensorSpec((None, 16, 16, 1), tf.float32, name='xs'),
            ]
        )
        def __call__(self, fine, xs):
            wide = tf.repeat(tf.repeat(xs, 4, 1), 4, 2)
            return {'out': tf.concat([fine, wide], -1)}

    path = str(tmp_path / 'model')
    tf.saved_model.save(Both(), path)
    fine, xs = noise(120, 160, 1), noise(30, 40, 1)
    places = [(600000, 1.5, 0, 5800000, 0, -1.5), (600000, 6, 0, 5800000, 0, -6)]
    sources = (
        SourceSpec((write_image(fine, 'fine.tif', places[0]),)),
        SourceSpec((write_image(xs, 'xs.tif', places[1]),)),
    )
    expected = np.concatenate([fine, xs.repeat(4, 0).repeat(4, 1)], -1)
    for tile in (16, 0):
        assert np.abs(mapped(path, *sources, tile_size=tile).pixels - expected).max() <= 1e-6
