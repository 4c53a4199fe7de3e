"""What the result of a run follows from, to tell whether it is still what the same run would give now."""

from __future__ import annotations

import json
from typing import Any

from ..jobs import Job, TrainJob
from ..records import input_fingerprints, versions
from ..training.fingerprint import settings_of

_FREE = ('job', 'output', 'report', 'confusion', 'configuration')  # of other jobs: what changes no result


def made_of(job: Job) -> dict[str, Any]:
    """The settings of a job by name, what tells the states of the files that it reads, and our version."""
    if isinstance(job, TrainJob):
        settings = settings_of(job)
    else:
        settings = {key: value for key, value in job.to_dict().items() if key not in _FREE}
    files = {'files': input_fingerprints(job), 'version of quadrat': versions()['quadrat']}
    return dict(json.loads(json.dumps({**settings, **files})))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names of what is not as it was."""
    return [key for key in {**before, **now} if before.get(key) != now.get(key)]
