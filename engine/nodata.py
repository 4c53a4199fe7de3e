"""Pixels without data: which they are, and what a network is fed there; the same for training and for serving."""

from __future__ import annotations

import numpy as np


def valid_pixels(pixels: np.ndarray, nodata: tuple[float | None, ...], policy: str) -> np.ndarray:
    """Where pixels hold data.

    Args:
        pixels: (..., bands) of any type.
        nodata: a value a band, or None. NaN and infinities in floating point are always no-data.
        policy: ``any``: a pixel is no-data if any band is; ``all``: if all bands are; ``ignore``: only pixels
            that are not finite in some band.

    Returns:
        Booleans (...), True where there is data.
    """
    shape = pixels.shape[:-1]
    floating = pixels.dtype.kind == 'f'
    finite = np.isfinite(pixels).all(-1) if floating else np.ones(shape, bool)
    known = [value is not None and not np.isnan(value) for value in nodata]
    if policy == 'ignore' or not any(known):
        return finite
    missing = np.stack(
        [pixels[..., i] == value if known[i] else np.zeros(shape, bool) for i, value in enumerate(nodata)],
        -1,
    )
    if policy == 'all':
        # A band without a no-data value never is; then only bands that have one decide.
        return finite & ~missing[..., known].all(-1)
    return finite & ~missing.any(-1)


def fill_invalid(pixels: np.ndarray, valid: np.ndarray, fill: tuple[float, ...], dtype: str = 'float32') -> np.ndarray:
    """Pixels as the network is fed: converted to `dtype`, and the band's `fill` where `valid` is False."""
    out = pixels.astype(dtype)
    if not valid.all():
        out[~valid] = np.asarray(fill, dtype) if fill else 0
    return out
