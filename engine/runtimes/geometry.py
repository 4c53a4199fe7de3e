"""How the output of a model lies on its inputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..errors import ModelError
from ..model_package.card import ReceptiveField

Pair = tuple[Fraction, Fraction]


@dataclasses.dataclass(frozen=True)
class InputGeometry:
    """How the output lies on one input. Pairs are (columns, rows); all lengths are in pixels of this input.

    The output of a window stands for the ground that begins `offset` after the window's start, and is shorter than the
    window by `lost`. Both are 0 where the network pads its input with zeros, say.

    Attributes:
        field: pixels beyond a block of ground that the output there depends on, to each side; the block begins at the
            nearest whole pixel from `offset` on, or a whole number of strides further. With stride 1 a block is a
            pixel. None where it is not known, or has no bounds.
        stride: the shift of the input that makes the output shift and not otherwise change; windows are multiples of
            it.
        scale: pixels of the output for one of the input, along an axis.
        offset: to the ground of the first pixel of the output; a multiple of one half, as the centre of what a pixel
            depends on is that of its ground.
        lost: by which the ground of an output is shorter than the window.
        ratio: pixels of this input for one of the first.
    """

    field: ReceptiveField | None = None
    stride: int = 1
    scale: Fraction = Fraction(1)
    offset: Pair = (Fraction(0), Fraction(0))
    lost: tuple[int, int] = (0, 0)
    ratio: Fraction = Fraction(1)

    @property
    def width(self) -> int:
        """Pixels of the larger axis that one pixel of the output depends on at most; 0 where it is not known."""
        if self.field is None:
            return 0
        # A pixel of the output may stand for several of the input.
        return self.field.width - 1 + max(1, math.ceil(1 / self.scale))


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How the outputs of a model lie on its inputs.

    Attributes:
        inputs: by name.
        bands: of each output.
        patches: the model gives one value a band for a whole window.
        size: (columns, rows) of each input, where the model takes windows of one size only; else empty.
        reason: why there is no receptive field; empty where there is one.
        tried: what was tried, for the log.
    """

    inputs: dict[str, InputGeometry]
    bands: dict[str, int]
    patches: bool = False
    size: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    reason: str = ''
    tried: str = ''

    def describe(self) -> str:
        """A line for the log."""
        parts = []
        for name, item in self.inputs.items():
            if item.field is not None:
                field = item.field
                text = f'{field.left} left, {field.top} top, {field.right} right, {field.bottom} bottom'
            else:
                text = 'unknown'
            parts.append(f'{name}: receptive field {text}; stride {item.stride}, scale {item.scale}')
        fixed = ', '.join(f'{name} {cols} x {rows}' for name, (cols, rows) in self.size.items())
        parts += [f'windows of {fixed} pixels only'] if fixed else []
        parts += [self.reason] if self.reason else []
        return '; '.join([*parts, f'tried {self.tried}'] if self.tried else parts)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        data = dataclasses.asdict(self)
        for item in data['inputs'].values():
            item.update(
                scale=str(item['scale']), ratio=str(item['ratio']), offset=[str(part) for part in item['offset']]
            )
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Geometry:
        """What `to_dict` gave; `KeyError`, `TypeError` or `ValueError` where it is something else."""
        inputs = {}
        for name, item in data['inputs'].items():
            field = ReceptiveField(**item['field']) if item['field'] else None
            x, y = (Fraction(part) for part in item['offset'])
            cols, rows = item['lost']
            scale, ratio = Fraction(item['scale']), Fraction(item['ratio'])
            inputs[name] = InputGeometry(field, int(item['stride']), scale, (x, y), (int(cols), int(rows)), ratio)
        size = {name: (int(cols), int(rows)) for name, (cols, rows) in data['size'].items()}
        bands = {name: int(count) for name, count in data['bands'].items()}
        return cls(inputs, bands, bool(data['patches']), size, str(data['reason']), str(data['tried']))


def union(found: Mapping[str, Geometry]) -> Geometry:
    """The geometry of several outputs that are computed together.

    Args:
        found: the geometry of each output.

    Raises:
        ModelError: they lie on the inputs in different ways.
    """
    (first, whole), *others = found.items()
    for name, other in others:
        for key, item in whole.inputs.items():
            mine = other.inputs[key]
            if (item.scale, item.offset, item.lost) != (mine.scale, mine.offset, mine.lost) or (
                whole.patches != other.patches
            ):
                raise ModelError(
                    f'The outputs {first} and {name} lie differently on the input {key}, at a scale of {item.scale} '
                    f'and {mine.scale} and with {item.lost[0]} and {mine.lost[0]} columns lost; map them one by one.'
                )
        inputs = {key: _joined(item, other.inputs[key]) for key, item in whole.inputs.items()}
        reason = whole.reason or other.reason
        whole = dataclasses.replace(whole, inputs=inputs, bands={**whole.bands, **other.bands}, reason=reason)
    return whole


def _joined(a: InputGeometry, b: InputGeometry) -> InputGeometry:
    """Of an input, for two outputs at once."""
    stride = math.lcm(a.stride, b.stride)
    if a.field is None or b.field is None:
        return dataclasses.replace(a, field=None, stride=stride)
    sides = (max(pair) for pair in zip(dataclasses.astuple(a.field), dataclasses.astuple(b.field)))
    return dataclasses.replace(a, field=ReceptiveField(*sides), stride=stride)
