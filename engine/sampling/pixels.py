"""The pixels of a geometry: those in a polygon, along a line, or that hold a point."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..grid import Grid, Window
from ..raster import RasterStack
from .spans import Spans, line_spans, polygon_spans, snap
from .validity import above_zero

_MOST = 1 << 22  # pixels of a mask that are read together
_POINT, _LINE, _POLYGON, _TRIANGLE = 1, 2, 3, 17  # in well-known binary; all others are collections of these


class Part(NamedTuple):
    """A simple geometry.

    Attributes:
        kind: its number in well-known binary.
        arrays: (n, 2) coordinates: of its point, of its line, or of each of its rings, the exterior one first.
    """

    kind: int
    arrays: list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Pixels of a geometry that may be sampled, row by row. `len` counts them.

    Attributes:
        spans: the pixels.
        xy: (1, 2) coordinates of a point, which need not be the centre of its pixel; None for other geometries.
    """

    spans: Spans
    grid: Grid
    xy: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.spans)

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns, rows and coordinates (n, 2) of some of them, counted from 0."""
        cols, rows = self.spans.at(numbers)
        if self.xy is not None:
            return cols, rows, self.xy[numbers]
        xy = self.grid.to_map(cols + 0.5, rows + 0.5)  # type: ignore[arg-type]  # goes for arrays as well
        return cols, rows, np.stack(xy, 1)  # type: ignore[call-overload]


class PixelFinder:
    """Finds the pixels of geometries on a grid.

    A polygon has the pixels whose centre lies inside its exterior ring and outside its holes; a line those whose square
    it touches; a point the one that holds it. Of a multi-geometry each part counts by itself. See `spans` for centres
    on edges. The grid may be turned, sheared or south-up: everything is decided in its pixels.

    Args:
        grid: the pixels.
        mask: on the same grid; only pixels above 0 are found. None for no mask.
    """

    def __init__(self, grid: Grid, mask: RasterStack | None = None) -> None:
        self.grid, self._mask = grid, mask
        self._usable = above_zero(mask) if mask is not None else None

    def find(self, parts: Sequence[Part], rows: range | None = None) -> Iterator[Candidates]:
        """The pixels of a geometry.

        Args:
            parts: the geometry in the reference system of the grid.
            rows: of the grid to look at; None for all.
        """
        rows = range(self.grid.height) if rows is None else rows
        for part in parts:
            positions = [self._to_pixels(xy) for xy in part.arrays]
            if part.kind == _POINT:
                found = self._with_point(positions[0], rows)
            elif part.kind == _LINE:
                found = line_spans(positions[0], rows, self.grid.width)
            else:
                found = polygon_spans(positions, rows, self.grid.width)
            for spans in found:
                for usable in self._under_mask(spans):
                    yield Candidates(usable, self.grid, part.arrays[0] if part.kind == _POINT else None)

    def rows(self, parts: Sequence[Part]) -> range:
        """Rows of the grid among which are all those that hold pixels of a geometry."""
        heights = [self._to_pixels(xy)[:, 1] for part in parts for xy in part.arrays]
        if not heights:
            return range(0)
        every = np.clip(np.concatenate(heights), -1, self.grid.height + 1)
        return range(max(int(every.min()) - 1, 0), min(int(every.max()) + 2, self.grid.height))

    def _to_pixels(self, xy: np.ndarray) -> np.ndarray:
        return snap(np.stack(self.grid.to_pixels(xy[:, 0], xy[:, 1]), 1))  # type: ignore[arg-type]

    def _with_point(self, position: np.ndarray, rows: range) -> Iterator[Spans]:
        """The pixel of a point, if it is on the grid."""
        ((col, row),) = position.tolist()
        if 0 <= col < self.grid.width and rows.start <= row < rows.stop:
            yield Spans(*np.array([[int(row)], [int(col)], [int(col) + 1]]))

    def _under_mask(self, spans: Spans) -> Iterator[Spans]:
        """The pixels that the mask lets through."""
        if self._mask is None or self._usable is None or not len(spans):
            yield spans
            return
        col, row = int(spans.start.min()), int(spans.row[0])
        window = Window(col, row, int(spans.stop.max()) - col, int(spans.row[-1]) + 1 - row)
        if window.width * window.height > _MOST and window.height > 1:
            middle = np.searchsorted(spans.row, row + window.height // 2)
            for half in (np.s_[:middle], np.s_[middle:]):
                yield from self._under_mask(Spans(spans.row[half], spans.start[half], spans.stop[half]))
            return
        cols, rows = spans.pixels()
        kept = self._usable(self._mask.read(window))[rows - row, cols - col]
        yield Spans(rows[kept], cols[kept], cols[kept] + 1)


def simple_parts(wkb: bytes) -> list[Part]:
    """The points, lines and polygons in a geometry, those without coordinates left out.

    Args:
        wkb: well-known binary of two dimensions, little-endian, without curves.
    """
    found: list[Part] = []
    _collect(wkb, 0, found)
    return found


def _collect(wkb: bytes, at: int, found: list[Part]) -> int:
    """Add the geometry that starts at byte `at` to `found`, and say where it ends."""
    kind, count = struct.unpack_from('<II', wkb, at + 1)
    if kind == _POINT:
        xy = np.frombuffer(wkb, '<f8', 2, at + 5).reshape(1, 2)
        if not np.isnan(xy).all():
            found.append(Part(kind, [xy]))
        return at + 21
    if kind == _LINE:
        line, at = _vertices(wkb, at + 5)
        if len(line):
            found.append(Part(kind, [line]))
        return at
    at += 9
    if kind not in (_POLYGON, _TRIANGLE):
        for _ in range(count):
            at = _collect(wkb, at, found)
        return at
    rings = []
    for _ in range(count):
        ring, at = _vertices(wkb, at)
        rings.append(ring)
    if rings and len(rings[0]):
        found.append(Part(kind, rings))
    return at


def _vertices(wkb: bytes, at: int) -> tuple[np.ndarray, int]:
    """The vertices (n, 2) of a line or ring, and where they end."""
    (count,) = struct.unpack_from('<I', wkb, at)
    return np.frombuffer(wkb, '<f8', 2 * count, at + 4).reshape(count, 2), at + 4 + 16 * count
