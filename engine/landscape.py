"""A square of countryside as polygons: parcels, woods, ponds and a river, roads, buildings.

Coordinates are metres from the lower left corner. Far from the origin of a map projection, where fewer digits are
left for fractions of a metre, GEOS fails at some of the cuts that are made here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .events import Reporter
from .gdalio import ogr
from .vector import areas

FIELD, FOREST, WATER, ROAD, BUILDING = 11, 31, 41, 51, 52  # values of the classes
SLIVER = 0.5  # square metres; smaller polygons, left by cutting, are dropped


class Landscape:
    """The polygons, drawn by `rng`.

    Args:
        side: of the square, in metres.
    """

    CELL = 1200.0  # a hamlet, a wood and perhaps a pond in each square of this side, so that all regions have all
    TRIES = 90  # houses tried in a hamlet; about half find room

    def __init__(self, side: float, rng: np.random.Generator, reporter: Reporter) -> None:
        self.side, self.rng, self.reporter = side, rng, reporter
        self.frame = _polygon([(0, 0), (side, 0), (side, side), (0, side)])
        self.parcels: list[ogr.Geometry] = []
        self.road_lines: list[tuple[tuple[float, float], tuple[float, float]]] = []
        self._split_land()
        reporter.progress(0.05, 'parcels')
        self.roads = [self._road(line) for line in self.road_lines]
        self.waters = [self._river(), *self._blobs(0.8, 50, 120)]
        self.forests = self._blobs(1.0, 130, 260)
        reporter.progress(0.1, 'hamlets')
        self.buildings = self._hamlets()
        reporter.progress(0.2, 'polygons')

    def _split_land(self) -> None:
        """Cut a tilted square around the frame in two, again and again; the first cuts carry roads."""
        tilt = self.rng.uniform(0.15, 0.6)
        self.axes = (np.array([math.cos(tilt), math.sin(tilt)]), np.array([-math.sin(tilt), math.cos(tilt)]))
        centre, half = np.full(2, self.side / 2), self.side * 0.75
        pending = [(-half, -half, half, half)]
        while pending:
            x0, y0, x1, y1 = pending.pop()
            width, height = x1 - x0, y1 - y0
            longer = max(width, height)
            if longer < 190 or (longer < 380 and self.rng.random() < 0.35):
                corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
                parcel = _polygon([self._at(centre, *corner) for corner in corners]).Intersection(self.frame)
                if not parcel.IsEmpty() and parcel.GetArea() > 1:
                    self.parcels.append(parcel)
                continue
            share = self.rng.uniform(0.35, 0.65)
            road = longer > 560
            if width >= height:
                cut = x0 + share * width
                pending += [(x0, y0, cut, y1), (cut, y0, x1, y1)]
                line = (self._at(centre, cut, y0), self._at(centre, cut, y1))
            else:
                cut = y0 + share * height
                pending += [(x0, y0, x1, cut), (x0, cut, x1, y1)]
                line = (self._at(centre, x0, cut), self._at(centre, x1, cut))
            if road:
                self.road_lines.append(line)

    def _at(self, centre: np.ndarray, u: float, v: float) -> tuple[float, float]:
        x, y = centre + u * self.axes[0] + v * self.axes[1]
        return float(x), float(y)

    def _road(self, line: tuple[tuple[float, float], tuple[float, float]]) -> ogr.Geometry:
        return _line(line).Buffer(self.rng.uniform(5.0, 8.0), 2)

    def _river(self) -> ogr.Geometry:
        xs = np.linspace(-50, self.side + 50, max(16, int(self.side / 60)))
        ys = self.side * self.rng.uniform(0.35, 0.65) + self.rng.uniform(-0.15, 0.15) * (xs - self.side / 2)
        for wavelength, height in ((1900, 170), (820, 60)):
            ys = ys + height * np.sin(2 * np.pi * (xs / wavelength + self.rng.random()))
        return _line(list(zip(xs.tolist(), ys.tolist()))).Buffer(self.rng.uniform(22, 38), 4)

    def _cells(self) -> list[tuple[float, float]]:
        """A random spot in each cell of the landscape."""
        count = max(1, round(self.side / self.CELL))
        step = self.side / count
        spots = self.rng.uniform(0.15, 0.85, (count, count, 2))
        return [(float((i + x) * step), float((j + y) * step)) for i in range(count) for j in range(count)
                for x, y in [spots[i, j]]]  # fmt: skip

    def _blobs(self, chance: float, smallest: float, largest: float) -> list[ogr.Geometry]:
        """Wobbly discs, one in a cell with the given chance."""
        largest = min(largest, self.side / 6)
        blobs = []
        for x, y in self._cells():
            if self.rng.random() > chance:
                continue
            angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            radius = np.full(48, self.rng.uniform(min(smallest, largest), largest))
            for order in (2, 3, 5):
                radius *= 1 + self.rng.uniform(0, 0.25) * np.sin(order * angles + self.rng.uniform(0, 2 * np.pi))
            points = zip((x + radius * np.cos(angles)).tolist(), (y + radius * np.sin(angles)).tolist())
            blobs.append(_polygon(list(points)).Buffer(0))
        return blobs

    def _hamlets(self) -> list[ogr.Geometry]:
        """Houses beside the roads around a spot in each cell, and lone farms."""
        taken = _union([*self.roads, *self.waters, *self.forests]).Buffer(3, 2).CreatePreparedGeometry()
        occupied = _Pile()
        buildings: list[ogr.Geometry] = []
        for x, y in self._cells():
            self.reporter.check_cancelled()
            lines = sorted(self.road_lines, key=lambda line: _distance(line, x, y))[:4]
            for _ in range(self.TRIES):
                start, end = (np.array(p) for p in lines[self.rng.integers(len(lines))])
                along = (end - start) / np.linalg.norm(end - start)
                foot = start + along * (np.array([x, y]) - start).dot(along)
                side = np.array([-along[1], along[0]]) * self.rng.choice([-1, 1])
                long, deep = self.rng.uniform(14, 42), self.rng.uniform(12, 24)
                spot = foot + along * self.rng.normal(0, 130) + side * self.rng.uniform(20, 75)
                corners = [spot + along * a * long / 2 + side * b * deep / 2 for a, b in _CORNERS]
                house = _polygon([(float(cx), float(cy)) for cx, cy in corners])
                if self.frame.Contains(house) and not taken.Intersects(house) and not occupied.touching(house):
                    buildings.append(house)
                    occupied.add(house.Buffer(7, 1))
        return buildings

    def features(self) -> list[tuple[int, ogr.Geometry]]:
        """(class, multipolygon) that do not overlap: what lies on top is cut out of what lies below."""
        wood = [self.rng.random() < 0.12 for _ in self.parcels]
        layers = [
            (BUILDING, self.buildings),
            (ROAD, self.roads),
            (WATER, self.waters),
            (FOREST, self.forests),
            (FOREST, [p for p, is_wood in zip(self.parcels, wood) if is_wood]),
            (FIELD, [p for p, is_wood in zip(self.parcels, wood) if not is_wood]),
        ]
        above = _Pile()
        result: list[tuple[int, ogr.Geometry]] = []
        for value, shapes in layers:
            for shape in shapes:
                self.reporter.check_cancelled()
                rest = shape.Intersection(self.frame)
                for other in above.touching(rest):
                    rest = rest.Difference(other)
                rest = areas(rest, SLIVER)
                if rest is not None:
                    result.append((value, rest))
                    if value != FIELD:
                        above.add(rest)
        return result

    def building_shadows(self) -> list[ogr.Geometry]:
        """Where the buildings' shadows fall, to the north-west."""
        shadows = []
        for building in self.buildings:
            moved = building.Clone()
            ring = moved.GetGeometryRef(0)
            for i in range(ring.GetPointCount()):
                ring.SetPoint_2D(i, ring.GetX(i) - 5, ring.GetY(i) + 6)
            shadows.append(moved.Union(building).ConvexHull().Difference(building))
        return shadows


