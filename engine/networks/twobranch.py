"""Two branches for sources of different resolution, a panchromatic and a multispectral image, say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras

from .options import TwoBranchOptions
from .parts import block, finish, open_sources, patch_logits, pixel_logits
from .shapes import Head, SourceShape
from .unet import contract, expand


def twobranch(sources: Sequence[SourceShape], head: Head, options: TwoBranchOptions) -> keras.Model:
    """Each source has convolutions at its own resolution; a finer one is then pooled, a coarser one enlarged to the
    resolution of the first, and all flow into a small U-Net. Gaetano, Ienco, Ose and Cresson, "A Two-Branch CNN
    Architecture for Land Cover Classification of PAN and MS Imagery" (Remote Sensing 10(11), 2018), made to label every
    pixel.

    Args:
        sources: two or more; the ratio of each is a whole number or one divided by a whole number.
        head: per pixel of the first source, or one answer a patch: then there is no way up.

    Returns:
        See `registry.build`. Rows and columns of the first input may be any multiples of ``2**depth`` and of the
        denominators of the ratios; those of the others follow from the ratios.
    """
    inputs, normalised = open_sources(sources)
    branches = [_branch(x, source, options.filters) for x, source in zip(normalised, sources)]
    x = keras.layers.Concatenate(name='branches_stack')(branches)
    x, skips = contract(x, options.filters, options.depth, options.dropout)
    logits = pixel_logits(expand(x, skips, options.filters), head) if head.per_pixel else patch_logits(x, head)
    return finish(inputs, logits, head, 'twobranch')


def _branch(x: keras.KerasTensor, source: SourceShape, filters: int) -> keras.KerasTensor:
    """What is seen in a source, at the resolution of the first."""
    finer, coarser = source.ratio.numerator, source.ratio.denominator
    for number, factor in enumerate(_prime_factors(finer), 1):
        x = block(x, filters, f'{source.name}_branch{number}')
        x = keras.layers.MaxPooling2D(factor, name=f'{source.name}_branch{number}_pool')(x)
    x = block(block(x, filters, f'{source.name}_brancha'), filters, f'{source.name}_branchb')
    if coarser > 1:
        x = keras.layers.UpSampling2D(coarser, name=f'{source.name}_enlarge')(x)
    return x


def _prime_factors(number: int) -> Iterator[int]:
    factor = 2
    while number > 1:
        if number % factor:
            factor += 1
        else:
            number //= factor
            yield factor
