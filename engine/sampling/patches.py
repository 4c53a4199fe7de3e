"""Where patches lie on a raster, and to which split each belongs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import open_raster
from ..grid import Grid
from ..jobs import PATCH_STRATEGIES, SPLITS, SelectPatchesJob
from ..raster import grid_of
from ..vector import require_vector_output, write_points
from .splits import PatchGrid, split_blocks


def select_patches(job: SelectPatchesJob, reporter: Reporter) -> dict[str, Any]:
    """Write points for a regular grid of patches, every patch wholly inside the raster.

    A point is the centre of the pixel (`row`, `col`) at which the patch is centred: the patch of N pixels starts
    ⌊N/2⌋ pixels before it. With the strategy ``blocks``, patches of different splits share no pixel and keep a buffer.

    Returns:
        ``OUTPUT``: the path of the points.

    Raises:
        InvalidJob: sizes or shares that make no sense.
        NoSamples: the raster is smaller than a patch, or the buffer leaves nothing.
    """
    shares = _check(job)
    require_vector_output(job.output)
    grid = grid_of(open_raster(job.raster))
    if grid.width < job.patch_size or grid.height < job.patch_size:
        raise NoSamples(
            f'{job.raster}: {grid.width} x {grid.height} pixels, smaller than a patch of {job.patch_size}. '
            'Take smaller patches.'
        )
    patches = PatchGrid(grid.width, grid.height, job.patch_size, job.step or job.patch_size)
    if job.strategy == 'all':
        splits = np.zeros((len(patches.rows), len(patches.cols)), np.int64)
    else:
        splits = _split(job, patches, shares, reporter)
    reporter.check_cancelled()
    _log_splits(reporter, splits, shares if job.strategy == 'blocks' else None)
    _write(job, grid, patches, splits)
    return {'OUTPUT': job.output}


def _check(job: SelectPatchesJob) -> np.ndarray:
    """The shares of the splits with the sum 1, or `InvalidJob` for values that make no sense."""
    if job.strategy not in PATCH_STRATEGIES:
        raise InvalidJob(f'Strategy {job.strategy!r}: choose one of {", ".join(PATCH_STRATEGIES)}.')
    if job.patch_size < 1 or job.step < 0 or job.buffer < 0 or job.block_size < 0:
        raise InvalidJob('Patch size, step, block size and buffer are counts of pixels and cannot be negative.')
    shares = np.array([job.train, job.validation, job.test], np.float64)
    if job.strategy == 'all':
        return shares
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise InvalidJob('The shares of training, validation and test must be 0 or more, and one of them above 0.')
    if 0 < job.block_size < job.patch_size:
        raise InvalidJob(
            f'Blocks of {job.block_size} pixels hold no patch of {job.patch_size}. Take blocks of at least the patch '
            'size, better of several patches.'
        )
    return shares / shares.sum()


def _split(job: SelectPatchesJob, patches: PatchGrid, shares: np.ndarray, reporter: Reporter) -> np.ndarray:
    """The split of each patch of the grid, -1 for those dropped."""
    # By default four patches, or fewer where the image is too small for that.
    sizes = [job.block_size] if job.block_size else [count * job.patch_size for count in (4, 3, 2, 1)]
    for size in sizes:
        try:
            split = split_blocks(patches, size, job.buffer, shares, job.seed)
            break
        except NoSamples:
            if size == sizes[-1]:
                raise
    if size < sizes[0]:
        reporter.warn(f'The image is too small for blocks of {sizes[0]} pixels; they are of {size} pixels.')
    _log_blocks(reporter, split.blocks, size)
    return split.patches


def _log_blocks(reporter: Reporter, blocks: np.ndarray, size: int) -> None:
    counts = np.bincount(blocks.ravel(), minlength=len(SPLITS))
    named = ', '.join(f'{name} {count}' for name, count in zip(SPLITS, counts))
    reporter.log(f'{blocks.shape[0]} x {blocks.shape[1]} blocks of {size} pixels: {named}')


def _log_splits(reporter: Reporter, splits: np.ndarray, shares: np.ndarray | None) -> None:
    """A table of the patches of each split."""
    kept = int((splits >= 0).sum())
    reporter.log(f'{"split":<12}{"patches":>9}{"share":>9}' + (f'{"asked":>9}' if shares is not None else ''))
    for number, name in enumerate(SPLITS):
        count = int((splits == number).sum())
        if count or (shares is not None and shares[number] > 0):
            asked = f'{shares[number]:>9.1%}' if shares is not None else ''
            reporter.log(f'{name:<12}{count:>9}{count / kept:>9.1%}' + asked)
    reporter.log(f'{splits.size - kept} of {splits.size} grid positions dropped: too near another split')


def _write(job: SelectPatchesJob, grid: Grid, patches: PatchGrid, splits: np.ndarray) -> None:
    """Write the points, row by row."""
    at = np.argwhere(splits >= 0)
    rows = patches.rows[at[:, 0]] + job.patch_size // 2
    cols = patches.cols[at[:, 1]] + job.patch_size // 2
    xy = np.array([grid.centre(col, row) for col, row in zip(cols.tolist(), rows.tolist())])
    names = np.array(SPLITS)[splits[at[:, 0], at[:, 1]]].tolist()
    columns = {'id': np.arange(len(at)), 'split': names, 'row': rows, 'col': cols}
    write_points(job.output, grid.crs, xy[:, 0], xy[:, 1], columns)
