"""Which runtime runs a model."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil

from ..errors import EngineMissing, InvalidJob
from ..events import Reporter
from .base import Runtime
from .spec import ModelSpec


@dataclasses.dataclass(frozen=True)
class Options:
    """How a model is to be run; see `base.load`."""

    precision: str = 'float32'
    device: str = 'auto'
    threads: int = 0


def choose(runtime: str, spec: ModelSpec, options: Options, reporter: Reporter) -> Runtime:
    """The model in the runtime that was asked for; see `base.load`."""
    if runtime != 'tensorflow':
        why_not = _why_not_openvino(options)
        if runtime == 'openvino' and why_not:
            raise why_not
        if not why_not:
            from .openvino import NotConverted, OpenVINORuntime

            try:
                return OpenVINORuntime(spec, options.precision, options.threads, reporter)
            except (NotConverted, ImportError) as error:
                if runtime == 'openvino':
                    raise
                reporter.log(f'TensorFlow runs the model, not OpenVINO. {error}')
        else:
            reporter.log(f'TensorFlow runs the model, not OpenVINO. {why_not}', detail=True)
    from .tensorflow import TensorFlowRuntime

    return TensorFlowRuntime(spec, options.precision, options.device, options.threads, reporter)


def _why_not_openvino(options: Options) -> InvalidJob | EngineMissing | None:
    """Why OpenVINO is not to be taken; None where it is."""
    if options.device not in ('auto', 'cpu'):
        return InvalidJob(f'OpenVINO runs on the processor only, not on {options.device}.')
    if importlib.util.find_spec('openvino') is None:
        return EngineMissing('OpenVINO is not installed; install the package openvino, or use RUNTIME tensorflow.')
    if options.device == 'auto' and _has_gpu():
        return InvalidJob('There is a GPU, which TensorFlow uses.')
    return None


def _has_gpu() -> bool:
    """Whether TensorFlow sees a GPU; it is only asked, which takes seconds, where there is a driver for one."""
    if not (shutil.which('nvidia-smi') or os.path.exists('/proc/driver/nvidia/version')):
        return False
    from .tensorflow import TensorFlowRuntime

    return TensorFlowRuntime.has_gpu()
