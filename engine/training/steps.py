"""The steps of a training, counted for its progress."""

from __future__ import annotations

from ..errors import InvalidJob
from ..jobs import TrainJob
from .opening import TEST, TRAIN, VALIDATION, Material
from .pipeline import batch_count, epoch_samples


class Steps:
    """How many there are, and how many are done.

    Args:
        judge: the split that epochs are judged by.
        replicas: devices that share a batch.

    Attributes:
        epoch: steps of training in an epoch.
        text: what they are for.

    Raises:
        InvalidJob: there is no whole batch, or some device would get no sample of one.
    """

    def __init__(self, job: TrainJob, material: Material, judge: str, replicas: int) -> None:
        size, splits, count = job.batch_size, material.splits, material.splits[TRAIN].count
        taken = epoch_samples(count, job.options, size)
        if not taken:
            raise InvalidJob(
                f'drop_remainder: {count} samples are no whole batch of {size}. Give a smaller BATCH_SIZE.'
            )
        self.epoch = batch_count(taken, size)
        least = count // self.epoch
        if least < replicas:
            raise InvalidJob(
                f'BATCH_SIZE {size}: batches of {least} samples cannot be shared by {replicas} devices. Give larger '
                'batches, or more samples.'
            )
        judging = splits[judge].steps(size)
        self._with_judging = self.epoch + (judging if judge == VALIDATION else 0)
        self._training = job.epochs * self._with_judging
        self._all = self._training + judging + (splits[TEST].steps(size) if TEST in splits else 0)
        self._epochs, self._done, self.text = job.epochs, 0, ''

    def begin_epoch(self, done: int, position: int) -> None:
        """Some epochs are done, and some batches of the next one."""
        self._done, self.text = done * self._with_judging + position, f'Epoch {done + 1} of {self._epochs}'

    def end(self) -> None:
        """All training is done."""
        self._done, self.text = self._training, 'Final evaluation'

    def count(self) -> float:
        """One more begins; returns the share that is done."""
        self._done += 1
        return min((self._done - 1) / self._all, 1.0)

    def go_back(self, steps: int) -> None:
        """So many were none of those that were counted on."""
        self._done -= steps
