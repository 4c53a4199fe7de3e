"""A fully convolutional network without pooling: every layer has the full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import DilatedOptions
from .parts import block, finish, open_stack, pixel_logits
from .shapes import Head, SourceShape


def dilated(sources: Sequence[SourceShape], head: Head, options: DilatedOptions) -> keras.Model:
    """Convolutions 3 x 3 whose taps lie further and further apart, so that wide context is seen without loss of
    resolution: Yu and Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions" (ICLR 2016); for aerial images
    Sherrah, "Fully Convolutional Networks for Dense Semantic Labelling of High-Resolution Aerial Imagery" (2016).

    Args:
        sources: of one resolution; they are stacked.
        head: per pixel.

    Returns:
        See `registry.build`. Rows and columns may be any numbers; the receptive field is the sum of the rates to each
        side, the stride 1.
    """
    inputs, x = open_stack(sources)
    for number, rate in enumerate(options.rates, 1):
        x = block(x, options.filters, f'dilated{number}', rate=rate)
    if options.dropout:
        x = keras.layers.SpatialDropout2D(options.dropout, name='last_dropout')(x)
    return finish(inputs, pixel_logits(x, head), head, 'dilated')
