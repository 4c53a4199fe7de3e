"""The procedural landscape: a satellite image with known truth, for trying things out where there is no data.

A square of countryside is drawn as polygons (parcels, woods, ponds and a river, roads, buildings) and painted with
materials. Spectra alone do not tell the classes apart: slate roofs are as dark as water, grey roofs look like
asphalt, red roofs and dirt tracks like bare fields, and crops as green as woods. Shape, size, texture and
neighbourhood do. The ground is painted at the fine resolution; the multispectral pixel is the mean of 4 by 4 fine
ones, so that its edges are mixed as in real images, and both get noise of a sensor.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .errors import InvalidJob, write_error
from .events import Reporter
from .folder import OutputFolder
from .gdalio import gdal, gdal_type, ogr, osr
from .jobs import ClassDef, DemoSceneJob
from .landscape import BUILDING, FIELD, FOREST, ROAD, SLIVER, WATER, Landscape
from .maps.classes import qml
from .vector import areas, repaired

PIXEL = 6.0  # metres, of the multispectral image
SMALLEST = 64  # pixels a side; less holds no landscape
RATIO = 4  # fine pixels in a multispectral one, along each axis
ORIGIN = (600000.0, 5800000.0)  # upper left corner in UTM 31N
EPSG = 32631
BANDS = ('blue', 'green', 'red', 'near infrared')

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
    side = job.size * PIXEL
    landscape = Landscape(side, rng, reporter)
    reporter.stage(0.3, 0.35)
    objects = [(value, _moved(shape, ORIGIN[0], ORIGIN[1] - side)) for value, shape in landscape.features()]
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
