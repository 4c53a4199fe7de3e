"""Jobs as files that describe a run."""

from __future__ import annotations

import os
from typing import Any

from ..folder import write_whole
from ..jobs import Job
from ..records import versions
from .compiling import values_of
from .kinds import Kind, Text
from .ondisk import absolute, is_path
from .reducing import mapped, shortened
from .schema import run_record
from .writing import text_of


def configuration_text(job: Job) -> str:
    """The YAML that `open_configuration` reads as this job, but for where its outputs go.

    Args:
        job: a `TrainJob`, `TrainSavedModelJob`, `TrainVectorClassifierJob` or `TrainDeepFeaturesJob`.
    """
    values = values_of(job)
    for change in (_absolute, shortened):
        values = mapped(run_record(values), values, change)
    head = f'# A run of Quadrat {versions()["quadrat"]} ({job.kind}). Do it with: python -m quadrat train FILE\n'
    return f'{head}\n{text_of(values)}'


def write_configuration(job: Job) -> None:
    """Write the file that `job.configuration` names.

    Raises:
        OutputRefused, DiskFull: it cannot be written there.
    """
    write_whole(job.configuration, configuration_text(job))  # type: ignore[attr-defined]


def _absolute(kind: Kind, value: Any) -> Any:
    """A path from the root on in place of one from the current folder."""
    if isinstance(kind, Text) and kind.place and value and is_path(value, kind.place):
        return absolute(value, os.getcwd())
    return value
