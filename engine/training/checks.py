"""What can be seen to be wrong before any training."""

from __future__ import annotations

import re
from typing import Any

from ..errors import InvalidJob
from ..jobs import (
    CLASS_WEIGHTS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    STRATEGIES,
    TASKS,
    TRAINING_PRECISIONS,
    TrainJob,
    from_dict,
)
from .augmentation import AugmentationSpec


def check_job(job: TrainJob) -> None:
    """Raise `InvalidJob` for what cannot work with any samples."""
    options = job.options
    for name, value, known in (
        ('TASK', job.task, TASKS),
        ('LOSS', job.loss, LOSSES),
        ('optimizer', options.optimizer, OPTIMIZERS),
        ('schedule', options.schedule, SCHEDULES),
        ('precision', options.precision, TRAINING_PRECISIONS),
        ('strategy', options.strategy, STRATEGIES),
    ):
        if value not in known:
            raise InvalidJob(f'{name} {value!r}: unknown; known are {", ".join(known)}.')
    if options.class_weights not in CLASS_WEIGHTS and not isinstance(options.class_weights, dict):
        raise InvalidJob(
            f'class_weights {options.class_weights!r}: give {" or ".join(map(repr, CLASS_WEIGHTS))}, or a weight for '
            'each class as in {"11": 2.5}.'
        )
    _check_numbers(job)
    _check_origin(job)
    augmentation_of(job)
    for pattern in options.freeze:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidJob(f'freeze: {pattern!r} is no regular expression ({error}).') from error


def _check_numbers(job: TrainJob) -> None:
    options = job.options
    for name, number, least in (
        ('EPOCHS', job.epochs, 1),
        ('BATCH_SIZE', job.batch_size, 1),
        ('SEED', job.seed, 0),
        ('weight_decay', options.weight_decay, 0),
        ('clip_norm', options.clip_norm, 0),
        ('patience', options.patience, 0),
        ('plateau_patience', options.plateau_patience, 1),
        ('unfreeze_after', options.unfreeze_after, 0),
        ('fine_tune', options.fine_tune, 0),
        ('validation_block', options.validation_block, 0),
        ('threads', options.threads, 0),
    ):
        if not least <= number < float('inf'):
            raise InvalidJob(f'{name} {number}: must be {least} or more.')
    if not 0 < job.learning_rate < float('inf'):
        raise InvalidJob(f'LEARNING_RATE {job.learning_rate}: must be greater than 0.')
    for name, number in (
        ('VALIDATION_SHARE', job.validation_share),
        ('warm_up', options.warm_up),
    ):
        if not 0 <= number < 1:
            raise InvalidJob(f'{name} {number}: must be at least 0 and less than 1.')
    if not 0 < options.plateau_factor < 1:
        raise InvalidJob(f'plateau_factor {options.plateau_factor}: must be between 0 and 1.')


def _check_origin(job: TrainJob) -> None:
    """Where samples come from, which must be one place."""
    if bool(job.dataset) == bool(job.windows):
        raise InvalidJob('Samples come from a DATASET, or from rasters at POINTS; give one of the two.')
    if job.validation and job.validation_share:
        raise InvalidJob('Samples for validation come from VALIDATION_DATASET or VALIDATION_SHARE; give one of them.')
    if job.options.unfreeze_after and not job.options.freeze:
        raise InvalidJob('unfreeze_after: no layer is frozen; say with freeze which are to be.')
    if job.options.fine_tune != 1 and not job.warm_start:
        raise InvalidJob('fine_tune: is for layers whose weights come from another model; give WARM_START.')
    if job.options.target and job.task != 'regression':
        raise InvalidJob(f'target: the task {job.task} learns the labels; only regression predicts a source.')


def augmentation_of(job: TrainJob) -> AugmentationSpec | None:
    """How samples are changed; None for not at all.

    Raises:
        InvalidJob: unknown or ill-typed settings.
    """
    given: Any = job.options.augment
    if isinstance(given, bool):
        return AugmentationSpec() if given else None
    return from_dict(AugmentationSpec, given, 'augment.')
