"""What must be the same for one training to go on where another one was interrupted, bit for bit."""

from __future__ import annotations

import json
import os
from typing import Any

from ..jobs import TrainJob
from ..records import fingerprint, versions
from .opening import Material

_FREE = ('output', 'report', 'resume', 'job')  # of a job: what does not change the weights


def fingerprint_of(job: TrainJob, material: Material, threads: int, devices: int) -> dict[str, Any]:
    """Plain values by what people call them.

    Args:
        threads, devices: numbers of what TensorFlow computes with, which change the order of sums.
    """
    plain = {key: value for key, value in job.to_dict().items() if key not in _FREE}
    options = plain.pop('options')
    plain.update({f'option {key}': value for key, value in options.items() if key != 'threads'})
    # Datasets have fingerprints of their own, whatever their files' times.
    files = (*(job.windows.inputs() if job.windows else ()), job.warm_start)
    found = {
        **plain,
        'samples': [samples.manifest.fingerprint() for samples in (material.samples, *material.others)],
        'files': [fingerprint(path) for path in files if path],
        'threads': threads,
        'oneDNN setting': os.environ.get('TF_ENABLE_ONEDNN_OPTS', ''),
        'number of devices': devices,
        **{f'version of {name}': versions().get(name, '') for name in ('quadrat', 'numpy', 'tensorflow', 'keras')},
    }
    return dict(json.loads(json.dumps(found)))
