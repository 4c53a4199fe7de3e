"""Doing a job."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from .. import registry
from ..device import parse_device, select_device
from ..errors import InvalidJob
from ..jobs import Job
from ..worker import set_defaults
from .console import Console
from .interruption import Interruption
from .quiet import quiet_tensorflow


def do_job(job: Job, console: Console, device: str | None = None) -> dict[str, Any]:
    """The outputs of a job by name, done here and now.

    Args:
        device: what TensorFlow may use, see `device.select_device`; None: what there is, or what the job says.

    Raises:
        EngineError: with one line that says what is wrong and what to do.
    """
    with contextlib.ExitStack() as stack:
        if console.detailed:
            os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '0')
        else:
            stack.enter_context(quiet_tensorflow())
        set_defaults()
        stack.enter_context(Interruption(console.cancelled, console.note))
        select_device(device or 'auto')
        return registry.run(job, console.hear, console.cancelled)


def placement(device: str | None, runtime: str) -> dict[str, str]:
    """The fields `device` and `runtime` of a job that runs a model, for `do_job` with the same device.

    Raises:
        InvalidJob: no runtime can run it there.
    """
    gpus = parse_device(device or 'auto')
    if not gpus:
        return {'device': device or 'auto', 'runtime': runtime}
    if len(gpus) > 1:
        raise InvalidJob(f'--device {device}: a model runs on one device; name one of them.')
    if runtime == 'openvino':
        raise InvalidJob(f'--device {device}: OpenVINO runs on the processor only; leave out --runtime or --device.')
    # The one that TensorFlow sees is its first, whatever its number is.
    return {'device': 'auto', 'runtime': 'tensorflow'}
