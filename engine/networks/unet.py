"""U-Net: a network for labelling every pixel, which sees fine detail and wide context together."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def build_unet(
    bands: int,
    classes: int,
    *,
    input_name: str,
    mean: Sequence[float],
    stddev: Sequence[float],
    filters: int = 16,
    depth: int = 4,
    dropout: float = 0.0,
) -> keras.Model:
    """The network of Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation"
    (MICCAI 2015), with "same" convolutions, so that the output has the size of the input, and batch normalisation.

    Args:
        bands, classes: channels of the input and of the output.
        input_name: name of the input layer, and so of the exported signature's input.
        mean, stddev: of each band; the network takes raw pixels and normalises them itself.
        filters: channels of the first level; each further level has twice as many.
        depth: levels below the first, each at half the resolution of the one above.
        dropout: share of channels dropped at the lowest level while training.

    Returns:
        Input ``input_name`` (batch, rows, columns, bands) float32, rows and columns any multiples of ``2**depth``;
        output ``{'probabilities': (batch, rows, columns, classes)}`` float32. The layer ``logits`` gives the values
        before the softmax.
    """
    inputs = keras.Input((None, None, bands), name=input_name, dtype='float32')
    variance = [float(value) ** 2 or 1.0 for value in stddev]  # a constant band has none
    x = keras.layers.Normalization(axis=-1, mean=list(map(float, mean)), variance=variance, name='normalisation')(
        inputs
    )
    skips = []
    for level in range(depth):
        x = _block(x, filters << level, f'down{level + 1}')
        skips.append(x)
        x = keras.layers.MaxPooling2D(2, name=f'down{level + 1}_pool')(x)
    x = _block(x, filters << depth, 'bottom')
    if dropout:
        x = keras.layers.SpatialDropout2D(dropout, name='bottom_dropout')(x)
    for level in reversed(range(depth)):
        x = keras.layers.Conv2DTranspose(filters << level, 2, 2, name=f'up{level + 1}_transpose')(x)
        x = keras.layers.Concatenate(name=f'up{level + 1}_skip')([skips[level], x])
        x = _block(x, filters << level, f'up{level + 1}')
    x = keras.layers.Conv2D(classes, 1, name='logits')(x)
    outputs = keras.layers.Softmax(name='probabilities')(x)
    return keras.Model(inputs, {'probabilities': outputs}, name='unet')


def _block(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions, each with batch normalisation and a rectifier."""
    for part in 'ab':
        x = keras.layers.Conv2D(
            filters, 3, padding='same', use_bias=False, kernel_initializer='he_normal', name=f'{name}{part}_conv'
        )(x)
        # Trainings here are short: the moving averages must follow within tens of batches.
        x = keras.layers.BatchNormalization(momentum=0.9, name=f'{name}{part}_norm')(x)
        x = keras.layers.ReLU(name=f'{name}{part}_relu')(x)
    return x
