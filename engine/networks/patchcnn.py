"""Patch CNN: one answer a patch, from convolutions alone, so that it maps whole images as well."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from .halving import last_kernel, patch_levels
from .options import PatchCnnOptions
from .parts import block, finish, open_stack, pixel_logits
from .shapes import Head, SourceShape


def patchcnn(sources: Sequence[SourceShape], head: Head, options: PatchCnnOptions) -> keras.Model:
    """A patch-based convolutional network: Sharma, Liu, Yang and Shi, "A patch-based convolutional neural network for
    remote sensing image classification" (Neural Networks 95, 2017). No convolution pads, and the dense part is one of
    kernels as large as what is left of the patch, then one of single pixels (Sermanet and others, "OverFeat", ICLR
    2014); so an image gives the answers for all its patches at once, ``2**depth`` pixels apart.

    Args:
        sources: of one resolution and with a patch size; they are stacked.
        head: one answer a patch.

    Returns:
        See `registry.build`. Outputs are (batch, rows, columns, channels), with one row and one column for a patch.
    """
    inputs, x = open_stack(sources)
    cols, rows = sources[0].patch_size
    sizes = patch_levels((rows, cols), options.depth)
    for level, size in enumerate(sizes[:-1]):
        width, name = options.filters << min(level, 3), f'down{level + 1}'
        x = block(x, width, f'{name}a', padding='valid')
        x = block(x, width, f'{name}b', (last_kernel(size[0]), last_kernel(size[1])), padding='valid')
        x = keras.layers.MaxPooling2D(2, name=f'{name}_pool')(x)
    x = block(x, options.dense, 'dense', sizes[-1], padding='valid')
    if options.dropout:
        x = keras.layers.SpatialDropout2D(options.dropout, name='dense_dropout')(x)
    return finish(inputs, pixel_logits(x, head), head, 'patchcnn')
