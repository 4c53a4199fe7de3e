"""Every architecture: what it takes and gives, alone and exported, and that it learns."""

from __future__ import annotations

import dataclasses
import functools
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from quadrat.engine.errors import ModelError
from quadrat.engine.jobs import ARCHITECTURES
from quadrat.engine.networks.field import receptive_fields
from quadrat.engine.networks.registry import Head, SourceShape, build
from quadrat.engine.runtimes.field import measure
from quadrat.engine.runtimes.spec import TensorInfo

CLASSES = Head('segmentation', 3, True)
PATCHES = Head('classification', 3, False)


def source(name='image', bands=2, ratio=1, size=16):
    side = int(size * Fraction(ratio))
    return SourceShape(name, bands, (100.0,) * bands, (20.0,) * bands, Fraction(ratio), (side, side))


@dataclasses.dataclass(frozen=True)
class Case:
    """A network: sizes (rows, columns) of the first input that it takes, and the stride that it has."""

    architecture: str
    sources: tuple[SourceShape, ...]
    head: Head
    options: dict[str, Any]
    sizes: tuple[tuple[int, int], ...] = ((16, 16), (8, 24))
    variant: bool = False  # of another, with the same layers

    def build(self):
        keras.utils.set_random_seed(1)
        return build(self.architecture, self.sources, self.head, self.options)

    def images(self, rows, cols, count=4):
        rng = np.random.default_rng(0)
        sizes = [(int(rows * item.ratio), int(cols * item.ratio), item.bands) for item in self.sources]
        return [rng.normal(100, 20, (count, *size)).astype(np.float32) for size in sizes]


def fed(images):
    """As a network with one input, or several, takes them."""
    return images if len(images) > 1 else images[0]


SMALL = {'filters': 4, 'depth': 2}
CASES = {
    'unet': Case('unet', (source(), source('height', 1)), CLASSES, SMALL),
    'resunet': Case('resunet', (source(),), CLASSES, {**SMALL, 'dropout': 0.1}),
    'fcnn': Case('fcnn', (source(),), Head('regression', 2, True, True), SMALL),
    'dilated': Case('dilated', (source(),), CLASSES, {'filters': 4, 'rates': [1, 2]}, ((16, 16), (5, 7))),
    'patchcnn': Case('patchcnn', (source(),), PATCHES, {'filters': 4, 'depth': 2, 'dense': 8}, ((16, 16),)),
    'twobranch': Case('twobranch', (source('pan', 1), source('ms', 4, '1/4')), CLASSES, SMALL),
    'twobranch finer': Case('twobranch', (source('ms', 4), source('pan', 1, 6)), CLASSES, {'filters': 4, 'depth': 1}),
    'twobranch patches': Case('twobranch', (source('ms', 4), source('pan', 1, 2)), PATCHES, SMALL, variant=True),
    'temporal': Case(
        'temporal', (source(bands=10),), CLASSES, {'dates': 5, 'filters': 4, 'dense': 8}, ((16, 16), (3, 5))
    ),
    'encoder': Case('encoder', (source(bands=5, size=32),), CLASSES, {'filters': 4, 'depth': 2}, ((32, 32), (8, 20))),
    'encoder patches': Case(
        'encoder',
        (source(bands=2, size=32),),
        Head('regression', 1, False, True),
        {'depth': 2},
        ((32, 32), (30, 17)),
        True,
    ),
    'dense': Case('dense', (source(), source('height', 1)), CLASSES, {'hidden_neurons': 8}, ((16, 16), (3, 5))),
    'dense patches': Case(
        'dense', (source(size=5),), PATCHES, {'hidden_neurons': 8, 'hidden_layers': 2}, ((5, 5),), True
    ),
}


KINDS = [name for name, case in CASES.items() if not case.variant]


@pytest.fixture(scope='module')
def models():
    """The networks, each built once."""
    return functools.cache(lambda name: CASES[name].build())


def test_no_architecture_is_left_out():
    assert list(dict.fromkeys(case.architecture for case in CASES.values())) == list(ARCHITECTURES)


