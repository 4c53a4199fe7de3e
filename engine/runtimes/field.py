"""The receptive field and stride of a network that nothing is known of, measured by looking at what changes.

Half of an image is replaced, and the furthest output pixel that notices is found, for borders at one pixel after the
other. Half-planes, as single pixels at the rim of a field change the output by less than float32 resolves. The
replacements are other random values, and NaN, which survives what would hide a change (a rectifier that is off, a
maximum taken elsewhere).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import ModelError
from ..model_package.card import ReceptiveField

Network = Callable[[np.ndarray], np.ndarray]
UNITS = (64, 60, 56)  # sizes tried are multiples of these, and so of the strides up to 16 and of most others
DOUBLINGS = 6
LEVELS = (1.0, 1000.0)  # of the random inputs: networks may want reflectances or digital numbers
TOLERANCE = 1e-5  # relative; what a window may differ from the whole image


def measure_field(network: Network, bands: int, dtype: str = 'float32', seed: int = 0) -> tuple[ReceptiveField, int]:
    """Receptive field and total stride, as `card.InputCard` has them.

    Args:
        network: from (batch, rows, columns, bands) to (batch, rows, columns, any); raises `ModelError` for sizes that
            it cannot take.
        bands, dtype: of the input.
        seed: of the random inputs.

    Raises:
        ModelError: the field is not bounded, or no size that was tried is taken.
    """
    refused = ''
    for unit in UNITS:
        for doubling in range(1, DOUBLINGS + 1):
            probe = _Probe(network, unit, unit << doubling, bands, dtype, seed)
            try:
                sides = [_side(probe, axis, mirrored) for axis in (1, 0) for mirrored in (False, True)]
            except ModelError as error:
                refused = str(error)
                break
            if None not in sides:
                return _verified(probe, [side for side in sides if side is not None])
        else:
            raise ModelError(
                f'The output of the model depends on pixels more than {(unit << DOUBLINGS) // 2} pixels away, or on '
                'the whole image; such a model cannot be mapped tile by tile.'
            )
    raise ModelError(
        f'The receptive field cannot be measured: no window of a multiple of {UNITS} pixels works: {refused}'
    )


class _Probe:
    """Random strips of an image, and what the network makes of them. Strips are `length` long and `width` wide."""

    def __init__(self, network: Network, width: int, length: int, bands: int, dtype: str, seed: int) -> None:
        self.network = network
        self.unit, self.length, self.bands, self.dtype = width, length, bands, np.dtype(dtype)
        rng = np.random.default_rng(seed)
        shape = (width, length, bands)
        self._strips, self._others = (
            [(rng.random(shape) * level).astype(dtype) for level in LEVELS for _ in range(2)] for _ in range(2)
        )
        if self.dtype.kind == 'f':
            self._others[::2] = [np.full(shape, np.nan, dtype) for _ in self._others[::2]]
        self._plain: dict[int, np.ndarray] = {}

    def notice(self, axis: int, mirrored: bool, border: int) -> int:
        """The last pixel along `axis` (0 rows, 1 columns) that notices that all before `border` is replaced; -1: none.

        Mirrored: counted from the other end, for a replacement of all behind.
        """
        strips = np.stack(self._strips)
        strips[:, :, :border] = np.stack(self._others)[:, :, :border]
        plain = np.stack(self._strips)
        if mirrored:
            strips = strips[:, :, ::-1]
            plain = plain[:, :, ::-1]
        key = 2 * axis + mirrored
        if key not in self._plain:
            self._plain[key] = self._run(plain, axis)
        with np.errstate(invalid='ignore'):
            changed = self._run(strips, axis) != self._plain[key]
        changed &= ~np.isnan(self._plain[key])
        along = changed.any((0, 1, 3))
        if mirrored:
            along = along[::-1]
        return int(np.flatnonzero(along)[-1]) if along.any() else -1

    def _run(self, strips: np.ndarray, axis: int) -> np.ndarray:
        """The network's output for strips along an axis, turned back so that columns run along the strip."""
        turned = strips.swapaxes(1, 2) if axis == 0 else strips
        values = self.network(np.ascontiguousarray(turned))
        if values.ndim != 4 or values.shape[:3] != turned.shape[:3]:
            raise ModelError(f'The model gives {values.shape[1:3]} rows and columns for {turned.shape[1:3]}.')
        return values.swapaxes(1, 2) if axis == 0 else values


def _side(probe: _Probe, axis: int, mirrored: bool) -> tuple[int, int] | None:
    """(pixels of the field to one side, stride along the axis); None where the strip is too short to tell."""
    start = probe.length // 2
    noticed: list[int] = []
    for stride in range(1, probe.unit + 1):
        while len(noticed) <= 2 * stride:
            last = probe.notice(axis, mirrored, start + len(noticed))
            if last >= probe.length - 1 - probe.unit // 2:
                return None
            noticed.append(last)
        if noticed[0] < 0:
            return 0, 1
        if all(noticed[i + stride] - noticed[i] == stride for i in range(stride + 1)):
            # From the far end of a strip, whose length is a multiple of the stride, phases count the same.
            reach = (last // stride * stride - (start + i - 1) for i, last in enumerate(noticed))
            return max(0, *reach), stride
    return None


def _verified(probe: _Probe, sides: list[tuple[int, int]]) -> tuple[ReceptiveField, int]:
    """The field of the four sides (left, right, top, bottom), after a window gave what the whole image gives."""
    (left, _), (right, _), (top, _), (bottom, _) = sides
    stride = math.lcm(*(stride for _, stride in sides))
    field = ReceptiveField(left, top, right, bottom)
    before, after = (-(-max(pair) // stride) * stride for pair in ((left, top), (right, bottom)))
    middle = -(-before // stride) * stride + stride
    whole = np.random.default_rng(1).random((1, *[middle + 3 * stride + after] * 2, probe.bands)) * LEVELS[-1]
    whole = whole.astype(probe.dtype)
    window = slice(middle - before, middle + stride + after)
    expected = probe.network(whole)[:, middle : middle + stride, middle : middle + stride]
    inner = slice(before, before + stride)
    found = probe.network(np.ascontiguousarray(whole[:, window, window]))[:, inner, inner]
    if not np.abs(found - expected).max() <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ModelError(
            f'What the model gives for a pixel depends on more than its surroundings (field {field}, stride {stride} '
            'measured); such a model cannot be mapped tile by tile.'
        )
    return field, stride
