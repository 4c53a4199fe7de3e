"""Weights from files, for networks that are fed other bands."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from quadrat.engine.errors import InputMissing, ModelError
from quadrat.engine.networks.registry import Head, SourceShape, build
from quadrat.engine.networks.transfer import adapted_kernel

PIXELS = Head('segmentation', 2, True)


def network(path, bands=5, **options):
    source = SourceShape('image', bands, (50.0,) * bands, (10.0,) * bands)
    return build('encoder', [source], PIXELS, {'weights': str(path), 'depth': 1, 'filters': 2, **options})


@pytest.fixture(scope='module')
def photographs():
    """An application as Keras gives it, for three bands."""
    keras.utils.set_random_seed(3)
    return keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3))


@pytest.mark.parametrize('name', ['m.keras', 'm.weights.h5', 'm.h5'])
def test_all_weights_are_taken_and_the_first_fits_the_bands(photographs, tmp_path, name):
    path = tmp_path / name
    photographs.save_weights(path) if 'weights' in name else photographs.save(path)
    model = network(path)
    ours = {layer.name: layer.get_weights() for layer in model.layers}
    compared = 0
    for layer in photographs.layers:
        if layer.name not in ours or not layer.weights:
            continue
        found, expected = ours[layer.name], layer.get_weights()
        if layer.name == 'Conv1':
            found, expected = [found[0].sum(2)], [expected[0].sum(2)]  # what grey gives stays the same
        assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(found, expected))
        compared += 1
    assert compared == 8 and ours['Conv1'][0].shape == (3, 3, 5, 32)
    assert float(model.get_layer('normalisation').mean.numpy().max()) == 50


def test_files_that_are_of_something_else(photographs, tmp_path):
    with pytest.raises(InputMissing, match=r'no such file'):
        network(tmp_path / 'none.weights.h5')
    with pytest.raises(InputMissing):
        network(tmp_path / 'none.keras')
    (tmp_path / 'text.h5').write_text('no')
    (tmp_path / 'text.pkl').write_text('no')
    with pytest.raises(ModelError, match=r'holds no weights of this network'):
        network(tmp_path / 'text.h5')
    with pytest.raises(ModelError, match=r'that end in .keras, .weights.h5 or .h5'):
        network(tmp_path / 'text.pkl')
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.Conv2D(4, 3, name='Conv1')(inputs)).save(tmp_path / 'other.keras')
    with pytest.raises(ModelError, match=r'no weights that fit the layer Conv1'):
        network(tmp_path / 'other.keras')


def test_a_kernel_for_other_bands():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8)).astype(np.float32)
    assert adapted_kernel(kernel, 3) is kernel
    for bands in (1, 2, 13):
        found = adapted_kernel(kernel, bands)
        assert found.shape == (3, 3, bands, 8) and np.allclose(found.sum(2), kernel.sum(2), atol=1e-5)
