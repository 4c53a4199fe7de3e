"""Pictures in records are decoded, resized and scaled as TensorFlow does it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from quadrat.engine.datasets.feeders.descriptors import ImageFeature
from quadrat.engine.datasets.feeders.images import read_image, resized

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (23, 31, 3), dtype=np.uint8)
RGBA = RANDOM.integers(0, 256, (23, 31, 4), dtype=np.uint8)
GREY = RGB[..., 0]
DEEP = RANDOM.integers(0, 65536, (23, 31), dtype=np.uint16)


def file(picture, kind: str, **options) -> bytes:
    out = io.BytesIO()
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(out, kind, **options)
    return out.getvalue()


PALETTE = Image.fromarray(RGB).convert('P')
EXACT = {
    'rgb': file(RGB, 'PNG'),
    'rgba': file(RGBA, 'PNG'),
    'grey': file(GREY, 'PNG'),
    'grey with opacity': file(Image.fromarray(RGBA[..., :2], 'LA'), 'PNG'),
    'palette': file(PALETTE, 'PNG'),
    'palette with opacity': file(PALETTE, 'PNG', transparency=3),
    'palette of 2 bits': file(Image.fromarray(GREY >> 6).convert('P'), 'PNG', bits=2),
    'one bit': file(Image.fromarray(GREY > 127), 'PNG'),
    '16 bits': file(DEEP, 'PNG'),
}
BITMAPS = {'bmp': file(RGB, 'BMP'), 'grey bmp': file(GREY, 'BMP'), 'gif': file(PALETTE, 'GIF')}


def raw(data: bytes, channels: int, kind: str = 'auto') -> np.ndarray:
    return read_image(data, ImageFeature(kind, channels, 'uint8'))


@pytest.mark.parametrize('channels', [0, 1, 3])
@pytest.mark.parametrize('name', EXACT)
def test_png_is_equal_to_the_bit(name, channels):
    expected = tf.io.decode_png(EXACT[name], channels).numpy()
    assert np.array_equal(raw(EXACT[name], channels, 'png'), expected)
    assert np.array_equal(raw(EXACT[name], channels), expected)


@pytest.mark.parametrize('channels', [0, 3])
@pytest.mark.parametrize('name', BITMAPS)
def test_bmp_and_gif_are_equal_to_the_bit(name, channels):
    expected = tf.io.decode_image(BITMAPS[name], channels, expand_animations=False).numpy()
    assert np.array_equal(raw(BITMAPS[name], channels, name.split()[-1]), expected)


@pytest.mark.parametrize('channels', [0, 1, 3])
@pytest.mark.parametrize('subsampling', [0, 2])
def test_jpeg_is_the_accurate_one(channels, subsampling):
    data = file(RGB, 'JPEG', quality=90, subsampling=subsampling)
    expected = tf.io.decode_jpeg(data, channels, dct_method='INTEGER_ACCURATE').numpy()
    assert np.array_equal(raw(data, channels, 'jpeg'), expected)


def test_as_numbers_from_0_to_1_resized_and_scaled():
    expected = tf.image.convert_image_dtype(tf.io.decode_png(EXACT['rgb']), tf.float32)
    assert np.array_equal(read_image(EXACT['rgb'], ImageFeature()), expected.numpy())
    for size in ((11, 50), (46, 7), (23, 31), (1, 1)):
        found = read_image(EXACT['rgb'], ImageFeature(resize_height=size[0], resize_width=size[1]))
        assert np.abs(found - tf.image.resize(expected, size).numpy()).max() < 1e-6
        scaled = ImageFeature(resize_height=size[0], resize_width=size[1], standard_scaling=True)
        assert np.allclose(read_image(EXACT['rgb'], scaled), (found - 0.5) * 2, atol=1e-6)
    assert resized(np.ones((2, 3, 1), np.float32), 5, 5).dtype == np.float32


def test_what_is_no_picture_is_refused():
    for data, kind in ((b'', 'auto'), (b'text', 'auto'), (EXACT['rgb'][:90], 'auto'), (EXACT['rgb'], 'jpeg')):
        with pytest.raises(ValueError, match=r'is no .* that can be read') as told:
            raw(data, 3, kind)
        assert 'object at 0x' not in str(told.value)
