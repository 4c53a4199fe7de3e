"""The U-Net: what it takes and gives, and that a window with its halo says what the whole image says."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from quadrat.engine.errors import InvalidJob
from quadrat.engine.jobs import ARCHITECTURES
from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.losses import masked_cross_entropy
from quadrat.engine.networks.registry import builder


def build(**options):
    keras.utils.set_random_seed(1)
    given = {'input_name': 'image', 'mean': [100.0, 5.0], 'stddev': [20.0, 0.0], 'filters': 4, 'depth': 2, **options}
    return builder('unet')(2, 3, **given)


def test_every_architecture_has_a_builder():
    assert all(builder(name) for name in ARCHITECTURES)
    with pytest.raises(InvalidJob, match='unet'):
        builder('alexnet')


def test_any_multiple_of_the_stride_gives_probabilities_of_the_same_size():
    model = build()
    for rows, cols in ((4, 4), (8, 20), (64, 12)):
        images = np.random.default_rng(0).normal(100, 20, (2, rows, cols, 2)).astype(np.float32)
        out = model(images)['probabilities'].numpy()
        assert out.shape == (2, rows, cols, 3) and np.allclose(out.sum(-1), 1, atol=1e-5)
    assert [tensor.name for tensor in model.inputs] == ['image']


def test_normalisation_is_inside_and_a_constant_band_does_no_harm():
    model, plain = build(), build(mean=[0.0, 0.0], stddev=[1.0, 1.0])
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 2)).astype(np.float32)
    raw = x * np.float32([20, 1]) + np.float32([100, 5])
    assert np.allclose(model(raw)['probabilities'], plain(x)['probabilities'], atol=1e-5)


def test_a_window_with_its_halo_gives_the_untiled_result_and_a_stride_less_does_not():
    model = build(depth=3, filters=8)
    sides, stride = receptive_field(model)
    assert len(set(sides)) == 1
    halo = -(-sides[0] // stride) * stride
    image = np.random.default_rng(0).normal(100, 20, (1, 192, 192, 2)).astype(np.float32)
    whole = model(image)['probabilities'].numpy()
    start, size = 88, 24

    def difference(margin):
        part = image[:, start - margin : start + size + margin, start - margin : start + size + margin]
        inside = model(part)['probabilities'].numpy()[:, margin : margin + size, margin : margin + size]
        return np.abs(inside - whole[:, start : start + size, start : start + size]).max()

    assert difference(halo) <= 1e-6
    assert difference(halo - stride) > 1e-5


def test_pixels_of_weight_zero_have_no_part_in_the_loss():
    rng = np.random.default_rng(0)
    logits = tf.Variable(rng.normal(size=(2, 4, 4, 3)).astype(np.float32))
    labels = rng.integers(0, 3, (2, 4, 4)).astype(np.int32)
    weights = rng.uniform(0.5, 2, (2, 4, 4)).astype(np.float32) * (rng.random((2, 4, 4)) < 0.6)
    with tf.GradientTape() as tape:
        loss = masked_cross_entropy(logits, labels, weights)
    gradient = tape.gradient(loss, logits).numpy()
    assert not gradient[weights == 0].any() and gradient[weights > 0].any(-1).all()
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -(weights * np.log(np.take_along_axis(softmax, labels[..., None], -1)[..., 0])).sum()
    assert loss.numpy() == pytest.approx(expected, rel=1e-5)
