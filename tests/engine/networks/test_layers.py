"""Layers and operations with OTBTF's names: what they compute, and that models holding them can be saved."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from quadrat.engine import layers, ops
from quadrat.engine.errors import InvalidJob

RNG = np.random.default_rng(0)


def dilated(empty: np.ndarray, radius: int) -> np.ndarray:
    """Of (batch, rows, columns, 1): whether any pixel in the square around is set."""
    wide = np.pad(empty, [(0, 0), (radius, radius), (radius, radius), (0, 0)])
    rows, columns = empty.shape[1:3]
    span = range(2 * radius + 1)
    return np.any([wide[:, i : i + rows, j : j + columns] for i in span for j in span], axis=0)


@pytest.mark.parametrize('radius', [0, 1, 4])
@pytest.mark.parametrize(('dtype', 'nodata'), [('float32', -3.4028235e38), ('float32', np.nan), ('int32', 2**31 - 2)])
def test_dilated_mask(radius, dtype, nodata):
    values = np.zeros((3, 12, 9, 1), dtype)
    values[RNG.uniform(size=values.shape) < 0.04] = nodata
    if dtype == 'int32':
        values[0, 0, 0, 0] = nodata + 1  # the same number in float32
    empty = np.isnan(values) if np.isnan(nodata) else values == np.asarray(nodata, dtype)
    mask = layers.DilatedMask(nodata, radius)(keras.ops.convert_to_tensor(values))
    assert mask.dtype == 'uint8'
    np.testing.assert_array_equal(mask, dilated(empty, radius))


def test_dilated_mask_takes_one_band():
    with pytest.raises(InvalidJob, match='one band'):
        layers.DilatedMask(0, 1)(np.zeros((1, 4, 4, 2)))
    with pytest.raises(InvalidJob, match='radius is -1'):
        layers.DilatedMask(0, -1)


@pytest.mark.parametrize('dtype', ['float32', 'int16'])
def test_apply_mask(dtype):
    mask = (RNG.uniform(size=(2, 5, 6, 1)) < 0.5).astype('uint8')
    values = RNG.integers(0, 100, (2, 5, 6, 3)).astype(dtype)
    result = layers.ApplyMask(-7)([mask, values])
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.where(mask == 1, -7, values))


def test_scalars_tile():
    ref = np.zeros((2, 3, 4, 5), 'float32')
    first, second = np.float32([1, 2]), np.float32([[3], [4]])
    expected = np.broadcast_to(np.float32([[1, 3], [2, 4]])[:, None, None], (2, 3, 4, 2))
    for inputs in ([ref, first, second], [ref, [first, second]]):
        np.testing.assert_array_equal(layers.ScalarsTile()(inputs), expected)


def test_argmax_and_max():
    values = RNG.integers(0, 4, (2, 5, 6, 4)).astype('float32')  # with ties
    number = layers.Argmax()(values)
    assert number.dtype == 'int64'
    np.testing.assert_array_equal(number, values.argmax(-1)[..., None])
    np.testing.assert_array_equal(layers.Argmax(expand_last_dim=False)(values), values.argmax(-1))
    np.testing.assert_array_equal(layers.Max()(values), values.max(-1, keepdims=True))


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'float32'])
def test_one_hot(dtype):
    import tensorflow as tf

    labels = np.array([[[0], [2]], [[1], [3]]], dtype)
    expected = np.eye(4, 3, dtype='float32')[labels[..., 0].astype(int)]  # 3 is no class
    result = ops.one_hot(labels, 3)
    assert result.dtype == 'float32'
    np.testing.assert_array_equal(result, expected)
    (in_pipeline,) = tf.data.Dataset.from_tensors(labels).map(lambda sample: ops.one_hot(sample, 3))
    np.testing.assert_array_equal(in_pipeline, expected)
    assert not np.any(ops.one_hot(np.int16([[-1], [255]]), 3))


@pytest.mark.parametrize('policy', ['float32', 'mixed_float16'])
def test_a_model_of_all_layers_comes_back_from_a_file(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        image, day = keras.Input((None, None, 1), name='image'), keras.Input((), name='day')
        mask = layers.DilatedMask(nodata_value=-9999, radius=2, name='mask')(image)
        bands = keras.layers.Concatenate(dtype='float32')([image, layers.ScalarsTile(name='day_band')([image, day])])
        outputs = {
            'masked': layers.ApplyMask(out_nodata=-1, name='masked')([mask, bands]),
            'number': layers.Argmax(expand_last_dim=False, name='number')(bands),
            'highest': layers.Max(name='highest')(bands),
        }
        model = keras.Model({'image': image, 'day': day}, outputs)
    finally:
        keras.config.set_dtype_policy('float32')
    model.save(tmp_path / 'model.keras')
    loaded = keras.models.load_model(tmp_path / 'model.keras')
    values = RNG.choice(np.float32([-9999, -9998, 300]), (2, 16, 16, 1))  # the first two are one number in float16
    feed = {'image': values, 'day': np.float32([100, 400])}
    before, after = model.predict(feed, verbose=0), loaded.predict(feed, verbose=0)
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected)
    assert (before['masked'] == -1).all(-1, keepdims=True).tolist() == dilated(values == -9999, 2).tolist()
    assert loaded.get_layer('mask').get_config() == model.get_layer('mask').get_config()
