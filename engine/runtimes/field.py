"""The receptive field and stride of a network that nothing is known of, measured by looking at what changes.

Half of an image is replaced, and the furthest output pixel that notices is found, for borders at one pixel after the
other. Half-planes, as single pixels at the rim of a field change the output by less than float32 resolves.

The further the border moves, the further the change is noticed, in steps that repeat with the stride; so only few
borders are tried, and what lies between two that are noticed equally far is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import numpy as np

from ..errors import ModelError
from ..model_package.card import ReceptiveField
from .geometry import Geometry, InputGeometry
from .reach import Reach, offset, period
from .sizes import Base, find_base, fixed_geometry
from .spec import TensorInfo
from .strips import Network, Strips
from .verification import holds

DOUBLINGS = 6  # of the strips' length
_FACTORS = (1, 2, 4, 8)  # of a stride that seems right, but is not


def measure(
    network: Network,
    inputs: Mapping[str, TensorInfo],
    outputs: Iterable[str],
    *,
    ratios: Mapping[str, Fraction] | None = None,
    affordable: Callable[[Mapping[str, tuple[int, int]]], bool] = lambda sizes: True,
    seed: int = 0,
) -> dict[str, Geometry]:
    """How each output of a network lies on its inputs.

    Args:
        network: takes a dictionary of arrays (batch, rows, columns, bands), gives one of arrays; raises `ModelError`
            for sizes that it cannot take.
        inputs: type and shape of each input.
        outputs: names.
        ratios: pixels of each input for one of the first, along an axis; None: tried.
        affordable: whether windows of these sizes, (rows, columns) by input, can be computed.
        seed: of the random inputs.

    Raises:
        ModelError: no size that was tried is taken, or an output is no image of the input's ground at all.
    """
    names = list(outputs)

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not affordable({name: (array.shape[1], array.shape[2]) for name, array in feeds.items()}):
            raise ModelError('it would take too much memory')
        return network(feeds)

    fixed = fixed_geometry(run, inputs, names, seed)
    if fixed is not None:
        return fixed
    base = find_base(run, inputs, names, ratios, seed)
    if base.geometry:
        return base.geometry
    measuring = _Measuring(base)
    return {name: measuring.geometry(name) for name in names}


def measure_field(
    network: Callable[[np.ndarray], np.ndarray], bands: int, dtype: str = 'float32', seed: int = 0
) -> tuple[ReceptiveField, int]:
    """Receptive field and total stride, as `card.InputCard` has them, of a network whose output has the size of its
    input.

    Args:
        network: from (batch, rows, columns, bands) to (batch, rows, columns, any); raises `ModelError` for sizes that
            it cannot take.
        bands, dtype: of the input.
        seed: of the random inputs.

    Raises:
        ModelError: the field is not bounded, or no size that was tried is taken.
    """
    info = TensorInfo(np.dtype(dtype), (None, None, None, bands))
    found = measure(lambda feeds: {'output': network(feeds['input'])}, {'input': info}, ['output'], seed=seed)['output']
    item = found.inputs['input']
    if found.size or found.patches or item.scale != 1 or item.lost != (0, 0):
        raise ModelError(
            f'The output of the model has not the rows and columns of its input: of {item.lost[0]} columns and '
            f'{item.lost[1]} rows fewer, at a scale of {item.scale} ({found.tried}).'
        )
    if item.field is None:
        raise ModelError(f'{found.reason}; such a model cannot be mapped tile by tile.')
    return item.field, item.stride


class _Measuring:
    """Measures the outputs of a network one by one; what was computed for one serves for the others."""

    def __init__(self, base: Base) -> None:
        self._base, self._images = base, base.images
        self._strips: dict[tuple[int, int], Strips | None] = {}
        self._longest = 0

    def geometry(self, output: str) -> Geometry:
        """Of one output."""
        base, shape = self._base, self._base.shapes[output]
        bands = {output: base.bands[output]}
        if shape is None:
            inputs = {name: InputGeometry(ratio=ratio) for name, ratio in base.images.ratios.items()}
            reason = f'The output {output} is one value a band for a window of any size; say which size patches have'
            return Geometry(inputs, bands, True, reason=reason, tried=base.tried)
        reaches: dict[str, tuple[Reach, Reach]] = {}
        reason = ''
        try:
            for name in base.images.inputs:
                reaches[name] = self._verified_strides(output, name)
            reaches = self._verified(output, reaches)
        except ModelError as error:
            reason = str(error)
        inputs = {name: self._described(output, name, None if reason else reaches[name]) for name in base.images.inputs}
        tried = f'{base.tried}, strips of up to {self._longest} pixels'
        return Geometry(inputs, bands, reason=reason, tried=tried)

    def _described(self, output: str, name: str, reach: tuple[Reach, Reach] | None) -> InputGeometry:
        """The geometry of an output on an input, from its reach along columns and rows."""
        shape, ratio = self._base.shapes[output], self._images.ratios[name]
        if shape is None:
            raise ModelError(f'The output {output} is no image.')
        lost = tuple(item * ratio for item in shape.lost)
        if any(item.denominator != 1 for item in lost):
            raise ModelError(f'The output {output} begins within a pixel of {name}.')
        pixels = int(lost[0]), int(lost[1])
        scale = shape.scale / ratio
        if reach is None:
            middle = Fraction(pixels[0], 2), Fraction(pixels[1], 2)
            return InputGeometry(None, self._base.step(name), scale, middle, pixels, ratio)
        starts = offset(reach[0], pixels[0], scale), offset(reach[1], pixels[1], scale)
        sides = []
        for item, start in zip(reach, starts):
            first = math.ceil(start)
            sides.append((max(first - item.low, 0), max(item.high - first - item.stride + 1, 0)))
        (left, right), (top, bottom) = sides
        return InputGeometry(ReceptiveField(left, top, right, bottom), reach[0].stride, scale, starts, pixels, ratio)

    def _verified_strides(self, output: str, name: str, factor: int = 1) -> tuple[Reach, Reach]:
        """The reach along columns and rows, with one stride for both."""
        found = [self._stride(output, name, axis, before) for axis in (1, 0) for before in (True, False)]
        stride = factor * math.lcm(*(item for item, _ in found))
        (left, right), (top, bottom) = (
            [
                self._extreme(output, name, axis, before, strips, stride)
                for (_, strips), before in zip(pair, (True, False))
            ]
            for axis, pair in ((1, found[:2]), (0, found[2:]))
        )
        return Reach(left, right, stride), Reach(top, bottom, stride)

    def _stride(self, output: str, name: str, axis: int, before: bool) -> tuple[int, Strips]:
        """The stride to one side, and strips that are long enough to tell.

        Raises:
            ModelError: none are, or it repeats with no stride.
        """
        scale = self._scale(output, name)
        for doubling in range(1, DOUBLINGS + 1):
            strips = self._strips_of(axis, self._base.unit << doubling)
            if strips is None:
                break
            start = self._middle(strips, name)
            if self._too_short(strips, output, self._seen(strips, output, name, before, start)):
                continue
            span, longest = 2, 2 * self._base.unit
            while span <= longest:
                seen = self._between(strips, output, name, before, start, start + span)
                if any(self._too_short(strips, output, item) for item in seen):
                    break
                stride = period(seen, scale)
                if stride:
                    return stride, strips
                span *= 2
        raise ModelError(
            f'The output {output} depends on pixels of {name} more than {self._longest // 2} pixels away, or on the '
            'whole image'
        )

    def _extreme(self, output: str, name: str, axis: int, before: bool, strips: Strips, stride: int) -> int:
        """The first pixel that a block depends on, or the last; counted from where a block would begin if nothing was
        lost."""
        scale = self._scale(output, name)
        if (stride * scale).denominator != 1:
            raise ModelError(f'The output {output} repeats with no whole number of pixels of {name}')
        start = self._middle(strips, name)
        seen = self._between(strips, output, name, before, start, start + stride - 1)
        found = [
            start + i - before - item // int(stride * scale) * stride for i, item in enumerate(seen) if item is not None
        ]
        if not found:  # it does not look at this input
            return 0 if before else stride - 1
        return min(found) if before else max(found)

    def _seen(self, strips: Strips, output: str, name: str, before: bool, border: int) -> int | None:
        """The furthest pixel of the output that notices."""
        found = strips.notice(output, name, before, border)
        return None if found is None else found[1] if before else found[0]

    def _between(self, strips: Strips, output: str, name: str, before: bool, low: int, high: int) -> list[int | None]:
        """The furthest pixels that notice, for all borders from `low` to `high`."""
        first, last = (self._seen(strips, output, name, before, border) for border in (low, high))
        if first == last or high - low < 2:
            return [first] * (high - low) + [last]
        middle = (low + high) // 2
        return [
            *self._between(strips, output, name, before, low, middle)[:-1],
            *self._between(strips, output, name, before, middle, high),
        ]

    def _strips_of(self, axis: int, length: int) -> Strips | None:
        """Strips of a length; None where they cannot be computed."""
        if (axis, length) not in self._strips:
            try:
                shapes = {name: shape for name, shape in self._base.shapes.items() if shape is not None}
                self._strips[axis, length] = Strips(self._images, axis, self._base.width, length, shapes)
            except ModelError:  # too much memory, as smaller ones of the kind have been computed
                self._strips[axis, length] = None
        if self._strips[axis, length] is not None:
            self._longest = max(self._longest, length)
        return self._strips[axis, length]

    def _middle(self, strips: Strips, name: str) -> int:
        return int(strips.length // 2 * self._images.ratios[name])

    def _too_short(self, strips: Strips, output: str, seen: int | None) -> bool:
        """Whether the change is noticed so near to an end of the strip that it would be noticed further on."""
        shape = self._base.shapes[output]
        margin = int(self._base.unit // 2 * shape.scale) if shape else 0
        return seen is not None and not margin < seen < strips.out_length(output) - 1 - margin

    def _scale(self, output: str, name: str) -> Fraction:
        shape = self._base.shapes[output]
        return (shape.scale if shape else Fraction(1)) / self._images.ratios[name]

    def _verified(self, output: str, reaches: Mapping[str, tuple[Reach, Reach]]) -> dict[str, tuple[Reach, Reach]]:
        """The reach by input, with strides for which a window gives what the whole image gives.

        Raises:
            ModelError: there are none.
        """
        for factor in _FACTORS:
            trial = {
                name: pair if factor == 1 else self._verified_strides(output, name, factor)
                for name, pair in reaches.items()
            }
            if holds(self._base, output, trial):
                return trial
        strides = ', '.join(str(pair[0].stride) for pair in reaches.values())
        raise ModelError(
            f'What the output {output} is for a pixel depends on more than its surroundings (a stride of {strides} was '
            'measured)'
        )
