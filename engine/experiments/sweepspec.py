"""What a sweep tries: settings by dotted key, and how they are combined."""

from __future__ import annotations

import dataclasses
from typing import Any

METHODS = ('grid', 'random')
SCALES = ('linear', 'log')


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers to draw from.

    Attributes:
        minimum, maximum: both may be drawn. Of a whole number both are whole.
        scale: one of `SCALES`; ``log`` draws the logarithm evenly.
    """

    minimum: float
    maximum: float
    scale: str = 'linear'


@dataclasses.dataclass(frozen=True)
class SweepSpec:
    """Which runs a sweep consists of.

    Attributes:
        method: one of `METHODS`: every combination, or `count` that are drawn.
        parameters: the values to try by dotted key, such as ``train.learning_rate``: a list or, where they are drawn, a
            `Range`.
        count: runs that are drawn; 0 for a grid.
        seed: of the drawing.
    """

    method: str
    parameters: dict[str, list[Any] | Range]
    count: int = 0
    seed: int = 0