class _Pile:
    """Shapes, and which of them a further one touches; the boxes are compared first."""

    def __init__(self) -> None:
        self.shapes: list[ogr.Geometry] = []
        self.boxes = np.empty((64, 4))

    def add(self, shape: ogr.Geometry) -> None:
        if len(self.shapes) == len(self.boxes):
            self.boxes = np.concatenate([self.boxes, np.empty_like(self.boxes)])
        self.boxes[len(self.shapes)] = shape.GetEnvelope()
        self.shapes.append(shape)

    def touching(self, shape: ogr.Geometry) -> list[ogr.Geometry]:
        west, east, south, north = shape.GetEnvelope()
        b = self.boxes[: len(self.shapes)]
        near = (b[:, 0] <= east) & (b[:, 1] >= west) & (b[:, 2] <= north) & (b[:, 3] >= south)
        # Not Intersects(), which gives up on some shapes whose sides nearly coincide.
        return [self.shapes[i] for i in np.flatnonzero(near) if self.shapes[i].Distance(shape) == 0]


_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _polygon(points: list[tuple[float, float]]) -> ogr.Geometry:
    ring = ogr.Geometry(ogr.wkbLinearRing)
    for x, y in [*points, points[0]]:
        ring.AddPoint_2D(x, y)
    polygon = ogr.Geometry(ogr.wkbPolygon)
    polygon.AddGeometry(ring)
    return polygon


def _line(points: Any) -> ogr.Geometry:
    line = ogr.Geometry(ogr.wkbLineString)
    for x, y in points:
        line.AddPoint_2D(x, y)
    return line


def _union(shapes: list[ogr.Geometry]) -> ogr.Geometry:
    many = ogr.Geometry(ogr.wkbMultiPolygon)
    for shape in shapes:
        many.AddGeometry(shape)
    return many.UnionCascaded()


def _distance(line: tuple[tuple[float, float], tuple[float, float]], x: float, y: float) -> float:
    return float(_line(line).Distance(ogr.CreateGeometryFromWkt(f'POINT ({x} {y})')))
