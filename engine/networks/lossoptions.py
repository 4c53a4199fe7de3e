"""The options of each loss: names, defaults and bounds (no TensorFlow here)."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..options import bounded


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """Of losses without any."""


@dataclasses.dataclass(frozen=True)
class FocalOptions:
    """Attributes:
    gamma: how much less pixels count that are known already; with 0 it is the cross-entropy.
    """

    gamma: float = bounded(2.0, least=0)


@dataclasses.dataclass(frozen=True)
class DiceOptions:
    """Attributes:
    smooth: pixels that each class is taken to have right, so that few pixels make no large steps.
    """

    smooth: float = bounded(1.0, least=0)


@dataclasses.dataclass(frozen=True)
class TverskyOptions:
    """Attributes:
    alpha, beta: what pixels cost that a class has too many, and too few.
    smooth: as in `DiceOptions`.
    """

    alpha: float = bounded(0.3, least=0)
    beta: float = bounded(0.7, least=0)
    smooth: float = bounded(1.0, least=0)


@dataclasses.dataclass(frozen=True)
class HuberOptions:
    """Attributes:
    delta: the error from which on it counts linearly, in units of the values.
    """

    delta: float = bounded(1.0, least=1e-12)


# The first of each is the one that ``auto`` stands for.
OF_CLASSES: dict[str, Any] = {
    'crossentropy': NoOptions,
    'focal': FocalOptions,
    'dice': DiceOptions,
    'tversky': TverskyOptions,
}
OF_VALUES: dict[str, Any] = {'huber': HuberOptions, 'mse': NoOptions, 'mae': NoOptions}
