"""The measured receptive field against networks whose field is known."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from quadrat.engine.errors import ModelError
from quadrat.engine.model_package.card import ReceptiveField
from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet
from quadrat.engine.runtimes.field import measure_field


def convolution(x):
    return layers.Conv2D(2, (3, 7), padding='same', activation='relu')(x)


def strided(x):
    x = layers.Conv2D(4, 3, strides=2, padding='same', activation='relu')(x)
    return layers.Conv2DTranspose(3, 3, strides=2, padding='same')(x)


def by_five(x):  # sizes must be multiples of five
    x = layers.MaxPooling2D(5)(layers.Conv2D(4, 3, padding='same')(x))
    return layers.UpSampling2D(5)(layers.Softmax()(x))


def pixelwise(x):
    return layers.Dense(3, activation='softmax')(x)


def unet(x):
    options = {'mean': [500.0] * 3, 'stddev': [300.0] * 3, 'filters': 4, 'depth': 2}
    return build_unet(3, 4, input_name='a', **options)(x)['probabilities']


def measure(model):
    return measure_field(lambda pixels: np.asarray(model(pixels)), 3)


@pytest.mark.parametrize('network', [convolution, strided, by_five, pixelwise])
def test_it_is_that_of_the_graph(network):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, network(inputs))
    known = receptive_field(model)
    assert measure(model) == (ReceptiveField(*known.sides), known.stride)


def test_a_unet():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, None, 3))
    assert measure(keras.Model(inputs, unet(inputs))) == (ReceptiveField(22, 22, 22, 22), 4)


def test_dead_rectifiers_do_not_hide_it():
    """Whatever the input, this gives zero, but for what is not a number."""
    inputs = keras.Input((None, None, 1))
    dead = layers.Conv2D(1, 5, padding='same', activation='relu', bias_initializer=keras.initializers.Constant(-1e9))
    model = keras.Model(inputs, dead(inputs))
    assert measure_field(lambda pixels: np.asarray(model(pixels)), 1) == (ReceptiveField(2, 2, 2, 2), 1)


def test_a_field_without_bounds_is_said_to_be():
    inputs = keras.Input((None, None, 3))
    whole = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    with pytest.raises(ModelError, match='whole image'):
        measure(keras.Model(inputs, layers.Add()([inputs, whole])))


def test_another_size_of_output_is_said():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ModelError, match=r'multiple of \(64, 60, 56\).*rows and columns'):
        measure(keras.Model(inputs, layers.Conv2D(2, 3)(inputs)))
