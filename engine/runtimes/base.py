"""What a loaded model is to the rest of the engine: named inputs, named outputs, and a way to run a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import PRECISIONS, RUNTIMES
from .spec import TAGS, ModelSpec, TensorInfo

__all__ = ['ModelSpec', 'Runtime', 'TensorInfo', 'load']


class Runtime(Protocol):
    """A loaded model.

    Attributes:
        name: one of `jobs.RUNTIMES`, and its version, for people.
        inputs: by the names of the model's signature, or those that were asked for, in alphabetical order: what has to
            be fed. Inputs that the outputs do not depend on are not among them, nor are constants.
        outputs: by the names that were asked for.
    """

    name: str
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of a batch.

        Args:
            feeds: an array for each input, (batch, rows, columns, bands); it is cast to the input's type.

        Raises:
            OutOfMemory: the batch is too large for this machine.
            ModelError: the model does not take such a batch, or gives what is no image.
        """

    def window_bytes(self, sizes: Mapping[str, tuple[int, int]]) -> float:
        """About how many bytes the model takes at its busiest for one window; depends on the model alone, never on
        the machine.

        Args:
            sizes: (rows, columns) of each input.

        Raises:
            ModelError: the model does not take such windows.
        """


def load(
    runtime: str,
    model: str,
    outputs: tuple[str, ...] = (),
    *,
    inputs: tuple[str, ...] = (),
    tags: tuple[str, ...] = TAGS,
    signature: str = '',
    constants: Mapping[str, str] | None = None,
    keras: str = '',
    precision: str = 'float32',
    device: str = 'auto',
    threads: int = 0,
    reporter: Reporter | None = None,
) -> Runtime:
    """Load a model.

    Args:
        runtime: one of `jobs.RUNTIMES`; ``auto`` takes OpenVINO on a CPU where it is installed and gives the same, else
            TensorFlow.
        model: folder of the SavedModel, or a ``.keras`` file.
        outputs, inputs, tags, signature, constants, keras: see `ModelSpec`.
        precision: one of `PRECISIONS`. With ``bfloat16`` the error that it makes is measured and logged.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
        threads: that the model may take; 0: all.
        reporter: hears what is decided, and why.

    Raises:
        InvalidJob: no such runtime, precision or device, or a constant that is not what the model wants.
        InputMissing, ModelError: the model cannot be loaded, or lacks what was asked for.
    """
    if runtime not in RUNTIMES:
        raise InvalidJob(f'RUNTIME {runtime!r}: unknown; known are {", ".join(RUNTIMES)}.')
    if precision not in PRECISIONS:
        raise InvalidJob(f'PRECISION {precision!r}: unknown; known are {", ".join(PRECISIONS)}.')
    from .choice import Options, choose

    spec = ModelSpec(model, outputs, inputs, tags, signature, dict(constants or {}), keras)
    return choose(runtime, spec, Options(precision, device, threads), reporter or Reporter())
