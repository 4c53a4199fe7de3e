"""Which part of which model is to be run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

TAGS = ('serve',)
MOST_AXES = 4  # of inputs and outputs: batch, rows, columns, bands


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A model as a runtime is asked for it.

    Attributes:
        path: folder of a SavedModel, or a ``.keras`` file.
        outputs: names of what to compute; empty: all outputs. Keys of the signature, names of tensors, or names of
            Keras layers where there is a ``.keras`` file.
        inputs: names of what will be fed instead of the signature's inputs; empty: those. Keys of the signature, or
            names of tensors.
        tags: tag set of the SavedModel's graph.
        signature: its name; empty: ``serving_default``, or else the first, or else what the graph has.
        constants: texts of values, by the names of inputs or placeholders; see `placeholders`.
        keras: the ``.keras`` file of the same model, where there is one, for names of layers.
    """

    path: str
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    tags: tuple[str, ...] = TAGS
    signature: str = ''
    constants: Mapping[str, str] = dataclasses.field(default_factory=dict)
    keras: str = ''


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output: its type, and its shape with None where any length will do.

    The shape of an input whose number of axes is not known is (None, None, None, None), as images have it; that of such
    an output is ().
    """

    dtype: np.dtype
    shape: tuple[int | None, ...]
