"""A network for time series: convolutions along the dates of a stack, then a little context in space."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import TemporalOptions
from .parts import MOMENTUM, block, finish, open_stack, patch_logits, pixel_logits
from .shapes import Head, SourceShape


def temporal(sources: Sequence[SourceShape], head: Head, options: TemporalOptions) -> keras.Model:
    """Convolutions along time, the same for each pixel: Pelletier, Webb and Petitjean, "Temporal Convolutional Neural
    Network for the Classification of Satellite Image Time Series" (Remote Sensing 11(5), 2019). The dense layer over
    the series becomes a convolution over all dates; then follow convolutions 3 x 3 in space.

    Args:
        sources: of one resolution; they are stacked, and the stack holds all bands of the first date, then all of the
            second, and so on.
        head: per pixel, or one answer a patch: then that of the mean over its pixels.

    Returns:
        See `registry.build`. Rows and columns may be any numbers.
    """
    inputs, x = open_stack(sources)
    dates = options.dates or len(sources)
    bands = sum(source.bands for source in sources) // dates
    # The bands become an axis of their own: steps of one date along it are steps in time.
    x = keras.ops.expand_dims(x, -1)
    before = (options.kernel - 1) // 2
    padding = (before * bands, (options.kernel - 1 - before) * bands)
    x = keras.layers.ZeroPadding3D((0, 0, padding), name='time_padding')(x)
    x = _along_time(x, options, 1, (1, 1, options.kernel * bands), (1, 1, bands), 'valid')
    for number in range(2, options.layers + 1):
        x = _along_time(x, options, number, (1, 1, options.kernel), (1, 1, 1), 'same')
    x = keras.layers.Conv3D(
        options.dense, (1, 1, dates), use_bias=False, kernel_initializer='he_normal', name='series_conv'
    )(x)
    x = keras.ops.squeeze(x, 3)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name='series_norm')(x)
    x = keras.layers.ReLU(name='series_relu')(x)
    for number in range(1, options.context + 1):
        x = block(x, options.dense, f'space{number}')
    logits = pixel_logits(x, head) if head.per_pixel else patch_logits(x, head)
    return finish(inputs, logits, head, 'temporal')


def _along_time(
    x: keras.KerasTensor,
    options: TemporalOptions,
    number: int,
    size: tuple[int, int, int],
    stride: tuple[int, int, int],
    padding: str,
) -> keras.KerasTensor:
    """(batch, rows, columns, dates, channels): a convolution, normalised and rectified."""
    x = keras.layers.Conv3D(
        options.filters,
        size,
        stride,
        padding=padding,
        use_bias=False,
        kernel_initializer='he_normal',
        name=f'time{number}_conv',
    )(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f'time{number}_norm')(x)
    x = keras.layers.ReLU(name=f'time{number}_relu')(x)
    if options.dropout:
        x = keras.layers.SpatialDropout3D(options.dropout, name=f'time{number}_dropout')(x)
    return x
