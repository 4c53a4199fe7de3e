"""The network of a package, made ready to be run window by window."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import ModelError
from ..events import Reporter
from ..model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from ..model_package.package import Package
from ..runtimes.base import Runtime, load


@dataclasses.dataclass(frozen=True)
class Network:
    """A loaded network that gives class probabilities for each pixel of its first source.

    Attributes:
        runtime: runs it.
        taken: its inputs, in the order of the sources.
        given: the output with the probabilities.
        fields, strides: of each input: what a window needs around it, and what it is aligned to, in its pixels.
    """

    runtime: Runtime
    taken: tuple[InputCard, ...]
    given: OutputCard
    fields: list[ReceptiveField]
    strides: list[int]

    def run(self, windows: list[tuple[np.ndarray, ...]], size: tuple[int, int]) -> np.ndarray:
        """Probabilities (window, rows, columns, classes) of several windows.

        Args:
            windows: of each, an array (rows, columns, bands) for each input; all windows have the same sizes.
            size: (columns, rows) that the probabilities should have.
        """
        feeds = {
            card.name: arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
            for card, arrays in zip(self.taken, zip(*windows))
        }
        values = self.runtime.run(feeds)[self.given.name]
        if values.shape[2:0:-1] != size:
            shapes = ' and '.join(f'{feed.shape[2]} x {feed.shape[1]}' for feed in feeds.values())
            raise ModelError(
                f'The model gives {values.shape[2]} x {values.shape[1]} pixels for {shapes}, not {size[0]} x '
                f'{size[1]}; only models whose output has the size of their first input can be mapped.'
            )
        return values


def choose_cards(path: str, card: ModelCard, sources: int) -> tuple[tuple[InputCard, ...], OutputCard]:
    """The inputs that are fed, in the order of the sources, and the output that is mapped.

    Args:
        path: of the package, for messages.
        card: the package's.
        sources: how many images there are.

    Raises:
        ModelError: the model wants another number of images, or has no classes.
    """
    if len(card.inputs) != sources:
        names = ', '.join(item.name for item in card.inputs)
        raise ModelError(f'{path}: the model takes {len(card.inputs)} sources ({names}), {sources} given.')
    for output in card.outputs:
        if output.classes and len(output.classes) == output.bands:
            return card.inputs, output
    raise ModelError(f"{path}: none of the model's outputs has classes, so there is no class map to make of it.")


def load_network(
    package: Package, taken: tuple[InputCard, ...], given: OutputCard, runtime_name: str, reporter: Reporter
) -> Network:
    """Load a package's network; its receptive field is measured where the package does not say it.

    Raises:
        ModelError: it cannot be loaded, is not what its card says, or cannot be run on windows of any size.
    """
    reporter.progress(0.0, 'loading the model')
    runtime = load(runtime_name, package.savedmodel, (given.name,), reporter=reporter)
    _require_shapes(package.path, runtime, taken, given)
    known = [card.field for card in taken if card.field is not None]
    if len(known) == len(taken):
        return Network(runtime, taken, given, known, [card.stride for card in taken])
    if len(taken) > 1:
        raise ModelError(f'{package.path}: the package does not say what the receptive fields of its inputs are.')
    from ..runtimes.field import measure_field

    reporter.progress(0.0, 'measuring the receptive field')
    only = taken[0]
    field, stride = measure_field(
        lambda pixels: runtime.run({only.name: pixels})[given.name], len(only.bands), only.dtype
    )
    reporter.log(f'The package does not say what its receptive field is; measured: {field}, stride {stride}.')
    return Network(runtime, taken, given, [field], [stride])


def _require_shapes(path: str, runtime: Runtime, taken: tuple[InputCard, ...], given: OutputCard) -> None:
    """Raise `ModelError` where the network is not what its card says."""
    shapes = [(given.name, given.bands, runtime.outputs[given.name].shape)]
    for card in taken:
        if card.name not in runtime.inputs:
            raise ModelError(f'{path}: the network has no input {card.name!r}; it has {", ".join(runtime.inputs)}.')
        shape = runtime.inputs[card.name].shape
        shapes.append((card.name, len(card.bands), shape))
        if len(shape) == 4 and shape[1:3] != (None, None):
            raise ModelError(
                f'{path}: the network takes windows of {shape[1:3]} rows and columns only; export it with open sizes.'
            )
    for name, bands, shape in shapes:
        if len(shape) != 4 or shape[3] not in (None, bands):
            raise ModelError(
                f'{path}: {name} of the network has the shape {shape}, not batch, rows, columns and {bands} bands.'
            )
