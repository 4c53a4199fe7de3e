"""What the runs of a sweep are compared by: the same number for all of them."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from collections.abc import Iterable
from typing import Any

from ..errors import InvalidJob
from ..jobs import UNSUPERVISED, Job, TrainDeepFeaturesJob, TrainJob, TrainSavedModelJob, TrainVectorClassifierJob
from ..model_package.package import open_package
from ..training.monitor import MEASURES, Monitor

ACCURACY = 'overall_accuracy'
# Settings by which the loss, or what is monitored, is another one in each run.
_TURNING = ('train.monitor', 'train.monitor_mode', 'train.loss', 'train.loss_options', 'train.class_weights')


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number that tells how good a run is.

    Attributes:
        name: as in the history of a training.
        rising: whether large ones are good.
    """

    name: str
    rising: bool = True


@dataclasses.dataclass(frozen=True)
class Score:
    """How good a run is.

    Attributes:
        value: of the measure; None where it is not defined.
        epoch: after which it was that good; None where the algorithm has none.
        split: of the samples that it was judged by; empty where the algorithm has none.
    """

    value: float | None
    epoch: int | None = None
    split: str = ''


def measure_of(job: Job, keys: Iterable[str]) -> Measure:
    """What the runs of a sweep are compared by.

    Args:
        job: one of the runs.
        keys: dotted names of the settings in which they differ.

    Returns:
        What a training monitors where that is comparable between the runs, else the measure of its task; of all other
        algorithms the overall accuracy.

    Raises:
        InvalidJob: nothing can be compared.
    """
    keys = list(keys)
    if isinstance(job, TrainJob):
        if 'model.task' in keys:
            raise InvalidJob('sweep: runs of different tasks (model.task) cannot be compared; take one task.')
        if any(key == turning or key.startswith(turning + '.') for key in keys for turning in _TURNING):
            return Measure(MEASURES[job.task])
        monitor = Monitor.of(job.options, job.task)
        return Measure(monitor.name, monitor.rising)
    if isinstance(job, TrainSavedModelJob) and job.validation.mode != 'class':
        raise InvalidJob('sweep: runs of trainsavedmodel are compared by accuracy; set validation.mode to class.')
    if isinstance(job, (TrainVectorClassifierJob, TrainDeepFeaturesJob)) and job.classifier in UNSUPERVISED:
        raise InvalidJob(f'sweep: clusters of {job.classifier} have no score by which runs could be compared.')
    return Measure(ACCURACY)


def score_of(measure: Measure, job: Job, values: dict[str, Any]) -> Score:
    """How good a run was.

    Args:
        values: its outputs.
    """
    if isinstance(job, TrainJob):
        with open_package(values['BEST']) as package:
            record = package.training
        split = record['best']['split']
        return Score(_number(record['results'][split][measure.name]), values['BEST_EPOCH'], split)
    if 'ACCURACY' in values:
        return Score(_number(values['ACCURACY']))
    return Score(_accuracy(values['CONFUSION']))


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _accuracy(path: str) -> float | None:
    """Of a confusion matrix: two lines of labels, then counts."""
    if not os.path.isfile(path):
        return None
    with open(path, encoding='utf-8', newline='') as file:
        counts = [[int(cell) for cell in row] for row in csv.reader(file) if row and not row[0].startswith('#')]
    total = sum(map(sum, counts))
    return sum(row[i] for i, row in enumerate(counts)) / total if total else None
