"""Where patches lie on a raster, and to which split each belongs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import PATCH_STRATEGIES, SPLITS, SelectPatchesJob
from ..vector import require_vector_output, write_points
from .candidates import Candidates
from .splitreport import report_classes, report_neighbours, report_patches
from .strategies import BY_BLOCKS, is_by_blocks, is_chessboard, split_patches


def select_patches(job: SelectPatchesJob, reporter: Reporter) -> dict[str, Any]:
    """Write points for a regular grid of patches, every patch wholly inside the raster.

    A point is the centre of the pixel (`row`, `col`) at which the patch is centred: the patch of N pixels starts
    ⌊N/2⌋ pixels before it. The strategies:

    - ``blocks``: square blocks, each of one split. Patches of different splits share no pixel and keep the buffer.
    - ``stratified``: as ``blocks``, dealt out so that every split gets its share of each class.
    - ``balanced``: a subset whose classes are as even as can be (a quarter of the patches, spread over the image, and
      all that bring the classes nearer to each other), then as ``stratified``.
    - ``chessboard``: every other patch for training, the others for validation.
    - ``split``: one after the other, row by row, in a sequence that repeats itself.
    - ``random``: each by itself, in exact numbers.
    - ``all``: all for training.

    With `otbtf`, grid and points are those of OTBTF (see `otbtf.peer_grid`). A mask alone counts at the grid pixel,
    where it must be 1; with no-data given, it must not be 0, and no pixel no-data, in 2⌊N/2⌋ + 1 pixels around it.
    ``random`` shuffles the sequence of ``split`` for the whole grid, and ``balanced`` adds patches in one order and
    deals as ``chessboard`` does.

    Returns:
        ``OUTPUT``: the path of the points.

    Raises:
        InvalidJob: values that make no sense, or contradict each other.
        GridMismatch: mask or labels do not fit the raster.
        LabelError: labels that are none.
        NoSamples: no patch is left.
    """
    shares = _check(job)
    require_vector_output(job.output)
    candidates = Candidates(job, reporter)
    candidates.sift()
    reporter.check_cancelled()
    splits = split_patches(job, shares, candidates, reporter)
    reporter.check_cancelled()
    met = job.strategy != 'all' and not is_chessboard(job)
    report_patches(splits, candidates.dropped, shares if met else None, reporter)
    if candidates.histograms is not None:
        report_classes(candidates.histograms, splits, reporter)
    if not is_by_blocks(job):
        report_neighbours(candidates, splits, reporter)
    _write(job, candidates, splits)
    return {'OUTPUT': job.output}


def _check(job: SelectPatchesJob) -> np.ndarray:
    """The shares of the splits with the sum 1, or `InvalidJob` for values that make no sense."""
    if job.strategy not in PATCH_STRATEGIES:
        raise InvalidJob(f'Strategy {job.strategy!r}: choose one of {", ".join(PATCH_STRATEGIES)}.')
    if job.patch_size < 1 or job.step < 0 or job.buffer < 0 or job.block_size < 0:
        raise InvalidJob('Patch size, step, block size and buffer are counts of pixels and cannot be negative.')
    if job.strategy in ('stratified', 'balanced') and not job.labels:
        raise InvalidJob(f'The strategy {job.strategy} looks at classes: give LABELS, a raster of classes.')
    shares = np.array([job.train, job.validation, job.test], np.float64)
    if job.strategy == 'all':
        return shares
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise InvalidJob('The shares of training, validation and test must be 0 or more, and one of them above 0.')
    if is_chessboard(job) and not shares[:2].any():
        raise InvalidJob('A chessboard has fields for training and for validation; give one of them a share.')
    if is_by_blocks(job) and 0 < job.block_size < job.patch_size:
        raise InvalidJob(
            f'Blocks of {job.block_size} pixels hold no patch of {job.patch_size}. Take blocks of at least the patch '
            'size, better of several patches.'
        )
    if job.buffer and not is_by_blocks(job):
        raise InvalidJob(f'The strategy {job.strategy} keeps no BUFFER; set it to 0, or take {", ".join(BY_BLOCKS)}.')
    return shares / shares.sum()


def _write(job: SelectPatchesJob, candidates: Candidates, splits: np.ndarray) -> None:
    """Write the points, row by row."""
    at = np.argwhere(splits >= 0)
    rows = candidates.patches.rows[at[:, 0]] + job.patch_size // 2
    cols = candidates.patches.cols[at[:, 1]] + job.patch_size // 2
    image = candidates.image
    place = image.to_map if job.otbtf and job.patch_size % 2 == 0 else image.centre
    xy = np.array([place(col, row) for col, row in zip(cols.tolist(), rows.tolist())])
    names = np.array(SPLITS)[splits[at[:, 0], at[:, 1]]].tolist()
    columns = {'id': np.arange(len(at)), 'split': names, 'row': rows, 'col': cols}
    write_points(job.output, image.crs, xy[:, 0], xy[:, 1], columns)
