"""Residual U-Net: a U-Net whose levels learn what to add to what they are given."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import UnetOptions
from .parts import MOMENTUM, finish, open_stack, pixel_logits
from .shapes import Head, SourceShape


def resunet(sources: Sequence[SourceShape], head: Head, options: UnetOptions) -> keras.Model:
    """The network of Zhang, Liu and Wang, "Road Extraction by Deep Residual U-Net" (IEEE Geoscience and Remote Sensing
    Letters 15(5), 2018): normalisation and rectifier come before each convolution, strided convolutions take the place
    of pooling, nearest neighbours that of transposed convolutions.

    Args:
        sources: of one resolution; they are stacked.
        head: per pixel.

    Returns:
        See `registry.build`. Rows and columns may be any multiples of ``2**depth``.
    """
    inputs, x = open_stack(sources)
    x = _convolution(x, options.filters, 'first')
    skips = []
    for level in range(options.depth):
        x = _residual(x, options.filters << level, f'down{level + 1}', 2 if level else 1)
        skips.append(x)
    x = _residual(x, options.filters << options.depth, 'bottom', 2 if options.depth else 1)
    if options.dropout:
        x = keras.layers.SpatialDropout2D(options.dropout, name='bottom_dropout')(x)
    for level in reversed(range(options.depth)):
        x = keras.layers.UpSampling2D(2, name=f'up{level + 1}_enlarge')(x)
        x = keras.layers.Concatenate(name=f'up{level + 1}_skip')([skips[level], x])
        x = _residual(x, options.filters << level, f'up{level + 1}')
    return finish(inputs, pixel_logits(_ready(x, 'last'), head), head, 'resunet')


def _residual(x: keras.KerasTensor, filters: int, name: str, stride: int = 1) -> keras.KerasTensor:
    """Two convolutions, the first of them strided, added to a projection of what goes in."""
    past = keras.layers.Conv2D(filters, 1, stride, padding='same', name=f'{name}_past')(x)
    x = _convolution(_ready(x, f'{name}a'), filters, f'{name}a', stride, bias=False)
    x = _convolution(_ready(x, f'{name}b'), filters, f'{name}b')
    return keras.layers.Add(name=f'{name}_add')([x, past])


def _ready(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f'{name}_norm')(x)
    return keras.layers.ReLU(name=f'{name}_relu')(x)


def _convolution(
    x: keras.KerasTensor, filters: int, name: str, stride: int = 1, bias: bool = True
) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        filters, 3, stride, padding='same', use_bias=bias, kernel_initializer='he_normal', name=f'{name}_conv'
    )(x)
