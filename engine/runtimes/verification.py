"""Whether what was measured of a model holds: a window gives what the whole image gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from ..errors import ModelError
from .arrays import image_of
from .reach import Reach
from .sizes import Base
from .strips import LEVELS

TOLERANCE = 1e-5  # relative; what a window may differ from the whole image


def holds(base: Base, output: str, reaches: Mapping[str, tuple[Reach, Reach]]) -> bool:
    """Whether a block of the output, computed from what it depends on, is as it is in a larger image."""
    ratios, shape = base.images.ratios, base.shapes[output]
    if shape is None:
        return False
    stride = math.lcm(*((ratios[name] / pair[0].stride).denominator for name, pair in reaches.items()))
    spans = []
    for axis in (0, 1):
        low = min(Fraction(pair[axis].low) / ratios[name] for name, pair in reaches.items())
        high = max(Fraction(pair[axis].high + 1 - pair[axis].stride) / ratios[name] for name, pair in reaches.items())
        before, after = max(math.ceil(-low / stride), 0), max(math.ceil(high / stride), 0)
        spans.append((before, after))
    count = int(stride * shape.scale)
    # Blocks on both sides of what a block depends on, along columns and rows.
    wholes = [-(-(before + after + 3) * stride // base.unit) * base.unit for before, after in spans]
    expected = _values(base, output, wholes, None)
    for further in (0, 1, 3, 7, 15, 31):
        lengths = [(before + 1 + after + further) * stride for before, after in spans]
        if any(length > whole - stride for length, whole in zip(lengths, wholes)) and further:
            return False
        try:
            found = _values(base, output, wholes, [(stride, stride + length) for length in lengths])
        except ModelError:
            continue
        (left, _), (top, _) = spans
        mine = found[:, top * count : (top + 1) * count, left * count : (left + 1) * count]
        theirs = expected[:, (top + 1) * count : (top + 2) * count, (left + 1) * count : (left + 2) * count]
        return _same(mine, theirs)
    return False


def _values(base: Base, output: str, whole: list[int], part: list[tuple[int, int]] | None) -> np.ndarray:
    """The output for a random image of (columns, rows), or for a part of that image."""
    images = base.images
    feeds = {}
    for name, (rows, cols) in images.sizes(whole[0], whole[1]).items():
        image = images.random(name, rows, cols, LEVELS[-1])
        if part is not None:
            across, down = (slice(*(int(edge * images.ratios[name]) for edge in edges)) for edges in part)
            image = image[down, across]
        feeds[name] = image[None]
    cols, rows = whole if part is None else [last - first for first, last in part]
    shape = base.shapes[output]
    if shape is None:
        raise ModelError(f'The output {output} is no image.')
    return image_of(images.run(feeds)[output], 1, *shape.size(cols, rows))


def _same(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether values are equal but for rounding."""
    if found.shape != expected.shape or not found.size:
        return False
    limit = TOLERANCE if found.dtype.kind != 'f' else max(TOLERANCE, 8 * float(np.finfo(found.dtype).eps))
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    return bool(difference <= limit * max(1.0, float(np.abs(expected).max())))
