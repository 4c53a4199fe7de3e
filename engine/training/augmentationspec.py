"""What augmentation may do to samples, and its bounds (no numpy here)."""

from __future__ import annotations

import dataclasses
import math

from ..errors import InvalidJob


@dataclasses.dataclass(frozen=True)
class AugmentationSpec:
    """What may be done to samples. The defaults leave their values alone.

    Attributes:
        flips: mirror them left to right and top to bottom.
        rotations: turn them by 90 degrees; patches that are not square by 180 only.
        gain: each band's contrast about its mean is multiplied with 1 - gain to 1 + gain.
        offset: each band is shifted by up to so many of its standard deviations.
        noise: standard deviation of what is added to each value, in standard deviations of the band.
        band_drop: probability that a band is replaced by its mean; one of each source always stays.
        crop: columns and rows, of the first source, of the part that is cut out at random; 0 takes all.
    """

    flips: bool = True
    rotations: bool = True
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    band_drop: float = 0.0
    crop: int = 0


def check_spec(spec: AugmentationSpec) -> None:
    """Raise `InvalidJob` for a spec out of bounds."""
    for name, value in (('gain', spec.gain), ('offset', spec.offset), ('noise', spec.noise)):
        if not 0 <= value < math.inf:
            raise InvalidJob(f'augment: {name} {value}: must be at least 0.')
    if not 0 <= spec.band_drop < 1:
        raise InvalidJob(f'augment: band_drop {spec.band_drop}: must be at least 0 and less than 1.')
