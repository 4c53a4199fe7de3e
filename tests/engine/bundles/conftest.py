"""Small bundles: one with the names of Tensor/IO's example of cats and dogs, and one that only predicts."""

from __future__ import annotations

import json

import numpy as np
import pytest

LOSS = 'sigmoid_cross_entropy_loss/value'
TEXTS = {'name': 'Cats and dogs', 'details': 'Tells them apart', 'id': 'x', 'version': '1', 'author': '', 'license': ''}


def describe(folder, **fields):
    (folder / 'model.json').write_text(json.dumps({**TEXTS, **fields}))
    return folder


@pytest.fixture(scope='session')
def write_json():
    return describe


@pytest.fixture
def cats(tensorflow1, tmp_path):
    """Trains: dark images are 0, bright ones 1."""

    def build(tf):
        v1 = tf.compat.v1
        image = v1.placeholder(tf.float32, (None, 8, 8, 3), 'image')
        labels = v1.placeholder(tf.float32, (None, 1), 'labels')
        rate = v1.placeholder_with_default(tf.constant([0.5]), (1,), 'learning_rate')
        weights = v1.get_variable('weights', initializer=tf.zeros((3, 1)), use_resource=True)
        bias = v1.get_variable('bias', initializer=tf.zeros((1,)), use_resource=True)
        logits = tf.matmul(tf.reduce_mean(image, (1, 2)), weights) + bias
        tf.sigmoid(logits, 'sigmoid')
        loss = v1.losses.sigmoid_cross_entropy(labels, logits)
        v1.train.GradientDescentOptimizer(rate[0]).minimize(loss, name='train')
        return {'image': image, 'labels': labels}, {'loss': loss}

    folder = tmp_path / 'cats-vs-dogs-train.tiobundle'
    folder.mkdir()
    tensorflow1(folder / 'train', build, tags=('train',))
    return describe(
        folder,
        model={'file': 'train', 'quantized': False, 'type': 'image.classification.catsvsdogs', 'backend': 'tensorflow',
               'modes': ['train']},
        inputs=[
            {'name': 'image', 'type': 'image', 'shape': [-1, 8, 8, 3], 'format': 'RGB',
             'normalize': {'standard': '[0,1]'}},
            {'name': 'labels', 'type': 'array', 'shape': [-1, 1], 'dtype': 'float32'},
        ],
        outputs=[{'name': LOSS, 'type': 'array', 'shape': [1]}],
        placeholders=[{'name': 'learning_rate', 'type': 'array', 'shape': [1]}],
        train={'ops': ['train']},
    )  # fmt: skip


@pytest.fixture
def colours(tensorflow1, tmp_path):
    """Predicts the mean of each band as a vector with labels, and the image itself; wants blue first."""

    def build(tf):
        v1 = tf.compat.v1
        image = v1.placeholder(tf.float32, (None, 2, 2, 3), 'image')
        factor = v1.get_variable('factor', initializer=tf.constant(1.0), use_resource=True)
        means = tf.identity(tf.reduce_mean(image, (1, 2)) * factor, 'means')
        tf.identity(image, 'same')
        tf.reduce_max(image, (1, 2, 3), name='brightest')
        return {'image': image}, {'means': means}

    folder = tmp_path / 'colours.tiobundle'
    (folder / 'assets').mkdir(parents=True)
    (folder / 'assets/names.txt').write_text('blue\ngreen\nred\n')
    tensorflow1(folder / 'predict', build)
    scaling = {'scale': 2.0, 'bias': {'r': -1.0, 'b': 0.5}}
    return describe(
        folder,
        model={'file': 'predict', 'quantized': False, 'backend': 'tensorflow'},
        inputs=[{'name': 'image', 'type': 'image', 'shape': [-1, 2, 2, 3], 'format': 'BGR', 'normalize': scaling}],
        outputs=[
            {'name': 'means', 'type': 'array', 'shape': [-1, 3], 'labels': 'names.txt'},
            {'name': 'same', 'type': 'image', 'shape': [-1, 2, 2, 3], 'format': 'BGR',
             'denormalize': {'standard': '[-1,1]'}},
            {'name': 'brightest', 'type': 'scalar', 'shape': [-1]},
        ],
    )  # fmt: skip


@pytest.fixture
def pets():
    """Items: dark and bright images with their labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 30)
    return [
        {'image': rng.integers(150 * label, 100 + 150 * label, (8, 8, 3), np.uint8), 'labels': int(label)}
        for label in labels
    ]
