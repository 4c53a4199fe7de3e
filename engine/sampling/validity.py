"""Which patches of a grid lie wholly on pixels that may be used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import GridMismatch
from ..events import Reporter
from ..grid import Grid, Window, relate
from ..jobs import SourceSpec
from ..nodata import valid_pixels
from ..raster import RasterStack, require_same_crs
from .counts import PatchCounts


def everywhere(
    stack: RasterStack,
    counts: PatchCounts,
    usable: Callable[[np.ndarray], np.ndarray],
    reporter: Reporter,
) -> np.ndarray:
    """Which patches have only usable pixels.

    The raster is read once, in strips.

    Args:
        counts: of the patches, nothing counted yet.
        usable: from pixels (rows, columns, bands) to booleans (rows, columns).

    Returns:
        (patch rows, patch columns) booleans.
    """
    width = counts.right - counts.left
    row_bytes = width * stack.dtype.itemsize * len(stack.bands)
    cells = counts.cells
    for top, bottom in counts.strips(row_bytes, stack.block[1]):
        reporter.check_cancelled()
        reporter.progress((top - counts.top) / (counts.bottom - counts.top), f'Reading {stack.spec.rasters[0]}')
        unusable = ~usable(stack.read(Window(counts.left, top, width, bottom - top)))
        for first, end in counts.pieces(top, bottom):
            columns = np.count_nonzero(unusable[first - top : end - top], 0)
            counts.add(end, {0: np.bincount(cells, columns).astype(np.int64)})
    return counts.of(0) == 0


def open_mask(path: str, image: Grid, name: str) -> RasterStack:
    """A mask, which must lie on the grid of the image; its first band counts.

    Raises:
        GridMismatch: it lies on another grid.
    """
    mask = RasterStack(SourceSpec((path,), 'the mask', (1,)))
    names = (name, path)
    require_same_crs(image, mask.grid, names)
    relation = relate(image, mask.grid, names)
    if (relation.x, relation.y, relation.col, relation.row) != (1, 1, 0, 0) or mask.grid.window != image.window:
        raise GridMismatch(
            f'{path}: the mask must lie on the grid of the image. It has {mask.grid.describe()}; {name} has '
            f'{image.describe()}. Bring it there ("Warp", or "Clip raster by extent").'
        )
    return mask


def above_zero(mask: RasterStack) -> Callable[[np.ndarray], np.ndarray]:
    """Pixels of a mask above 0 and not its no-data."""
    nodata = mask.nodata[0]

    def usable(pixels: np.ndarray) -> np.ndarray:
        found = pixels[..., 0] > 0
        return found if nodata is None else found & (pixels[..., 0] != nodata)

    return usable


def with_data(image: RasterStack) -> Callable[[np.ndarray], np.ndarray]:
    """Pixels that have data: not no-data in all bands, and a number in each."""

    def usable(pixels: np.ndarray) -> np.ndarray:
        return valid_pixels(pixels, image.nodata, 'all')

    return usable
