"""Small SavedModels that can train themselves, as TensorFlow 1 and 2 write them, and patches for them."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.gdalio import gdal, gdal_type


def linear(tf):
    """x (?, 2, 2, 3), y (?, 1, 1, 1): y is the sum of the bands' means, each times a weight.

    `lr` and `keep` are not in the signature. `seen` counts samples, `total` adds up their references.
    """
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, (None, 2, 2, 3), 'x')
    y = v1.placeholder(tf.float32, (None, 1, 1, 1), 'y')
    rate = v1.placeholder_with_default(tf.constant(0.1), (), 'lr')
    keep = v1.placeholder_with_default(tf.constant(1.0), (), 'keep')
    weights = v1.get_variable('weights', initializer=tf.zeros((3, 1)), use_resource=True)
    seen = v1.get_variable('seen', initializer=tf.constant(0.0), trainable=False, use_resource=True)
    total = v1.get_variable('total', initializer=tf.constant(0.0), trainable=False, use_resource=True)
    kept = v1.nn.dropout(x, keep_prob=keep)
    value = tf.reshape(tf.matmul(tf.reduce_mean(kept, (1, 2)), weights), (-1, 1, 1, 1))
    value = tf.identity(value, 'value')
    tf.identity(tf.cast(tf.round(value), tf.int64), 'label')
    with tf.name_scope('loss'):
        loss = tf.reduce_mean((value - y) ** 2, name='value')
    counted = tf.cast(tf.shape(y)[0], tf.float32)
    step = v1.train.MomentumOptimizer(rate, 0.5).minimize(loss, var_list=[weights])
    tf.group(step, v1.assign_add(seen, counted), v1.assign_add(total, tf.reduce_sum(y)), name='train')
    tf.identity(tf.stack([seen, total]), 'counters')
    return {'image': x, 'reference': y}, {'value': value}


@pytest.fixture(scope='session')
def linear_model(tensorflow1, tmp_path_factory):
    return tensorflow1(tmp_path_factory.mktemp('models') / 'linear', linear)


@pytest.fixture(scope='session')
def modern_model(tmp_path_factory):
    """The same of TensorFlow 2: a signature `train`, and one to serve."""
    import tensorflow as tf

    class Modern(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(tf.zeros((3, 1)))

        def value(self, image):
            return tf.reshape(tf.matmul(tf.reduce_mean(image, (1, 2)), self.weights), (-1, 1, 1, 1))

        @tf.function
        def train(self, image, reference, lr):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self.value(tf.nn.dropout(image, 0.2)) - reference) ** 2)
            self.weights.assign_sub(lr * tape.gradient(loss, self.weights))
            return {'loss': loss}

        @tf.function
        def serve(self, image):
            return {'value': self.value(image)}

    model, folder = Modern(), str(tmp_path_factory.mktemp('models') / 'modern')
    image, reference = tf.TensorSpec((None, 2, 2, 3), name='image'), tf.TensorSpec((None, 1, 1, 1), name='reference')
    signatures = {
        'train': model.train.get_concrete_function(image, reference, tf.TensorSpec((), name='lr')),
        'serving_default': model.serve.get_concrete_function(image),
    }
    tf.saved_model.save(model, folder, signatures)
    return folder


def write_patches(path, patches) -> str:
    """A patches-image of (samples, rows, columns, bands)."""
    count, rows, cols, bands = patches.shape
    dataset = gdal.GetDriverByName('GTiff').Create(
        str(path), cols, rows * count, bands, gdal_type(patches.dtype), ['COMPRESS=DEFLATE']
    )
    for band in range(bands):
        part = np.ascontiguousarray(patches[..., band].reshape(-1, cols))
        dataset.GetRasterBand(band + 1).WriteRaster(0, 0, cols, rows * count, part.tobytes(), cols, rows * count)
    dataset.FlushCache()
    return str(path)


def samples(count: int, seed: int = 0):
    """Images (count, 2, 2, 3) and what is to be learnt of them: 1, 2 and 3 times the bands."""
    images = np.random.default_rng(seed).normal(size=(count, 2, 2, 3)).astype('float32')
    references = images.mean((1, 2)) @ np.array([[1.0], [2.0], [3.0]], 'float32')
    return images, references.reshape(-1, 1, 1, 1)


@pytest.fixture(scope='session')
def write_images():
    return write_patches


@pytest.fixture(scope='session')
def patches(tmp_path_factory):
    """Paths of 37 images and references to train with, and of 11 to validate on."""
    folder, out = tmp_path_factory.mktemp('patches'), {}
    for name, count in (('training', 37), ('validation', 11)):
        for kind, array in zip(('image', 'reference'), samples(count, count)):
            out[name, kind] = write_patches(folder / f'{name}-{kind}.tif', array)
    return out
