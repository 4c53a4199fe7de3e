"""A share of the samples for validation, in blocks of ground, so that no pixel is in both."""

from __future__ import annotations

import numpy as np

from ..datasets.manifest import SourceInfo
from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..jobs import TrainJob
from ..sampling.shares import deal
from .targets import Samples

_PATCHES = 4  # a block is so many patches wide


def spatial_share(
    samples: Samples, source: SourceInfo, indices: np.ndarray, job: TrainJob, reporter: Reporter
) -> tuple[np.ndarray, np.ndarray]:
    """Deal the blocks of ground that samples lie in to training and validation.

    Training samples that share ground with one for validation are left out.

    Args:
        source: whose patches say how large samples are.
        indices: of the samples.

    Returns:
        Numbers of the samples for training and for validation, ascending.

    Raises:
        InvalidJob: nobody knows where the samples lie.
        NoSamples: they lie in one block, or none is left for training.
    """
    places = np.stack([samples.samples.x[indices], samples.samples.y[indices]], 1)
    size = np.array(source.shape[1::-1]) * source.pixel_size
    if not np.isfinite(places).all() or not size.all():
        raise InvalidJob(
            f'VALIDATION_SHARE: {samples.folder} does not say where its samples lie. Give VALIDATION_DATASET, or a '
            'folder "validation" beside "train".'
        )
    side = job.options.validation_block or float(_PATCHES * size.max())
    cells = np.floor((places - places.min(0)) / side).astype(np.int64)
    blocks, number = np.unique(cells, axis=0, return_inverse=True)
    number = number.ravel()
    if len(blocks) < 2:
        raise NoSamples(
            f'VALIDATION_SHARE: all samples lie in one block of {side:g} map units. Give a smaller validation_block.'
        )
    shares = np.array([1 - job.validation_share, job.validation_share])
    dealt = deal(np.bincount(number), shares, np.random.default_rng((job.seed, 2)))
    chosen = dealt[number] == 1
    beside = _touching(places, size, chosen)
    train, validation = indices[~chosen & ~beside], indices[chosen]
    if not len(train) or not len(validation):
        raise NoSamples('VALIDATION_SHARE: no sample is left for one of the two. Give a smaller validation_block.')
    reporter.log(
        f'{len(validation)} samples in {int((dealt == 1).sum())} of {len(blocks)} blocks of {side:g} map units are for '
        f'validation; {int(beside.sum())} that share ground with them are left out'
    )
    return train, validation


def _touching(places: np.ndarray, size: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Which of the samples that are not `chosen` overlap one that is."""
    cells = np.floor((places - places.min(0)) / size).astype(np.int64)
    held: dict[tuple[int, int], list[int]] = {}
    for sample in np.flatnonzero(chosen).tolist():
        held.setdefault((int(cells[sample, 0]), int(cells[sample, 1])), []).append(sample)
    out = np.zeros(len(places), bool)
    for sample in np.flatnonzero(~chosen).tolist():
        col, row = cells[sample].tolist()
        near = [other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in held.get((col + i, row + j), ())]
        # Patches that only touch lie as far apart as they are wide; a thousandth is for rounded coordinates.
        out[sample] = bool(near) and (np.abs(places[near] - places[sample]) < size * 0.999).all(1).any()
    return out
