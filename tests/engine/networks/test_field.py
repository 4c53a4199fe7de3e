"""The receptive field from the graph, against what single pixels of the input really change."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from quadrat.engine.networks.field import receptive_field
from quadrat.engine.networks.unet import build_unet

layers = keras.layers


def functional(*stack):
    """A model of layers on an input of one band."""
    inputs = x = keras.Input((None, None, 1))
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def residual():
    inputs = keras.Input((None, None, 1))
    x = layers.Conv2D(2, (5, 3), padding='same', activation='relu')(inputs)
    y = layers.Conv2D(2, 3, padding='same', dilation_rate=(1, 4))(x)
    return keras.Model(inputs, layers.Concatenate()([layers.Add()([x, y]), x]))


def unet(depth):
    model = build_unet(1, 2, input_name='x', mean=[0.0], stddev=[1.0], filters=2, depth=depth)
    return keras.Model(model.input, model.get_layer('logits').output)


MODELS = {
    'unet0': lambda: unet(0),
    'unet1': lambda: unet(1),
    'unet2': lambda: unet(2),
    'unet4': lambda: unet(4),
    'residual': residual,
    'even kernel': lambda: functional(
        layers.Conv2D(1, (4, 2), padding='same'), layers.SeparableConv2D(2, 3, padding='same')
    ),
    'dilated': lambda: functional(
        layers.Conv2D(1, 3, dilation_rate=3, padding='same'), layers.DepthwiseConv2D(3, padding='same')
    ),
    'strided and back': lambda: functional(
        layers.Conv2D(1, 5, 2, padding='same'),
        layers.Conv2D(1, 3, 3, padding='same'),
        layers.Conv2DTranspose(1, 5, 3, padding='same'),
        layers.Conv2DTranspose(1, 3, 2, padding='same'),
    ),
    'holes': lambda: functional(layers.Conv2DTranspose(1, 2, 3, padding='valid'), layers.AveragePooling2D(3)),
    'bilinear': lambda: functional(
        layers.AveragePooling2D((4, 2), padding='same'), layers.UpSampling2D((4, 2), interpolation='bilinear')
    ),
    'finer than the input': lambda: functional(
        layers.UpSampling2D(2), layers.Conv2D(1, 3, padding='same'), layers.MaxPooling2D(2)
    ),
    'padded by hand': lambda: functional(layers.ZeroPadding2D(((2, 2), (1, 3))), layers.Conv2D(1, 5)),
    'padded and strided': lambda: functional(
        layers.ZeroPadding2D(((1, 0), (0, 1))),
        layers.Conv2D(1, 2, 2, padding='same'),
        layers.Conv2DTranspose(1, 2, 2),
        layers.Cropping2D(((0, 2), (1, 1))),
    ),
}


def seen(model, stride, axis, reach):
    """(before, after): how far beyond a window of one stride the input changes the output in it.

    All weights are positive and the rest of the input is zero, so an impulse shows wherever it has any influence.
    """
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if not isinstance(layer, (layers.BatchNormalization, layers.Normalization)):
            layer.set_weights(
                [rng.uniform(0.5, 1, w.shape) if w.ndim > 1 else np.zeros(w.shape) for w in layer.get_weights()]
            )
    margin = (max(reach) // stride + 3) * stride
    length = 2 * margin + stride
    impulses = np.zeros((length, length, stride, 1), np.float32)
    impulses[np.arange(length), np.arange(length)] = 1.0
    if axis == 1:
        impulses = impulses.swapaxes(1, 2)
    output = np.concatenate(
        [model(part, training=False).numpy() for part in np.array_split(impulses, -(-length // 64))]
    )
    response = np.abs(output).max(-1).max(2 - axis)  # (impulse, position along the axis)
    touching = np.flatnonzero(response[:, margin : margin + stride].max(1))
    return margin - touching.min(), touching.max() - (margin + stride - 1)


@pytest.mark.parametrize('name', MODELS)
def test_the_field_is_exactly_what_impulses_show(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    sides, stride = receptive_field(model)
    left, top, right, bottom = sides
    assert (top, bottom) == tuple(max(side, 0) for side in seen(model, stride, 0, (top, bottom)))
    assert (left, right) == tuple(max(side, 0) for side in seen(model, stride, 1, (left, right)))


def test_figures_of_known_networks():
    assert receptive_field(unet(4)) == ((94, 94, 94, 94), 16)
    assert receptive_field(functional(layers.Conv2D(1, 7, padding='same'))) == ((3, 3, 3, 3), 1)
    three = functional(*(layers.Conv2D(1, 3, padding='same', dilation_rate=2**i) for i in range(3)))
    assert receptive_field(three) == ((7, 7, 7, 7), 1)
    assert receptive_field(MODELS['strided and back']()).stride == 6


class Blur(layers.Conv2D):
    """What a subclass does cannot be known."""


@pytest.mark.parametrize(
    'stack',
    [
        [layers.GlobalAveragePooling2D(keepdims=True)],
        [layers.GroupNormalization(1)],
        [layers.BatchNormalization(axis=1)],
        [Blur(1, 3)],
        [layers.UpSampling2D(2, interpolation='bicubic')],
        [layers.Softmax(axis=(1, 2))],
    ],
)
def test_what_cannot_be_told_is_not_guessed(stack):
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for layer in stack:
        x = layer(x)
    assert receptive_field(keras.Model(inputs, x)) == (None, 1)
    assert receptive_field(keras.Model(inputs, inputs + keras.ops.mean(inputs))) == (None, 1)
