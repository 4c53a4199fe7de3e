"""Arrays that TensorFlow takes over as they are."""

from __future__ import annotations

import math

import numpy as np

_ALIGNMENT = 64  # bytes; an array that begins elsewhere is copied when it becomes a tensor


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of this shape and type, not filled, that becomes a tensor without being copied."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def copy_rows(source: np.ndarray, positions: np.ndarray, target: np.ndarray, places: np.ndarray) -> None:
    """Copy rows of an array to places in another.

    One by one, and so once each: `target[places] = source[positions]` would copy all of them twice.
    """
    for place, position in zip(places.tolist(), positions.tolist()):
        target[place] = source[position]
