"""What can be seen to be wrong before any model is opened."""

from __future__ import annotations

from ...errors import InvalidJob
from ...jobs import VALIDATION_MODES, TrainSavedModelJob


def check_job(job: TrainSavedModelJob) -> None:
    """Raise `InvalidJob` for what cannot work with any model."""
    validation = job.validation
    if validation.mode not in VALIDATION_MODES:
        raise InvalidJob(f'VALIDATION_MODE {validation.mode!r}: unknown; known are {", ".join(VALIDATION_MODES)}.')
    for name, number, least in (
        ('EPOCHS', job.epochs, 1),
        ('BATCH_SIZE', job.batch_size, 1),
        ('SEED', job.seed, 0),
        ('VALIDATION_STEP', validation.step, 1),
    ):
        if number < least:
            raise InvalidJob(f'{name} {number}: must be {least} or more.')
    if job.confusion and validation.mode != 'class':
        raise InvalidJob('CONFUSION: a confusion matrix is made with VALIDATION_MODE class.')
    if bool(job.dataset) == bool(job.sources):
        raise InvalidJob('Give either DATASET or INPUT, the patches-images.')
