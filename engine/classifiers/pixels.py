"""Pixels of the classes of a vector layer, chosen on the grid of a map before the map is made."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..errors import InvalidJob
from ..events import Reporter
from ..grid import Grid, Window
from ..jobs import VectorSpec
from ..sampling.classcounts import count_each
from ..sampling.features import ClassLayer
from ..sampling.periodic import Periodic
from ..sampling.pixels import Candidates, Part, PixelFinder
from ..sampling.rates import Demand, single_rates
from ..sampling.spans import Spans
from ..serving.masks import Mask

JITTER = 50  # pixels by which samples leave their even distances, as in OTB's TrainImagesClassifier
_STRIP = 1 << 22  # pixels of a mask that are read together


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Chosen pixels, class by class.

    Attributes:
        cols, rows: int64, in pixels of the part of the map that is made.
        texts: the class of each.
    """

    cols: np.ndarray
    rows: np.ndarray
    texts: np.ndarray

    def __len__(self) -> int:
        return len(self.cols)


NOTHING = Pixels(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, str))


def demand(each: int, balanced: bool) -> Demand:
    """What is asked for of each class.

    Args:
        each: so many pixels; -1: all.
        balanced: as many as the smallest class has, whatever `each` is.
    """
    if balanced:
        return Demand('smallest')
    return Demand('all') if each == -1 else Demand('constant', each)


def shared_number(training: int, validation: int, share: float) -> int:
    """Pixels of each class for training and validation together, so that neither gets more than asked for.

    Args:
        training, validation: pixels of each class; -1: all.
        share: of those for validation.
    """
    limits = []
    if training != -1:
        limits.append(training / (1 - share))
    if validation != -1 and share > 0:
        limits.append(validation / share)
    return math.floor(min(limits)) if limits else -1


def require_numbers(training: int, validation: int, share: float, apart: bool) -> None:
    """Raise `InvalidJob` for numbers of samples that make no sense; `apart`: validation has a layer of its own."""
    for name, value in (('MT', training), ('MV', validation)):
        if value != -1 and value < 1:
            raise InvalidJob(f'{name} {value}: should be a number of pixels of each class from 1 on, or -1 for all.')
    if not 0 <= share <= 1 or (share == 1 and not apart):
        raise InvalidJob(
            f'VTR {share:g}: should be the share of the samples that is for validation, from 0 to below 1.'
        )


class Choice:
    """Pixels of one layer, chosen when the grid is known.

    Args:
        spec, field: the layer, and its attribute with the class.
        demand: how many.
        seed: numbers that tell this choice from others.
        reporter: hears of it.
    """

    def __init__(self, spec: VectorSpec, field: str, demand: Demand, seed: Sequence[int], reporter: Reporter) -> None:
        self._spec, self._field, self._demand, self._seed = spec, field, demand, list(seed)
        self._reporter = reporter

    def choose(self, grid: Grid, wanted: Callable[[Window], np.ndarray] | None) -> Pixels:
        """The pixels: of each class at even distances, with jitter, in the order of the features.

        Args:
            grid: of the part of the map that is made.
            wanted: from a window to booleans (rows, columns): only such pixels are chosen; None: all.

        Raises:
            InvalidJob, LabelError, NoSamples: see `sampling.samples.select_samples`.
        """
        layer = ClassLayer(self._spec, self._field, grid, 'the map', self._reporter)
        finder = _Finder(grid, wanted)
        counts = count_each(layer, finder, self._reporter)
        layer.report()
        if not any(counts.pixels.values()):
            raise layer.no_pixels('')
        found: list[tuple[str, np.ndarray, np.ndarray]] = []
        for text, rate in single_rates(self._demand, counts.classes).items():
            if not rate.total:
                self._reporter.warn(f'{self._spec.path}: class {text} has no pixel.')
                continue
            draw = Periodic(rate.total, rate.taken, JITTER, np.random.default_rng([*self._seed, *text.encode()]))
            seen = 0
            for fid in counts.members[text]:
                for candidates in finder.find(layer.parts(layer.feature(fid))):
                    cols, rows, _ = candidates.at(draw.within(seen, seen + len(candidates)))
                    found.append((text, cols, rows))
                    seen += len(candidates)
        texts = [text for text, cols, _ in found for _ in range(len(cols))]
        taken = Counter(texts)
        self._reporter.log(f'{self._spec.path}: ' + ', '.join(f'{taken[text]} pixels of {text}' for text in taken))
        return Pixels(
            np.concatenate([item[1] for item in found]), np.concatenate([item[2] for item in found]), np.array(texts)
        )


class _Finder(PixelFinder):
    """Finds those pixels of geometries that are wanted."""

    def __init__(self, grid: Grid, wanted: Callable[[Window], np.ndarray] | None) -> None:
        super().__init__(grid)
        self._wanted = wanted

    def find(self, parts: Sequence[Part], rows: range | None = None) -> Iterator[Candidates]:
        """See `PixelFinder`."""
        for found in super().find(parts, rows):
            if self._wanted is None or not len(found):
                yield found
            else:
                yield from self._kept(found, self._wanted)

    def _kept(self, found: Candidates, wanted: Callable[[Window], np.ndarray]) -> Iterator[Candidates]:
        """The candidates that are wanted, strip by strip."""
        cols, rows = found.spans.pixels()
        left, right = int(cols.min()), int(cols.max()) + 1
        height = max(_STRIP // (right - left), 1)
        for top in range(int(rows.min()), int(rows.max()) + 1, height):
            bottom = min(top + height, int(rows.max()) + 1)
            here = np.s_[np.searchsorted(rows, top) : np.searchsorted(rows, bottom)]
            mask = wanted(Window(left, top, right - left, bottom - top))
            kept = mask[rows[here] - top, cols[here] - left]
            col, row = cols[here][kept], rows[here][kept]
            yield Candidates(Spans(row, col, col + 1), found.grid, found.xy)


class ChosenMask:
    """A mask that wants the chosen pixels alone; see `serving.masks.Mask`.

    Args:
        pixels: that are chosen, in one list or several.
        part: of the map that is made.
    """

    def __init__(self, pixels: Sequence[Pixels], part: Window) -> None:
        cols = np.concatenate([item.cols for item in pixels]) + part.col
        rows = np.concatenate([item.rows for item in pixels]) + part.row
        order = np.argsort(rows, kind='stable')
        self._cols, self._rows = cols[order], rows[order]

    def read(self, ground: Window) -> np.ndarray:
        """See `Mask`."""
        out = np.zeros((ground.height, ground.width), bool)
        first, last = np.searchsorted(self._rows, [ground.row, ground.bottom])
        cols, rows = self._cols[first:last] - ground.col, self._rows[first:last] - ground.row
        inside = (cols >= 0) & (cols < ground.width)
        out[rows[inside], cols[inside]] = True
        return out


def all_of(masks: Sequence[Mask], part: Window) -> Callable[[Window], np.ndarray] | None:
    """Whether all masks want pixels, by windows of the part of the map that is made; None where there is no mask."""
    if not masks:
        return None

    def wanted(window: Window) -> np.ndarray:
        ground = window.shift(part.col, part.row)
        return np.logical_and.reduce([mask.read(ground) for mask in masks])

    return wanted
