"""Layers of neurons that see all numbers at once."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import DenseOptions
from .parts import finish, open_stack, pixel_logits
from .shapes import Head, SourceShape


def dense(sources: Sequence[SourceShape], head: Head, options: DenseOptions) -> keras.Model:
    """A multi-layer perceptron on the bands of a pixel, or on all pixels of a patch.

    As convolutions, so that it maps whole images as well: the first is as large as the patch, the others one pixel.

    Args:
        sources: of one resolution; they are stacked. For patches with a patch size.
        head: of either kind.

    Returns:
        See `registry.build`. Outputs are (batch, rows, columns, channels), with one row and one column for a patch.
    """
    inputs, x = open_stack(sources)
    cols, rows = (1, 1) if head.per_pixel else sources[0].patch_size
    for number in range(1, options.hidden_layers + 1):
        x = keras.layers.Conv2D(
            options.hidden_neurons,
            (rows, cols) if number == 1 else 1,
            activation='relu',
            kernel_initializer='he_normal',
            name=f'hidden{number}',
        )(x)
        if options.dropout:
            x = keras.layers.SpatialDropout2D(options.dropout, name=f'hidden{number}_dropout')(x)
    size = (1, 1) if options.hidden_layers else (rows, cols)
    return finish(inputs, pixel_logits(x, head, size), head, 'dense')
