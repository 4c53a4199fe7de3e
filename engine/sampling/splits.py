"""Spatial blocks: which part of an image belongs to which split, so that no pixel is in two."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import NoSamples
from .patchgrid import PatchGrid
from .shares import deal
from .strata import deal_evenly

_ROUNDS = 8  # of dealing, each with what the one before missed added to what is asked for
_NEAR = 0.002  # a miss of the shares that calls for no further round


@dataclasses.dataclass(frozen=True)
class BlockSplit:
    """Square blocks, each of one split.

    Attributes:
        blocks: (block rows, block columns) number of the split of each block.
        patches: (patch rows, patch columns) number of the split of each patch of the grid, or -1 where it does not
            count, or would come too near another split.
    """

    blocks: np.ndarray
    patches: np.ndarray


def split_blocks(
    grid: PatchGrid,
    block_size: int,
    buffer: int,
    shares: np.ndarray,
    seed: int,
    taken: np.ndarray | None = None,
    classes: np.ndarray | None = None,
) -> BlockSplit:
    """Give each block of the image to a split, so that the splits' shares of patches come near to those asked for.

    Blocks begin where the grid does. A patch stays if it touches only blocks of one split, also when grown by half the
    buffer on each side: grown patches of two splits are then disjoint, so the patches are at least `buffer` pixels
    apart.

    Args:
        shares: of each split, with the sum 1; one with a share of 0 gets no blocks.
        taken: (patch rows, patch columns) booleans: the patches that count; without it all do.
        classes: (patch rows, patch columns, classes) pixels in each patch, which are to be shared out alike.

    Raises:
        NoSamples: fewer blocks hold a patch than there are splits.
    """
    reach = (buffer // 2, buffer - buffer // 2)  # before and after: together one buffer between two patches
    rows = _touched(grid.rows - grid.area.row, grid.size, reach, grid.area.height, block_size)
    cols = _touched(grid.cols - grid.area.col, grid.size, reach, grid.area.width, block_size)
    shape = (-(-grid.area.height // block_size), -(-grid.area.width // block_size))
    counted = np.ones((*grid.shape, 1), np.int64) if taken is None else taken[..., None].astype(np.int64)
    if classes is not None:
        counted = np.concatenate([counted, classes * counted], -1)
    held = _held(counted, rows, cols, shape)
    able = np.flatnonzero(held[:, 0])
    wanted = int((shares > 0).sum())
    if len(able) < wanted:
        around = f' with a buffer of {buffer} pixels around it' if buffer else ''
        raise NoSamples(
            f'Only {len(able)} of {len(held)} blocks of {block_size} pixels hold a patch of {grid.size}{around}, but '
            f'each of {wanted} splits needs one. Take smaller blocks{", a smaller buffer" if buffer else ""} or '
            'smaller patches, or give a split no share.'
        )
    rng = np.random.default_rng(seed)
    asked, tried = shares, []
    for _ in range(_ROUNDS):
        dealt = np.full(len(held), -1, np.int8)
        dealt[able] = deal(held[able, 0], asked, rng) if classes is None else deal_evenly(held[able], asked, rng)
        blocks = _fill_gaps(dealt.reshape(shape))
        patches = np.where(counted[..., 0] > 0, _splits_of_patches(blocks, rows, cols), np.int8(-1))
        got = _shares(patches, counted, len(shares))
        missed = np.abs(got - shares).max(1) + ((got == 0) & (shares > 0)).sum(1)
        tried.append((float(missed.mean()), BlockSplit(blocks, patches)))
        if tried[-1][0] < _NEAR or wanted == 1:
            break
        # Patches across two blocks of one split are no block's own, and favour splits with many blocks.
        asked = np.where(shares > 0, np.maximum(asked + shares - got[0], shares / 4), 0)
        asked = asked / asked.sum()
    return min(tried, key=lambda trial: trial[0])[1]


def _touched(starts: np.ndarray, size: int, reach: tuple[int, int], length: int, block: int) -> np.ndarray:
    """(n, 2) first and last block that each grown patch touches along one axis."""
    first = np.maximum(starts - reach[0], 0) // block
    last = (np.minimum(starts + size + reach[1], length) - 1) // block
    return np.stack([first, last], 1)


def _held(counted: np.ndarray, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(blocks, kinds) what lies in the grown patches that are wholly in a block; `rows`, `cols` as from `_touched`."""
    inside = np.ix_(rows[:, 0] == rows[:, 1], cols[:, 0] == cols[:, 1])
    own = counted[inside]
    out = np.zeros((*shape, own.shape[-1]), np.int64)
    np.add.at(out, np.ix_(rows[rows[:, 0] == rows[:, 1], 0], cols[cols[:, 0] == cols[:, 1], 0]), own)
    return out.reshape(-1, own.shape[-1])


def _shares(patches: np.ndarray, counted: np.ndarray, splits: int) -> np.ndarray:
    """(kinds, splits) the share of each kind that each split got."""
    kinds = range(counted.shape[-1])
    kept = patches >= 0
    sums = np.stack([np.bincount(patches[kept], counted[kept, kind], splits) for kind in kinds])
    return sums / np.maximum(sums.sum(1, keepdims=True), 1)


def _fill_gaps(blocks: np.ndarray) -> np.ndarray:
    """Blocks that hold no patch (-1), mostly at the right and lower edge, join their neighbours: fewer patches drop."""
    for axis in (1, 0):
        lines = blocks if axis == 1 else blocks.T
        for line in lines:
            known = np.flatnonzero(line >= 0)
            if 0 < known.size < line.size:
                nearest = np.abs(np.arange(len(line))[:, None] - known).argmin(1)
                line[:] = line[known[nearest]]
    return blocks


def _splits_of_patches(blocks: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """The split of each patch of the grid, -1 where it touches several; `rows` and `cols` as from `_touched`."""

    def reduce(function: np.ufunc) -> np.ndarray:
        strips = np.stack([function.reduce(blocks[first : last + 1], axis=0) for first, last in rows])
        return np.stack([function.reduce(strips[:, first : last + 1], axis=1) for first, last in cols], 1)

    lowest, highest = reduce(np.minimum), reduce(np.maximum)
    return np.where(lowest == highest, lowest, np.int8(-1))
