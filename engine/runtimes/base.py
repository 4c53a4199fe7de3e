"""What a loaded model is to the rest of the engine: named inputs, named outputs, and a way to run a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..errors import InvalidJob
from ..jobs import RUNTIMES


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output: its type, and its shape with None where any length will do."""

    dtype: np.dtype
    shape: tuple[int | None, ...]


class Runtime(Protocol):
    """A loaded model.

    Attributes:
        name: one of `jobs.RUNTIMES`, and its version, for people.
        inputs, outputs: by the names of the model's signature; only outputs that were asked for.
    """

    name: str
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the outputs of a batch.

        Args:
            feeds: an array for each input, (batch, rows, columns, bands).

        Raises:
            OutOfMemory: the batch is too large for this machine.
            ModelError: the model does not take such a batch.
        """

    def window_bytes(self, sizes: Mapping[str, tuple[int, int]]) -> float:
        """About how many bytes the model takes at its busiest for one window; depends on the model alone, never on
        the machine.

        Args:
            sizes: (rows, columns) of each input.
        """


def load(runtime: str, savedmodel: str, outputs: tuple[str, ...] = ()) -> Runtime:
    """Load a model.

    Args:
        runtime: one of `jobs.RUNTIMES`; ``auto`` takes the best there is.
        savedmodel: folder of the SavedModel.
        outputs: the outputs to compute; empty: all.

    Raises:
        InvalidJob: no such runtime.
        ModelError: the model cannot be loaded, or has no such output.
    """
    if runtime not in RUNTIMES:
        raise InvalidJob(f'RUNTIME {runtime!r}: unknown; known are {", ".join(RUNTIMES)}.')
    from .tensorflow import TensorFlowRuntime

    return TensorFlowRuntime(savedmodel, outputs)
