"""Random windows that a model takes, to compare its results in one way of computing with another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..events import Reporter
from .sizes import find_base, fixed_geometry
from .spec import TensorInfo

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def windows_taken(run: Run, inputs: Mapping[str, TensorInfo], outputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs that a model takes, for a few images at once where it takes several.

    Raises:
        ModelError: none of those that were tried.
    """
    found = fixed_geometry(run, inputs, outputs, 0)
    if found is None:
        base = find_base(run, inputs, outputs, None, 0)
        if not base.geometry:
            shapes = {name: array.shape for name, array in base.images.plain(2 * base.unit, base.unit, 2).items()}
            return {name: (inputs[name].shape[0] or shape[0], *shape[1:]) for name, shape in shapes.items()}
        found = base.geometry
    sizes = next(iter(found.values())).size
    wanted = {name: (2, rows, cols, 1) for name, (cols, rows) in sizes.items()}
    return {
        name: tuple(given if size is None else size for size, given in zip(info.shape, wanted[name]))
        for name, info in inputs.items()
    }


def random_windows(inputs: Mapping[str, TensorInfo], shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Random pixels, some as reflectances and some as digital numbers.

    Args:
        inputs: types.
        shapes: of the arrays, (batch, rows, columns, bands).
    """
    found = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(tuple(shape))
        values = rng.random(shape) * 1000.0
        values[: len(values) // 2] /= 1000.0
        dtype = inputs[name].dtype
        found[name] = (values % 256.0 if dtype.itemsize == 1 else values).astype(dtype)
    return found


def report_error(
    precision: str, found: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray], reporter: Reporter
) -> None:
    """Say in the log how far results lie from those in float32."""
    worst = max(float(np.abs(found[name] - values).max()) for name, values in exact.items())
    largest = max(float(np.abs(values).max()) for values in exact.values())
    reporter.resolve(f'{precision}_error', worst)
    reporter.log(
        f'In {precision} the outputs differ from those in float32 by up to {worst:.2g} on random windows, where they '
        f'reach {largest:.3g}.'
    )
