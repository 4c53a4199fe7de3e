"""What can be seen to be wrong before any training."""

from __future__ import annotations

import re
from typing import Any

from ..device import parse_device
from ..errors import InvalidJob
from ..jobs import (
    CLASS_WEIGHTS,
    LOSSES,
    MONITOR_MODES,
    OPTIMIZERS,
    SCHEDULES,
    STRATEGIES,
    TASKS,
    TRAINING_PRECISIONS,
    TrainJob,
    from_dict,
)
from .augmentationspec import AugmentationSpec
from .cadence import CHECKPOINT_OPTIONS, SUMMARY_OPTIONS, VALIDATION_OPTIONS
from .monitor import Monitor
from .schedule import pieces_of


def check_job(job: TrainJob, fed: bool = False) -> None:
    """Raise `InvalidJob` for what cannot work with any samples.

    Args:
        fed: samples come from feeders that the job does not name.
    """
    options = job.options
    for name, value, known in (
        ('TASK', job.task, TASKS),
        ('LOSS', job.loss, LOSSES),
        ('optimizer', options.optimizer, OPTIMIZERS),
        ('schedule', options.schedule, SCHEDULES),
        ('precision', options.precision, TRAINING_PRECISIONS),
        ('strategy', options.strategy, STRATEGIES),
        ('monitor_mode', options.monitor_mode, MONITOR_MODES),
    ):
        if value not in known:
            raise InvalidJob(f'{name} {value!r}: unknown; known are {", ".join(known)}.')
    if options.class_weights not in CLASS_WEIGHTS and not isinstance(options.class_weights, dict):
        raise InvalidJob(
            f'class_weights {options.class_weights!r}: give {" or ".join(map(repr, CLASS_WEIGHTS))}, or a weight for '
            'each class as in {"11": 2.5}.'
        )
    Monitor.of(options, job.task)
    _check_numbers(job)
    _check_origin(job, fed)
    _check_course(job)
    augmentation_of(job)
    for name in ('freeze', 'warm_start_include', 'warm_start_exclude'):
        for pattern in getattr(options, name):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InvalidJob(f'{name}: {pattern!r} is no regular expression ({error}).') from error


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
        ('min_delta', options.min_delta, 0),
        ('minimum_epochs', options.minimum_epochs, 0),
        ('schedule_steps', options.schedule_steps, 0),
        ('shuffle_buffer', options.shuffle_buffer, 0),
        *(
            (name, getattr(options, name) or 0, 0)
            for name in (*VALIDATION_OPTIONS, *CHECKPOINT_OPTIONS, *SUMMARY_OPTIONS)
        ),
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
    for name, number in (('plateau_factor', options.plateau_factor), ('decay_rate', options.decay_rate)):
        if not 0 < number < 1:
            raise InvalidJob(f'{name} {number}: must be between 0 and 1.')


def _check_course(job: TrainJob) -> None:
    """What changes or happens in the course of a training."""
    options = job.options
    if options.schedule == 'piecewise':
        pieces_of(options.piecewise)
    elif options.piecewise:
        raise InvalidJob(f'piecewise: is for schedule piecewise, and the schedule is {options.schedule}.')
    if not 0 <= options.minimum_rate < job.learning_rate:
        raise InvalidJob(
            f'minimum_rate {options.minimum_rate}: must be at least 0 and less than the learning rate, '
            f'{job.learning_rate}.'
        )
    if options.save_checkpoint_steps and options.save_checkpoint_secs:
        raise InvalidJob('save_checkpoint_steps and save_checkpoint_secs are both given; give one of them.')
    if options.shuffle_buffer and not options.shuffle:
        raise InvalidJob('shuffle_buffer: nothing is shuffled; leave it out, or set shuffle to true.')
    parse_device(options.device)


def _check_origin(job: TrainJob, fed: bool) -> None:
    """Where samples come from, which must be one place."""
    if sum(map(bool, (job.dataset, job.windows, job.feeders, fed))) != 1:
        raise InvalidJob('Samples come from a DATASET, from rasters at POINTS, or from feeders; give one of them.')
    given = 'VALIDATION_DATASET' if job.validation else 'VALIDATION_SHARE' if job.validation_share else ''
    if (job.feeders or fed) and given:
        raise InvalidJob(f'{given}: with feeders, samples for validation come from the feeder "validation".')
    if job.validation and job.validation_share:
        raise InvalidJob('Samples for validation come from VALIDATION_DATASET or VALIDATION_SHARE; give one of them.')
    if job.options.unfreeze_after and not job.options.freeze:
        raise InvalidJob('unfreeze_after: no layer is frozen; say with freeze which are to be.')
    if job.options.fine_tune != 1 and not job.warm_start:
        raise InvalidJob('fine_tune: is for layers whose weights come from another model; give WARM_START.')
    if (job.options.warm_start_include or job.options.warm_start_exclude) and not job.warm_start:
        raise InvalidJob('warm_start_include and warm_start_exclude choose layers of another model; give WARM_START.')
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
