"""Pixels of one grid in pixels of another, with exact ratios."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def scaled(positions: np.ndarray, ratio: Fraction, offset: Fraction) -> tuple[np.ndarray, int]:
    """``positions · ratio + offset`` as whole numbers over a common denominator.

    Args:
        positions: whole numbers, such as first pixels of patches.
        ratio, offset: of a `grid.Relation`, along one axis.

    Returns:
        Numerators (int64), and the denominator.
    """
    numerators = positions * (ratio.numerator * offset.denominator) + offset.numerator * ratio.denominator
    return numerators, ratio.denominator * offset.denominator
