"""What tells how good the weights of a training are, and keeps the best of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..events import Reporter
from ..jobs import TrainJob
from .cadence import VALIDATION_OPTIONS
from .monitor import Monitor, Ranking
from .opening import TRAIN, VALIDATION, Material

Weights = Mapping[str, np.ndarray]
_OPTIONS = (*VALIDATION_OPTIONS, 'monitor', 'patience')  # with a split for it


class Judge:
    """Judges epochs by the rows of the history.

    Args:
        keep_best: of how many epochs the weights are kept.

    Attributes:
        split: that the weights are judged on.
        choosing: whether it can tell which are the best.
        monitor: the number that counts.
        ranking: the best epochs so far.
        held: the best weights that no saved state has, by step.

    Raises:
        InvalidJob: see `Monitor.of`.
    """

    def __init__(self, job: TrainJob, material: Material, keep_best: int, reporter: Reporter) -> None:
        self.monitor = Monitor.of(job.options, job.task)
        self.split, self.choosing = _split(job, material, reporter)
        self.ranking = Ranking(self.monitor, keep_best)
        self.held: dict[int, Weights] = {}
        self._keep_best = keep_best

    @property
    def validates(self) -> bool:
        """Whether there is a split for it."""
        return self.split == VALIDATION

    def resume(self, best: Sequence[Mapping[str, Any]]) -> None:
        """Go on with the ranking of a state."""
        self.ranking = Ranking(self.monitor, self._keep_best, best)

    def consider(self, row: Mapping[str, Any], weights: Callable[[], Weights]) -> bool:
        """Keep weights if they are among the best; returns whether they are the best ones."""
        if not self.choosing or VALIDATION not in row:
            return False
        step = row['step']
        if self.ranking.add(row['epoch'], step, row[VALIDATION]):
            self.held[step] = weights()
            self.held = {kept: self.held[kept] for kept in self.ranking.steps if kept in self.held}
        return self.ranking.steps[0] == step

    def exhausted(self, history: Sequence[Mapping[str, Any]], steps: int, epoch: int) -> bool:
        """Whether there was nothing better for long enough; see `Monitor.exhausted`."""
        judged = [(row['step'], self.monitor.score(row[VALIDATION])) for row in history if VALIDATION in row]
        return self.choosing and self.monitor.exhausted(judged, steps, epoch)

    def scores(self, history: Sequence[Mapping[str, Any]], epoch: int) -> list[float]:
        """How good the epochs before this one were, those that were judged; higher is better."""
        part = 'validation' if self.validates else 'training'
        best: dict[int, float] = {}
        for row in history:
            if part in row and row['epoch'] < epoch:
                best[row['epoch']] = max(self.monitor.score(row[part]), best.get(row['epoch'], -math.inf))
        return list(best.values())


def _split(job: TrainJob, material: Material, reporter: Reporter) -> tuple[str, bool]:
    """The split that the weights are judged on, and whether it can tell which epoch is the best."""
    splits, classes = material.splits, material.classes
    validation = splits.get(VALIDATION)
    if validation is None or not validation.usable:
        reporter.warn(
            'No labelled pixel is in the split "validation": the weights of the last epoch are kept, and judged '
            'on the samples they were trained with, which tells little. VALIDATION_DATASET or VALIDATION_SHARE '
            'give others.'
        )
        heeded = 'monitor' if job.options.schedule == 'plateau' else ''  # by the learning rate, on training samples
        idle = [name for name in _OPTIONS if getattr(job.options, name) and name != heeded]
        if idle:
            reporter.warn(f'{", ".join(idle)}: without effect, since there are no samples for validation.')
        return TRAIN, False
    lacking = (splits[TRAIN].pixels > 0) & (validation.pixels == 0)
    if lacking.any():
        names = ', '.join(f'{classes[i].value} ({classes[i].name})' for i in np.flatnonzero(lacking))
        reporter.warn(
            f'The split "validation" has no pixel of class {names}, so it cannot tell which epoch is the best: '
            'the weights of the last one are kept. Select patches with smaller blocks or another seed.'
        )
    return VALIDATION, not lacking.any()
