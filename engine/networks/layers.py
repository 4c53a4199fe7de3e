"""Layers for masks, scalars and classes, with the names and arguments of OTBTF's Python interface.

All are registered with Keras: a model that holds them can be saved and loaded again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from ..errors import InvalidJob


class _Layer(keras.layers.Layer):
    """A layer without weights that takes tensors in the types they have."""

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        # Values are compared and counted, for which half precision will not do.
        super().__init__(name=name, autocast=False, **kwargs)


@keras.saving.register_keras_serializable('quadrat')
class DilatedMask(_Layer):
    """Where an image has no data, or has none nearby.

    Input: (batch, rows, columns, 1). Output: the same shape, uint8: 1 within `radius` rows and columns of a pixel
    without data, else 0.

    Args:
        nodata_value: of pixels without data; NaN is one too.
        radius: of the square, 0 for the pixel alone.

    Example:
        >>> DilatedMask(nodata_value=0, radius=1)(keras.ops.ones((1, 8, 8, 1)))
    """

    def __init__(self, nodata_value: float, radius: int, name: str | None = None, **kwargs: Any) -> None:
        if radius < 0 or radius != int(radius):
            raise InvalidJob(f'radius is {radius}; give a whole number, 0 or more.')
        super().__init__(name, **kwargs)
        self.nodata_value = float(nodata_value)
        self.radius = int(radius)

    def call(self, inp: Any) -> Any:
        if len(inp.shape) != 4 or inp.shape[-1] != 1:
            raise InvalidJob(f'DilatedMask takes one band, (batch, rows, columns, 1), not {tuple(inp.shape)}.')
        # Integers are compared as float64, which holds them and the value; float32 as it is, to which the value rounds.
        values = inp if keras.backend.is_float_dtype(inp.dtype) else keras.ops.cast(inp, 'float64')
        nodata = keras.ops.convert_to_tensor(self.nodata_value, values.dtype)
        empty = keras.ops.isnan(values) if math.isnan(self.nodata_value) else keras.ops.equal(values, nodata)
        near = keras.ops.max_pool(keras.ops.cast(empty, 'float32'), 2 * self.radius + 1, strides=1, padding='same')
        return keras.ops.cast(near, 'uint8')

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'nodata_value': self.nodata_value, 'radius': self.radius}


@keras.saving.register_keras_serializable('quadrat')
class ApplyMask(_Layer):
    """Another value where a mask is 1.

    Input: [mask, x], of one shape but for the bands, where the mask may have one. Output: as x.

    Args:
        out_nodata: the value.
    """

    def __init__(self, out_nodata: float, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.out_nodata = float(out_nodata)

    def call(self, inputs: Sequence[Any]) -> Any:
        mask, x = inputs
        return keras.ops.where(keras.ops.equal(mask, 1), keras.ops.cast(self.out_nodata, x.dtype), x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'out_nodata': self.out_nodata}


@keras.saving.register_keras_serializable('quadrat')
class ScalarsTile(_Layer):
    """Scalars as bands of an image, to be stacked with others.

    Input: [ref, scalars…]: an image (batch, rows, columns, bands), and scalars of a sample, each (batch) or (batch, 1).
    Output: (batch, rows, columns, number of scalars).
    """

    def call(self, inputs: Sequence[Any]) -> Any:
        ref, *scalars = keras.tree.flatten(inputs)
        bands = keras.ops.stack([keras.ops.reshape(scalar, (-1, 1, 1)) for scalar in scalars], axis=-1)
        rows, columns = keras.ops.shape(ref)[1:3]
        return keras.ops.tile(bands, (1, rows, columns, 1))


@keras.saving.register_keras_serializable('quadrat')
class Argmax(_Layer):
    """The number of the band with the highest value.

    Input: (…, bands). Output: (…, 1) int64, the first of several that are equal.

    Args:
        expand_last_dim: whether the last axis stays; without it the output is (…).
    """

    def __init__(self, name: str | None = None, expand_last_dim: bool = True, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.expand_last_dim = expand_last_dim

    def call(self, inputs: Any) -> Any:
        return keras.ops.cast(keras.ops.argmax(inputs, axis=-1, keepdims=self.expand_last_dim), 'int64')

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'expand_last_dim': self.expand_last_dim}


@keras.saving.register_keras_serializable('quadrat')
class Max(_Layer):
    """The highest value of all bands. Input: (…, bands). Output: (…, 1)."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.max(inputs, axis=-1, keepdims=True)
