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
    """A loaded network that gives class probabilities for each pixel of one image.

    Attributes:
        runtime: runs it.
        taken: its input.
        given: the output with the probabilities.
        field, stride: what a window needs around it, and what it is aligned to, in pixels.
    """

    runtime: Runtime
    taken: InputCard
    given: OutputCard
    field: ReceptiveField
    stride: int

    def run(self, windows: list[np.ndarray]) -> np.ndarray:
        """Probabilities (window, rows, columns, classes) of windows (rows, columns, bands) of one size."""
        feed = windows[0][None] if len(windows) == 1 else np.stack(windows)
        values = self.runtime.run({self.taken.name: feed})[self.given.name]
        if values.shape[:3] != feed.shape[:3]:
            raise ModelError(
                f'The model gives {values.shape[1:3]} rows and columns for {feed.shape[1:3]}; only models whose output '
                'has the size of their input can be mapped.'
            )
        return values


def choose_cards(path: str, card: ModelCard, sources: int) -> tuple[InputCard, OutputCard]:
    """The input that is fed and the output that is mapped.

    Args:
        path: of the package, for messages.
        card: the package's.
        sources: how many images there are.

    Raises:
        ModelError: the model wants another number of images, or has no classes.
    """
    if len(card.inputs) != 1 or sources != 1:
        raise ModelError(
            f'{path}: the model takes {len(card.inputs)} sources, {sources} given; models of one source can be mapped.'
        )
    for output in card.outputs:
        if output.classes and len(output.classes) == output.bands:
            return card.inputs[0], output
    raise ModelError(f"{path}: none of the model's outputs has classes, so there is no class map to make of it.")


def load_network(
    package: Package, taken: InputCard, given: OutputCard, runtime_name: str, reporter: Reporter
) -> Network:
    """Load a package's network; its receptive field is measured where the package does not say it.

    Raises:
        ModelError: it cannot be loaded, is not what its card says, or cannot be run on windows of any size.
    """
    reporter.progress(0.0, 'loading the model')
    runtime = load(runtime_name, package.savedmodel, (given.name,))
    _require_shapes(package.path, runtime, taken, given)
    if taken.field is not None:
        return Network(runtime, taken, given, taken.field, taken.stride)
    from ..runtimes.field import measure_field

    reporter.progress(0.0, 'measuring the receptive field')
    field, stride = measure_field(
        lambda pixels: runtime.run({taken.name: pixels})[given.name], len(taken.bands), taken.dtype
    )
    reporter.log(f'The package does not say what its receptive field is; measured: {field}, stride {stride}.')
    return Network(runtime, taken, given, field, stride)


def _require_shapes(path: str, runtime: Runtime, taken: InputCard, given: OutputCard) -> None:
    """Raise `ModelError` where the network is not what its card says."""
    if taken.name not in runtime.inputs:
        raise ModelError(f'{path}: the network has no input {taken.name!r}; it has {", ".join(runtime.inputs)}.')
    shapes = {taken.name: runtime.inputs[taken.name].shape, given.name: runtime.outputs[given.name].shape}
    for name, bands in ((taken.name, len(taken.bands)), (given.name, given.bands)):
        shape = shapes[name]
        if len(shape) != 4 or shape[3] not in (None, bands):
            raise ModelError(
                f'{path}: {name} of the network has the shape {shape}, not batch, rows, columns and {bands} bands.'
            )
    sizes = shapes[taken.name][1:3]
    if sizes != (None, None):
        raise ModelError(
            f'{path}: the network takes windows of {sizes} rows and columns only; export it with open sizes.'
        )
