"""Where the pixels of a map lie: networks that give the mean of what they look at, on images that hold their own
coordinates, say the coordinates of the centre of each of their pixels."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from quadrat.engine.gdalio import gdal, ogr
from quadrat.engine.jobs import SourceSpec, VectorSpec
from quadrat.engine.vector import VectorWriter

pytestmark = [pytest.mark.own_network]

NORTH_UP = (100.0, 0.5, 0, 80.0, 0, -0.5)
SOUTH_UP = (100.0, 0.5, 0, 20.0, 0, 0.5)
NOISE = 2e-4  # of float32 at a thousandth of a pixel


def coordinates(rows, cols, transform):
    """(rows, columns, 2): x and y of the centres of the pixels."""
    col, row = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    t = transform
    return np.stack([t[0] + col * t[1] + row * t[2], t[3] + col * t[4] + row * t[5]], -1)


def ramps(rows, cols, transform=NORTH_UP):
    return coordinates(rows, cols, transform).astype('float32')


def misplaced(found, size, margin, pixel=0.5):
    """By how many pixels of the image the values lie off the centres of their pixels, at most, away from the edges.

    Args:
        found: the map. size: (rows, columns) of the image. margin: in pixels of the image.
    """
    rows, cols = found.pixels.shape[:2]
    cut = [int(np.ceil(margin * length / whole)) for length, whole in zip((rows, cols), size)]
    off = (found.pixels - coordinates(rows, cols, found.transform)) / pixel
    inner = off[cut[0] : rows - cut[0], cut[1] : cols - cut[1]]
    assert inner.size
    return np.abs(inner).max()


@functools.cache
def means(field, stride):
    """What builds a network of means over `field` pixels every `stride`; one object a pair, so that it is kept."""

    def build():
        image = keras.Input((None, None, 2), name='image')
        return keras.Model(image, {'out': layers.AveragePooling2D(field, stride)(image)})

    return build


PAIRS = [(field, stride) for stride in (1, 2, 3, 4) for field in (3, 4, 8, 15, 16) if field >= stride]


@pytest.mark.parametrize(('field', 'stride'), PAIRS)
def test_means_over_windows(bare, write_image, mapped, field, stride):
    path, _ = bare(means(field, stride), 'keras')
    for transform in (NORTH_UP, SOUTH_UP):
        image = write_image(ramps(61, 70, transform), transform=transform)
        found = mapped(path, image, tile_size=16)
        step = transform[5] / 0.5
        assert np.allclose(np.array(found.transform)[[1, 5]], (0.5 * stride, 0.5 * stride * step), rtol=1e-15)
        # It begins where the image does, or half a pixel before where only so its pixels are centred.
        half = (field - stride) % 2 / 2 if stride > 1 else 0
        assert np.allclose(np.array(found.transform)[[0, 3]], (100 - 0.5 * half, transform[3] - step * 0.5 * half))
        assert found.pixels.shape == (-(-(61 + half) // stride), -(-(70 + half) // stride), 2)
        if stride == 1 and field % 2 == 0:
            # The convention of patches: the value is that of the pixel right of and below the middle.
            found.pixels[..., 0] += 0.25
            found.pixels[..., 1] += 0.25 * step
        assert misplaced(found, (61, 70), field) < NOISE / 0.5


def resized(factor, method):
    """A SavedModel of the image enlarged."""

    class Resized(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2), tf.float32, name='image')])
        def __call__(self, image):
            size = tf.shape(image)[1:3] * factor
            return {'out': tf.image.resize(image, size, method)}

    return Resized()


@pytest.mark.parametrize('factor', [2, 4])
@pytest.mark.parametrize('method', ['bilinear', 'nearest', 'bicubic'])
def test_enlarged(tmp_path, write_image, mapped, factor, method):
    path = str(tmp_path / 'model')
    tf.saved_model.save(resized(factor, method), path)
    for transform in (NORTH_UP, SOUTH_UP):
        image = write_image(ramps(31, 40, transform), transform=transform)
        found = mapped(path, image, tile_size=48)
        assert found.pixels.shape == (31 * factor, 40 * factor, 2)
        assert found.transform == (100, 0.5 / factor, 0, transform[3], 0, transform[5] / factor)
        if method == 'nearest':  # it is right in the mean over the pixels of the image
            blocks = found.pixels.reshape(31, factor, 40, factor, 2)
            assert np.array_equal(blocks.mean((1, 3)), ramps(31, 40, transform))
        else:
            assert misplaced(found, (31, 40), 4) < NOISE


@pytest.mark.parametrize('crop', [1, 2, 3])
def test_enlarged_and_cut(bare, write_image, mapped, crop):
    path, _ = bare(enlarged_and_cut(crop))
    for tile in (16, 0):
        found = mapped(path, write_image(ramps(31, 40), transform=NORTH_UP), tile_size=tile)
        assert found.transform == (100, 0.25, 0, 80, 0, -0.25) and found.pixels.shape == (62, 80, 2)
        blocks = found.pixels.reshape(31, 2, 40, 2, 2)
        assert np.abs(blocks.mean((1, 3)) - ramps(31, 40))[4:-4, 4:-4].max() < NOISE


@functools.cache
def enlarged_and_cut(crop):
    def build():
        image = keras.Input((None, None, 2), name='image')
        x = layers.AveragePooling2D(3, 1, padding='same')(image)
        return keras.Model(image, {'out': layers.Cropping2D(crop)(layers.UpSampling2D(2)(x))})

    return build


@functools.cache
def mean_of_patches(side):
    def build():
        image = keras.Input((side, side, 2), name='image')
        return keras.Model(image, {'out': layers.GlobalAveragePooling2D()(image)})

    return build


@pytest.mark.parametrize('scale', [0.5, 1, 1.5, 2, 3, 4])
@pytest.mark.parametrize('side', [15, 16])
def test_means_over_patches(bare, write_image, mapped, side, scale):
    path, _ = bare(mean_of_patches(side))
    for transform in (NORTH_UP, SOUTH_UP):
        image = write_image(ramps(61, 50, transform), transform=transform)
        found = mapped(path, image, tile_size=16, spacing_scale=float(scale))
        off = misplaced(found, (61, 50), side)
        whole = scale == int(scale)
        if whole and (scale > 1 or side % 2):
            assert off < NOISE / 0.5
        elif whole:
            assert abs(off - 0.5) < NOISE / 0.5  # to the left and above
        else:  # patches begin at whole pixels
            assert off <= 0.75 + NOISE


def two_means():
    """Of a fine image and one four times as coarse; the map is twice as coarse as the fine one."""
    fine, coarse = keras.Input((None, None, 2), name='fine'), keras.Input((None, None, 2), name='coarse')
    wide = layers.UpSampling2D(2)(layers.AveragePooling2D(3, 1, padding='same')(coarse))
    near = layers.AveragePooling2D(2)(fine)
    return keras.Model({'fine': fine, 'coarse': coarse}, {'out': layers.Concatenate()([near, wide])})


@pytest.mark.parametrize('transform', [NORTH_UP, SOUTH_UP])
def test_two_resolutions_meet(bare, write_image, mapped, transform):
    """Also where the second image begins by whole pixels of its own elsewhere."""
    path, _ = bare(two_means, 'keras')
    x, pixel, _, y, _, down = transform
    coarse_transform = (x - 6 * pixel, 4 * pixel, 0, y - 10 * down, 0, 4 * down)
    coarse = write_image(ramps(20, 30, coarse_transform), 'coarse.tif', coarse_transform)
    fine_transform = (x + 2 * pixel, pixel, 0, y + 2 * down, 0, down)
    fine = write_image(ramps(40, 60, fine_transform), 'fine.tif', fine_transform)
    sources = SourceSpec((fine,), placeholder='fine'), SourceSpec((coarse,), placeholder='coarse')
    for order, start in ((sources, fine_transform), (sources[::-1], coarse_transform)):
        found = mapped(path, *order, tile_size=16)
        assert np.allclose(found.transform, (start[0], 2 * pixel, 0, start[3], 0, 2 * down), rtol=1e-15)
        place = coordinates(*found.pixels.shape[:2], found.transform)
        known = np.isfinite(found.pixels[..., 0])
        assert known.sum() == 20 * 30
        off = np.abs(found.pixels[..., :2] - place)[known]
        assert off.max() < NOISE
        # The coarse one is repeated, so it is off by half a pixel of the map, either way.
        inner = found.pixels[known].reshape(20, 30, 4)[2:-2, 2:-2, 2:] - place[known].reshape(20, 30, 2)[2:-2, 2:-2]
        assert np.abs(np.abs(inner) - pixel).max() < NOISE and np.abs(inner.mean((0, 1))).max() < NOISE


# -- parts of the map -------------------------------------------------------------------------------------------------


def parts(tmp_path):
    """Networks whose maps have other pixels than the image, by the size of these."""
    path = str(tmp_path / 'double')
    tf.saved_model.save(resized(2, 'bilinear'), path)
    return path


@pytest.mark.parametrize('scale', ['1/2', '2', '3', '4', 'patch 3'])
def test_parts_are_cut_from_the_whole_map(bare, write_image, mapped, tmp_path, scale):
    options = {}
    if scale == '1/2':
        path = parts(tmp_path)
    elif scale.startswith('patch'):
        path, options = bare(mean_of_patches(16))[0], {'spacing_scale': 3.0}
    else:
        path = bare(means({'2': 3, '3': 8, '4': 16}[scale], int(scale)), 'keras')[0]
    pixels = ramps(61, 70)
    pixels[20:24, 30:37] = np.nan
    image = write_image(pixels)
    whole = mapped(path, image, **options)
    x, step, _, y, _, down = whole.transform
    window = (2, 5, 13, 11)
    found = mapped(path, image, window=window, tile_size=16, **options)
    expected = whole.pixels[5:16, 2:15]
    assert found.pixels.tobytes() == expected.tobytes()
    corner = (x + 2 * step, step, 0, y + 5 * down, 0, down)
    assert np.allclose(found.transform, corner, rtol=1e-15)
    # The extent that this window has, and one that only touches its pixels.
    west, north = corner[0], corner[3]
    for inset in (0, 0.9):
        extent = (west + inset * step, north + 11 * down, west + 13 * step, north + inset * down)
        again = mapped(path, image, extent=extent, **options)
        assert again.pixels.tobytes() == expected.tobytes() and np.allclose(again.transform, corner, rtol=1e-15)


@pytest.mark.parametrize('transform', [NORTH_UP, SOUTH_UP])
@pytest.mark.parametrize(('field', 'stride'), [(3, 1), (4, 2), (3, 2), (16, 4)])
def test_masks_of_maps_with_other_pixels(bare, write_image, mapped, tmp_path, field, stride, transform):
    """Pixels of the map whose centre is in a polygon, and those that a pixel of a mask lies under."""
    path, _ = bare(means(field, stride), 'keras')
    image = write_image(ramps(61, 70, transform), transform=transform)
    whole = mapped(path, image)
    place = coordinates(*whole.pixels.shape[:2], whole.transform)
    polygons = VectorSpec(str(tmp_path / 'polygons.gpkg'))
    with VectorWriter(polygons.path, gdal.Open(image).GetProjection(), geometry_type=ogr.wkbPolygon) as writer:
        wkt = 'POLYGON ((106.1 30.2, 127.7 30.2, 127.7 44.4, 106.1 44.4, 106.1 30.2))'
        writer.add(ogr.CreateGeometryFromWkt(wkt), {})
    inside = (place[..., 0] > 106.1) & (place[..., 0] < 127.7) & (place[..., 1] > 30.2) & (place[..., 1] < 44.4)
    found = mapped(path, image, mask_layer=polygons, tile_size=16)
    assert np.array_equal(found.pixels, np.where(inside[..., None], whole.pixels, np.nan), equal_nan=True)

    mask = np.zeros((61, 70), 'uint8')
    mask[17, 23], mask[40:47, 8:20] = 1, 9
    found = mapped(path, image, mask=write_image(mask, 'mask.tif', transform), tile_size=16)
    wanted = np.isfinite(found.pixels[..., 0])
    assert np.array_equal(found.pixels[wanted], whole.pixels[wanted])
    shares = np.zeros(wanted.shape)
    first = [
        (corner - origin) / step
        for corner, origin, step in zip(
            np.array(whole.transform)[[0, 3]], np.array(transform)[[0, 3]], (0.5, transform[5])
        )
    ]
    for row, col in np.argwhere(mask):
        for i in (row + 0.01, row + 0.99):
            for j in (col + 0.01, col + 0.99):
                shares[int((i - first[1]) // stride), int((j - first[0]) // stride)] += 1
    assert not wanted[shares == 0].any() and wanted[shares >= 2].all()
