"""Polygons of class maps: every pixel once, whole areas, valid shapes, a style that QGIS finds."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from quadrat.engine.errors import Cancelled, DiskFull, InvalidJob, OutputRefused
from quadrat.engine.events import Progress, Reporter
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.jobs import ClassDef
from quadrat.engine.maps import polygons
from quadrat.engine.maps.classes import styled
from quadrat.engine.maps.part import PartFolder, check_outputs
from quadrat.engine.maps.polygons import polygonize

NODATA = 0
CLASSES = styled([ClassDef(3, 'wässer', '#0000ff'), ClassDef(11, 'a "forest" & <more>'), ClassDef(40)])
UTM = (600000.0, 1.5, 0.0, 5800000.0, 0.0, -1.5)


def raster(path, pixels, transform=UTM, epsg=32631):
    """Write a raster of whole numbers."""
    rows, cols = pixels.shape
    options = ['TILED=YES', 'BLOCKXSIZE=64', 'BLOCKYSIZE=64', 'COMPRESS=DEFLATE']
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, 1, gdal_type(pixels.dtype), options)
    if transform:
        dataset.SetGeoTransform(transform)
    if epsg:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(crs)
    dataset.GetRasterBand(1).SetNoDataValue(NODATA)
    dataset.WriteRaster(0, 0, cols, rows, pixels.tobytes())
    return str(path)


def noise(rows=90, cols=110, seed=0, smooth=0.6):
    """Areas of all sizes with holes and corners that touch; some pixels without data."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(rows, cols)), smooth) for _ in range(4)]
    return np.array([NODATA, 3, 11, 40], 'uint8')[np.argmax(fields, 0)]


def made(tmp_path, source, classes=CLASSES, connectivity=4):
    """The features of the published file: (attributes, geometry) each."""
    path = tmp_path / 'areas.gpkg'
    with PartFolder(str(path)) as part:
        count = polygonize(source, part, classes, connectivity, Reporter())
        part.publish()
    file = gdal.OpenEx(str(path))
    assert file.GetLayer(0).GetName() == 'areas'
    found = [(feature.items(), feature.GetGeometryRef().Clone()) for feature in file.GetLayer(0)]
    assert len(found) == count
    return found


@pytest.mark.parametrize('connectivity', [4, 8])
@pytest.mark.parametrize('seed', [0, 1])
def test_areas_are_whole_valid_and_cover_every_pixel_once(tmp_path, connectivity, seed):
    pixels = noise(seed=seed)
    found = made(tmp_path, raster(tmp_path / 'a.tif', pixels), connectivity=connectivity)
    structure = np.ones((3, 3)) if connectivity == 8 else None
    for item in CLASSES:
        labels, count = ndimage.label(pixels == item.value, structure)
        own = [(values, shape) for values, shape in found if values['class'] == item.value]
        sizes = sorted(np.bincount(labels.ravel())[1:].tolist())
        assert sorted(values['area'] for values, _ in own) == [size * 2.25 for size in sizes] and len(own) == count
        assert {values['name'] for values, _ in own} == {item.name}
    kind = ogr.wkbMultiPolygon if connectivity == 8 else ogr.wkbPolygon
    assert all(shape.IsValid() and shape.GetGeometryType() == kind for _, shape in found)
    # Painted back, they are the raster again.
    again = gdal.GetDriverByName('MEM').Create('', pixels.shape[1], pixels.shape[0], 1)
    again.SetGeoTransform(UTM)
    file = gdal.OpenEx(str(tmp_path / 'areas.gpkg'))
    gdal.RasterizeLayer(again, [1], file.GetLayer(0), options=['ATTRIBUTE=class'])
    assert np.array_equal(again.ReadAsArray(), pixels)
    assert file.GetLayer(0).GetSpatialRef().GetAuthorityCode(None) == '32631'


