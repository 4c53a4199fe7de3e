"""Spatial blocks: which part of an image belongs to which split, so that no pixel is in two."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import NoSamples

_TRIALS = 16  # shuffles tried; the one nearest to the shares is kept


@dataclasses.dataclass(frozen=True)
class PatchGrid:
    """Patches of `size` pixels that start every `step` pixels, all inside an image of `width` x `height`."""

    width: int
    height: int
    size: int
    step: int

    @property
    def cols(self) -> np.ndarray:
        """First columns of the patches, ascending."""
        return np.arange(0, self.width - self.size + 1, self.step)

    @property
    def rows(self) -> np.ndarray:
        """First rows of the patches, ascending."""
        return np.arange(0, self.height - self.size + 1, self.step)


@dataclasses.dataclass(frozen=True)
class BlockSplit:
    """Square blocks, each of one split.

    Attributes:
        blocks: (block rows, block columns) number of the split of each block.
        patches: (patch rows, patch columns) number of the split of each patch of the grid, or -1 where it would come
            too near another split.
    """

    blocks: np.ndarray
    patches: np.ndarray


def split_blocks(grid: PatchGrid, block_size: int, buffer: int, shares: np.ndarray, seed: int) -> BlockSplit:
    """Give each block of the image to a split, so that the splits' shares of patches come near to those asked for.

    Blocks are shuffled and dealt out one by one to the split that lacks most; of several shuffles the best is
    kept. A patch stays if it touches only blocks of one split, also when grown by half the buffer on each side: grown
    patches of two splits are then disjoint, so the patches are at least `buffer` pixels apart.

    Args:
        shares: of each split, with the sum 1; one with a share of 0 gets no blocks.

    Raises:
        NoSamples: fewer blocks hold a patch than there are splits.
    """
    reach = (buffer // 2, buffer - buffer // 2)  # before and after: together one buffer between two patches
    rows = _touched(grid.rows, grid.size, reach, grid.height, block_size)
    cols = _touched(grid.cols, grid.size, reach, grid.width, block_size)
    shape = (-(-grid.height // block_size), -(-grid.width // block_size))
    capacity = np.outer(_held(rows, shape[0]), _held(cols, shape[1]))
    wanted = int((shares > 0).sum())
    able = int((capacity > 0).sum())
    if able < wanted:
        around = f' with a buffer of {buffer} pixels around it' if buffer else ''
        raise NoSamples(
            f'Only {able} of {capacity.size} blocks of {block_size} pixels hold a patch of {grid.size}{around}, but '
            f'each of {wanted} splits needs one. Take smaller blocks{", a smaller buffer" if buffer else ""} or '
            'smaller patches, or give a split no share.'
        )
    rng = np.random.default_rng(seed)
    best, best_error = _trial(capacity, rows, cols, shares, rng)
    for _ in range(_TRIALS - 1 if wanted > 1 else 0):
        trial, error = _trial(capacity, rows, cols, shares, rng)
        if error < best_error:
            best, best_error = trial, error
    return best


def _trial(
    capacity: np.ndarray, rows: np.ndarray, cols: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> tuple[BlockSplit, float]:
    """One way to split, and by how much the share of a split misses what was asked for at worst."""
    blocks = _deal(capacity, shares, rng)
    patches = _splits_of_patches(blocks, rows, cols)
    counts = np.bincount(patches[patches >= 0], minlength=len(shares))
    return BlockSplit(blocks, patches), float(np.abs(counts / counts.sum() - shares).max())


def _touched(starts: np.ndarray, size: int, reach: tuple[int, int], length: int, block: int) -> np.ndarray:
    """(n, 2) first and last block that each grown patch touches along one axis."""
    first = np.maximum(starts - reach[0], 0) // block
    last = (np.minimum(starts + size + reach[1], length) - 1) // block
    return np.stack([first, last], 1)


def _held(touched: np.ndarray, count: int) -> np.ndarray:
    """Number of grown patches that lie wholly in each of `count` blocks along one axis."""
    inside = touched[touched[:, 0] == touched[:, 1], 0]
    return np.bincount(inside, minlength=count)


def _deal(capacity: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One way to deal the blocks out: (block rows, block columns) of split numbers."""
    order = rng.permutation(np.flatnonzero(capacity))
    sizes = capacity.ravel()
    missing = shares * sizes.sum()
    dealt = np.full(capacity.size, -1)
    # First one block for each split, the smallest share first, so that none goes without.
    first = [split for split in np.argsort(shares, kind='stable') if shares[split] > 0]
    for i, block in enumerate(order):
        split = first[i] if i < len(first) else int(np.argmax(np.where(shares > 0, missing, -np.inf)))
        dealt[block] = split
        missing[split] -= sizes[block]
    return _fill_gaps(dealt.reshape(capacity.shape))


def _fill_gaps(blocks: np.ndarray) -> np.ndarray:
    """Blocks that hold no patch (-1), mostly at the right and lower edge, join their neighbours: fewer patches drop."""
    for axis in (1, 0):
        lines = blocks if axis == 1 else blocks.T
        for line in lines:
            known = np.flatnonzero(line >= 0)
            if known.size:
                nearest = np.abs(np.arange(len(line))[:, None] - known).argmin(1)
                line[:] = line[known[nearest]]
    return blocks


def _splits_of_patches(blocks: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """The split of each patch of the grid, -1 where it touches several; `rows` and `cols` as from `_touched`."""

    def reduce(function: np.ufunc) -> np.ndarray:
        strips = np.stack([function.reduce(blocks[first : last + 1], axis=0) for first, last in rows])
        return np.stack([function.reduce(strips[:, first : last + 1], axis=1) for first, last in cols], 1)

    lowest, highest = reduce(np.minimum), reduce(np.maximum)
    return np.where(lowest == highest, lowest, -1)
