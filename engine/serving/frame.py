"""How the pixels of a map lie over those of its sources, exactly.

Along each axis a map has a *step* over each source: source pixels for one pixel of the map, a ratio of whole numbers.
A model computes windows of the map whose edges are multiples of a *unit*, so that every pixel meets it in the same
phase whatever the tiling; it may need a *halo* of further pixels of the map around, which are dropped; and for a window
it reads a fixed number of source pixels *before* and *after* it.

A network that keeps the size of its input (padding with zeros, say) has a halo, and needs nothing before and after. One
that gives fewer pixels than it takes has no halo, and does.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np

from ..errors import GridMismatch, InvalidJob
from ..grid import Grid, Relation, Window
from ..model_package.card import ReceptiveField


@dataclasses.dataclass(frozen=True)
class Along:
    """How a source lies under the map along one axis, in pixels of the source.

    Attributes:
        start: where the first pixel of the map starts.
        step: source pixels for one pixel of the map.
        before, after: pixels that a window needs besides those under it.
        patches: there is a patch for each pixel of the map, and `start` is where the centre of the first one lies.
    """

    start: Fraction
    step: Fraction
    before: int = 0
    after: int = 0
    patches: bool = False

    def window(self, first: int, last: int) -> tuple[int, int]:
        """The source's first pixel, and the one past the last, for pixels `first` to before `last` of the map."""
        if self.patches:
            return self.patch(first), self.patch(last - 1) + self.before + 1 + self.after
        low, high = self.start + first * self.step, self.start + last * self.step
        return math.floor(low) - self.before, math.ceil(high) + self.after

    def patch(self, pixel: int) -> int:
        """The source's first pixel of the patch for a pixel of the map."""
        return math.floor(self.start + pixel * self.step) - self.before


@dataclasses.dataclass(frozen=True)
class Frame:
    """A map over its sources. Pairs are (columns, rows).

    Attributes:
        grid: of the whole map.
        sources: how each source lies along columns and along rows.
        unit: windows of the map start and end at multiples of it.
        halo: what is computed around a window and dropped, in pixels of the map: left, top, right, bottom; multiples
            of `unit`.
    """

    grid: Grid
    sources: tuple[tuple[Along, Along], ...]
    unit: tuple[int, int] = (1, 1)
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)

    def around(self, ground: Window) -> Window:
        """The window of the map that is computed for a part of it: in whole units, with the halo."""
        return ground.align(*self.unit).expand(*self.halo)

    def windows(self, window: Window) -> tuple[Window, ...]:
        """What is read of each source for a window of the map, in that source's pixels; it may reach over edges."""
        found = []
        for across, down in self.sources:
            left, right = across.window(window.col, window.right)
            top, bottom = down.window(window.row, window.bottom)
            found.append(Window(left, top, right - left, bottom - top))
        return tuple(found)


def padded_frame(
    grid: Grid,
    relations: list[Relation],
    fields: list[ReceptiveField],
    strides: list[int],
    scale: Fraction = Fraction(1),
) -> Frame:
    """The map of a network that pads its input, so that its output covers the same ground: all of the first source.

    Args:
        grid: of the first source.
        relations: how each source lies on that grid.
        fields, strides: of each input, in pixels of its source.
        scale: size of a pixel of the map in pixels of the first source.

    Raises:
        GridMismatch: the sources' pixels never fall together as the network's strides ask.
    """
    units = []
    for axis in ('x', 'y'):
        unit = 1
        for relation, stride in zip(relations, strides):
            # As many pixels of the map as are whole strides of the source.
            unit = math.lcm(unit, (Fraction(stride) / (getattr(relation, axis) * scale)).numerator)
        units.append(unit)
    sources = tuple((Along(item.col, item.x * scale), Along(item.row, item.y * scale)) for item in relations)
    for number, (across, down) in enumerate(sources, 1):
        for along, unit, name in ((across, units[0], 'columns'), (down, units[1], 'rows')):
            if along.start.denominator != 1 or (along.step * unit).denominator != 1:
                raise GridMismatch(
                    f'Source {number}: its {name} are shifted against those of source 1 by a part of a pixel; align '
                    'the rasters ("Warp").'
                )
    halo = [0, 0, 0, 0]
    for field, (across, down) in zip(fields, sources):
        sides = (
            (field.left, across.step, units[0]),
            (field.top, down.step, units[1]),
            (field.right, across.step, units[0]),
            (field.bottom, down.step, units[1]),
        )
        for side, (pixels, step, unit) in enumerate(sides):
            halo[side] = max(halo[side], math.ceil(pixels / step / unit) * unit)
    return Frame(_scaled(grid, scale), sources, (units[0], units[1]), (halo[0], halo[1], halo[2], halo[3]))


def _scaled(grid: Grid, scale: Fraction) -> Grid:
    """The grid with pixels `scale` times as large, over all of the ground."""
    t, step = grid.transform, float(scale)
    transform = (t[0], t[1] * step, t[2] * step, t[3], t[4] * step, t[5] * step)
    return Grid(grid.crs, transform, math.ceil(grid.width / scale), math.ceil(grid.height / scale))


