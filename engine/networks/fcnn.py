"""The small fully convolutional network of the tutorial: down by strides, up again, with what was added."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import FcnnOptions
from .parts import finish, open_stack
from .shapes import Head, SourceShape


def fcnn(sources: Sequence[SourceShape], head: Head, options: FcnnOptions) -> keras.Model:
    """Strided convolutions, as many transposed ones, and sums of those of one resolution: the network for semantic
    segmentation of Cresson, "Deep Learning for Remote Sensing Images with Open Source Software" (CRC Press, 2020),
    after Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation" (CVPR 2015).

    With the default options: four convolutions 3 x 3 with stride 2 of 16, 32, 64 and 64 channels, three transposed ones
    of 64, 32 and 16, each added to the convolution of its resolution, and a last one that gives the logits.

    Args:
        sources: of one resolution; they are stacked.
        head: per pixel.

    Returns:
        See `registry.build`. Rows and columns may be any multiples of ``2**depth``.
    """
    inputs, x = open_stack(sources)
    widths = [options.filters << min(level, 2) for level in range(options.depth)]
    skips = []
    for level, width in enumerate(widths, 1):
        x = keras.layers.Conv2D(
            width, 3, 2, padding='same', activation='relu', kernel_initializer='he_normal', name=f'down{level}_conv'
        )(x)
        skips.append(x)
    if options.dropout:
        x = keras.layers.SpatialDropout2D(options.dropout, name='bottom_dropout')(x)
    for level in reversed(range(1, options.depth)):
        x = keras.layers.Conv2DTranspose(
            widths[level - 1],
            3,
            2,
            padding='same',
            activation='relu',
            kernel_initializer='he_normal',
            name=f'up{level + 1}_transpose',
        )(x)
        x = keras.layers.Add(name=f'up{level + 1}_add')([x, skips[level - 1]])
    logits = keras.layers.Conv2DTranspose(head.channels, 3, 2, padding='same', dtype='float32', name='logits')(x)
    return finish(inputs, logits, head, 'fcnn')
