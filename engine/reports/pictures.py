"""Pixels as people see them: which bands, how bright, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

_RED_GREEN_BLUE = ('red', 'green', 'blue')
# After viridis, by Smith and van der Walt: even steps to the eye, also to the colour-blind one.
_RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def visible_bands(names: Sequence[str]) -> list[int]:
    """Which bands to show as red, green and blue: those called so, else the usual order of such images."""
    lower = [name.lower() for name in names]
    if all(colour in lower for colour in _RED_GREEN_BLUE):
        return [lower.index(colour) for colour in _RED_GREEN_BLUE]
    if len(names) < 3:
        return [0, 0, 0]
    # Photographs come as red, green, blue; satellite images begin with the shortest wavelength.
    return [0, 1, 2] if len(names) == 3 else [2, 1, 0]


def stretched(pixels: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Pixels (..., 3) as bytes, stretched so that two in a hundred of those that count are black, and two white.

    Args:
        counted: booleans (...).
    """
    inside = pixels[counted] if counted.any() else pixels.reshape(-1, pixels.shape[-1])
    low, high = np.percentile(inside, [2, 98], axis=0)
    with np.errstate(invalid='ignore'):
        levels = np.clip((pixels - low) / np.maximum(high - low, 1e-6), 0, 1)
    return (np.nan_to_num(levels) * 255).astype(np.uint8)


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as colours (..., 3) in bytes, from dark blue over green to yellow."""
    places = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    stops = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(places, stops, [stop[i] for stop in _RAMP]) for i in range(3)], -1).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """An array (rows, columns, 3) of bytes as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'PNG', optimize=True)
    return stream.getvalue()
