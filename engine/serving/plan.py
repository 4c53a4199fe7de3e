"""Which tiles a map is made of: a pure function of the model, the grid and the memory setting.

A *tile* is a rectangle of pixels of the map that is written at once, in whole blocks of the file. The *window* is what
the model computes for it: the tile, aligned to the unit of the map's frame, plus the halo. Alignment starts at the
first pixel of the whole map, so every pixel meets the network in the same phase, whatever the tiling. All windows have
one size, which may reach over the edges of the map.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from ..grid import Window

BLOCK_UNIT = 16  # TIFF tiles have sides that are multiples of this
LARGEST_BLOCK = 512
# Smaller tiles stay in the processor's cache, and reading, computing and writing overlap in more of them (measured).
HARDLY_MORE = 1.005  # times as many computed pixels may be the price
ENOUGH = 1152 * 1024  # pixels of a window; still smaller ones would gain nothing
LARGEST_AREA = 2048 * 2048  # of a tile that is chosen, in pixels: beyond it little is gained, and cancelling takes long


@dataclasses.dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes:
        number: its place in the plan.
        area: in pixels of the file.
        ground: the same in pixels of the whole map.
        window: what the model computes, in pixels of the whole map; it may reach over its edges.
    """

    number: int
    area: Window
    ground: Window
    window: Window

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the tile in an array of the window."""
        row, col = self.ground.row - self.window.row, self.ground.col - self.window.col
        return slice(row, row + self.ground.height), slice(col, col + self.ground.width)


@dataclasses.dataclass(frozen=True)
class TilePlan:
    """How a map, or a part of it, is tiled. Pairs are (columns, rows) in pixels of the map.

    Attributes:
        part: of the whole map that is made.
        tile: of a tile before it is clipped to the part; a multiple of `block`.
        block: of a block of the output file.
        window: what the model computes for a tile.
        unit, halo: as the map's frame has them.
    """

    part: Window
    tile: tuple[int, int]
    block: tuple[int, int]
    window: tuple[int, int]
    unit: tuple[int, int]
    halo: tuple[int, int, int, int]

    @property
    def counts(self) -> tuple[int, int]:
        """Columns and rows of tiles."""
        return -(-self.part.width // self.tile[0]), -(-self.part.height // self.tile[1])

    def __len__(self) -> int:
        return self.counts[0] * self.counts[1]

    def __iter__(self) -> Iterator[Tile]:
        """The tiles, row by row."""
        everything = Window(0, 0, self.part.width, self.part.height)
        for number in range(len(self)):
            row, col = divmod(number, self.counts[0])
            area = Window(col * self.tile[0], row * self.tile[1], *self.tile).intersect(everything)
            ground = area.shift(self.part.col, self.part.row)
            first = _start(ground.col, self.halo[0], self.unit[0]), _start(ground.row, self.halo[1], self.unit[1])
            yield Tile(number, area, ground, Window(*first, *self.window))

    @property
    def useful(self) -> float:
        """The share of the computed pixels that end up in the map."""
        return self.part.width * self.part.height / (len(self) * self.window[0] * self.window[1])

    def describe(self) -> str:
        """For the log."""
        several = f'{len(self)} tiles' if len(self) > 1 else '1 tile'
        return (
            f'{self.part.width} x {self.part.height} pixels in {several} of {self.tile[0]} x {self.tile[1]} pixels, '
            f'halo {max(self.halo)} (multiples of {max(self.unit)}); {self.useful:.0%} of the computed pixels end up '
            'in the map.'
        )


@dataclasses.dataclass(frozen=True)
class _Axis:
    """The plan along columns or rows: lengths in pixels."""

    tile: int
    block: int
    window: int
    count: int


@dataclasses.dataclass(frozen=True)
class _Sides:
    """What the plan along an axis depends on, but for the tile's length.

    Attributes:
        first, length: of the part of the map that is made.
        before, after: halo.
        unit: of the frame.
        block: of the file where it is given; 0: chosen.
    """

    first: int
    length: int
    before: int
    after: int
    unit: int
    block: int

    @property
    def whole(self) -> int:
        """Tiles are multiples of this; a multiple of the unit too where blocks can be, as no pixel is then lost to
        alignment."""
        if self.block:
            return self.block
        unit = math.lcm(BLOCK_UNIT, self.unit)
        return unit if unit <= LARGEST_BLOCK else BLOCK_UNIT

    def axis(self, tile: int) -> _Axis:
        """Tiles of at most about `tile` pixels, evened out so that the last is not nearly empty."""
        wanted = -(-self.length // max(-(-self.length // tile), 1))
        largest = LARGEST_BLOCK // self.whole * self.whole or self.whole
        blocks = -(-wanted // largest)
        block = self.block or _up(-(-wanted // blocks), self.whole)
        tile = block * -(-wanted // block)
        count = -(-self.length // tile)
        span = self.length if count == 1 else tile  # a single tile is clipped
        # Where tiles are no multiples of the unit, alignment adds more to some windows; they repeat soon.
        phases = 1 if tile % self.unit == 0 else min(count, self.unit)
        starts = [self.first + i * tile for i in range(phases)]
        window = max(
            _end(start + span, self.after, self.unit) - _start(start, self.before, self.unit) for start in starts
        )
        return _Axis(tile, block, window, count)


def make_plan(
    part: Window,
    unit: tuple[int, int],
    halo: tuple[int, int, int, int],
    *,
    tile_size: int = 0,
    memory: float = 1024,
    pixel_bytes: float = 1024.0,
    block: tuple[int, int] = (0, 0),
) -> TilePlan:
    """The tile plan.

    Args:
        part: of the whole map that is to be made.
        unit, halo: of the map's frame.
        tile_size: side of a tile in pixels of the map; it is rounded up to whole blocks, and down where that evens out
            the tiles. 0: the tiles that need the fewest computed pixels within `memory`.
        memory: MiB that computing one window may take. Where even the smallest tile needs more, it is taken.
        pixel_bytes: bytes that a pixel of the window takes while it is read, computed and written.
        block: (columns, rows) of the file's blocks; 0: chosen, at most `LARGEST_BLOCK`.
    """
    cols = _Sides(part.col, part.width, halo[0], halo[2], unit[0], block[0])
    rows = _Sides(part.row, part.height, halo[1], halo[3], unit[1], block[1])
    if tile_size:
        across, down = cols.axis(tile_size), rows.axis(tile_size)
    else:
        across, down = _cheapest(cols, rows, int(memory * 2**20 / pixel_bytes))
    return TilePlan(
        part, (across.tile, down.tile), (across.block, down.block), (across.window, down.window), unit, halo
    )


def _cheapest(cols: _Sides, rows: _Sides, pixels: int) -> tuple[_Axis, _Axis]:
    """The tiles that cover the image with the fewest computed pixels, or hardly more but smaller, where a window may
    have so many."""
    fitting = [
        (across, down)
        for across in _axes(cols)
        for down in _axes(rows)
        if across.window * down.window <= pixels and across.tile * down.tile <= LARGEST_AREA
    ]
    if not fitting:
        return cols.axis(cols.whole), rows.axis(rows.whole)
    least = min(_computed(*pair) for pair in fitting)
    alike = [pair for pair in fitting if _computed(*pair) <= HARDLY_MORE * least]
    return min(alike, key=lambda pair: (max(pair[0].window * pair[1].window, ENOUGH), _computed(*pair)))


def _computed(across: _Axis, down: _Axis) -> int:
    """How many pixels are computed altogether."""
    return across.window * across.count * down.window * down.count


def _axes(sides: _Sides) -> list[_Axis]:
    """The tilings of an axis that are worth a look: for each number of tiles the smallest ones, largest first."""
    found: dict[int, _Axis] = {}
    count = 1
    while True:
        axis = sides.axis(-(-sides.length // count))
        found.setdefault(axis.count, axis)
        if axis.tile <= sides.whole or count > sides.length:
            return list(found.values())
        # Beyond a few tiles the next number hardly differs; steps of a sixteenth keep the list short.
        count += max(1, count // 16)


def _start(first: int, before: int, unit: int) -> int:
    """Where the window of a tile that starts at `first` starts."""
    return first // unit * unit - before


def _end(last: int, after: int, unit: int) -> int:
    """Where the window of a tile that ends before `last` ends."""
    return _up(last, unit) + after


def _up(value: int, step: int) -> int:
    """The smallest multiple of `step` from `value` on."""
    return -(-value // step) * step