@pytest.mark.parametrize('name', CASES)
def test_shapes_and_names(name, models):
    case, model = CASES[name], models(name)
    assert [tensor.name for tensor in model.inputs] == [item.name for item in case.sources]
    assert model.get_layer('logits').output.shape[-1] == case.head.channels
    for rows, cols in case.sizes:
        (key, values), *rest = model(fed(case.images(rows, cols))).items()
        assert key == ('values' if case.head.regression else 'probabilities') and not rest
        ends = (rows, cols) if case.head.per_pixel else (1, 1) if case.architecture in ('patchcnn', 'dense') else ()
        assert values.shape == (4, *ends, case.head.channels) and values.dtype == tf.float32
        if not case.head.regression:
            assert np.allclose(values.numpy().sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize('name', KINDS)
def test_what_is_served_and_what_is_kept_are_the_same(name, models, tmp_path):
    case, model = CASES[name], models(name)
    model.export(str(tmp_path / 'm'), format='tf_saved_model', verbose=False)
    served = tf.saved_model.load(str(tmp_path / 'm')).signatures['serving_default']
    model.save(str(tmp_path / 'm.keras'))
    kept = keras.models.load_model(str(tmp_path / 'm.keras'), safe_mode=True)
    for size in case.sizes:
        images = case.images(*size, 1)
        expected = model(fed(images))[case.head.output].numpy()
        feeds = {item.name: tf.constant(image) for item, image in zip(case.sources, images)}
        assert np.abs(served(**feeds)[case.head.output].numpy() - expected).max() <= 1e-5
        assert np.abs(kept(fed(images))[case.head.output].numpy() - expected).max() <= 1e-6


@pytest.mark.parametrize('name', KINDS)
def test_it_learns_with_all_its_weights(name):
    """What is to be told is how bright the first source's first band is."""
    case = CASES[name]
    model = case.build()
    network = keras.Model(model.input, model.get_layer('logits').output)
    images = case.images(*case.sizes[0], 6)
    for sample, image in enumerate(images[0]):
        image[..., 0] += 20 * (sample % 3)
    bright = (images[0][..., 0] - 100) / 20
    bright = bright if case.head.per_pixel else bright.mean((1, 2))
    optimizer = keras.optimizers.Adam(0.01)

    def step():
        with tf.GradientTape() as tape:
            found = network(fed(images), training=True)
            if case.head.regression:
                loss = tf.reduce_mean((found - bright[..., None]) ** 2)
            else:
                labels = np.clip(np.round(bright), 0, 2).astype(np.int32)
                found = tf.reshape(found, (*labels.shape, 3))
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, found))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return loss, [tf.reduce_max(tf.abs(item)) for item in gradients]

    losses, seen = [], np.zeros(len(network.trainable_variables))
    for _ in range(6):
        loss, sizes = step()
        losses.append(float(loss))
        seen = np.maximum(seen, np.array(sizes))
    still = [item.path for item, size in zip(network.trainable_variables, seen) if not size > 0]
    assert not still, still
    assert losses[-1] < 0.9 * losses[0], losses


def measured(model, case):
    inputs = {item.name: TensorInfo(np.dtype('float32'), (None, None, None, item.bands)) for item in case.sources}
    output = keras.Model(model.input, model.get_layer('logits').output)

    @tf.function(reduce_retracing=True)
    def run(*arrays):
        return output(fed(arrays))

    def feed(given):
        try:
            return {'output': run(*(tf.constant(given[item.name]) for item in case.sources)).numpy()}
        except (ValueError, tf.errors.OpError) as error:
            raise ModelError(str(error)) from error

    ratios = {item.name: item.ratio for item in case.sources}
    return measure(feed, inputs, ['output'], ratios=ratios)['output']


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('unet', {'image': ((22,) * 4, 4), 'height': ((22,) * 4, 4)}),
        ('resunet', None),
        ('fcnn', None),
        ('dilated', {'image': ((3,) * 4, 1)}),
        ('twobranch', None),
        ('twobranch finer', None),
        ('temporal', {'image': ((1,) * 4, 1)}),
        ('encoder', {'image': ((14, 14, 17, 17), 4)}),
        ('dense', {'image': ((0,) * 4, 1), 'height': ((0,) * 4, 1)}),
    ],
)
def test_the_field_of_the_graph_is_the_one_that_is_measured(name, expected, models):
    case, model = CASES[name], models(name)
    reaches = receptive_fields(model, {item.name: item.ratio for item in case.sources})
    found = measured(model, case)
    for source_name, reach in reaches.items():
        item = found.inputs[source_name]
        assert item.scale * item.ratio == 1 and item.lost == (0, 0)
        assert (dataclasses.astuple(item.field), item.stride) == (reach.sides, reach.stride), source_name
        assert not expected or expected[source_name] == reach


