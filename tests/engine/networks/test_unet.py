"""The U-Net: what it takes and gives, and that a window with its halo says what the whole image says."""

from __future__ import annotations

import keras
import numpy as np

from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet


def build(**options):
    keras.utils.set_random_seed(1)
    given = {'input_name': 'image', 'mean': [100.0, 5.0], 'stddev': [20.0, 0.0], 'filters': 4, 'depth': 2, **options}
    return build_unet(2, 3, **given)


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
