"""What a model is fed: windows of the image, no-data filled, and whether the image is one for this model."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import BandMismatch
from ..events import Reporter
from ..model_package.card import InputCard
from ..nodata import fill_invalid, valid_pixels
from ..raster import RasterStack, format_nodata, unformat_nodata
from .plan import Tile

_SAME_SIZE = 0.1  # relative difference in pixel size that a model takes without a warning


@dataclasses.dataclass(frozen=True)
class Part:
    """What is read for a tile: the model's input (rows, columns, bands) of its window, and where the tile itself
    (rows, columns) has data."""

    pixels: np.ndarray
    valid: np.ndarray


class Reader:
    """Reads windows as the model is fed. Several threads may use it.

    A pixel is no-data where the user says so; if they say nothing, where the file or the package does.

    Args:
        source: the image.
        card: what the model wants.
    """

    def __init__(self, source: RasterStack, card: InputCard) -> None:
        self._source = source
        self._card = card
        self._nodata = [source.nodata]
        if not source.spec.nodata.strip() and card.nodata:
            self._nodata.append(unformat_nodata(card.nodata))

    def read(self, tile: Tile) -> Part:
        """The window of a tile; mirrored where it reaches over the edges of the image."""
        pixels = self._source.read_padded(tile.window)
        valid = np.ones(pixels.shape[:-1], bool)
        for nodata in self._nodata:
            valid &= valid_pixels(pixels, nodata, self._card.nodata_policy)
        return Part(fill_invalid(pixels, valid, self._card.fill, self._card.dtype), valid[tile.inner])

    def describe_nodata(self) -> str:
        """The no-data values that count, for the log."""
        known = [' '.join(text or 'none' for text in format_nodata(values)) for values in self._nodata]
        return ' and '.join(dict.fromkeys(known))

    @property
    def pixel_bytes(self) -> int:
        """Bytes that a pixel takes while it is read: as it is in the file, as it is fed, and masks."""
        return len(self._source.bands) * (self._source.dtype.itemsize + np.dtype(self._card.dtype).itemsize) + 2


def require_bands(source: RasterStack, card: InputCard) -> None:
    """Raise `BandMismatch` where the image has not as many bands as the model wants."""
    found, wanted = len(source.bands), len(card.bands)
    if found != wanted:
        raise BandMismatch(
            f'{", ".join(source.spec.rasters)}: {found} band{"s" if found != 1 else ""}, but the model wants {wanted} '
            f'({", ".join(card.bands)}). Give the bands it was trained with, in that order.'
        )


def warn_of_differences(source: RasterStack, card: InputCard, reporter: Reporter) -> None:
    """Tell of what makes a model work badly without making it fail."""
    trained, here = card.pixel_size, source.grid.pixel_size
    if any(old > 0 and abs(new / old - 1) > _SAME_SIZE for old, new in zip(trained, here)):
        reporter.warn(
            f'A pixel is {here[0]:g} x {here[1]:g} map units, in the training data it was {trained[0]:g} x '
            f'{trained[1]:g}: the model sees things at another size than it learnt them. Resample the image ("Warp") '
            'for a good map.'
        )
    if source.bands != card.bands and sorted(source.bands) == sorted(card.bands):
        reporter.warn(
            f'The bands are in another order ({", ".join(source.bands)}) than the model was trained with '
            f'({", ".join(card.bands)}); they are used in the order given.'
        )
