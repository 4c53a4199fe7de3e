"""Values at points: those of the array, wherever rasters and points lie; and nothing else of the points is touched."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat.engine.errors import (
    Cancelled,
    EngineError,
    InputMissing,
    InputUnreadable,
    InvalidJob,
    NoSamples,
    OutputRefused,
)
from quadrat.engine.events import Reporter, Warn
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.grid import Grid, Window
from quadrat.engine.jobs import SampleValuesJob, VectorSpec
from quadrat.engine.raster import RasterStack
from quadrat.engine.sampling import values as module
from quadrat.engine.sampling.values import sample_values

UTM = (600000.0, 2.0, 0.0, 5800000.0, 0.0, -2.0)
TILED = ('TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=32')
STRIPES = ('BLOCKYSIZE=3',)
WKT = {ogr.wkbPoint: 'POINT ({} {})', ogr.wkbPoint25D: 'POINT ({} {} 7.5)'}


def crs(epsg):
    out = osr.SpatialReference()
    out.ImportFromEPSG(epsg)
    out.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return out


def raster(path, array, transform=UTM, epsg=32631, nodata=None, options=TILED):
    """A file of an array (bands, rows, columns)."""
    bands, rows, cols = array.shape
    kind = gdal_type(array.dtype)
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, kind, list(options))
    if transform:
        dataset.SetGeoTransform(transform)
    if epsg:
        dataset.SetSpatialRef(crs(epsg))
    for number, plane in enumerate(array, 1):
        dataset.GetRasterBand(number).WriteRaster(0, 0, cols, rows, np.ascontiguousarray(plane))
        if nodata is not None:
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
    return str(path)


def layer_of(path, wkts, epsg=32631, kind=ogr.wkbPoint, fields=()):
    """A vector file: a feature for each WKT (None for one without geometry), with values of `fields` by name."""
    driver = {'.gpkg': 'GPKG', '.shp': 'ESRI Shapefile', '.geojson': 'GeoJSON'}[path.suffix]
    dataset = gdal.GetDriverByName(driver).Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer('points', crs(epsg) if epsg else None, kind)
    for name, (field_kind, _) in dict(fields).items():
        layer.CreateField(ogr.FieldDefn(name, field_kind))
    dataset.StartTransaction()
    for i, wkt in enumerate(wkts):
        feature = ogr.Feature(layer.GetLayerDefn())
        for name, (_, column) in dict(fields).items():
            if column[i] is not None:
                feature.SetField(name, column[i])
        if wkt:
            feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
    dataset.CommitTransaction()
    return VectorSpec(str(path))


def points_at(path, xy, epsg=32631, kind=ogr.wkbPoint, fields=()):
    return layer_of(path, [WKT[kind].format(repr(float(x)), repr(float(y))) for x, y in xy], epsg, kind, fields)


def features(path):
    """(attributes, WKT) of each feature."""
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    return [(f.items(), f.GetGeometryRef() and f.GetGeometryRef().ExportToIsoWkt()) for f in layer]


def sample(folder, rasters, points, name='out.gpkg', **options):
    """(attributes, WKT) of the points, and the warnings."""
    events = []
    job = SampleValuesJob(tuple(map(str, rasters)), points, str(folder / name), **options)
    assert sample_values(job, Reporter(events.append)) == {'OUTPUT': job.output}
    return features(job.output), [event.text for event in events if isinstance(event, Warn)]


def random_xy(rng, grid, count):
    """Positions anywhere in the pixels of a grid."""
    return [grid.to_map(*at) for at in rng.random((count, 2)) * (grid.width, grid.height)]


@pytest.mark.parametrize('turn', [1, 100, 1 << 24])
def test_values_are_those_of_the_arrays_whatever_the_blocks_and_types(tmp_path, monkeypatch, turn):
    monkeypatch.setattr(module, '_VALUES', turn * 9)
    monkeypatch.setattr(module, '_WINDOW_BYTES', 4096)  # large blocks are read in parts
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (3, 70, 90), np.uint8),
        rng.integers(-(2**31), 2**31, (1, 70, 90), np.int32),
        rng.normal(size=(2, 70, 90)).astype(np.float32),
        rng.normal(size=(2, 70, 90)) * 1e300,
        rng.integers(0, 65536, (1, 70, 90), np.uint16),
    ]
    blocks = [TILED, STRIPES, (*TILED, 'INTERLEAVE=BAND', 'COMPRESS=DEFLATE'), ('BLOCKYSIZE=70',), ('TILED=YES',)]
    paths = [
        raster(tmp_path / f'{i}.tif', array, options=options) for i, (array, options) in enumerate(zip(arrays, blocks))
    ]
    xy = random_xy(rng, Grid('', UTM, 90, 70), 300)
    found, warnings = sample(tmp_path, paths, points_at(tmp_path / 'p.gpkg', xy))
    assert len(found) == 300 and not warnings
    for (x, y), (attributes, wkt) in zip(xy, found):
        col, row = int((x - UTM[0]) / 2), int((UTM[3] - y) / 2)
        expected = [float(value) for array in arrays for value in array[:, row, col]]
        assert attributes == {f'value_{i}': value for i, value in enumerate(expected)}
        assert wkt == ogr.CreateGeometryFromWkt(f'POINT ({x!r} {y!r})').ExportToIsoWkt()


@pytest.mark.parametrize(
    'transform, epsg',
    [
        ((600000.0, 0.3, 0.0, 5800000.0, 0.0, -0.3), 32631),
        ((600000.1, 0.6, 0.0, 5800000.7, 0.0, -0.6), 32631),
        ((600000.0, 1.2, 0.0, 5800000.0, 0.0, 1.2), 32631),
        ((4.9, 1e-5, 0.0, 52.3, 0.0, -1e-5), 4326),
        ((5e5, 1.2, 0.5, 5e6, 0.5, -1.2), 32631),
        (None, 0),
    ],
    ids=['0.3 m', '0.6 m', 'south-up', 'degrees', 'turned', 'none'],
)
def test_points_on_edges_belong_to_the_higher_pixel(tmp_path, transform, epsg):
    """Corners, edges and centres of all pixels, on grids whose arithmetic is not exact."""
    rows, cols = 45, 50
    array = np.arange(rows * cols, dtype=np.int32).reshape(1, rows, cols)
    path = raster(tmp_path / 'a.tif', array, transform, epsg)
    grid = Grid('', transform or (0.0, 1.0, 0.0, 0.0, 0.0, 1.0), cols, rows)
    at = [(c, r, dc, dr) for r in range(0, rows, 3) for c in range(0, cols, 3) for dc in (0, 0.5) for dr in (0, 0.5)]
    points = points_at(tmp_path / 'p.gpkg', [grid.to_map(c + dc, r + dr) for c, r, dc, dr in at], epsg)
    found, warnings = sample(tmp_path, [path], points)
    assert [attributes['value_0'] for attributes, _ in found] == [r * cols + c for c, r, _, _ in at]
    assert not [text for text in warnings if 'CRS' not in text]
    far = points_at(tmp_path / 'q.gpkg', [grid.to_map(1, 1), grid.to_map(cols, 1), grid.to_map(1, rows)], epsg)
    found, _ = sample(tmp_path, [path], far, 'far.gpkg')
    assert [attributes['value_0'] for attributes, _ in found] == [cols + 1, None, None]


def test_rasters_of_other_crs_and_grids(tmp_path):
    """Points in degrees, a raster in UTM and one in degrees: each is looked up where it lies."""
    rng = np.random.default_rng(1)
    degrees = (3.0, 0.001, 0.0, 52.4, 0.0, -0.001)
    a, b = rng.integers(0, 10000, (1, 60, 80), np.int16), rng.integers(0, 10000, (2, 300, 300), np.int16)
    paths = [
        raster(tmp_path / 'a.tif', a, (500000.0, 100.0, 0.0, 5800000.0, 0.0, -100.0)),
        raster(tmp_path / 'b.tif', b, degrees, 4326, options=STRIPES),
    ]
    transform = osr.CoordinateTransformation(crs(4326), crs(32631))
    xy = (rng.random((400, 2)) * 0.29 + (3.005, 52.105)).tolist()
    found, warnings = sample(tmp_path, paths, points_at(tmp_path / 'p.gpkg', xy, 4326))
    outside = 0
    for (x, y), (attributes, wkt) in zip(xy, found):
        ex, ey, _ = transform.TransformPoint(x, y)
        col, row = int((ex - 500000) // 100), int((5800000 - ey) // 100)
        here = 0 <= col < 80 and 0 <= row < 60
        outside += not here
        col2, row2 = int((x - 3) / 0.001), int((52.4 - y) / 0.001)
        assert attributes == {
            'value_0': float(a[0, row, col]) if here else None,
            'value_1': float(b[0, row2, col2]),
            'value_2': float(b[1, row2, col2]),
        }
        assert wkt.startswith('POINT (3.')
    assert 0 < outside < 400 and warnings == [
        f'{paths[0]}: {outside} of 400 points lie outside; their values are empty.'
    ]


def test_no_data_is_empty_and_never_0(tmp_path):
    array = np.array([[[1.5, -9999.0, np.nan, np.inf, 0.0]], [[1, 2, 3, 4, -9999.0]]], np.float32)
    path = raster(tmp_path / 'a.tif', array, nodata=-9999.0, options=())
    xy = [(UTM[0] + 2 * col + 1, UTM[3] - 1) for col in range(5)]
    points = points_at(tmp_path / 'p.gpkg', xy)
    found, warnings = sample(tmp_path, [path], points, prefix='band')
    assert [(a['band0'], a['band1']) for a, _ in found] == [(1.5, 1), (None, 2), (None, 3), (None, 4), (0, None)]
    assert warnings == [f'{path}: 4 of 5 points lie on no-data; their values are empty.']
    found, _ = sample(tmp_path, [path, path], points, 'other.gpkg', nodata=('none', '1.5'))
    assert [a['value_0'] for a, _ in found] == [1.5, -9999, None, None, 0]
    assert [a['value_2'] for a, _ in found] == [None, -9999, None, None, 0]


@pytest.mark.parametrize('name', ['out.gpkg', 'out.geojson', 'out.shp'])
def test_attributes_order_and_geometry_are_kept(tmp_path, name):
    path = raster(tmp_path / 'a.tif', np.arange(100, dtype=np.uint8).reshape(1, 10, 10))
    rng = np.random.default_rng(2)
    xy = random_xy(rng, Grid('', UTM, 10, 10), 30)
    columns = {
        'id': (ogr.OFTInteger64, [2**40 - i for i in range(30)]),
        'name': (ogr.OFTString, [None if i % 5 == 0 else f'é{i}' for i in range(30)]),
        'real': (ogr.OFTReal, [i / 7 for i in range(30)]),
        'VALUE_0': (ogr.OFTString, ['old'] * 30),
        'fid_': (ogr.OFTInteger, list(range(30))),
    }
    points = points_at(tmp_path / 'p.gpkg', xy, kind=ogr.wkbPoint25D, fields=columns)
    found, _ = sample(tmp_path, [path], points, name)
    assert len(found) == 30
    for i, ((attributes, wkt), (old, old_wkt)) in enumerate(zip(found, features(points.path))):
        assert list(attributes) == ['id', 'name', 'real', 'fid_', 'value_0']
        assert attributes['real'] == pytest.approx(i / 7, rel=1e-14)
        assert {key: attributes[key] for key in ('id', 'name', 'fid_')} == {
            key: old[key] for key in ('id', 'name', 'fid_')
        }
        assert wkt == old_wkt and wkt.startswith('POINT Z')


def test_each_part_of_a_multipoint_and_features_without_a_place(tmp_path):
    path = raster(tmp_path / 'a.tif', np.arange(100, dtype=np.uint8).reshape(1, 10, 10))
    x, y = UTM[0] + 1, UTM[3] - 1
    wkts = [f'MULTIPOINT (({x} {y}), ({x + 2} {y}))', None, 'MULTIPOINT EMPTY', f'MULTIPOINT (({x} {y - 2}))']
    columns = {'n': (ogr.OFTInteger, [0, 1, 2, 3])}
    points = layer_of(tmp_path / 'p.gpkg', wkts, kind=ogr.wkbMultiPoint, fields=columns)
    found, warnings = sample(tmp_path, [path], points)
    assert [(a['n'], a['value_0']) for a, _ in found] == [(0, 0), (0, 1), (1, None), (2, None), (3, 10)]
    assert [wkt is None for _, wkt in found] == [False, False, True, True, False]
    assert warnings == [f'{path}: 2 of 5 points lie outside; their values are empty.']
    dataset = gdal.OpenEx(str(tmp_path / 'out.gpkg'))
    assert dataset.GetLayer(0).GetGeomType() == ogr.wkbPoint


def test_each_block_is_read_once(tmp_path, monkeypatch):
    path = raster(tmp_path / 'a.tif', np.zeros((1, 160, 160), np.uint8), options=TILED)
    xy = random_xy(np.random.default_rng(3), Grid('', UTM, 160, 160), 3000)
    read, windows = RasterStack.read, []
    monkeypatch.setattr(RasterStack, 'read', lambda self, window: windows.append(window) or read(self, window))
    sample(tmp_path, [path], points_at(tmp_path / 'p.gpkg', xy))
    blocks = [Window(w.col // 16 * 16, w.row // 32 * 32, 16, 32) for w in windows]
    assert len(blocks) == len(set(blocks)) == 50
    assert all(block.contains(window) for block, window in zip(blocks, windows))


@pytest.mark.parametrize(
    'changes, kind, words',
    [
        ({'rasters': ()}, InvalidJob, 'No raster'),
        ({'rasters': ('missing.tif',)}, InputMissing, 'no such file'),
        ({'points': 'missing.gpkg'}, InputMissing, 'no such file'),
        ({'points': 'lines.gpkg'}, InputUnreadable, 'LINESTRING'),
        ({'points': 'none.gpkg'}, NoSamples, 'no points in it'),
        ({'points': 'far.gpkg'}, NoSamples, 'none of its 1 points lies on .*a.tif or on one of the other 1 rasters'),
        ({'nodata': ('1',)}, InvalidJob, 'given for 1 rasters'),
        ({'nodata': ('x', '')}, InvalidJob, 'neither a number'),
        ({'output': 'p.xyz'}, OutputRefused, 'endings'),
        ({'output': 'a.tif/p.gpkg'}, OutputRefused, 'cannot be written'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(tmp_path, monkeypatch, changes, kind, words):
    monkeypatch.chdir(tmp_path)
    path = raster(tmp_path / 'a.tif', np.zeros((1, 10, 10), np.uint8))
    points_at(tmp_path / 'p.gpkg', [(UTM[0] + 1, UTM[3] - 1)])
    points_at(tmp_path / 'far.gpkg', [(3.0, 52.0)])
    layer_of(tmp_path / 'none.gpkg', [])
    layer_of(tmp_path / 'lines.gpkg', ['LINESTRING (0 0, 1 1)'], kind=ogr.wkbLineString)
    before = sorted(os.listdir(tmp_path))
    points = VectorSpec(str(tmp_path / changes.pop('points', 'p.gpkg')))
    output = str(tmp_path / changes.pop('output', 'out.gpkg'))
    with pytest.raises(kind, match=words) as caught:
        sample_values(SampleValuesJob(changes.pop('rasters', (path, path)), points, output, **changes), Reporter())
    assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_cancel_and_a_damaged_raster_leave_nothing(tmp_path):
    rng = np.random.default_rng(4)
    array = rng.integers(0, 256, (1, 200, 200), np.uint8)
    path = raster(tmp_path / 'a.tif', array, options=('COMPRESS=DEFLATE', *TILED))
    points = points_at(tmp_path / 'p.gpkg', random_xy(rng, Grid('', UTM, 200, 200), 500))
    job = SampleValuesJob((path,), points, str(tmp_path / 'out.gpkg'))
    reporter = Reporter()
    reporter.cancelled.set()
    with pytest.raises(Cancelled):
        sample_values(job, reporter)
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(InputUnreadable, match=r'a\.tif') as caught:
        sample_values(job, Reporter())
    assert '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ['a.tif', 'p.gpkg']