def test_corners_join_areas_only_where_asked_and_holes_stay_open(tmp_path):
    pixels = np.array([[3, 3, 3, 0], [3, 11, 3, 0], [3, 3, 3, 0], [0, 0, 0, 3]], 'uint8')
    source = raster(tmp_path / 'a.tif', pixels)
    four = sorted((values['class'], values['area'] / 2.25) for values, _ in made(tmp_path, source))
    assert four == [(3, 1), (3, 8), (11, 1)]
    eight = {values['class']: shape for values, shape in made(tmp_path, source, connectivity=8)}
    assert sorted(eight) == [3, 11] and eight[3].GetGeometryCount() == 2
    assert sorted(eight[3].GetGeometryRef(i).GetGeometryCount() for i in range(2)) == [1, 2]


def test_values_without_classes_and_without_a_reference_system(tmp_path):
    pixels = np.array([[-70000, -70000, 0], [2**30, 5, 5]], 'int32')
    found = made(tmp_path, raster(tmp_path / 'a.tif', pixels, None, None), ())
    assert sorted(tuple(values.items()) for values, _ in found) == [
        (('value', -70000), ('area', 2.0)),
        (('value', 5), ('area', 2.0)),
        (('value', 2**30), ('area', 1.0)),
    ]
    assert gdal.OpenEx(str(tmp_path / 'areas.gpkg')).GetLayerCount() == 1


@pytest.mark.parametrize('west', [3.0, 179.9])
def test_areas_in_degrees_are_square_metres_on_the_ellipsoid(tmp_path, west):
    """Against the closed form of the area between two parallels."""
    step, pixels = 0.01, noise(20, 30)
    source = raster(tmp_path / 'a.tif', pixels, (west, step, 0, 52.0, 0, -step), 4326)
    a, f = 6378137.0, 1 / 298.257223563
    e = math.sqrt(f * (2 - f))

    def below(latitude):
        sine = math.sin(math.radians(latitude))
        return a * a * (1 - e * e) * (sine / (2 - 2 * (e * sine) ** 2) + math.atanh(e * sine) / (2 * e))

    rows = np.array([below(52 - step * row) - below(52 - step * (row + 1)) for row in range(20)]) * math.radians(step)
    found = made(tmp_path, source)
    for item in CLASSES:
        expected = (rows[:, None] * (pixels == item.value)).sum()
        total = sum(values['area'] for values, _ in found if values['class'] == item.value)
        assert total == pytest.approx(expected, rel=1e-8)


def test_only_whole_numbers(tmp_path):
    with pytest.raises(InvalidJob, match='whole numbers'):
        made(tmp_path, raster(tmp_path / 'a.tif', noise().astype('float32')))


def test_nothing_but_no_data_gives_an_empty_layer(tmp_path):
    assert made(tmp_path, raster(tmp_path / 'a.tif', np.zeros((10, 10), 'uint8'))) == []


def test_the_style_is_in_the_file(tmp_path):
    made(tmp_path, raster(tmp_path / 'a.tif', noise()))
    assert sorted(os.listdir(tmp_path)) == ['a.tif', 'areas.gpkg']
    file = gdal.OpenEx(str(tmp_path / 'areas.gpkg'))
    row = file.GetLayerByName('layer_styles').GetNextFeature()
    assert row['f_table_name'] == 'areas' and row['useAsDefault'] == 1
    assert 'label="a &quot;forest&quot; &amp; &lt;more&gt;"' in row['styleQML'] and '0,0,255,255' in row['styleQML']


PAINT = """
import json, sys
from qgis.core import QgsRenderContext, QgsVectorLayer
from qgis.testing import start_app
start_app()
layer = QgsVectorLayer(sys.argv[1], 'areas', 'ogr')
renderer = layer.renderer()
categories = [(int(item.value()), item.label(), item.symbol().color().name()) for item in renderer.categories()]
context = QgsRenderContext()
renderer.startRender(context, layer.fields())
painted = {item['class']: renderer.symbolForFeature(item, context).color().name() for item in layer.getFeatures()}
renderer.stopRender(context)
print(json.dumps([categories, sorted(painted.items())]))
"""


