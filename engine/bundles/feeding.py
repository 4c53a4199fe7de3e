"""What people have (numbers, arrays, images, bytes) as the tensors of a bundle, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidJob, ModelError
from .description import Layer
from .values import swap_colours

_COLOURS = 3


def tensor(layer: Layer, values: Sequence[Any]) -> np.ndarray:
    """The tensor of an input for some items.

    Args:
        values: one an item. Of images (rows, columns, bands) with red, green and blue in this order, alpha left out if
            there is one too many; of arrays anything with as many numbers; of strings bytes.

    Raises:
        InvalidJob: a value is not what the bundle says, or there are several and the input takes one.
    """
    rows = [_fed(layer, value) for value in values]
    if layer.batched is None:
        if len(rows) != 1:
            raise InvalidJob(f'{layer.name}: takes one item at a time, and {len(rows)} are given.')
        return rows[0]
    return np.stack(rows, layer.batched)


def results(layer: Layer, array: np.ndarray, count: int, labels: Sequence[str] = ()) -> list[Any]:
    """What an output says of each of `count` items; of all together where it has no axis for them.

    Returns:
        Of vectors with labels dictionaries label -> number, of single values numbers, else arrays; of strings bytes.

    Raises:
        ModelError: the output is not what the bundle says.
    """
    if layer.batched is None:
        return [_given(layer, array, labels)]
    if not array.ndim or array.shape[layer.batched] != count:
        raise ModelError(f'{layer.name}: the output has the shape {array.shape} for {count} items.')
    return [_given(layer, row, labels) for row in np.moveaxis(array, layer.batched, 0)]


def image(layer: Layer, pixels: np.ndarray) -> np.ndarray:
    """Pixels (…, rows, columns, bands) as an input takes them: scaled, and in its order of colours."""
    if layer.format == 'BGR' and pixels.shape[-1] == _COLOURS:
        pixels = swap_colours(pixels)
        if layer.scaling is not None and len(layer.scaling.bias) == _COLOURS:
            # Which are given for red, green and blue.
            return swap_colours(layer.scaling.normalise(swap_colours(pixels)))
    return layer.scaling.normalise(pixels) if layer.scaling else pixels


def _fed(layer: Layer, value: Any) -> np.ndarray:
    """An item's value as its part of the tensor."""
    shape = () if layer.type == 'scalar' else layer.shape
    if layer.type == 'string':
        if not isinstance(value, (bytes, bytearray)):
            raise InvalidJob(f'{layer.name}: bytes are expected, not {type(value).__name__}.')
        array = np.frombuffer(value, layer.dtype)
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InvalidJob(f'{layer.name}: {error}') from error
        if array.dtype.kind not in 'iufb':
            raise InvalidJob(f'{layer.name}: numbers are expected, not {value!r}.')
    if layer.type == 'image':
        if array.ndim == len(shape) and array.shape[-1] == shape[-1] + 1 == _COLOURS + 1:
            array = array[..., :_COLOURS]
        if array.shape != shape:
            raise InvalidJob(f'{layer.name}: an image of the shape {shape} is expected, not {array.shape}.')
        return image(layer, array).astype(layer.dtype)
    if array.size != math.prod(shape):
        raise InvalidJob(f'{layer.name}: {math.prod(shape)} values are expected ({layer.shape}), not {array.size}.')
    array = layer.scaling.denormalise(array) if layer.scaling else array
    return array.reshape(shape).astype(layer.dtype)


def _given(layer: Layer, array: np.ndarray, labels: Sequence[str]) -> Any:
    """A part of the tensor as people have it."""
    if layer.type == 'string':
        return array.tobytes()
    if array.size != math.prod(layer.shape):
        raise ModelError(f'{layer.name}: the output has the shape {array.shape}; the bundle says {layer.shape}.')
    array = array.reshape(layer.shape)
    if layer.type == 'image':
        pixels = layer.scaling.denormalise(array) if layer.scaling else array
        return swap_colours(pixels) if layer.format == 'BGR' and pixels.shape[-1] == _COLOURS else pixels
    array = layer.scaling.normalise(array) if layer.scaling else array
    if labels:
        return dict(zip(labels, array.ravel().tolist()))
    return array.item() if array.size == 1 else array
