"""The image sources of a zone: rasters of any resolutions, and where patches lie on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..errors import GridMismatch
from ..grid import Grid, Relation, relate
from ..jobs import SourceSpec
from ..raster import RasterStack, require_same_crs
from .ratios import scaled

NO_PLACE = 'no point, or none in the CRS of the image'
OUTSIDE = 'point outside the image'
EDGE = 'patch reaches over the edge of the image'
_FAR = 1e12  # map units: no coordinates, but what some programs write where there are none


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where the patches of some points lie.

    Attributes:
        cols, rows: for each source the first pixel of each patch; anything where there is no point.
        pixel_cols, pixel_rows: the pixel of the first source that holds the point.
        reasons: why a patch cannot be cut; empty where it can.
        culprits: the source that is the reason; empty where it is none.
        mirrored: booleans: patches that reach over the edge of an image, and are not rejected for it.
    """

    cols: tuple[np.ndarray, ...]
    rows: tuple[np.ndarray, ...]
    pixel_cols: np.ndarray
    pixel_rows: np.ndarray
    reasons: list[str]
    culprits: list[str]
    mirrored: np.ndarray


class Sources:
    """The sources of a zone, open.

    A patch of N pixels starts ⌊N/2⌋ pixels before the pixel that holds the point. That places the patch of the
    coarsest source; the others are centred on its ground, and their start is rounded down to a pixel of their own.

    Args:
        specs: the sources; the first is the reference.
        alone: place each source by the point itself, whatever the others do.

    Attributes:
        stacks: the rasters.
        sizes: (columns, rows) of patches in pixels.
        coarsest: number of the source with the largest pixels.

    Raises:
        GridMismatch: reference systems differ, grids do not fit each other, or share no ground.
    """

    def __init__(self, specs: Sequence[SourceSpec], alone: bool = False) -> None:
        self.stacks = [RasterStack(spec) for spec in specs]
        self.sizes = [spec.patch_size for spec in specs]
        self._names = [spec.name for spec in specs]
        self._alone = alone
        areas = [pixel[0] * pixel[1] for pixel in (stack.grid.pixel_size for stack in self.stacks)]
        self.coarsest = next(i for i, area in enumerate(areas) if area > 0.999 * max(areas))
        for stack in self.stacks[1:]:
            names = self.stacks[0].spec.rasters[0], stack.spec.rasters[0]
            require_same_crs(self.stacks[0].grid, stack.grid, names)
            if not _boxes_meet(self.stacks[0].grid, stack.grid):
                raise GridMismatch(
                    f'{names[0]} and {names[1]} share no ground: {self.stacks[0].grid.describe()}; '
                    f'{stack.grid.describe()}'
                )
        self._relations = [] if alone else [self._relation(self.coarsest, i) for i in range(len(specs))]

    def _relation(self, a: int, b: int) -> Relation:
        """How source `b` lies on source `a`."""
        first, other = self.stacks[a], self.stacks[b]
        return relate(first.grid, other.grid, (first.spec.rasters[0], other.spec.rasters[0]))

    def place(self, x: np.ndarray, y: np.ndarray, reflect: bool) -> Placed:
        """Where the patches of points lie.

        Args:
            x, y: map coordinates; NaN where there is no point.
            reflect: patches may reach over the edges of images.
        """
        missing = ~((np.abs(x) < _FAR) & (np.abs(y) < _FAR))
        x, y = np.where(missing, np.nan, x), np.where(missing, np.nan, y)
        pixels = [_pixels(stack.grid, x, y) for stack in self.stacks]
        cols, rows = self._starts(pixels)
        why = _Reasons(len(x), self._names)
        why.add(missing, NO_PLACE)
        for number, (stack, pixel) in enumerate(zip(self.stacks, pixels)):
            why.add(~_within(stack.grid, *pixel, *pixel), OUTSIDE, number)
        over = np.zeros(len(x), bool)
        for number, (stack, size) in enumerate(zip(self.stacks, self.sizes)):
            last = cols[number] + size[0] - 1, rows[number] + size[1] - 1
            beyond = ~_within(stack.grid, cols[number], rows[number], *last)
            over |= beyond
            if not reflect:
                why.add(beyond, EDGE, number)
        good = np.array([not reason for reason in why.reasons], bool)
        return Placed(cols, rows, *pixels[0], why.reasons, why.culprits, over & good)

    def _starts(
        self, pixels: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """For each source the first columns and rows of patches, from the pixels that hold the points in each."""
        if self._alone:
            return (
                tuple(pixel[0] - size[0] // 2 for pixel, size in zip(pixels, self.sizes)),
                tuple(pixel[1] - size[1] // 2 for pixel, size in zip(pixels, self.sizes)),
            )
        size = self.sizes[self.coarsest]
        col, row = (pixel - length // 2 for pixel, length in zip(pixels[self.coarsest], size))
        both = list(zip(self.sizes, self._relations))
        return (
            tuple(_centred(col, size[0], own[0], relation.x, relation.col) for own, relation in both),
            tuple(_centred(row, size[1], own[1], relation.y, relation.row) for own, relation in both),
        )

    def same_ground(self, number: int, cols: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> np.ndarray:
        """Booleans: whether patches cover the same ground in a source as in the first.

        Args:
            cols, rows: for each source the first pixels of patches.
        """
        try:
            relation = self._relation(0, number)
        except GridMismatch:
            return np.zeros(len(cols[0]), bool)
        out = np.ones(len(cols[0]), bool)
        for starts, own, other, ratio, offset in (
            (cols, self.sizes[0][0], self.sizes[number][0], relation.x, relation.col),
            (rows, self.sizes[0][1], self.sizes[number][1], relation.y, relation.row),
        ):
            places, unit = scaled(starts[0], ratio, offset)
            out &= (own * ratio == other) & (starts[number] * unit == places)
        return out


class _Reasons:
    """Why patches cannot be cut: the first reason of each."""

    def __init__(self, count: int, names: Sequence[str]) -> None:
        self.reasons, self.culprits = [''] * count, [''] * count
        self._names = names

    def add(self, chosen: np.ndarray, reason: str, source: int | None = None) -> None:
        """A reason for the patches where `chosen` is True; `source` is the number of the one that it lies with."""
        name = '' if source is None else self._names[source]
        text = named(reason, name, len(self._names))
        for number in np.flatnonzero(chosen).tolist():
            if not self.reasons[number]:
                self.reasons[number], self.culprits[number] = text, name


def named(reason: str, source: str, sources: int) -> str:
    """A reason of rejection with the name of the source where there are several."""
    return f'{reason} ({source})' if source and sources > 1 else reason


def _pixels(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels (columns, rows) that hold points; -1 where there is no point."""
    out = np.full((2, len(x)), -1, np.int64)
    for number, (px, py) in enumerate(zip(x.tolist(), y.tolist())):
        if px == px:
            out[:, number] = grid.pixel_at(px, py)
    return out[0], out[1]


def _within(grid: Grid, left: np.ndarray, top: np.ndarray, right: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Whether rectangles, whose last columns and rows count, lie inside a grid."""
    return (left >= 0) & (top >= 0) & (right < grid.width) & (bottom < grid.height)


def _centred(starts: np.ndarray, size: int, own: int, ratio: Fraction, offset: Fraction) -> np.ndarray:
    """First pixels of patches of `own` pixels, centred on the ground of patches of `size` pixels of another grid.

    Args:
        starts: first pixels of the others.
        ratio, offset: of the relation between that grid and this one, along this axis.
    """
    return np.floor_divide(*scaled(starts, ratio, offset + ratio * Fraction(size, 2) - Fraction(own, 2)))


def _boxes_meet(a: Grid, b: Grid) -> bool:
    """Whether the rectangles around two grids have any ground in common."""
    (west, south, east, north), other = bounds(a), bounds(b)
    return west < other[2] and other[0] < east and south < other[3] and other[1] < north


def bounds(grid: Grid) -> tuple[float, float, float, float]:
    """(west, south, east, north) of a grid."""
    xs, ys = zip(*(grid.to_map(col, row) for col in (0, grid.width) for row in (0, grid.height)))
    return min(xs), min(ys), max(xs), max(ys)
