"""What a model is fed: windows of the images, no-data filled, and whether the images are ones for this model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..errors import BandMismatch
from ..events import Reporter
from ..grid import Window
from ..jobs import ServeJob
from ..model_package.card import InputCard
from ..nodata import fill_invalid, valid_pixels
from ..raster import RasterStack, format_nodata, unformat_nodata
from ..runtimes.arrays import cast
from .frame import Frame, around, under, within
from .masks import Mask
from .plan import Tile

_SAME_SIZE = 0.1  # relative difference in pixel size that a model takes without a warning


@dataclasses.dataclass(frozen=True)
class Part:
    """What is read for a tile: of each source the model's input (rows, columns, bands) for the tile's window, and
    where the tile itself (rows, columns of the map) has data; no pixels where it is not wanted at all."""

    pixels: tuple[np.ndarray, ...]
    valid: np.ndarray


class Reader:
    """Reads windows as the model is fed. Several threads may use it.

    A pixel is no-data where the user says so; if they say nothing, where the file or the package does. A pixel of the
    map has data where every source has, in any pixel under it, and none where a source does not reach. In the OTBTF
    modes only what the user says is no-data, in all bands, and a block of the map has data where anything that is read
    for it has.

    Args:
        sources: the images.
        cards: what the model wants of each.
        frame: of the map.
        job: whose padding and mode count.
        masks: only what all of them say is wanted is mapped.
    """

    def __init__(
        self,
        sources: list[RasterStack],
        cards: tuple[InputCard, ...],
        frame: Frame,
        job: ServeJob,
        masks: Sequence[Mask] = (),
    ) -> None:
        self._masks = masks
        self._sources = [_Source(source, card, job) for source, card in zip(sources, cards)]
        self._frame = frame

    def read(self, tile: Tile) -> Part:
        """The windows of a tile; padded where they reach over the edges of an image."""
        pixels, valid = [], np.ones((tile.ground.height, tile.ground.width), bool)
        for mask in self._masks:
            valid &= mask.read(tile.ground)
        if not valid.any():
            return Part((), valid)
        frame = self._frame
        for number, (source, window) in enumerate(zip(self._sources, frame.windows(tile.window))):
            read, with_data = source.read(window)
            pixels.append(read)
            used, along = within(with_data, window, source.grid.window), frame.sources[number]
            if frame.blocks:
                valid &= around(used, window, tile.ground, along, frame.unit, frame.blocks[number])
            else:
                valid &= under(used, window, tile.ground, along)
        return Part(tuple(pixels), valid)

    def values(self, number: int, window: Window, wanted: np.ndarray) -> np.ndarray:
        """The pixels with data in a window of a source, (pixels, bands), as the model is fed.

        Args:
            wanted: (rows, columns) booleans: others do not count.
        """
        pixels, valid = self._sources[number].read(window)
        return pixels[valid & wanted]

    def describe_nodata(self) -> str:
        """The no-data values that count, for the log."""
        return '; '.join(source.describe_nodata() for source in self._sources)

    @property
    def pixel_bytes(self) -> float:
        """Bytes that a pixel of the map takes while it is read: as it is in the files, as it is fed, and masks."""
        sizes = [float(across.step * down.step) for across, down in self._frame.sources]
        return sum(size * source.pixel_bytes for size, source in zip(sizes, self._sources))


class _Source:
    """An image, read as one input of the model."""

    def __init__(self, source: RasterStack, card: InputCard, job: ServeJob) -> None:
        self._source, self._card = source, card
        self.grid = source.grid
        self._padding, self._beyond = job.padding, job.padding_value
        self._policy = source.spec.nodata_policy or card.nodata_policy
        self._nodata = [source.nodata]
        said = bool(source.spec.nodata.strip())
        if job.mode != 'native':
            self._policy = 'all'
            self._nodata = [source.nodata] if said else []
        elif not said and card.nodata:
            self._nodata.append(unformat_nodata(card.nodata))
        # A model that was not trained with a value for no-data gets what is there, as far as these are numbers.
        self._raw = not card.fill or job.mode != 'native'

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """The input (rows, columns, bands) for a window, and where it has data."""
        pixels = self._source.read_padded(window)
        valid = np.ones(pixels.shape[:-1], bool)
        for nodata in self._nodata:
            valid &= valid_pixels(pixels, nodata, self._policy)
        whole = self.grid.window.contains(window)
        inside = None if whole else within(np.ones_like(valid), window, self.grid.window)
        if inside is not None and self._padding == 'nodata':
            valid &= inside
        if self._raw:
            fed = cast(pixels, np.dtype(self._card.dtype))
            if fed.dtype.kind == 'f':
                fed[~np.isfinite(fed)] = 0
            if inside is not None and self._padding == 'nodata':
                fed[~inside] = 0
        else:
            fed = fill_invalid(pixels, valid, self._card.fill, self._card.dtype)
        if inside is not None and self._padding == 'constant':
            fed[~inside] = self._beyond
        return fed, valid

    def describe_nodata(self) -> str:
        known = [' '.join(text or 'none' for text in format_nodata(values)) for values in self._nodata]
        return ' and '.join(dict.fromkeys(known)) or 'none'

    @property
    def pixel_bytes(self) -> int:
        return len(self._source.bands) * (self._source.dtype.itemsize + np.dtype(self._card.dtype).itemsize) + 2


def require_bands(source: RasterStack, card: InputCard) -> None:
    """Raise `BandMismatch` where the image has not as many bands as the model wants."""
    found, wanted = len(source.bands), len(card.bands)
    if wanted and found != wanted:
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
    if card.fill and source.bands != card.bands and sorted(source.bands) == sorted(card.bands):
        reporter.warn(
            f'The bands are in another order ({", ".join(source.bands)}) than the model was trained with '
            f'({", ".join(card.bands)}); they are used in the order given.'
        )
