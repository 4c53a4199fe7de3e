"""Patch selection as the PatchesSelection application of OTBTF does it: its grid, its points, its order of splits."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidJob
from ..grid import Grid, Window
from .patchgrid import PatchGrid


def peer_grid(image: Grid, size: int, step: int, offset: tuple[int, int]) -> PatchGrid:
    """The grid of OTBTF: its first pixel leaves a margin of one pixel more than half a patch.

    With r = ⌊N/2⌋, grid pixels are r + 1 (for a step of 1: r), and from there every `step` pixels up to r before the
    last pixel. The point of an even patch lies on a corner of its grid pixel, and the patch is that of the pixel which
    holds the point; see `corner_shift`.

    Raises:
        InvalidJob: a rotated raster, which OTBTF takes for an upright one.
    """
    if image.transform[2] or image.transform[4]:
        raise InvalidJob('OTBTF knows no rotated rasters; switch OTBTF off, or warp the raster to an upright grid.')
    radius = size // 2
    first = radius if step == 1 else radius + 1
    shift = corner_shift(image, size)
    edges = []
    for length, moved, phase in ((image.width, shift[0], offset[0]), (image.height, shift[1], offset[1])):
        start = first + phase % step - radius + moved
        edges.append((start, length - 1 - 2 * radius + moved + size - start))
    return PatchGrid(Window(edges[0][0], edges[1][0], edges[0][1], edges[1][1]), size, step)


def corner_shift(image: Grid, size: int) -> tuple[int, int]:
    """(columns, rows) from a grid pixel of OTBTF to the pixel that holds its point.

    Odd patches have their point in the centre of the grid pixel. Even ones have it half a pixel less in both map
    coordinates; that corner belongs to the pixel with the higher numbers, so north-up it is the next row's.
    """
    if size % 2:
        return 0, 0
    return int(image.transform[1] < 0), int(image.transform[5] < 0)


def periodic_splits(count: int, weights: np.ndarray) -> np.ndarray:
    """The splits of `count` patches one after the other, as OTBTF deals them out: for 50/25/25, 0 1 2 0 and again.

    The split with the smallest counter comes next, the first of those with the same; its counter then grows by the
    inverse of its weight. A split with the weight 0 never comes.
    """
    splits, due = [], []
    for split in np.flatnonzero(weights > 0).tolist():
        turns = int(count * weights[split] / weights.sum()) + 2
        splits.append(np.full(turns, split))
        due.append(np.arange(turns) / weights[split])  # divided, not summed up: ties stay ties
    order = np.lexsort((np.concatenate(splits), np.concatenate(due)))
    return np.concatenate(splits)[order][:count]
