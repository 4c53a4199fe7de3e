"""Patches of a raster: windows that may reach over its edges, where pixels are mirrored or missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .sweep import MEMORY, Raster, Sweep

Indices = tuple[np.ndarray, np.ndarray]  # of rows and of columns, which may lie outside the raster


def cut_patches(
    raster: Raster,
    cols: np.ndarray,
    rows: np.ndarray,
    size: tuple[int, int],
    irregular: np.ndarray,
    indices: Callable[[int], Indices],
    memory: int = MEMORY,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Cut patches of one size, in the order that reads the raster fastest.

    Args:
        cols, rows: the first pixel of each patch.
        size: (columns, rows) of a patch.
        irregular: booleans: which patches are not simply the pixels from the first on.
        indices: of such a patch: the row of the raster that each of its rows is, and the same for columns.
        memory: as in `Sweep`.

    Yields:
        Numbers of patches, their pixels as (patches, rows, columns, bands), and where the raster has such pixels as
        booleans (patches, rows, columns); None where it has them all. What it does not have is 0.
    """
    width, height = size
    windows = np.stack([cols, rows, np.full_like(cols, width), np.full_like(rows, height)], 1)
    nothing = []
    for number in np.flatnonzero(irregular).tolist():
        there = [index[_inside(index, raster, axis)] for axis, index in enumerate(indices(number))]
        if there[0].size and there[1].size:
            top, left = there[0].min(), there[1].min()
            windows[number] = left, top, there[1].max() + 1 - left, there[0].max() + 1 - top
        else:
            nothing.append(number)
    numbers = np.setdiff1d(np.arange(len(windows)), nothing)
    for batch, pixels in Sweep(raster, windows[numbers], memory):
        chosen = numbers[batch]
        plain = ~irregular[chosen]
        if plain.all():
            yield chosen, pixels, None
            continue
        if plain.any():
            yield chosen[plain], pixels[plain], None
        for number, part in zip(chosen[~plain].tolist(), pixels[~plain]):
            yield _spread(number, part, indices(number), windows[number], raster)
    empty = np.zeros((1, height, width, len(raster.bands)), raster.dtype)
    for number in nothing:
        yield np.array([number]), empty.copy(), np.zeros((1, height, width), bool)


def _inside(index: np.ndarray, raster: Raster, axis: int) -> np.ndarray:
    """Which rows (axis 0) or columns (axis 1) a raster has."""
    return (index >= 0) & (index < (raster.grid.height, raster.grid.width)[axis])


def _spread(
    number: int, part: np.ndarray, indices: Indices, window: np.ndarray, raster: Raster
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A patch from the part of the raster that has its pixels."""
    rows, cols = indices
    there = _inside(rows, raster, 0), _inside(cols, raster, 1)
    pixels = np.zeros((len(rows), len(cols), part.shape[-1]), part.dtype)
    pixels[np.ix_(*there)] = part[np.ix_(rows[there[0]] - window[1], cols[there[1]] - window[0])]
    have = there[0][:, None] & there[1]
    return np.array([number]), pixels[None], None if have.all() else have[None]
