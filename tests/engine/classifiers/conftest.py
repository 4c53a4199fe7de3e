"""A landscape of four classes, a network whose outputs tell them, and polygons and points on it."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import quadrat.engine.classifiers  # noqa: F401  # before scikit-learn
from quadrat import engine
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.jobs import MapDeepFeaturesJob, ServeJob, SourceSpec, TrainDeepFeaturesJob, VectorSpec
from quadrat.engine.vector import VectorWriter

ROWS, COLS, PIXEL, WEST, NORTH = 96, 128, 10.0, 500000.0, 5000000.0
CODES = (11, 12, 41, 51)  # of the classes; each has a quarter of the image
NAMES = ('crops', 'forest', 'town', 'water')
MEANS = np.array([[300, 900], [250, 400], [800, 700], [100, 60]], float)


def quarter(row: int, col: int) -> int:
    """The class of a pixel, from 0."""
    return 2 * (row >= ROWS // 2) + (col >= COLS // 2)


POINTS = np.random.default_rng(5).integers(30, (ROWS, COLS), (200, 2))
TRUTH = np.array([[quarter(row, col) for col in range(COLS)] for row in range(ROWS)])


def write_raster(path, pixels, pixel=PIXEL, nodata=None) -> str:
    """A raster of pixels (rows, columns, bands)."""
    rows, cols, bands = pixels.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, gdal_type(pixels.dtype))
    dataset.SetGeoTransform((WEST, pixel, 0, NORTH, 0, -pixel))
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    dataset.SetSpatialRef(crs)
    if nodata is not None:
        for number in range(1, bands + 1):
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
    dataset.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes())
    return str(path)


def read_raster(path) -> np.ndarray:
    """(rows, columns, bands)."""
    dataset = gdal.Open(str(path))
    pixels = dataset.ReadAsArray()
    return pixels[..., None] if pixels.ndim == 2 else pixels.transpose(1, 2, 0)


def write_vector(path, features, kind=ogr.wkbPolygon, fields=()) -> VectorSpec:
    """A layer of (geometry as WKT, attributes by name); `fields` are its attributes by name and type."""
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    definitions = [ogr.FieldDefn(name, type_) for name, type_ in fields]
    with VectorWriter(str(path), crs.ExportToWkt(), definitions, geometry_type=kind) as writer:
        for wkt, values in features:
            writer.add(ogr.CreateGeometryFromWkt(wkt) if wkt else None, values)
    return VectorSpec(str(path))


def square(row, col, size) -> str:
    """WKT of a square of pixels."""
    left, right = WEST + col * PIXEL, WEST + (col + size) * PIXEL
    top, bottom = NORTH - row * PIXEL, NORTH - (row + size) * PIXEL
    return f'POLYGON (({left} {top}, {right} {top}, {right} {bottom}, {left} {bottom}, {left} {top}))'


@pytest.fixture(scope='session')
def scene(tmp_path_factory) -> str:
    """The image: two noisy bands, no-data at its upper left."""
    rng = np.random.default_rng(1)
    pixels = MEANS[TRUTH] + rng.normal(0, 90, (ROWS, COLS, 2))
    pixels = np.clip(pixels, 1, 2000).astype('int16')
    pixels[:8, :8] = 0
    return write_raster(tmp_path_factory.mktemp('scene') / 'image.tif', pixels, nodata=0)


@pytest.fixture(scope='session')
def model(tmp_path_factory) -> str:
    """A network that knows no classes: local means at two scales, and what a stride of 2 leaves of them."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 2), name='image')
    scaled = keras.layers.Rescaling(1 / 500, name='scaled')(image)
    narrow = keras.layers.AveragePooling2D(3, 1, 'valid', name='narrow')(scaled)
    padded = keras.layers.ZeroPadding2D(1)(narrow)
    mixed = keras.layers.Conv2D(3, 3, padding='same', activation='relu', name='mixed')(scaled)
    coarse = keras.layers.AveragePooling2D(2, 2, name='pooled')(scaled)
    path = str(tmp_path_factory.mktemp('network') / 'model')
    keras.Model(image, {'means': padded, 'mixed': mixed, 'coarse': coarse}).export(path, verbose=False)
    return path


@pytest.fixture(scope='session')
def polygons(tmp_path_factory) -> VectorSpec:
    """Two squares of each class, one of which reaches into no-data, with the class as number and as text."""
    features = []
    for number, (row, col) in enumerate(((4, 4), (4, 80), (60, 10), (60, 80))):
        for down in (0, 20):
            values = {'code': CODES[number], 'name': NAMES[number], 'none': None, 'one': 7}
            features.append((square(row + down, col, 12 - number), values))
    fields = (('code', ogr.OFTInteger), ('name', ogr.OFTString), ('none', ogr.OFTInteger), ('one', ogr.OFTInteger))
    return write_vector(tmp_path_factory.mktemp('polygons') / 'polygons.gpkg', features, fields=fields)


@pytest.fixture(scope='session')
def others(tmp_path_factory) -> VectorSpec:
    """Points for validation, elsewhere."""
    features = []
    for row, col in POINTS.tolist():
        point = f'POINT ({WEST + (col + 0.5) * PIXEL} {NORTH - (row + 0.5) * PIXEL})'
        features.append((point, {'code': CODES[TRUTH[row, col]]}))
    path = tmp_path_factory.mktemp('others') / 'points.gpkg'
    return write_vector(path, features, ogr.wkbPoint, (('code', ogr.OFTInteger),))


@pytest.fixture
def serving(model, scene):
    """A function: options -> how the network is applied, with its local means unless others are asked for."""

    def make(**options) -> ServeJob:
        return ServeJob(**{'model': model, 'sources': (SourceSpec((scene,)),), 'output_names': ('means',), **options})

    return make


@pytest.fixture
def train_deep(tmp_path, serving, polygons):
    """A function: options of the job -> (the path of the classifier, results, what was said)."""

    def train(apply=None, name='classifier', **options):
        said = []
        path = str(tmp_path / f'{name}.skops')
        options = {'vector': polygons, 'field': 'code', **options}
        job = TrainDeepFeaturesJob(apply or serving(runtime='tensorflow'), output=path, **options)
        results = engine.run(job, on_event=said.append)
        return path, results, said

    return train


@pytest.fixture
def map_deep(tmp_path, serving):
    """A function: a classifier, options of the job -> (pixels (rows, columns, bands) of each raster, what was said)."""

    def make(classifier, name='map', **options):
        said = []
        apply = serving(runtime='tensorflow', output=str(tmp_path / f'{name}.tif'), **options)
        fields = {field.name: getattr(apply, field.name) for field in dataclasses.fields(apply)}
        job = MapDeepFeaturesJob(**{**fields, 'output_names': options.get('output_names', ())}, classifier=classifier)
        engine.run(job, on_event=said.append)
        return {key.lower(): read_raster(path) for key, path in job.rasters().items() if path}, said

    return make


@pytest.fixture
def card_of():
    """A function: path of a classifier -> the card in it."""

    def read(path) -> dict:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read('quadrat.json'))

    return read


@pytest.fixture
def landscape():
    """What the scene is made of, and how rasters and layers are written."""
    return SimpleNamespace(
        codes=np.array(CODES),
        names=NAMES,
        truth=TRUTH,
        square=square,
        write_raster=write_raster,
        read_raster=read_raster,
        write_vector=write_vector,
        points=POINTS,
    )
