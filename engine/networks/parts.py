"""What several architectures are made of: inputs with their normalisation, blocks, and the end."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .shapes import Head, SourceShape

MOMENTUM = 0.9  # trainings here are short: the moving averages must follow within tens of batches
_FLOAT = 'float32'  # whatever the policy: half precision holds neither raw pixels nor the sums of a softmax


def open_sources(sources: Sequence[SourceShape]) -> tuple[list[keras.KerasTensor], list[keras.KerasTensor]]:
    """The input layers (batch, rows, columns, bands) of raw pixels, and the same normalised with the bands' mean and
    standard deviation."""
    inputs, normalised = [], []
    for source in sources:
        tensor = keras.Input((None, None, source.bands), name=source.name, dtype=_FLOAT)
        layer = keras.layers.Normalization(
            axis=-1,
            mean=list(map(float, source.mean)),
            variance=[float(value) ** 2 or 1.0 for value in source.stddev],  # a constant band has none
            dtype=_FLOAT,
            name='normalisation' if len(sources) == 1 else f'{source.name}_normalisation',
        )
        inputs.append(tensor)
        normalised.append(layer(tensor))
    return inputs, normalised


def open_stack(sources: Sequence[SourceShape]) -> tuple[list[keras.KerasTensor], keras.KerasTensor]:
    """As `open_sources`, for sources of one resolution: their normalised bands stacked."""
    inputs, normalised = open_sources(sources)
    return inputs, keras.layers.Concatenate(name='sources_stack')(normalised) if len(normalised) > 1 else normalised[0]


def block(
    x: keras.KerasTensor, filters: int, name: str, size: int | tuple[int, int] = 3, rate: int = 1, padding: str = 'same'
) -> keras.KerasTensor:
    """A convolution with batch normalisation and a rectifier."""
    x = keras.layers.Conv2D(
        filters,
        size,
        padding=padding,
        dilation_rate=rate,
        use_bias=False,
        kernel_initializer='he_normal',
        name=f'{name}_conv',
    )(x)
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f'{name}_norm')(x)
    return keras.layers.ReLU(name=f'{name}_relu')(x)


def pixel_logits(x: keras.KerasTensor, head: Head, size: tuple[int, int] = (1, 1)) -> keras.KerasTensor:
    """(batch, rows, columns, channels): what is said of each pixel, or of so many rows and columns of them."""
    return keras.layers.Conv2D(head.channels, size, dtype=_FLOAT, name='logits')(x)


def patch_logits(x: keras.KerasTensor, head: Head) -> keras.KerasTensor:
    """(batch, channels): what is said of the mean of all pixels."""
    x = keras.layers.GlobalAveragePooling2D(name='pixels_mean')(x)
    return keras.layers.Dense(head.channels, dtype=_FLOAT, name='logits')(x)


def finish(inputs: list[keras.KerasTensor], logits: keras.KerasTensor, head: Head, name: str) -> keras.Model:
    """The model: ``{'probabilities': softmax(logits)}``, or ``{'values': logits}`` for a regression."""
    if not head.regression:
        logits = keras.layers.Softmax(dtype=_FLOAT, name='probabilities')(logits)
    return keras.Model(inputs[0] if len(inputs) == 1 else inputs, {head.output: logits}, name=name)
