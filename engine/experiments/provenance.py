"""What the result of a run follows from, to tell whether it is still what the same run would give now."""

from __future__ import annotations

import json
from typing import Any

from ..datasets.feeders.options import OPTIONS
from ..datasets.filepatterns import matching_files
from ..jobs import FeederSpec, Job, TrainJob
from ..records import fingerprint, versions
from ..training.fingerprint import settings_of

_FREE = ('job', 'output', 'report', 'confusion', 'configuration')  # of other jobs: what changes no result


def made_of(job: Job) -> dict[str, Any]:
    """The settings of a job by name, what tells the states of the files that it reads, and our version."""
    paths = list(job.inputs())
    if isinstance(job, TrainJob):
        settings = settings_of(job)
        paths += _feeder_files(job)
    else:
        settings = {key: value for key, value in job.to_dict().items() if key not in _FREE}
    files = {'files': [fingerprint(path) for path in paths], 'version of quadrat': versions()['quadrat']}
    return dict(json.loads(json.dumps({**settings, **files})))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names of what is not as it was."""
    return [key for key in {**before, **now} if before.get(key) != now.get(key)]


def _feeder_files(job: TrainJob) -> list[str]:
    """The files that the feeders of a training read."""
    feeders = job.feeders
    specs = [feeders.train, feeders.validation, feeders.test] if feeders else []
    return [path for spec in specs if spec is not None for path in _files(spec)]


def _files(spec: FeederSpec) -> list[str]:
    fields = getattr(OPTIONS.get(spec.type), '__dataclass_fields__', {})
    found: list[str] = []
    for name, field in fields.items():
        if field.metadata.get('path') and spec.options.get(name):
            found += matching_files(spec.options[name])[0]
    return found