def test_qgis_paints_them_by_itself(tmp_path):
    if importlib.util.find_spec('qgis') is None:
        pytest.skip('QGIS is not installed')
    made(tmp_path, raster(tmp_path / 'a.tif', noise()))
    variables = {**os.environ, 'QT_QPA_PLATFORM': 'offscreen', 'QGIS_CUSTOM_CONFIG_PATH': str(tmp_path / 'config')}
    command = [sys.executable, '-c', PAINT, str(tmp_path / 'areas.gpkg')]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [[item.value, item.name, item.colour] for item in CLASSES],
        [[item.value, item.colour] for item in CLASSES],
    ], done.stderr


def test_a_former_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, source = tmp_path / 'areas.gpkg', raster(tmp_path / 'a.tif', noise())
    made(tmp_path, source)
    former = path.read_bytes()
    (tmp_path / 'areas.gpkg-wal').write_text('of a program that has the former file open')
    monkeypatch.setattr(Reporter, 'INTERVAL', 0)
    fractions: list = []

    def stop(event):
        if isinstance(event, Progress):
            fractions.append(event.fraction)
            if event.fraction >= 0.5:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), PartFolder(str(path)) as part:
        part.keep = True
        polygonize(source, part, CLASSES, 4, Reporter(stop))
    assert path.read_bytes() == former and 0 < min(filter(None, fractions)) < 0.5
    found = made(tmp_path, source)
    assert len(found) > 100 and sorted(os.listdir(tmp_path)) == ['a.tif', 'areas.gpkg']


@pytest.mark.parametrize('share', [0.0, 0.3, 0.5])
def test_cancelled(tmp_path, share, monkeypatch):
    monkeypatch.setattr(Reporter, 'INTERVAL', 0)
    source = raster(tmp_path / 'a.tif', noise(300, 300))
    reporter = Reporter(lambda event: reporter.cancelled.set() if event.fraction >= share else None)
    with pytest.raises(Cancelled), PartFolder(str(tmp_path / 'areas.gpkg')) as part:
        polygonize(source, part, CLASSES, 4, reporter)
    assert os.listdir(tmp_path) == ['a.tif']


def test_polygons_that_do_not_arrive_are_missed(tmp_path, monkeypatch):
    original = polygons._read
    monkeypatch.setattr(polygons, '_read', lambda path: itertools.islice(original(path), 1))
    source = raster(tmp_path / 'a.tif', np.array([[3, 11]], 'uint8'))
    with pytest.raises(OutputRefused, match='cover 1 of 2 pixels'), PartFolder(str(tmp_path / 'areas.gpkg')) as part:
        polygonize(source, part, CLASSES, 4, Reporter())
    assert os.listdir(tmp_path) == ['a.tif']


@pytest.mark.parametrize('free', [0, 200_000, 900_000])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, free):
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', str(folder)]
    if os.name != 'posix' or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('no right to mount a file system')
    try:
        source = raster(tmp_path / 'a.tif', noise(300, 300))
        (folder / 'other').write_bytes(bytes(2 * 2**20 - free))
        with pytest.raises(DiskFull, match='the disk is full'), PartFolder(str(folder / 'areas.gpkg')) as part:
            polygonize(source, part, CLASSES, 8, Reporter())
        assert os.listdir(folder) == ['other']
    finally:
        subprocess.run(['umount', str(folder)], check=True)


def test_only_geopackages():
    with pytest.raises(OutputRefused, match=r'end.* in \.gpkg'):
        check_outputs({'POLYGONS': '/tmp/areas.shp'}, [])
    with pytest.raises(OutputRefused, match='GeoTIFF'):
        check_outputs({'OUTPUT': '/tmp/areas.gpkg'}, [])
    check_outputs({'OUTPUT': '/tmp/areas.tif', 'POLYGONS': '/tmp/areas.GPKG'}, [])
