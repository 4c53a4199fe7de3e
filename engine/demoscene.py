"""The procedural landscape: a satellite image with known truth, for trying things out where there is no data.

A square of countryside is drawn as polygons (parcels, woods, ponds and a river, roads, buildings) and painted with
materials. Spectra alone do not tell the classes apart: slate roofs are as dark as water, grey roofs look like
asphalt, red roofs and dirt tracks like bare fields, and crops as green as woods. Shape, size, texture and
neighbourhood do. The ground is painted at the fine resolution; the multispectral pixel is the mean of 4 by 4 fine
ones, so that its edges are mixed as in real images, and both get noise of a sensor.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from .errors import InvalidJob
from .events import Reporter
from .folder import OutputFolder
from .gdalio import gdal, gdal_type, ogr, osr, write_error
from .jobs import ClassDef, DemoSceneJob
from .maps.classes import qml
from .vector import areas, repaired

PIXEL = 6.0  # metres, of the multispectral image
SMALLEST = 64  # pixels a side; less holds no landscape
RATIO = 4  # fine pixels in a multispectral one, along each axis
ORIGIN = (600000.0, 5800000.0)  # upper left corner in UTM 31N
EPSG = 32631
SLIVER = 0.5  # square metres; smaller polygons, left by cutting, are dropped
BANDS = ('blue', 'green', 'red', 'near infrared')

FIELD, FOREST, WATER, ROAD, BUILDING = 11, 31, 41, 51, 52
CLASSES = (
    ClassDef(FIELD, 'field', '#e8d57a'),
    ClassDef(FOREST, 'forest', '#2e7d32'),
    ClassDef(WATER, 'water', '#3b82c4'),
    ClassDef(ROAD, 'road', '#5f5f5f'),
    ClassDef(BUILDING, 'building', '#d7301f'),
)
FILES = ('ms.tif', 'pan.tif', 'truth.tif', 'truth.qml', 'polygons.gpkg', 'classes.csv')

# Mean reflectance x 10000 of blue, green, red, near infrared, and the share of objects made of it.
_MATERIALS: dict[int, tuple[tuple[tuple[int, int, int, int], float], ...]] = {
    FIELD: (
        ((850, 1150, 1450, 2150), 0.25),  # bare soil
        ((480, 800, 560, 3500), 0.30),  # green crop
        ((420, 690, 500, 2900), 0.15),  # dense crop, like a wood from above
        ((950, 1350, 1650, 2500), 0.20),  # stubble
        ((600, 950, 800, 2900), 0.10),  # pasture
    ),
    FOREST: (((420, 680, 500, 2950), 0.7), ((380, 600, 450, 2300), 0.3)),
    WATER: (((560, 520, 380, 260), 0.6), ((700, 780, 600, 420), 0.4)),
    ROAD: (((1150, 1200, 1250, 1400), 0.65), ((900, 1200, 1500, 2150), 0.35)),
    BUILDING: (
        ((950, 1150, 1600, 2150), 0.35),  # red tiles
        ((1200, 1250, 1300, 1450), 0.30),  # grey, like asphalt
        ((560, 560, 520, 480), 0.20),  # slate, like water
        ((2400, 2500, 2600, 2800), 0.15),  # metal
    ),
}


def make_demo_scene(job: DemoSceneJob, reporter: Reporter) -> dict[str, Any]:
    """Make the landscape.

    Args:
        job: `size` pixels of ``ms.tif`` a side, at least `SMALLEST`; seed, output folder.
        reporter: progress and cancel.

    Returns:
        ``OUTPUT``: the folder with ``ms.tif`` (4 bands int16), ``pan.tif`` (1 band int16, four times as fine),
        ``truth.tif`` (uint8 class values on the grid of ``ms.tif``, with a style for QGIS), ``polygons.gpkg`` (field
        ``class``; they do not overlap and leave no gap) and ``classes.csv``.

    Raises:
        InvalidJob: a size that cannot be made.
        OutputRefused: the folder holds other things than such a scene, or cannot be written.
    """
    if job.size < SMALLEST:
        raise InvalidJob(f'Size {job.size}: must be at least {SMALLEST} pixels.')
    if job.seed < 0:
        raise InvalidJob(f'Seed {job.seed}: must not be negative.')
    folder = OutputFolder(job.output, 'demo scene', FILES.__contains__)
    with folder:
        try:
            _write_scene(folder.part, job, reporter)
        except (OSError, RuntimeError) as error:
            raise write_error(folder.output, error) from error
        folder.finish()
    reporter.log(f'Demo scene of {job.size} x {job.size} pixels of {PIXEL:g} m in {folder.output}')
    return {'OUTPUT': folder.output}


def _write_scene(folder: str, job: DemoSceneJob, reporter: Reporter) -> None:
    rng = np.random.default_rng(job.seed)
    landscape = _Landscape(job.size * PIXEL, rng, reporter)
    reporter.stage(0.3, 0.35)
    objects = landscape.features()
    with open(os.path.join(folder, 'classes.csv'), 'w', encoding='utf-8', newline='') as file:
        file.write('value,name,colour\n')
        file.writelines(f'{c.value},{c.name},{c.colour}\n' for c in CLASSES)
    with open(os.path.join(folder, 'truth.qml'), 'w', encoding='utf-8') as file:
        file.write(qml(CLASSES))
    layer_source = _write_polygons(os.path.join(folder, 'polygons.gpkg'), objects)
    fine = _burn(layer_source, job.size * RATIO, PIXEL / RATIO, 'fid', gdal.GDT_UInt32)
    truth = _burn(layer_source, job.size, PIXEL, 'class', gdal.GDT_Byte)
    layer_source.Release()
    del layer_source
    _close_gaps(fine)
    _close_gaps(truth)
    with _Image(os.path.join(folder, 'truth.tif'), job.size, PIXEL, np.uint8, ('class',)) as image:
        image.write(0, truth[None])
    reporter.stage(0.35, 1.0)
    _paint(folder, fine, objects, landscape.building_shadows(), job.size, rng, reporter)


class _Landscape:
    """The polygons, in metres from the lower left corner, drawn by `rng`."""

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
        """(class, polygon on the map) that do not overlap: what lies on top is cut out of what lies below."""
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
                    # Cut first and moved afterwards: far from the origin, GEOS fails at some of these cuts.
                    result.append((value, _moved(rest, ORIGIN[0], ORIGIN[1] - self.side)))
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
        return [self.shapes[i] for i in np.flatnonzero(near) if self.shapes[i].Intersects(shape)]


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


def _write_polygons(path: str, objects: list[tuple[int, ogr.Geometry]]) -> gdal.Dataset:
    """Write the GeoPackage, and return the same features in memory, with the index as field ``fid`` from 1."""
    names = {c.value: c.name for c in CLASSES}
    memory = ogr.GetDriverByName('Memory').CreateDataSource('')
    inner = memory.CreateLayer('objects', _crs(), ogr.wkbMultiPolygon)
    for field in ('fid', 'class'):
        inner.CreateField(ogr.FieldDefn(field, ogr.OFTInteger))
    file = ogr.GetDriverByName('GPKG').CreateDataSource(path)
    outer = file.CreateLayer('polygons', _crs(), ogr.wkbMultiPolygon)
    outer.CreateField(ogr.FieldDefn('class', ogr.OFTInteger))
    outer.CreateField(ogr.FieldDefn('name', ogr.OFTString))
    outer.StartTransaction()
    for number, (value, shape) in enumerate(objects, 1):
        for layer, values in (
            (inner, {'fid': number, 'class': value}),
            (outer, {'class': value, 'name': names[value]}),
        ):
            feature = ogr.Feature(layer.GetLayerDefn())
            for key, content in values.items():
                feature.SetField(key, content)
            feature.SetGeometryDirectly(shape.Clone())
            layer.CreateFeature(feature)
    outer.CommitTransaction()
    del outer
    file.Release()
    return memory


def _moved(shape: ogr.Geometry, east: float, north: float) -> ogr.Geometry:
    """A multipolygon at its place on the map; where rounding there makes it cross itself, it is repaired."""
    many = ogr.Geometry(ogr.wkbMultiPolygon)
    for i in range(shape.GetGeometryCount()):
        part = shape.GetGeometryRef(i)
        polygon = ogr.Geometry(ogr.wkbPolygon)
        for j in range(part.GetGeometryCount()):
            ring = ogr.Geometry(ogr.wkbLinearRing)
            for x, y in part.GetGeometryRef(j).GetPoints():
                ring.AddPoint_2D(x + east, y + north)
            polygon.AddGeometry(ring)
        many.AddGeometry(polygon)
    return many if many.IsValid() else repaired(many) or many


def _crs() -> osr.SpatialReference:
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(EPSG)
    return crs


def _burn(source: gdal.Dataset, size: int, pixel: float, field: str, kind: int) -> np.ndarray:
    """Burn an integer field of the features, (size, size)."""
    raster = gdal.GetDriverByName('MEM').Create('', size, size, 1, kind)
    raster.SetGeoTransform((ORIGIN[0], pixel, 0, ORIGIN[1], 0, -pixel))
    raster.SetSpatialRef(_crs())
    gdal.RasterizeLayer(raster, [1], source.GetLayer(0), options=[f'ATTRIBUTE={field}'])
    out = np.empty((size, size), np.uint32 if kind == gdal.GDT_UInt32 else np.uint8)
    raster.ReadRaster(buf_obj=out)
    return out


def _close_gaps(labels: np.ndarray) -> None:
    """Give pixels between two polygons (slivers of rounding) the value of a neighbour, in place."""
    for axis in (1, 0, 1, 0):
        gaps = labels == 0
        if not gaps.any():
            return
        labels[gaps] = np.roll(labels, 1, axis)[gaps]


class _Image:
    """A GeoTIFF that is written from the top down. Arrays are (bands, rows, columns)."""

    def __init__(self, path: str, size: int, pixel: float, dtype: type, bands: tuple[str, ...]) -> None:
        options = ['TILED=YES', 'COMPRESS=DEFLATE', 'PREDICTOR=2', 'INTERLEAVE=PIXEL', 'BIGTIFF=IF_SAFER']
        driver = gdal.GetDriverByName('GTiff')
        self.dataset = driver.Create(path, size, size, len(bands), gdal_type(np.dtype(dtype)), options)
        self.dataset.SetGeoTransform((ORIGIN[0], pixel, 0, ORIGIN[1], 0, -pixel))
        self.dataset.SetSpatialRef(_crs())
        for i, name in enumerate(bands, 1):
            self.dataset.GetRasterBand(i).SetDescription(name)

    def write(self, row: int, pixels: np.ndarray) -> None:
        pixels = np.ascontiguousarray(pixels)
        self.dataset.WriteRaster(0, row, pixels.shape[2], pixels.shape[1], pixels.tobytes())

    def __enter__(self) -> _Image:
        return self

    def __exit__(self, *_: Any) -> None:
        self.dataset.FlushCache()
        self.dataset = None


def _noise(rng: np.random.Generator, rows: int, cols: int, scale: int) -> np.ndarray:
    """Smooth noise of about unit variance, features of `scale` pixels, (rows, cols) float32."""
    coarse = rng.standard_normal((rows // scale + 3, cols // scale + 3)).astype(np.float32)
    position = [np.arange(n, dtype=np.float32) / scale for n in (rows, cols)]
    low = [p.astype(int) for p in position]
    weight = [p - base for p, base in zip(position, low)]
    along = coarse[low[0]] * (1 - weight[0][:, None]) + coarse[low[0] + 1] * weight[0][:, None]
    return 1.5 * (along[:, low[1]] * (1 - weight[1]) + along[:, low[1] + 1] * weight[1])


def _paint(
    folder: str,
    fine: np.ndarray,
    objects: list[tuple[int, ogr.Geometry]],
    shadows: list[ogr.Geometry],
    size: int,
    rng: np.random.Generator,
    reporter: Reporter,
) -> None:
    """Turn the objects into images, a strip at a time.

    Args:
        fine: number of the object at each fine pixel, from 1.
        shadows: areas in shadow, in metres from the lower left corner.
    """
    count = len(objects) + 1
    classes = np.zeros(count, np.uint8)
    spectra = np.zeros((count, 4), np.float32)
    for i, (value, _) in enumerate(objects, 1):
        kinds = _MATERIALS[value]
        spectrum = kinds[rng.choice(len(kinds), p=[share for _, share in kinds])][0]
        vary = 0.16 if value in (FIELD, BUILDING) else 0.08
        classes[i] = value
        spectra[i] = np.array(spectrum) * (1 + rng.normal(0, vary)) * (1 + rng.normal(0, 0.05, 4))
    rows_angle = rng.uniform(0, np.pi, count).astype(np.float32)
    rows_step = rng.uniform(18, 40, count).astype(np.float32)  # metres between crop rows
    rows_depth = np.where(classes == FIELD, rng.uniform(0.02, 0.10, count), 0).astype(np.float32)
    dark = _burn(_shadow_layer(shadows, size), size * RATIO, PIXEL / RATIO, 'fid', gdal.GDT_UInt32) > 0

    side = size * RATIO
    step = 16 * RATIO
    haze = _noise(rng, size, size, max(size // 4, 1))
    grain = {  # relative strength of coarse (a crown or so) and of fine texture
        FIELD: (0.03, 0.03),
        FOREST: (0.30, 0.16),
        WATER: (0.03, 0.05),
        ROAD: (0.03, 0.08),
        BUILDING: (0.05, 0.08),
    }
    coarse_of, fine_of = np.zeros(256, np.float32), np.zeros(256, np.float32)
    for value, (a, b) in grain.items():
        coarse_of[value], fine_of[value] = a, b
    crowns = _noise(rng, side, side, 7)
    metre = PIXEL / RATIO
    x = np.arange(side, dtype=np.float32)[None] * metre
    names = ('pan',)
    with (
        _Image(os.path.join(folder, 'ms.tif'), size, PIXEL, np.int16, BANDS) as ms,
        _Image(os.path.join(folder, 'pan.tif'), side, metre, np.int16, names) as pan,
    ):
        for row in range(0, side, step):
            reporter.check_cancelled()
            reporter.progress(row / side, 'painting')
            ids = fine[row : row + step]
            kind = classes[ids]
            y = np.arange(row, row + len(ids), dtype=np.float32)[:, None] * metre
            angle = rows_angle[ids]
            furrow = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / rows_step[ids])
            texture = 1 + rows_depth[ids] * furrow
            texture += coarse_of[kind] * crowns[row : row + step]
            texture += fine_of[kind] * rng.standard_normal(ids.shape, np.float32)
            np.clip(texture, 0.25, 2.0, out=texture)
            texture[dark[row : row + step]] *= 0.45
            part = haze[row // RATIO : (row + len(ids)) // RATIO]
            light = 1 + 0.04 * part
            bands = np.empty((4, len(ids) // RATIO, size), np.float32)
            bright = np.zeros(ids.shape, np.float32)
            for band in range(4):
                ground = spectra[ids, band] * texture
                bands[band] = ground.reshape(-1, RATIO, size, RATIO).mean((1, 3))
                bright += ground * (0.2, 0.35, 0.35, 0.1)[band]
            bands = bands * light + 60 + 25 * part
            bands += rng.standard_normal(bands.shape, np.float32) * (18 + 0.035 * bands)
            ms.write(row // RATIO, np.clip(bands, 1, 10000).astype(np.int16))
            bright += rng.standard_normal(bright.shape, np.float32) * (15 + 0.03 * bright)
            pan.write(row, np.clip(bright, 1, 10000).astype(np.int16)[None])


def _shadow_layer(shadows: list[ogr.Geometry], size: int) -> gdal.Dataset:
    """The shadows as a layer for `_burn`."""
    memory = ogr.GetDriverByName('Memory').CreateDataSource('')
    layer = memory.CreateLayer('shadows', _crs(), ogr.wkbMultiPolygon)
    layer.CreateField(ogr.FieldDefn('fid', ogr.OFTInteger))
    for shadow in shadows:
        shade = areas(shadow, SLIVER)
        if shade is not None:
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField('fid', 1)
            feature.SetGeometryDirectly(_moved(shade, ORIGIN[0], ORIGIN[1] - size * PIXEL))
            layer.CreateFeature(feature)
    return memory
