"""What can be seen to be wrong with a map before anything is opened."""

from __future__ import annotations

from ..errors import InvalidJob
from ..jobs import (
    AUGMENTATIONS,
    BLENDS,
    MODES,
    OUTPUT_TYPES,
    PADDINGS,
    PRECISIONS,
    PROBABILITY_TYPES,
    RUNTIMES,
    ServeJob,
)
from ..maps.classes import check_style
from ..maps.finishing import Finishing, check_options
from ..maps.part import check_outputs
from .layout import spacing_scale


def check_job(job: ServeJob) -> None:
    """Raise `InvalidJob` or `OutputRefused` for what can be seen without opening anything."""
    wanted = {name: path for name, path in job.outputs().items() if path}
    if not wanted:
        raise InvalidJob(f'No output asked for; name one of {", ".join(job.outputs())}.')
    if not job.sources:
        raise InvalidJob('No raster given; name at least one as INPUT.')
    if job.tile_size < 0 or job.batch_size < 0:
        raise InvalidJob('TILE_SIZE and BATCH_SIZE cannot be negative; 0 leaves the choice to Quadrat.')
    if job.memory <= 0:
        raise InvalidJob(f'MEMORY {job.memory}: should be a number of MiB above 0.')
    if min(job.expression_field) < 1 or min(min(source.receptive_field) for source in job.sources) < 0:
        raise InvalidJob('RECEPTIVE_FIELD and EXPRESSION_FIELD should be numbers of pixels from 1 on.')
    for name, value, known in (
        ('MODE', job.mode, MODES),
        ('RUNTIME', job.runtime, RUNTIMES),
        ('PRECISION', job.precision, PRECISIONS),
        ('TTA', job.tta, AUGMENTATIONS),
        ('BLEND', job.blend, BLENDS),
        ('PADDING', job.padding, PADDINGS),
        ('OUTPUT_TYPE', job.output_type, OUTPUT_TYPES),
        ('PROBABILITY_TYPE', job.probability_type, PROBABILITY_TYPES),
    ):
        if value not in known:
            raise InvalidJob(f'{name} {value!r}: unknown; known are {", ".join(map(str, known))}.')
    if job.extent is not None and job.window is not None:
        raise InvalidJob('EXTENT and WINDOW: give one of them.')
    if job.mode == 'native' and job.expression_field != (1, 1):
        raise InvalidJob('EXPRESSION_FIELD: only in the otbtf-fullyconv mode; native mode finds it out.')
    spacing_scale(job)
    check_options(finishing_of(job))
    check_outputs({name: path for name, path in wanted.items() if name != 'OUTPUT_FOLDER'}, job.inputs())
    if job.output:
        check_style(job.output)


def finishing_of(job: ServeJob) -> Finishing:
    """What is done with the finished files."""
    return Finishing(job.cog, job.overviews, job.sieve, job.connectivity, job.creation_options)
