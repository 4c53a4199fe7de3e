"""What must be the same for one training to go on where another one was interrupted, bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from typing import Any

from ..jobs import TrainJob
from ..records import fingerprint, versions
from .cadence import CHECKPOINT_OPTIONS, SUMMARY_OPTIONS
from .devices import Devices
from .opening import Material

_FREE = ('output', 'report', 'resume', 'job', 'configuration')  # of a job: what does not change the weights
_FREE_OPTIONS = ('threads', 'device', *CHECKPOINT_OPTIONS, *SUMMARY_OPTIONS)  # for threads see `fingerprint_of`
LENGTH = ('epochs', 'option patience', 'option min_delta', 'option minimum_epochs')  # what says when a training ends


def settings_of(job: TrainJob, free: Collection[str] = ()) -> dict[str, Any]:
    """What a job says of the weights, as plain values by what people call them.

    Args:
        free: names that are left out.
    """
    plain = {key: value for key, value in job.to_dict().items() if key not in _FREE}
    options = plain.pop('options')
    plain.update({f'option {key}': value for key, value in options.items() if key not in _FREE_OPTIONS})
    if job.options.folder:
        plain['code of the architecture'] = _code(job.options.folder)
    return dict(json.loads(json.dumps({key: value for key, value in plain.items() if key not in free})))


def fingerprint_of(
    job: TrainJob, material: Material, threads: int, devices: Devices, free: Collection[str] = ()
) -> dict[str, Any]:
    """Plain values by what people call them.

    Args:
        threads, devices: what TensorFlow computes with, whose number changes the order of sums.
        free: settings that may change.
    """
    # Datasets have fingerprints of their own, whatever their files' times.
    files = (*(job.windows.inputs() if job.windows else ()), job.warm_start)
    found = {
        **settings_of(job, free),
        'samples': [samples.manifest.fingerprint() for samples in (material.samples, *material.others)],
        'files': [fingerprint(path) for path in files if path],
        'threads': threads,
        'oneDNN setting': os.environ.get('TF_ENABLE_ONEDNN_OPTS', ''),
        'kind of device': 'GPU' if 'GPU' in devices.words else 'CPU',
        'number of devices': devices.replicas,
        **{f'version of {name}': versions().get(name, '') for name in ('quadrat', 'numpy', 'tensorflow', 'keras')},
    }
    return dict(json.loads(json.dumps(found)))


def _code(folder: str) -> str:
    """Tells one state of the Python files in a folder from another."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith('.py'):
            with open(os.path.join(folder, name), 'rb') as file:
                digest.update(name.encode() + b'\0' + file.read() + b'\0')
    return digest.hexdigest()
