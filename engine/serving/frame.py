"""How the pixels of a map lie over those of its sources, exactly.

Along each axis a map has a *step* over each source: source pixels for one pixel of the map, a ratio of whole numbers.
A model computes windows of the map whose edges are multiples of a *unit*, so that every pixel meets it in the same
phase whatever the tiling; it may need a *halo* of further pixels of the map around, which are dropped; and for a window
it reads a fixed number of source pixels *beyond* those under it.

A network that keeps the size of its input (padding with zeros, say) has a halo, and needs nothing beyond. One that
gives fewer pixels than it takes has no halo, and does.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np

from ..errors import GridMismatch, InvalidJob
from ..grid import Grid, Relation, Window
from ..runtimes.geometry import InputGeometry

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Along:
    """How a source lies under the map along one axis, in pixels of the source.

    Attributes:
        start: where the ground of the map's first pixel starts.
        step: source pixels for one pixel of the map.
        origin: where what is read for the map's first pixel starts.
        beyond: pixels that are read more than a window of the map is long; of a patch, all but one.
        patches: a patch is read for each pixel of the map, whatever the step.
    """

    start: Fraction
    step: Fraction
    origin: Fraction
    beyond: int = 0
    patches: bool = False

    def window(self, first: int, last: int) -> tuple[int, int]:
        """The source's first pixel, and the one past the last, for pixels `first` to before `last` of the map."""
        if self.patches:
            return self.first(first), self.first(last - 1) + 1 + self.beyond
        return self.first(first), math.ceil(self.origin + last * self.step) + self.beyond

    def first(self, pixel: int) -> int:
        """The first pixel that is read for a pixel of the map."""
        return math.floor(self.origin + pixel * self.step)


def plainly(start: Fraction, step: Fraction) -> Along:
    """What lies right under the map."""
    return Along(start, step, start)


@dataclasses.dataclass(frozen=True)
class Frame:
    """A map over its sources. Pairs are (columns, rows).

    Attributes:
        grid: of the whole map.
        sources: how each source lies along columns and along rows.
        unit: windows of the map start and end at multiples of it.
        halo: what is computed around a window and dropped, in pixels of the map: left, top, right, bottom; multiples
            of `unit`.
        blocks: of each source what is read for a unit of the map, where the unit has data if anything of that has;
            empty: a pixel of the map has data where the ground under it has.
    """

    grid: Grid
    sources: tuple[tuple[Along, Along], ...]
    unit: tuple[int, int] = (1, 1)
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)
    blocks: tuple[tuple[int, int], ...] = ()

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


def native_frame(
    grid: Grid, relations: list[Relation], geometries: list[InputGeometry], scale: Fraction = Fraction(1)
) -> Frame:
    """The map of a network over all of the first source.

    Where it has the pixels of the first source, it has that source's grid; a network whose windows have no pixel in the
    middle is centred as patches are, on the one right of and below the middle. Otherwise the map's pixels lie exactly
    in the middle of what the network looks at, so they may begin half a pixel before the source does. Of sources of
    several resolutions whole pixels have to be read, for which the map may begin some pixels before the source does.

    Args:
        grid: of the first source.
        relations: how each source lies on that grid.
        geometries: how the network's output lies on each source; with a field.
        scale: size of a pixel of the map in pixels of the first source.

    Raises:
        GridMismatch: the sources' pixels never fall together as the network's strides ask.
    """
    axes = []
    for axis, name in enumerate(('columns', 'rows')):
        ratios = [(item.x, item.y)[axis] for item in relations]
        places = [(item.col, item.row)[axis] for item in relations]
        unit = 1
        for ratio, geometry in zip(ratios, geometries):
            # As many pixels of the map as are whole strides of the source.
            unit = math.lcm(unit, (geometry.stride / (ratio * scale)).numerator)
        for number, (ratio, place) in enumerate(zip(ratios, places), 1):
            if place.denominator != 1 or (ratio * scale * unit).denominator != 1:
                raise GridMismatch(
                    f'Source {number}: its {name} are shifted against those of source 1 by a part of a pixel; align '
                    'the rasters ("Warp").'
                )
        # Windows begin at pixels of all sources, and at the same place in all; the first one says where the map is.
        offset, whole = geometries[0].offset[axis], math.lcm(*(ratio.denominator for ratio in ratios))
        before = math.ceil(offset / whole) * whole
        shift = math.ceil(offset) + _shift(offset, scale) - before
        found = []
        for ratio, place, geometry in zip(ratios, places, geometries):
            start, origin = place + shift * ratio, place - before * ratio
            found.append(Along(start, ratio * scale, origin, geometry.lost[axis]))
        axes.append((found, unit, shift))
    (across, columns, left), (down, rows, top) = axes
    units, halo = (columns, rows), [0, 0, 0, 0]
    for geometry, *alongs in zip(geometries, across, down):
        for side, (pixels, axis) in enumerate(_sides(geometry)):
            size = alongs[axis].step * units[axis]
            halo[side] = max(halo[side], math.ceil(pixels / size) * units[axis])
    return Frame(
        _scaled(grid, scale, (left, top)), tuple(zip(across, down)), units, (halo[0], halo[1], halo[2], halo[3])
    )


