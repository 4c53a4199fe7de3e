"""Which sizes of windows a network takes, and how large its outputs are then."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from ..errors import ModelError
from ..model_package.card import ReceptiveField
from .arrays import resolutions
from .geometry import Geometry, InputGeometry
from .spec import TensorInfo
from .strips import LEVELS, Images, Network, Shape

UNITS = (64, 60, 56)  # sizes tried are multiples of these, and so of the strides up to 16 and of most others
_BANDS = (1, 3, 4, 2)  # tried where an input leaves them open
_LARGEST_SCALE = 64  # larger numbers come about where sizes are no multiples of a stride
_ENLARGED = (1, 2, 4, 8)
_FAR = 5  # times the growth that windows are tried with
_NARROWED = (8, 4, 2)
# Sizes tried for networks that take windows of one size only and do not say which.
_SINGLE = (*range(1, 65), *range(72, 257, 8), 224, 299, 384, 512)


@dataclasses.dataclass(frozen=True)
class Base:
    """What a network was found to take.

    Attributes:
        images: makes its inputs.
        unit: sizes that are multiples of it are taken.
        width: the narrowest size found that is taken beside a multiple of `unit`.
        shapes: of the outputs; None for one that is a single value a band for each window.
        bands: of the outputs.
        tried: for the log.
        geometry: where all that can be known is known already.
    """

    images: Images
    unit: int
    width: int
    shapes: dict[str, Shape | None]
    bands: dict[str, int]
    tried: str
    geometry: dict[str, Geometry] = dataclasses.field(default_factory=dict)

    def step(self, name: str) -> int:
        """The smallest power of two that windows may grow by, in pixels of an input."""
        for step in (1, 2, 4, 8, 16, 32):
            try:
                if _shapes(self.images, list(self.shapes), self.unit + step, growth=step) == self.shapes:
                    return max(1, int(step * self.images.ratios[name]))
            except ModelError:
                continue
        return int(self.unit * self.images.ratios[name])


def fixed_geometry(
    network: Network, inputs: Mapping[str, TensorInfo], outputs: Sequence[str], seed: int
) -> dict[str, Geometry] | None:
    """The geometry where an input says that it takes windows of one size; None where all sizes are open."""
    sizes = {name: info.shape[1:3] for name, info in inputs.items() if len(info.shape) > 2}
    if not sizes or any(None in size for size in sizes.values()):
        return None
    return _fixed(
        network, inputs, outputs, {name: (int(rows or 0), int(cols or 0)) for name, (rows, cols) in sizes.items()}, seed
    )


def find_base(
    network: Network,
    inputs: Mapping[str, TensorInfo],
    outputs: Sequence[str],
    ratios: Mapping[str, Fraction] | None,
    seed: int,
) -> Base:
    """Sizes that the network takes.

    Args:
        ratios: pixels of each input for one of the first; None: tried.

    Raises:
        ModelError: none of those that were tried.
    """
    refused = ''
    for images in _candidates(network, inputs, ratios, seed):
        for unit in (unit * factor for factor in _ENLARGED for unit in UNITS):
            try:
                shapes = _shapes(images, outputs, unit)
            except ModelError as error:
                refused = refused or str(error)
                continue
            width, bands = _narrowest(images, outputs, unit, shapes), _bands(images, outputs, unit)
            return Base(images, unit, width, shapes, bands, _tried(images, unit, width))
    for images in _candidates(network, inputs, ratios, seed):
        taken = [side for side in _SINGLE if _takes(images, side)]
        if taken:
            found = _fixed(network, inputs, outputs, images.sizes(taken[-1], taken[-1]), seed)
            return Base(images, 0, 0, {}, {}, '', found)
    raise ModelError(
        f'The receptive field cannot be measured: no window of a multiple of {UNITS} pixels works, nor one of up to '
        f'{_SINGLE[-1]}: {refused}'
    )


def _candidates(
    network: Network, inputs: Mapping[str, TensorInfo], ratios: Mapping[str, Fraction] | None, seed: int
) -> Iterator[Images]:
    """Images of the resolutions and numbers of bands that may be meant."""
    is_open = any(len(info.shape) == 4 and info.shape[3] is None for info in inputs.values())
    for bands in _BANDS if is_open else (0,):
        for relation in [ratios] if ratios else resolutions(list(inputs)):
            yield Images(network, inputs, relation, bands, seed)


def _shapes(images: Images, outputs: Sequence[str], side: int, growth: int = 0) -> dict[str, Shape | None]:
    """How the sizes of the outputs follow from those of a window.

    Args:
        side: of a square window; wider and higher ones are tried as well.
        growth: how much wider and higher; 0: by the side itself.

    Raises:
        ModelError: the network does not take such windows, or its outputs do not grow evenly.
    """
    growth = growth or side
    sizes = ((side, side), (side + growth, side), (side, side + growth), (side + 2 * growth, side))
    results = [images.run(images.plain(*size, 1)) for size in sizes]
    # Sizes may grow evenly for a while where they are no multiples of a stride.
    try:
        far = images.run(images.plain(side + _FAR * growth, side, 1))
    except ModelError:  # too much memory, as smaller ones have been computed
        far = {}
    return {name: _shape(name, [result[name] for result in results], far.get(name), side, growth) for name in outputs}


def _shape(name: str, values: list[np.ndarray], far: np.ndarray | None, side: int, growth: int) -> Shape | None:
    """From the output for a square window, one wider by `growth`, one higher, one twice as much wider, and if there is
    one, for one `_FAR` times as much wider."""
    counts = [_counts(array) for array in values]
    if min(min(pair) for pair in counts) < 1:
        raise ModelError(f'the output {name} has the shape {values[0].shape}')
    if all(pair == (1, 1) for pair in counts):
        return None
    if values[0].ndim > 2:
        (rows, cols), wider, higher, widest = counts[0], counts[1][1], counts[2][0], counts[3][1]
        scales = Fraction(wider - cols, growth), Fraction(higher - rows, growth)
        even = widest - wider == wider - cols
        even &= far is None or _counts(far)[1] - cols == _FAR * (wider - cols)
    else:  # all pixels in one row: their number is that of the columns times that of the rows
        square, wider, higher, widest = (pair[0] for pair in counts)
        even = widest - wider == wider - square
        even &= far is None or _counts(far)[0] - square == _FAR * (wider - square)
        lengths = [_length(side, growth, Fraction(count, square)) for count in (wider, higher)]
        area = Fraction(square) / (lengths[0] * lengths[1])
        scale = Fraction(math.isqrt(area.numerator), math.isqrt(area.denominator))
        scales = scale, Fraction(scale if scale * scale == area else -1)
        cols, rows = (int(length * scale) for length in lengths)
    likely = scales[0] > 0 and max(scales[0].numerator, scales[0].denominator) <= _LARGEST_SCALE
    if not even or scales[0] != scales[1] or not likely:
        raise ModelError(
            f'the output {name} has {" and ".join(f"{b} x {a}" for a, b in counts[:3])} pixels for windows of {side} x '
            f'{side}, {side + growth} x {side} and {side} x {side + growth}'
        )
    lost = [side - length / scales[0] for length in (cols, rows)]
    if any(item.denominator != 1 for item in lost):
        raise ModelError(f'the output {name} of {cols} x {rows} pixels begins within a pixel')
    return Shape(scales[0], (int(lost[0]), int(lost[1])))


def _length(side: int, growth: int, increase: Fraction) -> Fraction:
    """The length of an output in pixels of the input, if it increases by this factor when the window grows."""
    if increase <= 1:
        raise ModelError('an output that does not grow with the window')
    return growth / (increase - 1)


def _narrowest(images: Images, outputs: Sequence[str], unit: int, shapes: Mapping[str, Shape | None]) -> int:
    """The narrowest fraction of `unit` that windows may have: the narrower, the quicker the rest."""
    for part in _NARROWED:
        if unit % part == 0:
            width = unit // part
            try:
                found = images.run(images.plain(unit, width, 1)), images.run(images.plain(width, unit, 1))
                for name, shape in shapes.items():
                    if shape is not None:
                        sizes = shape.size(unit, width), shape.size(width, unit)
                        if any(
                            math.prod(_counts(result[name])) != math.prod(size) for result, size in zip(found, sizes)
                        ):
                            raise ModelError(f'{name} is uneven')
            except ModelError:
                continue
            return width
    return unit


def _counts(values: np.ndarray) -> tuple[int, int]:
    """Rows and columns of the output for one window; where all pixels are in one row, their number and 1."""
    return (values.shape[1], values.shape[2]) if values.ndim > 2 else (values.shape[0], 1)


def _bands(images: Images, outputs: Sequence[str], side: int) -> dict[str, int]:
    """Of each output."""
    results = images.run(images.plain(side, side, 1))
    return {name: _bands_of(results[name]) for name in outputs}


def _bands_of(values: np.ndarray) -> int:
    return values.shape[-1] if values.ndim in (2, 4) else 1


def _takes(images: Images, side: int) -> bool:
    try:
        images.run(images.plain(side, side, 1))
    except ModelError:
        return False
    return True


def _fixed(
    network: Network,
    inputs: Mapping[str, TensorInfo],
    outputs: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    seed: int,
) -> dict[str, Geometry]:
    """The geometry for windows of one size; `sizes` are (rows, columns)."""
    first = next(iter(sizes))
    ratios = {name: Fraction(size[1], sizes[first][1]) for name, size in sizes.items()}
    images = Images(network, inputs, ratios, _BANDS[0], seed)
    results = images.run({name: images.random(name, *size, LEVELS[0])[None] for name, size in sizes.items()})
    size = {name: (cols, rows) for name, (rows, cols) in sizes.items()}
    found = {}
    for name in outputs:
        values = results[name]
        rows, cols = _counts(values)
        patches = (rows, cols) == (1, 1)
        geometries = {
            key: _patch(*size[key], ratios[key]) if patches else _window(size[key], (cols, rows), ratios[key])
            for key in inputs
        }
        windows = ' and '.join(f'{cols} x {rows} pixels of {key}' for key, (cols, rows) in size.items())
        reason = '' if patches else f'The model takes windows of {windows} only, too few to see where its field ends'
        found[name] = Geometry(geometries, {name: _bands_of(values)}, patches, size, reason, f'windows of {windows}')
    return found


def _patch(cols: int, rows: int, ratio: Fraction) -> InputGeometry:
    """Of a network that gives one value for a patch: that of the pixel in its middle, or right below the middle."""
    field = ReceptiveField(cols // 2, rows // 2, cols - cols // 2 - 1, rows - rows // 2 - 1)
    offset = Fraction(cols - 1, 2), Fraction(rows - 1, 2)
    return InputGeometry(field, 1, Fraction(1), offset, (cols - 1, rows - 1), ratio)


def _window(window: tuple[int, int], output: tuple[int, int], ratio: Fraction) -> InputGeometry:
    """Of a network whose output is an image, for windows of one size only."""
    cols, rows = window
    scale = Fraction(output[0], cols)
    if 1 in (scale.numerator, scale.denominator) and Fraction(output[1], rows) == scale:
        return InputGeometry(None, cols, scale, ratio=ratio)
    lost = cols - output[0], rows - output[1]
    if min(lost) < 0:
        raise ModelError(
            f'The model gives {output[0]} x {output[1]} pixels for {cols} x {rows}, whose relation cannot be told.'
        )
    offset = Fraction(lost[0], 2), Fraction(lost[1], 2)
    return InputGeometry(None, cols, Fraction(1), offset, lost, ratio)


def _tried(images: Images, unit: int, width: int) -> str:
    """For the log."""
    others = ', '.join(f'{name} at {ratio} of the resolution' for name, ratio in list(images.ratios.items())[1:])
    return f'windows of multiples of {unit} pixels, {width} wide' + (f', {others}' if others else '')
