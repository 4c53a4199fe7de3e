"""What an output depends on along an axis of an input, and what follows from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction


@dataclasses.dataclass(frozen=True)
class Reach:
    """What a block of the output depends on along an axis of an input: from `low` to `high`, in pixels from where the
    block would begin if nothing was lost at the window's start. A block is `stride` pixels of the input long."""

    low: int
    high: int
    stride: int


def period(seen: Sequence[int | None], scale: Fraction) -> int:
    """The stride with which what is noticed repeats; 0 where it cannot be told yet."""
    if all(item is None for item in seen):
        return 1
    known = [item for item in seen if item is not None]
    if len(known) < len(seen):
        return 0
    for stride in range(1, (len(seen) - 1) // 2 + 1):
        shift = stride * scale
        if shift.denominator == 1 and all(known[i + stride] - known[i] == shift for i in range(stride + 1)):
            return stride
    return 0


def offset(reach: Reach, lost: int, scale: Fraction) -> Fraction:
    """Where the ground of a window's output begins: so that a block lies in the middle of what it depends on.

    Networks that pad their input, shrink it, enlarge it again and then cut off a margin see unevenly far to both sides,
    and those with padded kernels of even size do; their margins are taken to be even.
    """
    if not lost:
        return Fraction(0)
    middle = Fraction(reach.low + reach.high + 1 - reach.stride, 2)
    enlarges = reach.stride * scale > 1 and lost % 2 == 0
    uneven = reach.stride == 1 and middle.denominator > 1
    return Fraction(lost, 2) if enlarges or uneven else middle
