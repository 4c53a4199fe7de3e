"""Bare models of several sources: of other resolutions, beginning elsewhere, in any order."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from quadrat.engine.jobs import SourceSpec

pytestmark = [pytest.mark.own_network]


def noise(rows, cols, bands=2, seed=0):
    return np.random.default_rng((rows, cols, bands, seed)).random((rows, cols, bands)).astype('float32')


def convolution(filters, size, **options):
    return layers.Conv2D(filters, size, activation='relu', bias_initializer='random_uniform', **options)


COARSE = (7.1 / 3, 0.4 / 3600, 0, 143.3 / 3, 0, -0.4 / 3600)


def moved(transform, cols, rows, scale):
    """The same grid from (cols, rows) on, with pixels `scale` times as large."""
    x, across, _, y, _, down = transform
    return x + cols * across, across * scale, 0, y + rows * down, 0, down * scale


def two_branches(coarse_output=False):
    fine, coarse = keras.Input((None, None, 1), name='pan'), keras.Input((None, None, 2), name='xs')
    detail = convolution(3, 5, padding='same')(fine)
    colour = convolution(3, 3, padding='same')(coarse)
    if coarse_output:
        detail = convolution(3, 4, strides=4)(detail)
    else:
        colour = layers.UpSampling2D(4)(colour)
    x = layers.Concatenate()([detail, colour])
    return keras.Model({'pan': fine, 'xs': coarse}, {'out': layers.Conv2D(2, 3, padding='same')(x)})


def coarse_output():
    return two_branches(True)


@pytest.mark.parametrize('build', [two_branches, coarse_output])
@pytest.mark.parametrize('first', ['pan', 'xs'])
def test_two_resolutions(bare, write_image, mapped, build, first):
    path, model = bare(build, 'keras' if first == 'pan' else 'savedmodel')
    world, details = noise(48, 50), noise(192, 200, 1)
    # The fine image begins 7 columns and 5 rows of the coarse one further on, and ends before it.
    xs = write_image(world, 'xs.tif', COARSE, 4326)
    pan = write_image(details[20:160, 28:180], 'pan.tif', moved(COARSE, 7, 5, 0.25), 4326)
    specs = {'pan': SourceSpec((pan,), 'pan'), 'xs': SourceSpec((xs,), 'xs')}
    order = [specs[first], specs['xs' if first == 'pan' else 'pan']]
    maps = [mapped(path, *order, tile_size=tile) for tile in (16, 48, 0)]
    whole = maps[0].pixels
    for other in maps[1:]:
        assert np.array_equal(np.isnan(other.pixels), np.isnan(whole))
        assert np.nanmax(np.abs(other.pixels - whole)) <= 1e-5
    expected = model({'pan': details[None], 'xs': world[None]})['out'].numpy()[0]
    scale = 4 if build is two_branches else 1
    inner = np.s_[5 * scale : 40 * scale, 7 * scale : 45 * scale]
    expected = expected[inner]
    if first == 'xs':
        assert whole.shape[:2] == (48 * scale, 50 * scale)
        known = np.zeros(whole.shape[:2], bool)
        known[inner] = True
        assert np.array_equal(np.isfinite(whole[..., 0]), known)
        whole = whole[inner]
        assert np.allclose(maps[0].transform, moved(COARSE, 0, 0, 1 / scale), rtol=1e-14)
    else:
        assert np.allclose(maps[0].transform, moved(COARSE, 7, 5, 1 / scale), rtol=1e-14)
    margin = 4 * scale
    assert whole.shape == expected.shape
    assert np.abs(whole - expected)[margin:-margin, margin:-margin].max() <= 1e-5


def without_padding():
    fine, coarse = keras.Input((None, None, 1), name='pan'), keras.Input((None, None, 2), name='xs')
    both = layers.Concatenate()([fine, layers.UpSampling2D(4)(coarse)])
    return keras.Model({'pan': fine, 'xs': coarse}, {'out': convolution(2, 5)(both)})


@pytest.mark.parametrize('first', ['pan', 'xs'])
def test_two_resolutions_without_padding(bare, write_image, mapped, first):
    """The margin that is lost is no whole number of coarse pixels."""
    path, model = bare(without_padding, 'keras')
    xs, pan = noise(10, 12), noise(40, 48, 1)
    sources = [
        SourceSpec((write_image(xs, 'xs.tif', COARSE, 4326),), 'xs'),
        SourceSpec((write_image(pan, 'pan.tif', moved(COARSE, 0, 0, 0.25), 4326),), 'pan'),
    ]
    maps = [mapped(path, *sources[:: -1 if first == 'pan' else 1], tile_size=tile) for tile in (16, 0)]
    assert np.array_equal(maps[0].pixels, maps[1].pixels, equal_nan=True)
    expected = model({'pan': pan[None], 'xs': xs[None]})['out'].numpy()[0]
    # It is known on the ground of the images, wherever the map begins.
    known = np.isfinite(maps[0].pixels[..., 0])
    rows, cols = np.nonzero(known)
    found = maps[0].pixels[known].reshape(40, 48, 2)
    assert np.abs(found[2:-2, 2:-2] - expected).max() <= 1e-5
    assert np.allclose(moved(maps[0].transform, cols[0], rows[0], 1), moved(COARSE, 0, 0, 0.25), rtol=1e-14)


def uneven_inputs():
    """One input loses its margin evenly, which takes half pixels, and the other one unevenly."""
    a, b = keras.Input((None, None, 2), name='a'), keras.Input((None, None, 2), name='b')
    cut = layers.Cropping2D(((1, 2), (1, 2)))(b)
    return keras.Model({'a': a, 'b': b}, {'out': layers.Concatenate()([convolution(2, 4)(a), cut])})


@pytest.mark.parametrize('first', ['a', 'b'])
def test_inputs_stay_on_one_another(bare, write_image, mapped, first):
    path, model = bare(uneven_inputs)
    pixels = {name: noise(30, 34, seed=ord(name)) for name in 'ab'}
    order = ['a', 'b'] if first == 'a' else ['b', 'a']
    sources = [SourceSpec((write_image(pixels[name], f'{name}.tif'),), name) for name in order]
    found = mapped(path, *sources, tile_size=16).pixels
    expected = model({name: values[None] for name, values in pixels.items()})['out'].numpy()[0]
    before = 2 if first == 'a' else 1
    inner = found[before : before + 27, before : before + 31]
    assert np.abs(inner - expected).max() <= 1e-5


def two_patches():
    fine, coarse = keras.Input((32, 32, 1), name='fine'), keras.Input((8, 8, 2), name='coarse')
    both = layers.Concatenate()([layers.Flatten()(layers.AveragePooling2D(2)(fine)), layers.Flatten()(coarse)])
    return keras.Model([fine, coarse], {'out': layers.Dense(3)(both)})


@pytest.mark.parametrize(('first', 'pixel'), [('fine', (20, 21)), ('coarse', (9, 8))])
def test_patches_of_two_resolutions(bare, write_image, mapped, first, pixel):
    """Each patch holds the pixel of the map right of and below its middle."""
    path, model = bare(two_patches)
    world, details = noise(20, 24), noise(80, 96, 1)
    coarse = write_image(world, 'coarse.tif', COARSE, 4326)
    fine = write_image(details[20:60, 16:72], 'fine.tif', moved(COARSE, 4, 5, 0.25), 4326)
    given = {'fine': SourceSpec((fine,), placeholder='fine'), 'coarse': SourceSpec((coarse,), placeholder='coarse')}
    order = (given[first], given['coarse' if first == 'fine' else 'fine'])
    maps = [mapped(path, *order, tile_size=tile).pixels for tile in (16, 64)]
    assert np.array_equal(*maps, equal_nan=True)
    row, col = pixel
    if first == 'fine':
        row, col = row + 20, col + 16
        (down, across), (row, col) = (row, col), (row // 4, col // 4)
    else:
        down, across = 4 * row + 2, 4 * col + 2
    feeds = {
        'fine': details[None, down - 16 : down + 16, across - 16 : across + 16],
        'coarse': world[None, row - 4 : row + 4, col - 4 : col + 4],
    }
    assert np.abs(maps[0][pixel] - model(feeds)['out'].numpy()[0]).max() <= 1e-5
    if first == 'coarse':  # nothing is known where only one of them is
        assert np.array_equal(np.isfinite(maps[0][..., 0]), np.pad(np.ones((10, 14), bool), ((5, 5), (4, 6))))