def otbtf_frame(
    grids: list[Grid],
    relations: list[Relation],
    fields: list[tuple[int, int]],
    expression: tuple[int, int] = (1, 1),
    scale: Fraction = Fraction(1),
    fully_convolutional: bool = True,
) -> Frame:
    """The map as OTBTF places it: within the sources, in whole expression fields, its first pixel centred on that of
    the first receptive field.

    A block of E pixels of the map is computed from R pixels of a source, and the next block from those a step of E
    pixels of the map further on, always.

    Args:
        grids: of the sources. relations: how each lies on the first.
        fields: (columns, rows) of the receptive field of each, in its pixels.
        expression: (columns, rows) of the expression field in pixels of the map.
        scale: size of a pixel of the map in pixels of the first source.
        fully_convolutional: else a patch for each pixel of the map.

    Raises:
        InvalidJob: the fields do not fit one another, or the sources.
    """
    axes = [
        _otbtf_axis(
            [(grid.width, grid.height)[axis] for grid in grids],
            [((item.x, item.y)[axis], (item.col, item.row)[axis]) for item in relations],
            [field[axis] for field in fields],
            expression[axis],
            scale,
            fully_convolutional,
        )
        for axis in (0, 1)
    ]
    (left, width, across), (top, height, down) = axes
    first = grids[0]
    x, y = first.to_map(float(left), float(top))
    t, step = first.transform, float(scale)
    transform = (x, t[1] * step, t[2] * step, y, t[4] * step, t[5] * step)
    unit = expression if fully_convolutional else (1, 1)
    return Frame(Grid(first.crs, transform, width, height), tuple(zip(across, down)), unit)


def _otbtf_axis(
    lengths: list[int],
    relations: list[tuple[Fraction, Fraction]],
    fields: list[int],
    block: int,
    scale: Fraction,
    fully_convolutional: bool,
) -> tuple[Fraction, int, list[Along]]:
    """Along one axis: where the map starts in pixels of the first source, its length, and how the sources lie."""
    edges = []
    for length, (ratio, offset), field in zip(lengths, relations, fields):
        first, last = field // 2, field // 2 + length - field + 1
        edges.append(((first - offset) / ratio, (last - offset) / ratio))
    low, high = max(edge[0] for edge in edges), min(edge[1] for edge in edges)
    if fully_convolutional:  # inwards to whole pixels of every source
        low, high = (
            max((math.ceil(offset + low * ratio) - offset) / ratio for ratio, offset in relations),
            min((math.floor(offset + high * ratio) - offset) / ratio for ratio, offset in relations),
        )
    length = (math.floor((high - low) / scale) + block - 1) // block * block
    if low >= high or length < block:
        raise InvalidJob(
            f'The map would have no pixel: the receptive fields ({", ".join(map(str, fields))}) and the expression '
            f'field ({block}) leave nothing of the ground that all sources cover.'
        )
    # The centre of the map's first pixel; half a pixel of the first source, whatever the scale.
    start = low + Fraction(1, 2) - scale * (block // 2) - scale / 2
    return (
        start,
        length,
        [
            _otbtf_along(ratio, offset, field, low, start, block, scale, fully_convolutional)
            for (ratio, offset), field in zip(relations, fields)
        ],
    )


def _otbtf_along(
    ratio: Fraction,
    offset: Fraction,
    field: int,
    low: Fraction,
    start: Fraction,
    block: int,
    scale: Fraction,
    fully_convolutional: bool,
) -> Along:
    """How a source lies: for patches by the pixels that hold the centres, else by whole receptive fields."""
    step = ratio * scale
    if not fully_convolutional:
        centre = offset + (start + scale / 2) * ratio
        return Along(centre, step, field // 2, field - field // 2 - 1, patches=True)
    span = block * step
    if math.floor(1 + (block - 1) * step) > field:
        raise InvalidJob(
            f'A receptive field of {field} pixels is smaller than the expression field of {block}, which takes '
            f'{float(span):g} pixels of that source at this spacing scale.'
        )
    first = math.floor(offset + low * ratio + Fraction(1, 2)) - field // 2
    return Along(Fraction(first), step, 0, field - math.floor(span))


def within(used: np.ndarray, window: Window, whole: Window) -> np.ndarray:
    """`used` (rows, columns) of a window, and False where that reaches over the edges of a source, `whole`."""
    inside = whole.shift(-window.col, -window.row).intersect(Window(0, 0, window.width, window.height))
    out = np.zeros_like(used)
    part = np.s_[inside.row : inside.bottom, inside.col : inside.right]
    out[part] = used[part]
    return out


def under(used: np.ndarray, window: Window, ground: Window, along: tuple[Along, Along]) -> np.ndarray:
    """Booleans of a source for pixels of the map: whether any pixel under each is used.

    Args:
        used: (rows, columns) of `window`, in pixels of the source.
        ground: the part of the map that is asked for.
        along: how the source lies under the map along columns and rows.
    """
    across, down = along
    for axis, (item, first, count, start) in enumerate(
        ((down, ground.row, ground.height, window.row), (across, ground.col, ground.width, window.col))
    ):
        index = np.array([math.floor(item.start + pixel * item.step) - start for pixel in range(first, first + count)])
        # Pixels of the map may share one of the source, or have several under them.
        width, last = max(1, math.floor(item.step)), used.shape[axis] - 1
        used = np.logical_or.reduce([used.take(np.minimum(index + i, last), axis) for i in range(width)])
    return used
