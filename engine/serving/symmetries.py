"""Test-time augmentation: the mean of what a network says of an image in its eight flips and quarter turns (D4)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from .frame import Frame
from .network import Computes


class Symmetric:
    """Runs a network on all eight symmetries of a square, and gives the mean of its values turned back."""

    def __init__(self, network: Computes) -> None:
        self._network = network

    def run(self, feeds: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """See `network.Computes`."""
        total: np.ndarray | None = None
        for transposed, *flips in itertools.product((False, True), repeat=3):
            axes = [axis + 1 for axis, flip in enumerate(flips) if flip]
            turned = [_turn(array, transposed, axes) for array in feeds]
            back = _back(self._network.run(turned, size[::-1] if transposed else size), transposed, axes)
            total = back if total is None else total + back
        if total is None:
            raise ValueError('no symmetries')
        return total / 8


def symmetric_frame(frame: Frame) -> Frame:
    """The frame with what every turn of a window needs around it, and units that every turn keeps to."""
    unit, halo = int(np.lcm(*frame.unit)), max(frame.halo)
    return dataclasses.replace(frame, unit=(unit, unit), halo=(-(-halo // unit) * unit,) * 4)


def _turn(array: np.ndarray, transposed: bool, axes: list[int]) -> np.ndarray:
    """(windows, rows, columns, bands) transposed or not, then flipped along some axes."""
    return np.ascontiguousarray(np.flip(array.swapaxes(1, 2) if transposed else array, axes))


def _back(array: np.ndarray, transposed: bool, axes: list[int]) -> np.ndarray:
    """The inverse of `_turn`."""
    flipped = np.flip(array, axes)
    return flipped.swapaxes(1, 2) if transposed else flipped
