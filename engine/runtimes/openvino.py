"""Models run by OpenVINO on the processor: the same results as TensorFlow's, to rounding, and TensorFlow is not loaded.

A model is converted once: TensorFlow cuts its graph down and freezes it, OpenVINO reads that, and both compute the same
windows. What agrees is kept; the runs that follow only read it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, OutOfMemory
from ..events import Reporter
from .arrays import check_rank, feeds_for
from .arrays import sizes as sizes_of
from .cache import Cache, key_of
from .placeholders import constant
from .spec import ModelSpec, TensorInfo
from .windows import random_windows, report_error

TOLERANCE = 1e-5  # relative to the largest value, or absolute below 1: of results in float32
TIES = 1e-3  # share of whole numbers, such as classes, that may differ where two are nearly equally likely
_SHAPES = 3  # of inputs, that a model is kept ready for
_VERSION = 2  # of what is kept
_ABOUT, _MODEL, _WEIGHTS = 'about.json', 'model.xml', 'model.bin'


class NotConverted(ModelError):
    """OpenVINO cannot run the model, or not as TensorFlow does."""


class OpenVINORuntime:
    """A model run by OpenVINO.

    Args:
        spec: which part of which model.
        precision: ``float32``, or ``bfloat16`` where the processor has it; its error is measured and logged.
        threads: that the model may take; 0: all.
        reporter: hears what is done.

    Raises:
        InputMissing, ModelError, InvalidJob: as `TensorFlowRuntime` does.
        NotConverted: OpenVINO cannot run the model, or not as TensorFlow does.
    """

    def __init__(
        self, spec: ModelSpec, precision: str = 'float32', threads: int = 0, reporter: Reporter | None = None
    ) -> None:
        openvino = _openvino()
        reporter = reporter or Reporter()
        core = openvino.Core()
        self.name = f'openvino {openvino.__version__.partition("-")[0]}'
        about, model = _converted(core, self.name, spec, reporter)
        self.inputs, self.outputs = _infos(about['inputs']), _infos(about['outputs'])
        self._constants, self._pixel_bytes = _constants(spec, about), float(about['pixel_bytes'])
        self._places = {
            name: about[kind][name]['tensor']
            for kind, names in (('inputs', self.inputs), ('constants', self._constants))
            for name in names
        }
        self._results = {name: about['outputs'][name]['tensor'] for name in self.outputs}
        self._core, self._model = core, model
        self._options = {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_PRECISION_HINT': 'f32',
            # Bound to processors, the model's threads would wait where others read and write beside them.
            'ENABLE_CPU_PINNING': 'NO',
        }
        if threads:
            self._options['INFERENCE_NUM_THREADS'] = str(threads)
        self._compiled: dict[tuple[tuple[int, ...], ...], Any] = {}
        if precision != 'float32':
            self._shorten(about['checked'], reporter)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `base.Runtime`."""
        arrays = {**feeds_for(self.inputs, feeds), **self._constants}
        try:
            compiled = self._for_shapes({name: array.shape for name, array in arrays.items()})
            values = compiled({self._places[name]: array for name, array in arrays.items()}, share_inputs=True)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or 'alloc' in str(error):
                raise OutOfMemory(
                    f'Not enough memory for OpenVINO to compute {sizes_of(arrays)} values at once. Use a smaller '
                    'TILE_SIZE or BATCH_SIZE.'
                ) from error
            shapes = ', '.join(f'{name} {array.shape}' for name, array in arrays.items())
            raise ModelError(f'The model cannot be run on {shapes}: {reason_of(error)}') from error
        results = {name: values[compiled.output(place)] for name, place in self._results.items()}
        check_rank(results)
        return results

    def window_bytes(self, sizes: Mapping[str, tuple[int, int]]) -> float:
        """See `base.Runtime`; as TensorFlow's graph tells it."""
        rows, cols = sizes[next(iter(self.inputs))]
        return self._pixel_bytes * rows * cols

    def _for_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """The model for inputs of these shapes. With open shapes it takes up to twice as long (measured)."""
        key = tuple(shapes.values())
        if key not in self._compiled:
            model = self._model.clone()
            model.reshape({self._places[name]: list(shape) for name, shape in shapes.items()})
            while len(self._compiled) >= _SHAPES:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = self._core.compile_model(model, 'CPU', self._options)
        return self._compiled[key]

    def _shorten(self, checked: Mapping[str, Sequence[int]], reporter: Reporter) -> None:
        """Compute in bfloat16 from now on, and say what that changes."""
        if 'BF16' not in self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
            reporter.warn('This processor has no bfloat16; the model is run in float32.')
            return
        window = random_windows(self.inputs, checked)
        exact = self.run(window)
        self._compiled.clear()
        self._options['INFERENCE_PRECISION_HINT'] = 'bf16'
        report_error('bfloat16', self.run(window), exact, reporter)


