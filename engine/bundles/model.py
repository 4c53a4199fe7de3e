"""A bundle as a model that maps images: what is known of it, and its images made ready for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..jobs import ClassDef
from ..model_package.card import InputCard, ModelCard, OutputCard
from ..runtimes.base import Runtime
from .description import Layer
from .feeding import image
from .folder import BundleFiles

_COLOURS = ('red', 'green', 'blue')


def bundle_card(files: BundleFiles, inputs: Sequence[str], outputs: Sequence[str]) -> ModelCard:
    """What a bundle says, as a model's card.

    Args:
        inputs, outputs: what the runtime calls those of the description, in their order.
    """
    description = files.description
    results = tuple(_output(files, layer, name) for layer, name in zip(description.outputs, outputs))
    spatial = any(layer.labels and len(layer.shape) > 1 for layer in description.outputs)
    task = 'segmentation' if spatial else 'classification'
    return ModelCard(
        description.name,
        task if any(item.classes for item in results) else '',
        '',
        tuple(InputCard(name, _bands(layer), layer.dtype) for layer, name in zip(description.inputs, inputs)),
        results,
        description=description.details,
    )


class PreparedRuntime:
    """A runtime that is fed images as they are; what its inputs want is done here.

    Args:
        runtime: that runs the model.
        layers: of its inputs, by their names.
    """

    def __init__(self, runtime: Runtime, layers: Mapping[str, Layer]) -> None:
        self._runtime = runtime
        self._layers = {name: layer for name, layer in layers.items() if layer.type == 'image'}

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `runtimes.base.Runtime`."""
        layers = self._layers
        return self._runtime.run(
            {name: image(layers[name], array) if name in layers else array for name, array in feeds.items()}
        )

    def __getattr__(self, name: str) -> Any:
        """All else is as of the runtime."""
        return getattr(self._runtime, name)


def _bands(layer: Layer) -> tuple[str, ...]:
    """Names of the bands: those of colours are what people give in this order, whatever the model's."""
    count = layer.shape[-1] if len(layer.shape) == 3 else 0
    if layer.type == 'image' and count == len(_COLOURS):
        return _COLOURS
    return tuple(f'B{band}' for band in range(1, count + 1))


def _output(files: BundleFiles, layer: Layer, name: str) -> OutputCard:
    bands = layer.shape[-1] if len(layer.shape) in (1, 3) else 1
    lines = files.labels(layer.labels) if layer.labels else ()
    return OutputCard(name, bands, tuple(ClassDef(value, line) for value, line in enumerate(lines)))
