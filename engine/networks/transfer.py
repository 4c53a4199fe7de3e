"""Weights of one network for another that is fed other bands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import keras
import numpy as np

from ..errors import InputMissing, ModelError
from ..runtimes.kerasfile import EXTENSION, load_keras

_USUAL_BANDS = 3  # of networks trained on photographs


def adapted_kernel(kernel: np.ndarray, bands: int) -> np.ndarray:
    """The kernel of a first convolution for another number of bands.

    Args:
        kernel: (rows, columns, bands, filters).
        bands: how many it is to have.

    Returns:
        The kernel itself where it has as many. Else each band gets the mean over the bands, scaled so that an image
        whose bands are all alike gives what it gave.
    """
    if kernel.shape[2] == bands:
        return kernel
    mean = kernel.mean(2, keepdims=True) * (kernel.shape[2] / bands)
    return np.repeat(mean, bands, 2)


def take_weights(layers: Iterable[keras.layers.Layer], others: Iterable[keras.layers.Layer], where: str) -> None:
    """Give layers the weights of those of the same names, the first convolution's adapted to its bands.

    Layers that normalise the input keep theirs, as they belong to the bands.

    Raises:
        ModelError: there is no such layer, or one of another shape; `where` is named.
    """
    known = {layer.name: layer for layer in others}
    first = True
    for layer in layers:
        if not layer.weights or isinstance(layer, keras.layers.Normalization):
            continue
        found = known[layer.name].get_weights() if layer.name in known else []
        if first and found and found[0].ndim == 4:
            found[0] = adapted_kernel(found[0], layer.get_weights()[0].shape[2])
        first = False
        if [item.shape for item in found] != [tuple(item.shape) for item in layer.weights]:
            raise ModelError(
                f'{where}: it has no weights that fit the layer {layer.name}; they are of another network.'
            )
        layer.set_weights(found)


def donor(path: str, build: Callable[[int], keras.Model], bands: int) -> keras.Model:
    """The network whose weights a file holds.

    Args:
        path: a whole model (``.keras``), or weights alone (``.weights.h5``, ``.h5``).
        build: the network for a number of bands, to be filled with weights.
        bands: to try besides three.

    Raises:
        InputMissing, ModelError: the file is not there, or holds something else.
    """
    if path.lower().endswith(EXTENSION):
        return load_keras(path)
    if not os.path.isfile(path):
        raise InputMissing(f'{path}: no such file.')
    if not path.lower().endswith('.h5'):
        raise ModelError(f'{path}: weights are read from files that end in .keras, .weights.h5 or .h5.')
    reason = ''
    for count in dict.fromkeys((_USUAL_BANDS, bands)):
        model = build(count)
        try:
            model.load_weights(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = reason or next(iter(str(error).strip().splitlines()), type(error).__name__)
        else:
            return model
    raise ModelError(f'{path}: holds no weights of this network ({reason}).')
