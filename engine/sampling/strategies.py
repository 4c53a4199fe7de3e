"""How patches are dealt out to splits."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..jobs import SPLITS, SelectPatchesJob
from .balance import even_out, even_out_once, evenness, spread_out
from .candidates import Candidates
from .otbtf import periodic_splits
from .shares import apportion
from .splits import split_blocks

BY_BLOCKS = ('blocks', 'stratified', 'balanced')


def is_chessboard(job: SelectPatchesJob) -> bool:
    """Whether patches are dealt out like the fields of a chessboard."""
    return job.strategy == 'chessboard' or (job.otbtf and job.strategy == 'balanced')


def is_by_blocks(job: SelectPatchesJob) -> bool:
    """Whether patches are dealt out by blocks, so that splits share no pixel."""
    return job.strategy in BY_BLOCKS and not is_chessboard(job)


def split_patches(job: SelectPatchesJob, shares: np.ndarray, candidates: Candidates, reporter: Reporter) -> np.ndarray:
    """The number of the split of each patch (patch rows, patch columns), -1 where it is dropped.

    Args:
        shares: of the splits, with the sum 1.
        candidates: lose what is dropped.

    Raises:
        NoSamples: blocks or buffer leave nothing to a split.
    """
    if job.strategy == 'balanced':
        _balance(job, candidates, reporter)
    if job.strategy == 'all':
        splits = np.zeros(candidates.left.shape, np.int8)
    elif is_chessboard(job):
        splits = _chessboard(shares, candidates, reporter)
    elif is_by_blocks(job):
        splits = _deal_blocks(job, shares, candidates, reporter)
    else:
        splits = _deal_patches(job, candidates.left)
    return np.where(candidates.left, splits, np.int8(-1))


def _balance(job: SelectPatchesJob, candidates: Candidates, reporter: Reporter) -> None:
    """Drop patches for the sake of even classes."""
    if candidates.histograms is None:
        raise InvalidJob('Balanced classes need labels.')
    at = np.flatnonzero(candidates.left)
    pixels = candidates.histograms.pixels[candidates.left]
    begin = spread_out(candidates.left).ravel()[at]
    rng = np.random.default_rng(job.seed)
    chosen = even_out_once(pixels, begin) if job.otbtf else even_out(pixels, begin, rng)
    before, after = (float(evenness(part.sum(0))) for part in (pixels, pixels[chosen]))
    reporter.log(
        f'Evenness of the classes (1: all have as many pixels): {before:.3f} in {len(at)} patches, {after:.3f} in the '
        f'{int(chosen.sum())} that are chosen'
    )
    kept = np.zeros(candidates.left.size, bool)
    kept[at[chosen]] = True
    candidates.keep(kept.reshape(candidates.left.shape), 'left out for the balance of the classes')


def _chessboard(shares: np.ndarray, candidates: Candidates, reporter: Reporter) -> np.ndarray:
    """Every other patch for training, the others for validation; fields of a split without a share are dropped."""
    rows, cols = candidates.left.shape
    splits = ((np.arange(rows)[:, None] + np.arange(cols)) % 2).astype(np.int8)
    reporter.log('A chessboard has fields for training and for validation, as many of each; there is no test split.')
    candidates.keep(shares[splits] > 0, 'of a split without a share')
    return splits


def _deal_patches(job: SelectPatchesJob, left: np.ndarray) -> np.ndarray:
    """The strategies that deal patches out one by one."""
    count = int(left.sum())
    weights = np.array([job.train, job.validation, job.test], np.float64)
    rng = np.random.default_rng(job.seed)
    if job.strategy == 'split':
        dealt = periodic_splits(count, weights)
    elif job.otbtf:
        dealt = rng.permutation(periodic_splits(left.size, weights))[:count]
    else:
        dealt = rng.permutation(np.repeat(np.arange(len(SPLITS)), apportion(count, weights)))
    splits = np.full(left.shape, -1, np.int8)
    splits[left] = dealt
    return splits


def _deal_blocks(job: SelectPatchesJob, shares: np.ndarray, candidates: Candidates, reporter: Reporter) -> np.ndarray:
    """The strategies that deal out blocks; patches too near another split are dropped."""
    # By default four patches, or fewer where the image is too small for that.
    pitch = max(candidates.patches.step, job.patch_size)
    sizes = [job.block_size] if job.block_size else [count * pitch for count in (4, 3, 2, 1)]
    known = candidates.histograms
    classes = known.pixels if known is not None and job.strategy != 'blocks' else None
    for size in sizes:
        try:
            split = split_blocks(candidates.patches, size, job.buffer, shares, job.seed, candidates.left, classes)
            break
        except NoSamples:
            if size == sizes[-1]:
                raise
    if size < sizes[0]:
        reporter.warn(f'The image is too small for blocks of {sizes[0]} pixels; they are of {size} pixels.')
    counts = np.bincount(split.blocks.ravel(), minlength=len(SPLITS))
    named = ', '.join(f'{name} {count}' for name, count in zip(SPLITS, counts))
    reporter.log(f'{split.blocks.shape[0]} x {split.blocks.shape[1]} blocks of {size} pixels: {named}')
    candidates.keep(split.patches >= 0, 'too near another split')
    return split.patches
