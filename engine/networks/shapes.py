"""What a network is to take, and what it is to say."""

from __future__ import annotations

import dataclasses
from fractions import Fraction


@dataclasses.dataclass(frozen=True)
class SourceShape:
    """What a network takes of a source.

    Attributes:
        name: of the input layer, and so of the exported signature's input.
        bands: their number.
        mean, stddev: of each band; the network takes raw pixels and normalises them itself.
        ratio: pixels along an axis for one of the first source.
        patch_size: (columns, rows) of the training patches; (0, 0) where it is not known.
    """

    name: str
    bands: int
    mean: tuple[float, ...]
    stddev: tuple[float, ...]
    ratio: Fraction = Fraction(1)
    patch_size: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class Head:
    """What a network says.

    Attributes:
        task: ``segmentation``, ``classification`` or ``regression``.
        channels: classes, or values of a regression.
        per_pixel: a vector for each pixel of the first source; else one for the whole patch.
        regression: the vector holds values, not probabilities of classes.
    """

    task: str
    channels: int
    per_pixel: bool
    regression: bool = False

    @property
    def output(self) -> str:
        """The name of the network's output."""
        return 'values' if self.regression else 'probabilities'
