"""Test-time augmentation: the mean of what a network says of an image in its eight flips and quarter turns (D4)."""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np

from .frame import Frame


class Runs(Protocol):
    """A network, or something that runs like one; see `network.Network.run`."""

    def run(self, windows: list[tuple[np.ndarray, ...]], size: tuple[int, int]) -> np.ndarray: ...


class Symmetric:
    """Runs a network on all eight symmetries of a square, and gives the mean of its values turned back."""

    def __init__(self, network: Runs) -> None:
        self._network = network

    def run(self, windows: list[tuple[np.ndarray, ...]], size: tuple[int, int]) -> np.ndarray:
        """See `network.Network.run`."""
        total: np.ndarray | None = None
        for transposed, *flips in itertools.product((False, True), repeat=3):
            axes = [axis for axis, flip in enumerate(flips) if flip]
            turned = [tuple(_turn(array, transposed, axes) for array in arrays) for arrays in windows]
            values = self._network.run(turned, size[::-1] if transposed else size)
            back = np.stack([_back(value, transposed, axes) for value in values])
            total = back if total is None else total + back
        if total is None:
            raise ValueError('no symmetries')
        return total / 8


def symmetric_frame(frame: Frame) -> Frame:
    """The frame with what every turn of a window needs around it, and units that every turn keeps to."""
    unit, halo = int(np.lcm(*frame.unit)), max(frame.halo)
    return Frame(frame.grid, frame.sources, (unit, unit), (-(-halo // unit) * unit,) * 4)


def _turn(array: np.ndarray, transposed: bool, axes: list[int]) -> np.ndarray:
    """(rows, columns, bands) transposed or not, then flipped along some axes."""
    return np.ascontiguousarray(np.flip(array.swapaxes(0, 1) if transposed else array, axes))


def _back(array: np.ndarray, transposed: bool, axes: list[int]) -> np.ndarray:
    """The inverse of `_turn`."""
    flipped = np.flip(array, axes)
    return flipped.swapaxes(0, 1) if transposed else flipped