def _openvino() -> Any:
    """OpenVINO, without the part of it that tells its makers over the network each time it is imported."""
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _converted(core: Any, runtime: str, spec: ModelSpec, reporter: Reporter) -> tuple[dict[str, Any], Any]:
    """What is known of a converted model, and the model: kept ones, or made now and kept."""
    cache, key = Cache('openvino'), key_of(spec, _VERSION, runtime, sorted(spec.constants))
    place = cache.find(key)
    if place:
        try:
            about, model = _read(core, place)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reporter.log(f'{place}: a damaged converted model is made anew ({reason_of(error)}).', detail=True)
        else:
            if about['refused']:
                raise NotConverted(about['refused'])
            return about, model
    reporter.progress(0.0, 'converting the model for OpenVINO')
    from .conversion import convert

    refused: NotConverted | None = None
    try:
        about, model = convert(core, spec)
    except NotConverted as error:
        refused, about, model = error, {'refused': str(error)}, None
    try:
        cache.keep(key, lambda folder: _write(folder, about, model))
    except OSError as error:
        reporter.log(f'The converted model cannot be kept for the next time ({error}).', detail=True)
    if refused is not None:
        raise refused
    difference = about['difference']
    reporter.log(f'{spec.path}: converted for OpenVINO; it differs from TensorFlow by {difference:.1g} (relative).')
    return about, model


def _write(folder: str, about: dict[str, Any], model: Any) -> None:
    """Write a converted model, or that there is none."""
    hashes = {}
    if model is not None:
        # Compressed to half precision, which is the default, it would be another model.
        _openvino().save_model(model, os.path.join(folder, _MODEL), compress_to_fp16=False)
        hashes = {name: _hash(os.path.join(folder, name)) for name in (_MODEL, _WEIGHTS)}
    with open(os.path.join(folder, _ABOUT), 'w', encoding='utf-8') as file:
        json.dump({'version': _VERSION, **about, 'sha256': hashes}, file, indent=1)


def _read(core: Any, folder: str) -> tuple[dict[str, Any], Any]:
    """What `_write` wrote; raises whatever is wrong with it."""
    with open(os.path.join(folder, _ABOUT), encoding='utf-8') as file:
        about = json.load(file)
    if about['refused']:
        return about, None
    for name, expected in about['sha256'].items():
        if _hash(os.path.join(folder, name)) != expected:
            raise ValueError(f'{name} has changed')
    return about, core.read_model(os.path.join(folder, _MODEL))


def _hash(path: str) -> str:
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def _infos(items: Mapping[str, Mapping[str, Any]]) -> dict[str, TensorInfo]:
    return {name: TensorInfo(np.dtype(item['dtype']), tuple(item['shape'])) for name, item in items.items()}


def _constants(spec: ModelSpec, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The values that are fed always, by the names that the converted model has for them."""
    texts = {name: spec.constants[item['asked']] for name, item in about['constants'].items()}
    return {
        name: constant(name, text, about['constants'][name]['dtype'], about['constants'][name]['shape'])
        for name, text in texts.items()
    }


def reason_of(error: BaseException) -> str:
    """The line of OpenVINO's message that says most: the last that does not only say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [
        line
        for line in lines
        if not line.startswith(('Check ', 'Exception from src', 'While ')) and ':' not in line[:4]
    ]
    return (said or lines or [type(error).__name__])[-1]
