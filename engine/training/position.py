"""From where in an epoch on its samples are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import numpy as np

from ..jobs import TrainJob
from .augmentationspec import AugmentationSpec
from .opening import TRAIN, Material
from .pipeline import Batch, augmentation, batch_count, batches, epoch_order


def rest_of_epoch(
    job: TrainJob,
    material: Material,
    spec: Optional[AugmentationSpec],
    epoch: int,
    done: int = 0,
    share: Optional[tuple[int, int]] = None,
) -> Iterator[Batch]:
    """The batches of an epoch after the first `done` ones, the same whether these were read or not.

    Args:
        spec: how samples are changed; None for not at all.
        share: see `pipeline.batches`.
    """
    piece = material.splits[TRAIN].pieces[0]
    order = epoch_order(piece.indices, job.options, job.batch_size, job.seed, epoch)
    first = samples_within(len(order), job.batch_size, done)
    if first == len(order):
        return iter(())
    change = augmentation(spec, material.sources, job.seed, epoch) if spec is not None else None

    def moved(batch: Batch, positions: np.ndarray) -> Batch:
        """Places are counted from the beginning of the epoch."""
        return batch if change is None else change(batch, positions + first)

    return batches(piece.reader, order[first:], job.batch_size, moved, share)


def samples_within(count: int, size: int, done: int) -> int:
    """How many samples the first `done` batches hold, of those that `pipeline.batches` makes of so many.

    The larger batches come first, so that what is left of `count` is divided into the same batches as before.
    """
    each, larger = divmod(count, batch_count(count, size))
    return done * each + min(done, larger)