def test_what_is_not_known_of_the_field_is_said():
    """Of answers for patches, which have a grid of their own or none, and of means over the whole image."""
    squeezing = Case('encoder', (source(),), CLASSES, {'backbone': 'efficientnetb0', 'depth': 2, 'filters': 4})
    for case in (CASES['patchcnn'], CASES['twobranch patches'], squeezing):
        reaches = receptive_fields(case.build(), {item.name: item.ratio for item in case.sources})
        assert set(reaches.values()) == {(None, 1)} and set(reaches) == {item.name for item in case.sources}


def test_a_patch_network_gives_for_an_image_what_it_gives_for_its_patches(models):
    case, model = CASES['patchcnn'], models('patchcnn')
    (image,) = case.images(32, 24, 1)
    whole = model(image)['probabilities'].numpy()[0]
    assert whole.shape == (5, 3, 3)
    patches = np.stack([image[0, r : r + 16, c : c + 16] for r in range(0, 17, 4) for c in range(0, 9, 4)])
    assert np.allclose(model(patches)['probabilities'].numpy().reshape(whole.shape), whole, atol=1e-5)
    found = measured(model, case)
    assert (found.inputs['image'].scale, found.inputs['image'].width) == (Fraction(1, 4), 16)


@pytest.mark.parametrize(('size', 'depth'), [((1, 1), 0), ((9, 9), 1), ((16, 23), 2), ((33, 64), 3), ((64, 64), -1)])
def test_a_patch_network_leaves_nothing_of_a_patch_out(size, depth):
    cols, rows = size
    shape = SourceShape('image', 1, (0.0,), (1.0,), patch_size=size)
    keras.utils.set_random_seed(0)
    model = build('patchcnn', [shape], PATCHES, {'filters': 2, 'depth': depth, 'dense': 4})
    logits = keras.Model(model.input, model.get_layer('logits').output)
    image = tf.Variable(np.random.default_rng(0).normal(size=(1, rows, cols, 1)).astype(np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(logits(image) ** 2)
    gradient = tape.gradient(total, image).numpy()[0, ..., 0]
    assert logits(image).shape == (1, 1, 1, 3)
    assert gradient[0].any() and gradient[-1].any() and gradient[:, 0].any() and gradient[:, -1].any()


def test_the_same_pixels_at_other_dates_are_another_series():
    """The order of the bands is date by date; a date that moves changes the answer, its neighbours do not."""
    case = CASES['temporal']
    model = build('temporal', case.sources, CLASSES, {**case.options, 'context': 0})
    (image,) = case.images(4, 4, 1)
    dates = image.reshape(1, 4, 4, 5, 2)
    swapped = dates[..., [1, 0, 2, 3, 4], :].reshape(image.shape)
    before, after = (model(item)['probabilities'].numpy() for item in (image, swapped))
    assert np.abs(before - after).max() > 1e-3
    image[0, 0, 0] += 50
    changed = np.abs(model(image)['probabilities'].numpy() - before).max(-1)[0] > 1e-7
    assert changed[0, 0] and changed.sum() == 1


def test_half_precision_keeps_raw_pixels_and_answers_whole(models):
    keras.mixed_precision.set_global_policy('mixed_float16')
    try:
        model = build('unet', [source(bands=1)], CLASSES, SMALL)
    finally:
        keras.mixed_precision.set_global_policy('float32')
    out = model(np.full((1, 16, 16, 1), 70000, np.float32))['probabilities']  # more than 16 bits hold
    assert out.dtype == tf.float32 and np.isfinite(out).all()
    assert model.get_layer('bottoma_conv').compute_dtype == 'float16'
