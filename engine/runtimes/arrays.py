"""Arrays on their way into a model and out of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from ..errors import ModelError
from .spec import MOST_AXES, TensorInfo

_RATIOS = tuple(Fraction(*pair) for pair in ((1, 1), (2, 1), (4, 1), (1, 2), (1, 4), (3, 1), (1, 3), (6, 1), (1, 6)))


def feeds_for(inputs: Mapping[str, TensorInfo], feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays for the inputs of a model, in its types.

    Raises:
        ModelError: one is missing.
    """
    missing = [name for name in inputs if name not in feeds]
    if missing:
        raise ModelError(f'The model also takes {", ".join(missing)}; it is fed {", ".join(feeds) or "nothing"}.')
    return {name: cast(feeds[name], info.dtype) for name, info in inputs.items()}


def cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values in another type; what an integer type cannot hold becomes its nearest value, fractions are cut off."""
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    if dtype.kind in 'iu' and array.dtype.kind in 'iuf':
        limits = np.iinfo(dtype)
        low, high = limits.min, limits.max
        if array.dtype.kind in 'iu':  # of which type the limits may be out of reach
            own = np.iinfo(array.dtype)
            low, high = max(low, own.min), min(high, own.max)
        else:
            array = np.nan_to_num(array)
        array = array.clip(low, high)
    return np.ascontiguousarray(array.astype(dtype))


def image_of(values: np.ndarray, batch: int, rows: int, cols: int) -> np.ndarray:
    """What a model gives, as (batch, rows, columns, bands).

    Models may leave out the axis of the bands, or give the pixels of all images in one long row.

    Raises:
        ModelError: there are other numbers of values.
    """
    if values.ndim == 4 and values.shape[:3] == (batch, rows, cols):
        return values
    if values.ndim == 3 and values.shape == (batch, rows, cols):
        return values[..., None]
    if values.ndim in (1, 2) and values.shape[0] == batch * rows * cols:
        return values.reshape(batch, rows, cols, -1)
    raise ModelError(f'The model gives values of the shape {values.shape} where {(batch, rows, cols)} is expected.')


def shape_of(info: TensorInfo, batch: int, rows: int, cols: int, bands: int = 0) -> tuple[int, ...]:
    """The shape of an array for an input: what the model leaves open is as given here.

    Args:
        bands: where the model leaves their number open; 0: one.
    """
    wanted = (batch, rows, cols, bands or 1)
    return tuple(given if size is None else size for size, given in zip(info.shape, wanted))


def resolutions(names: Sequence[str]) -> Iterator[dict[str, Fraction]]:
    """Pixels of each input to one of the first, along an axis: all that are likely, the likeliest first."""
    first, *others = names
    for ratios in itertools.product(_RATIOS, repeat=len(others)):
        yield {first: Fraction(1), **dict(zip(others, ratios))}


def check_rank(results: Mapping[str, np.ndarray]) -> None:
    """Raise `ModelError` for an output that is no image."""
    for name, array in results.items():
        if not 0 < array.ndim <= MOST_AXES:
            raise ModelError(
                f'The output {name} of the model has the shape {array.shape}; only batch, rows, columns and bands can '
                'be mapped.'
            )


def sizes(arrays: Mapping[str, np.ndarray]) -> str:
    """The sizes of arrays, for messages."""
    return ', '.join(' x '.join(map(str, array.shape)) for array in arrays.values())
