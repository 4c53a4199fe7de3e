"""Whether images are like those that a model was trained with, as far as a sample of their values tells.

A model maps anything that has the right number of bands, be it reflectance where it learnt digital numbers. So a few
blocks of each image, spread evenly over what is mapped, are compared with the statistics in the model's package.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import InputUnreadable
from ..events import Reporter
from ..grid import Window
from ..model_package.card import InputCard
from ..raster import RasterStack
from .frame import Along, Frame, plainly
from .masks import Mask
from .reading import Reader

_WINDOWS = 64  # of an image, at most, of one block each
_LEAST = 4  # such windows, be the blocks as large as they may
_VALUES = 6_000_000  # decoded for them, where blocks allow: about a tenth of a second
_PIXELS = 1 << 18  # of all windows, at most
_ENOUGH = 64 * 64  # pixels with data; fewer may lie on one roof
_SHOWN = 3  # bands that a warning describes
_SCALING = 'is it scaled otherwise, such as reflectance of 0-1 against 0-10000, or 8 bits against 16?'
_CAUSES = 'Has it other units, another scaling, another sensor, or its bands in another order?'


def warn_of_strangers(
    sources: Sequence[RasterStack],
    cards: Sequence[InputCard],
    reader: Reader,
    frame: Frame,
    part: Window,
    masks: Sequence[Mask],
    reporter: Reporter,
) -> None:
    """Warn of images whose values are far from those of the training: one line an image.

    Args:
        sources: the images. cards: what the model wants of each; without statistics nothing is compared.
        reader: of the images, as the model is fed.
        frame: of the map. part: what of it is made. masks: what of that is wanted.
    """
    for number, (source, card) in enumerate(zip(sources, cards)):
        known = Known.of(card)
        if known is None or len(known.bands) != len(source.bands):
            continue
        pixels = [np.empty((0, len(known.bands)))]
        for window, wanted in _windows(source, frame, number, part, masks):
            reporter.check_cancelled()
            with contextlib.suppress(InputUnreadable):  # mapping tells of it, if that is needed at all
                pixels.append(reader.values(number, window, wanted))
        values = np.concatenate(pixels)
        strange = known.difference(values) if len(values) >= _ENOUGH else ''
        if strange:
            reporter.warn(
                f'{source.spec.rasters[0]}: not like the images that the model was trained with: {strange} '
                'The map may be wrong.'
            )


@dataclasses.dataclass(frozen=True)
class Known:
    """Statistics of the training data, a value a band."""

    bands: tuple[str, ...]
    mean: np.ndarray
    stddev: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    @classmethod
    def of(cls, card: InputCard) -> Known | None:
        """Those of an input; None where it has none."""
        columns = [np.asarray(column) for column in (card.mean, card.stddev, card.minimum, card.maximum)]
        if not card.bands or any(len(column) != len(card.bands) for column in columns):
            return None
        return cls(card.bands, *columns) if np.isfinite(columns).all() else None

    def difference(self, values: np.ndarray) -> str:
        """How values (pixels, bands) differ from those of the training; empty where they do not much.

        Real images of one sensor differ by less than one standard deviation in their means, and by a factor of two or
        so in their spread. So a band is strange whose mean is more than 3 standard deviations away, whose spread is
        more than 5 times as large, or which lies outside of all that was seen by more than half. A spread that is
        smaller says nothing by itself: a lake is like that. But if all means and all spreads are smaller alike, the
        image is scaled otherwise; and so it is if hardly any spread is left in any band.
        """
        values = values.astype(np.float64)
        mean, stddev = values.mean(0), values.std(0)
        outside = ((values < self.minimum) | (values > self.maximum)).mean(0)
        spread = self.stddev > 0
        shift = np.abs(mean - self.mean) / np.where(spread, self.stddev, np.inf)
        strange = (shift > 3) | (stddev > np.where(spread, 5 * self.stddev, np.inf)) | (outside > 0.5)
        factor = self._factor(mean, stddev)
        flat = spread.any() and bool((stddev < self.stddev / 100)[spread].all())
        if factor:
            times = f'about {float(f"{factor:.1g}"):g} times as large'
            return f'{self._named(mean, stddev, spread)}. All of it is {times}: {_SCALING}'
        if self._turned(mean, stddev):
            return f'{self._named(mean, stddev, shift > 1)}. It would fit with the bands in another order.'
        if flat or strange.any():
            return f'{self._named(mean, stddev, spread if flat else strange)}. {_CAUSES}'
        return ''

    def _factor(self, mean: np.ndarray, stddev: np.ndarray) -> float:
        """By how much all values are larger or smaller alike; 0 where they are not."""
        spread = self.stddev > 0
        level = spread & (np.abs(self.mean) > self.stddev / 2)  # where there is a mean to speak of
        if not level.any():
            return 0.0
        ratios = np.concatenate([(mean / np.where(level, self.mean, 1))[level], stddev[spread] / self.stddev[spread]])
        if ratios.min() <= 0 or ratios.max() > 4 * ratios.min():
            return 0.0
        factor = math.exp(np.log(ratios).mean())
        return factor if not 0.2 < factor < 5 else 0.0

    def _turned(self, mean: np.ndarray, stddev: np.ndarray) -> bool:
        """Whether the bands would fit well in the order of their means, and do not in the order they have."""
        if not (self.stddev > 0).all():
            return False
        order = np.empty(len(mean), int)
        order[np.argsort(self.mean)] = np.argsort(mean)
        here, there = (np.abs(mean[index] - self.mean) / self.stddev for index in (np.arange(len(mean)), order))
        ratios = stddev[order] / self.stddev
        return bool(here.max() > 1.5 and there.max() < 0.5 and ratios.min() > 0.5 and ratios.max() < 2)

    def _named(self, mean: np.ndarray, stddev: np.ndarray, chosen: np.ndarray) -> str:
        """What some bands hold, and what they held in the training."""
        texts = [
            f'{self.bands[i]} {_short(mean[i])} ± {_short(stddev[i])} (training {_short(self.mean[i])} ± '
            f'{_short(self.stddev[i])}, {_short(self.minimum[i])} to {_short(self.maximum[i])})'
            for i in np.flatnonzero(chosen)
        ]
        more = f', and {len(texts) - _SHOWN} more bands' if len(texts) > _SHOWN else ''
        return ', '.join(texts[:_SHOWN]) + more


def _short(value: float) -> str:
    """A number as people write it, to three digits or to whole ones."""
    return f'{value:.0f}' if 1000 <= abs(value) < 1e7 else f'{value:.3g}'


def _windows(
    source: RasterStack, frame: Frame, number: int, part: Window, masks: Sequence[Mask]
) -> Iterator[tuple[Window, np.ndarray]]:
    """Small windows of a source, spread evenly over the ground of a part of the map, and which of their pixels are
    wanted. None reaches over more than one block, since blocks are read as a whole."""
    across, down = (plainly(along.start, along.step) for along in frame.sources[number])
    (left, right), (top, bottom) = across.window(part.col, part.right), down.window(part.row, part.bottom)
    region = Window(left, top, right - left, bottom - top).intersect(source.grid.window)
    if region.empty:
        return
    cols, rows = source.block
    bands = len(source.bands)
    count = max(_LEAST, min(_WINDOWS, _VALUES // (cols * rows * bands)))
    pixels = max(1, min(_PIXELS, _VALUES // bands) // count)
    height = min(rows, max(1, math.isqrt(pixels)))
    width = min(cols, pixels // height)
    seen: set[Window] = set()
    for step in range(1, 4 * count + 1):
        col = region.col + int(_halton(step, 2) * region.width)
        row = region.row + int(_halton(step, 3) * region.height)
        inner = Window(_edge(col, cols, width), _edge(row, rows, height), width, height)
        window = inner.intersect(Window(col // cols * cols, row // rows * rows, cols, rows)).intersect(region)
        if window in seen:
            continue
        wanted = _wanted(window, across, down, part, masks)
        if wanted.any():
            seen.add(window)
            yield window, wanted
        if len(seen) == count:
            return


def _halton(number: int, base: int) -> float:
    """Numbers from 0 to 1 that fill it evenly, however many are taken.

    Source: J. H. Halton (1960), "On the efficiency of certain quasi-random sequences of points".
    """
    out, share = 0.0, 1.0
    while number:
        share /= base
        number, digit = divmod(number, base)
        out += digit * share
    return out


def _edge(pixel: int, block: int, size: int) -> int:
    """Where the piece of a block begins that a pixel lies in, if the block is cut into pieces of a size."""
    return pixel // block * block + pixel % block // size * size


def _wanted(window: Window, across: Along, down: Along, part: Window, masks: Sequence[Mask]) -> np.ndarray:
    """(rows, columns) booleans: pixels of a window of a source whose middle lies in a part of the map that all masks
    want."""
    cols, rows = _over(window.col, window.right, across), _over(window.row, window.bottom, down)
    ground = Window(int(cols[0]), int(rows[0]), int(cols[-1] - cols[0] + 1), int(rows[-1] - rows[0] + 1))
    ground = ground.intersect(part)
    inside = np.ix_((rows >= part.row) & (rows < part.bottom), (cols >= part.col) & (cols < part.right))
    out = np.zeros((window.height, window.width), bool)
    if not ground.empty:
        here = np.ones((ground.height, ground.width), bool)
        for mask in masks:
            here &= mask.read(ground)
        index = np.ix_(rows[inside[0].ravel()] - ground.row, cols[inside[1].ravel()] - ground.col)
        out[inside] = here[index]
    return out


def _over(first: int, last: int, along: Along) -> np.ndarray:
    """The pixels of the map in which the middles of a source's pixels lie, from `first` to before `last`."""
    (begin, whole), (step, parts) = along.start.as_integer_ratio(), along.step.as_integer_ratio()
    return ((2 * np.arange(first, last) + 1) * whole - 2 * begin) * parts // (2 * whole * step)
