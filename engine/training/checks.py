"""What can be seen to be wrong before any training."""

from __future__ import annotations

from ..datasets.manifest import SourceInfo
from ..errors import InvalidJob
from ..jobs import ARCHITECTURES, CLASS_WEIGHTS, TASKS, TrainJob


def check_job(job: TrainJob) -> None:
    """Raise `InvalidJob` for what cannot work with any dataset."""
    options = job.options
    for name, value, known in (
        ('TASK', job.task, TASKS),
        ('ARCHITECTURE', job.architecture, ARCHITECTURES),
        ('class_weights', options.class_weights, CLASS_WEIGHTS),
    ):
        if value not in known:
            raise InvalidJob(f'{name} {value!r}: unknown; known are {", ".join(known)}.')
    for name, number, least in (
        ('EPOCHS', job.epochs, 1),
        ('BATCH_SIZE', job.batch_size, 1),
        ('SEED', job.seed, 0),
        ('filters', options.filters, 1),
        ('depth', options.depth, 0),
        ('weight_decay', options.weight_decay, 0),
        ('patience', options.patience, 0),
        ('threads', options.threads, 0),
    ):
        if not number >= least:
            raise InvalidJob(f'{name} {number}: must be {least} or more.')
    if not 0 < job.learning_rate < float('inf'):
        raise InvalidJob(f'LEARNING_RATE {job.learning_rate}: must be greater than 0.')
    if not 0 <= options.dropout < 1:
        raise InvalidJob(f'dropout {options.dropout}: must be at least 0 and less than 1.')
    if options.depth > 10:
        raise InvalidJob(f'depth {options.depth}: must be 10 or less.')


def require_patch_size(source: SourceInfo, job: TrainJob) -> None:
    """Raise `InvalidJob` where patches cannot be halved so many times."""
    rows, cols, _ = source.shape
    depth = job.options.depth
    if rows % 2**depth or cols % 2**depth:
        most = max(d for d in range(depth) if rows % 2**d == 0 and cols % 2**d == 0)
        raise InvalidJob(
            f'Patches of {cols} x {rows} pixels cannot be halved {depth} times. Give OPTIONS {{"depth": {most}}}, the '
            f'largest that works, or extract patches of a multiple of {2**depth} pixels.'
        )
