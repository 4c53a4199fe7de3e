"""How numbers become what a network takes, and back: the formulas of Tensor/IO's model.json."""

from __future__ import annotations

import dataclasses

import numpy as np

STANDARDS = {  # -> scale and bias, in front of the network and behind it
    '[0,1]': ((1 / 255, 0.0), (255.0, 0.0)),
    '[-1,1]': ((2 / 255, -1.0), (127.5, 1.0)),
}
COLOURS = ('r', 'g', 'b')


@dataclasses.dataclass(frozen=True)
class Scaling:
    """One of the four ways to scale numbers; which, depends on where it stands in the description.

    Attributes:
        standard: one of `STANDARDS`; empty: by scale and bias.
        scale: factor.
        bias: one for all, or one for each of red, green and blue.
    """

    standard: str = ''
    scale: float = 1.0
    bias: tuple[float, ...] = (0.0,)

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """``scale * x + bias``: pixels for a network, or what its quantised output means."""
        scale, bias = STANDARDS[self.standard][0] if self.standard else (self.scale, self.bias)
        return np.asarray(values, np.float32) * np.float32(scale) + np.asarray(bias, np.float32)

    def denormalise(self, values: np.ndarray) -> np.ndarray:
        """``(y + bias) * scale`` as bytes, cut off: pixels of an output, or values for a quantised input. What bytes
        do not hold becomes 0 or 255."""
        scale, bias = STANDARDS[self.standard][1] if self.standard else (self.scale, self.bias)
        scaled = (np.asarray(values, np.float32) + np.asarray(bias, np.float32)) * np.float32(scale)
        return np.clip(scaled, 0, 255).astype(np.uint8)


def swap_colours(pixels: np.ndarray) -> np.ndarray:
    """Red, green, blue (…, 3) as blue, green, red, and the other way round."""
    return pixels[..., ::-1]