def _sides(geometry: InputGeometry) -> list[tuple[int, int]]:
    """Pixels of an input that are needed besides a window: left, top, right, bottom, each with its axis."""
    if geometry.field is None:
        raise ValueError('no receptive field')
    field, before = geometry.field, [math.ceil(item) for item in geometry.offset]
    after = [lost - item for lost, item in zip(geometry.lost, before)]
    return [
        (max(0, field.left - before[0]), 0),
        (max(0, field.top - before[1]), 1),
        (max(0, field.right - after[0]), 0),
        (max(0, field.bottom - after[1]), 1),
    ]


def _shift(offset: Fraction, scale: Fraction) -> Fraction:
    """Where a map begins, in pixels of the first source before it, so that it is centred on what is looked at."""
    if scale == 1 or offset.denominator > 2:
        return Fraction(0)
    return offset - math.ceil(offset)


def patch_frame(
    grid: Grid, relations: list[Relation], fields: list[tuple[int, int]], scale: Fraction = Fraction(1)
) -> Frame:
    """The map of a network that takes a patch for each pixel of the map; over all of the first source.

    Args:
        grid: of the first source. relations: how each source lies on that grid.
        fields: (columns, rows) of the patches of each source, in its pixels.
        scale: size of a pixel of the map in pixels of the first source.
    """
    shifts = [_shift((size - scale) / 2, scale) for size in fields[0]]
    sources = []
    for item, field in zip(relations, fields):
        pair = []
        for ratio, place, size, shift in zip((item.x, item.y), (item.col, item.row), field, shifts):
            start, step = place + shift * ratio, ratio * scale
            pair.append(Along(start, step, start + step / 2 - size // 2, size - 1, patches=True))
        sources.append((pair[0], pair[1]))
    return Frame(_scaled(grid, scale, (shifts[0], shifts[1])), tuple(sources))


def _scaled(grid: Grid, scale: Fraction, shift: tuple[Fraction, Fraction]) -> Grid:
    """The grid with pixels `scale` times as large, over all of the ground from `shift` pixels on."""
    width, height = (math.ceil((length - item) / scale) for length, item in zip((grid.width, grid.height), shift))
    return _placed(grid, scale, shift, width, height)


def _placed(grid: Grid, scale: Fraction, corner: tuple[Fraction, Fraction], width: int, height: int) -> Grid:
    """A grid that begins at a corner in pixels of another one, with pixels `scale` times as large."""
    x, y = grid.to_map(float(corner[0]), float(corner[1]))
    t, step = grid.transform, float(scale)
    return Grid(grid.crs, (x, t[1] * step, t[2] * step, y, t[4] * step, t[5] * step), width, height)


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
    unit = expression if fully_convolutional else (1, 1)
    return Frame(
        _placed(grids[0], scale, (left, top), width, height), tuple(zip(across, down)), unit, blocks=tuple(fields)
    )


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
    step, ground = ratio * scale, offset + start * ratio
    if not fully_convolutional:
        return Along(ground, step, ground + step / 2 - field // 2, field - 1, patches=True)
    span = block * step
    if math.floor(1 + (block - 1) * step) > field:
        raise InvalidJob(
            f'A receptive field of {field} pixels is smaller than the expression field of {block}, which takes '
            f'{float(span):g} pixels of that source at this spacing scale.'
        )
    first = math.floor(offset + low * ratio + Fraction(1, 2)) - field // 2
    return Along(ground, step, Fraction(first), field - math.floor(span))


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
        unit = math.lcm(item.start.denominator, item.step.denominator)
        edges = int(item.start * unit) + int(item.step * unit) * np.arange(first, first + count + 1)
        # Pixels of the map may share one of the source, or have several under them, of which patches may skip some.
        low, high, last = edges[:-1] // unit - start, -(-edges[1:] // unit) - start, used.shape[axis] - 1
        places = [np.minimum(low + i, high - 1).clip(0, last) for i in range(int((high - low).max()))]
        used = np.logical_or.reduce([used.take(place, axis) for place in places])
    return used


def around(
    used: np.ndarray, window: Window, ground: Window, along: tuple[Along, Along], unit: tuple[int, int], field: Pair
) -> np.ndarray:
    """Booleans of a source for pixels of the map: whether anything that is read for the unit of each is used.

    Args:
        used, window, ground, along: see `under`.
        unit: (columns, rows) of the map that are computed together.
        field: (columns, rows) of the source that are read for them.
    """
    sums = np.pad(used.cumsum(0, np.int64).cumsum(1), ((1, 0), (1, 0)))
    edges = []
    for item, first, count, start, size, block, length in (
        (along[1], ground.row, ground.height, window.row, field[1], unit[1], window.height),
        (along[0], ground.col, ground.width, window.col, field[0], unit[0], window.width),
    ):
        low = np.array([item.first(pixel // block * block) - start for pixel in range(first, first + count)])
        edges.append((low.clip(0, length), (low + size).clip(0, length)))
    (top, bottom), (left, right) = edges
    counts = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)] - sums[np.ix_(bottom, left)]
    return counts + sums[np.ix_(top, left)] > 0
