"""The ways in which a window of the map is computed from what was read for it.

At once; patch by patch, one for each pixel of the map; or in overlapping pieces that fade into one another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..errors import OutOfMemory
from ..events import Reporter
from ..grid import Window
from .frame import Frame
from .network import Computes


@dataclasses.dataclass(frozen=True)
class Piece:
    """What is to be computed.

    Attributes:
        window: in pixels of the map.
        pixels: of each source what is fed for the window, (rows, columns, bands).
        wanted: (rows, columns) of the window: which pixels of the map count.
    """

    window: Window
    pixels: tuple[np.ndarray, ...]
    wanted: np.ndarray

    def cut(self, window: Window, frame: Frame) -> Piece:
        """A part of it."""
        pixels = []
        for around, mine, array in zip(frame.windows(self.window), frame.windows(window), self.pixels):
            row, col = mine.row - around.row, mine.col - around.col
            pixels.append(np.ascontiguousarray(array[row : row + mine.height, col : col + mine.width]))
        row, col = window.row - self.window.row, window.col - self.window.col
        return Piece(window, tuple(pixels), self.wanted[row : row + window.height, col : col + window.width])


class Way(Protocol):
    """Computes windows of the map."""

    def run(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """Values (rows, columns, bands) of each piece, which all have one size."""


class AtOnce:
    """The network takes the whole window."""

    def __init__(self, network: Computes) -> None:
        self._network = network

    def run(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """See `Way`."""
        return list(self._network.run(_stacked(pieces), (pieces[0].window.width, pieces[0].window.height)))


class Patches:
    """The network takes a patch for each pixel of the map that is wanted, many in one call.

    Args:
        network: gives one pixel for each patch.
        frame: whose sources have patches.
        bands: that the network gives.
        batch: patches in one call; fewer from when memory does not suffice on.
        reporter: hears of that.
    """

    def __init__(self, network: Computes, frame: Frame, bands: int, batch: int, reporter: Reporter) -> None:
        self._network, self._frame, self._bands, self._batch = network, frame, bands, batch
        self._reporter = reporter

    def run(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """See `Way`."""
        return [self._run(piece) for piece in pieces]

    def _run(self, piece: Piece) -> np.ndarray:
        rows, cols = np.nonzero(piece.wanted)
        views = []
        for window, (across, down), array in zip(self._frame.windows(piece.window), self._frame.sources, piece.pixels):
            size = down.beyond + 1, across.beyond + 1
            # A view of all patches there are, none of which is copied before it is fed.
            view = np.lib.stride_tricks.sliding_window_view(array, size, (0, 1))  # type: ignore[call-overload]
            top = np.array([down.first(piece.window.row + i) - window.row for i in range(piece.window.height)])
            left = np.array([across.first(piece.window.col + i) - window.col for i in range(piece.window.width)])
            views.append((view, top, left))
        found: np.ndarray | None = None
        start = 0
        while start < len(rows):
            part = slice(start, start + self._batch)
            feeds = [
                np.ascontiguousarray(view[top[rows[part]], left[cols[part]]].transpose(0, 2, 3, 1))
                for view, top, left in views
            ]
            try:
                values = self._network.run(feeds, (1, 1))[:, 0, 0]
            except OutOfMemory:
                if self._batch == 1:
                    raise
                self._batch //= 2
                self._reporter.warn(f'Not enough memory for the patches of a call: {self._batch} a call from here on.')
                continue
            if found is None:
                found = np.zeros((*piece.wanted.shape, values.shape[-1]), values.dtype)
            found[rows[part], cols[part]] = values
            start += len(values)
        return np.zeros((*piece.wanted.shape, self._bands), 'float32') if found is None else found


class Blended:
    """The network takes overlapping pieces, whose places do not depend on the tiles; each pixel of the map is the mean
    of the pieces that hold it, with weights.

    Args:
        network: takes pieces of `size`.
        frame: with units of `step`, and halos that reach to the end of every piece that touches a tile.
        size: (columns, rows) of a piece in pixels of the map.
        fading: with the weights of a cosine window (Hann); else the middle of each piece counts alone.
        batch: pieces in one call.
    """

    def __init__(self, network: Computes, frame: Frame, size: tuple[int, int], fading: bool, batch: int = 1) -> None:
        self._network, self._frame, self._size, self._batch = network, frame, size, batch
        shape = _hann if fading else _middle
        across, down = (shape(length, step) for length, step in zip(size, frame.unit))
        self._weights = np.outer(down, across).astype('float32')[..., None]

    def run(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """See `Way`."""
        return [self._run(piece) for piece in pieces]

    def _run(self, piece: Piece) -> np.ndarray:
        whole, places = piece.window, []
        for row in range(whole.row, whole.bottom - self._size[1] + 1, self._frame.unit[1]):
            for col in range(whole.col, whole.right - self._size[0] + 1, self._frame.unit[0]):
                window = Window(col, row, *self._size)
                inner = window.shift(-whole.col, -whole.row)
                part = np.s_[inner.row : inner.bottom, inner.col : inner.right]
                if piece.wanted[part].any():
                    places.append((window, part))
        total: np.ndarray | None = None
        weights = np.zeros((whole.height, whole.width, 1), 'float32')
        for start in range(0, len(places), self._batch):
            some = places[start : start + self._batch]
            feeds = _stacked([piece.cut(window, self._frame) for window, _ in some])
            for values, (_, part) in zip(self._network.run(feeds, self._size), some):
                if total is None:
                    total = np.zeros((whole.height, whole.width, values.shape[-1]), _summed(values.dtype))
                # What is not a number stays so where nothing of it counts.
                total[part] += np.where(self._weights > 0, self._weights.astype(total.dtype) * values, 0)
                weights[part] += self._weights
        if total is None:
            raise ValueError('nothing of the window is wanted')
        if total.dtype.kind == 'f':
            np.divide(total, weights, out=total, where=weights > 0)
        return total


def _summed(dtype: np.dtype) -> np.dtype:
    """The type that weighted values are summed up in; those of whole numbers have weights of 0 and 1."""
    return dtype if dtype.kind in 'iu' else np.result_type(dtype, 'float32')


def blending_frame(frame: Frame, size: tuple[int, int]) -> Frame:
    """The frame for pieces of (columns, rows) that begin every half of their size, or nearly so.

    Args:
        frame: whose units the pieces begin at.
    """
    steps, halo = [], []
    for length, unit in zip(size, frame.unit):
        step = max(unit, length // 2 // unit * unit)
        steps.append(step)
        halo.append(-(-length // step) * step - step)
    return dataclasses.replace(frame, unit=(steps[0], steps[1]), halo=(halo[0], halo[1], halo[0], halo[1]))


def _hann(length: int, step: int) -> np.ndarray:
    """Weights along an axis; with steps of half the length those of all pieces add up to 1 everywhere."""
    return np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2


def _middle(length: int, step: int) -> np.ndarray:
    """1 in the middle, as wide as a step, and 0 around."""
    first = (length - step) // 2
    return ((np.arange(length) >= first) & (np.arange(length) < first + step)).astype(float)


def _stacked(pieces: Sequence[Piece]) -> list[np.ndarray]:
    """Of each source the pixels of all pieces."""
    if len(pieces) == 1:
        return [array[None] for array in pieces[0].pixels]
    return [np.stack(arrays) for arrays in zip(*(piece.pixels for piece in pieces))]
