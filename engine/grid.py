"""Integer pixel arithmetic: grids, windows, and how one grid lies on another. No floats decide a pixel.

Terms: a *window* is a rectangle of whole pixels, which may lie outside its grid. Columns grow to the right and rows
downwards in the array, whatever the sign of the pixel size.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

from .errors import GridMismatch

TOLERANCE = 1e-3  # pixels; what two grids may differ by, at any corner, and still count as aligned


@dataclasses.dataclass(frozen=True)
class Window:
    """A rectangle of pixels: first column and row, width and height."""

    col: int
    row: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column to the right of the window."""
        return self.col + self.width

    @property
    def bottom(self) -> int:
        """The first row below the window."""
        return self.row + self.height

    @property
    def empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    def contains(self, other: Window) -> bool:
        return (
            self.col <= other.col
            and self.row <= other.row
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def intersect(self, other: Window) -> Window:
        """The part that both cover; `empty` where there is none."""
        col, row = max(self.col, other.col), max(self.row, other.row)
        return Window(
            col, row, max(0, min(self.right, other.right) - col), max(0, min(self.bottom, other.bottom) - row)
        )

    def expand(self, left: int, top: int, right: int, bottom: int) -> Window:
        return Window(self.col - left, self.row - top, self.width + left + right, self.height + top + bottom)

    def align(self, cols: int, rows: int) -> Window:
        """The smallest window around this one whose edges are multiples of `cols` and `rows`."""
        col, row = self.col // cols * cols, self.row // rows * rows
        return Window(col, row, -(-self.right // cols) * cols - col, -(-self.bottom // rows) * rows - row)

    def shift(self, cols: int, rows: int) -> Window:
        return Window(self.col + cols, self.row + rows, self.width, self.height)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie.

    Attributes:
        crs: the coordinate reference system as WKT; empty where unknown.
        transform: GDAL's six numbers: x = t0 + col*t1 + row*t2, y = t3 + col*t4 + row*t5.
        width, height: pixels.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int

    @property
    def window(self) -> Window:
        """All of the grid."""
        return Window(0, 0, self.width, self.height)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Length of a pixel's sides in map units, always positive."""
        t = self.transform
        return math.hypot(t[1], t[4]), math.hypot(t[2], t[5])

    def to_map(self, col: float, row: float) -> tuple[float, float]:
        """Map coordinates of a position in pixels; (0, 0) is the outer corner of the first pixel."""
        t = self.transform
        return t[0] + col * t[1] + row * t[2], t[3] + col * t[4] + row * t[5]

    def centre(self, col: int, row: int) -> tuple[float, float]:
        """Map coordinates of the centre of a pixel."""
        return self.to_map(col + 0.5, row + 0.5)

    def to_pixels(self, x: float, y: float) -> tuple[float, float]:
        """Position in pixels of a point on the map, as (column, row)."""
        t = self.transform
        det = t[1] * t[5] - t[2] * t[4]
        dx, dy = x - t[0], y - t[3]
        return (dx * t[5] - dy * t[2]) / det, (dy * t[1] - dx * t[4]) / det

    def pixel_at(self, x: float, y: float) -> tuple[int, int]:
        """The pixel (column, row) that holds a point; points on an edge belong to the higher one."""
        col, row = self.to_pixels(x, y)
        return math.floor(_snap(col)), math.floor(_snap(row))

    def sub(self, window: Window) -> Grid:
        """The grid of a window of this one."""
        x, y = self.to_map(window.col, window.row)
        t = self.transform
        return Grid(self.crs, (x, t[1], t[2], y, t[4], t[5]), window.width, window.height)

    def describe(self) -> str:
        """For error messages: origin, pixel size, size."""
        t = self.transform
        return f'origin ({t[0]:.10g}, {t[3]:.10g}), pixel ({t[1]:.10g}, {t[5]:.10g}), {self.width} x {self.height}'


@dataclasses.dataclass(frozen=True)
class Relation:
    """How a grid lies on a reference grid, exactly.

    Pixel (0, 0) of the reference has its corner at (`col`, `row`) in pixels of the other grid, and one pixel of the
    reference is `x` by `y` pixels of the other.
    """

    x: Fraction
    y: Fraction
    col: Fraction
    row: Fraction

    def window(self, window: Window) -> Window:
        """The other grid's pixels that cover the same ground; `GridMismatch` if they are no whole pixels."""
        edges = (
            self.col + window.col * self.x,
            self.row + window.row * self.y,
            window.width * self.x,
            window.height * self.y,
        )
        if any(edge.denominator != 1 for edge in edges):
            raise GridMismatch(
                f'{window.width} x {window.height} pixels of the first grid are no whole pixels of the other '
                f'({float(window.width * self.x):g} x {float(window.height * self.y):g}).'
            )
        return Window(*(int(edge) for edge in edges))

    def cover(self, window: Window) -> Window:
        """The other grid's pixels that touch the ground of a window of the reference."""
        left, top = self.col + window.col * self.x, self.row + window.row * self.y
        col, row = math.floor(left), math.floor(top)
        right, bottom = left + window.width * self.x, top + window.height * self.y
        return Window(col, row, math.ceil(right) - col, math.ceil(bottom) - row)


def relate(reference: Grid, other: Grid, names: tuple[str, str] = ('the first raster', 'the other')) -> Relation:
    """How `other` lies on `reference`, with exact ratios.

    CRS are not compared here: that takes GDAL, see `raster.require_same_crs`.

    Raises:
        GridMismatch: naming both grids, where their axes differ in direction, or no ratio of small whole numbers
            puts every corner within `TOLERANCE` pixels.
    """
    a, b = reference.transform, other.transform
    size_a, size_b = reference.pixel_size, other.pixel_size
    both = f'{names[0]}: {reference.describe()}; {names[1]}: {other.describe()}'
    for i, j in ((1, 4), (2, 5)):
        axis = 0 if i == 1 else 1
        along = (a[i] * b[i] + a[j] * b[j]) / (size_a[axis] * size_b[axis])
        if along < 1 - 1e-9:
            raise GridMismatch(f'The axes of the rasters point in different directions. {both}')
    exact = []
    for axis, length in ((0, reference.width), (1, reference.height)):
        ratio = size_a[axis] / size_b[axis]
        fraction = _simple(ratio)
        if abs(float(fraction) - ratio) * max(length, 1) > TOLERANCE:
            raise GridMismatch(f'The pixel sizes are in no simple ratio ({ratio:.6g}). {both}')
        exact.append(fraction)
    offsets = []
    for axis, offset in enumerate(other.to_pixels(a[0], a[3])):
        # Whole pixels of either grid, or of the finer one they share.
        unit = Fraction(1, exact[axis].denominator)
        steps = round(offset / float(unit))
        if abs(offset - steps * float(unit)) > TOLERANCE:
            raise GridMismatch(f'The rasters are shifted against each other by parts of a pixel. {both}')
        offsets.append(steps * unit)
    relation = Relation(exact[0], exact[1], offsets[0], offsets[1])
    # The axes may still be turned by an angle too small to show but for the width of the rasters.
    for col, row in ((reference.width, 0), (0, reference.height), (reference.width, reference.height)):
        x, y = other.to_pixels(*reference.to_map(col, row))
        if max(abs(x - relation.col - col * relation.x), abs(y - relation.row - row * relation.y)) > 2 * TOLERANCE:
            raise GridMismatch(f'The rasters are turned or sheared against each other. {both}')
    return relation


def _simple(ratio: float) -> Fraction:
    """The nearest ratio of small whole numbers; the same one, inverted, for the inverse."""
    return Fraction(ratio).limit_denominator(64) if ratio >= 1 else 1 / Fraction(1 / ratio).limit_denominator(64)


def _snap(value: float) -> float:
    """Round to a whole number what is one but for the noise of the division."""
    nearest = round(value)
    return float(nearest) if abs(value - nearest) < 1e-6 else value
