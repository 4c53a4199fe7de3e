"""U-Net: a network for labelling every pixel, which sees fine detail and wide context together."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .options import UnetOptions
from .parts import block, finish, open_stack, pixel_logits
from .shapes import Head, SourceShape


def unet(sources: Sequence[SourceShape], head: Head, options: UnetOptions) -> keras.Model:
    """The network of Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation"
    (MICCAI 2015), with "same" convolutions, so that the output has the size of the input, and batch normalisation.

    Args:
        sources: of one resolution; they are stacked.
        head: per pixel.

    Returns:
        See `registry.build`. Rows and columns may be any multiples of ``2**depth``.
    """
    inputs, x = open_stack(sources)
    x, skips = contract(x, options.filters, options.depth, options.dropout)
    return finish(inputs, pixel_logits(expand(x, skips, options.filters), head), head, 'unet')


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
    """A U-Net that tells classes of one source apart, for use as a library; the arguments are those of `SourceShape`
    and `UnetOptions`."""
    source = SourceShape(input_name, bands, tuple(mean), tuple(stddev))
    return unet([source], Head('segmentation', classes, True), UnetOptions(filters, depth, dropout))


def contract(
    x: keras.KerasTensor, filters: int, depth: int, dropout: float
) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
    """The lowest level, and what goes past it: a tensor for each level above, the finest first."""
    skips = []
    for level in range(depth):
        x = _blocks(x, filters << level, f'down{level + 1}')
        skips.append(x)
        x = keras.layers.MaxPooling2D(2, name=f'down{level + 1}_pool')(x)
    x = _blocks(x, filters << depth, 'bottom')
    if dropout:
        x = keras.layers.SpatialDropout2D(dropout, name='bottom_dropout')(x)
    return x, skips


def expand(x: keras.KerasTensor, skips: Sequence[keras.KerasTensor], filters: int) -> keras.KerasTensor:
    """From what `contract` gave back to the resolution that it began with."""
    for level in reversed(range(len(skips))):
        x = keras.layers.Conv2DTranspose(filters << level, 2, 2, name=f'up{level + 1}_transpose')(x)
        x = keras.layers.Concatenate(name=f'up{level + 1}_skip')([skips[level], x])
        x = _blocks(x, filters << level, f'up{level + 1}')
    return x


def _blocks(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    return block(block(x, filters, f'{name}a'), filters, f'{name}b')
