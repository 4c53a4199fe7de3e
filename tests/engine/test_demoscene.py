"""The demo scene: seeded, complete, and hard for a classifier that sees single pixels."""

from __future__ import annotations

import hashlib
import pathlib

import numpy as np
import pytest

from quadrat.engine import demoscene, errors
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal, ogr
from quadrat.engine.jobs import DemoSceneJob


def make(folder: pathlib.Path, size: int = 256, seed: int = 5) -> pathlib.Path:
    demoscene.make_demo_scene(DemoSceneJob(str(folder), size, seed), Reporter())
    return folder


def pixels(path: pathlib.Path) -> np.ndarray:
    return gdal.Open(str(path)).ReadAsArray()


@pytest.fixture(scope='module')
def scene(tmp_path_factory) -> pathlib.Path:
    return make(tmp_path_factory.mktemp('scene') / 'scene', 512)


def test_files_are_as_promised(scene):
    ms, pan, truth = (gdal.Open(str(scene / name)) for name in ('ms.tif', 'pan.tif', 'truth.tif'))
    assert (ms.RasterCount, ms.RasterXSize, ms.GetRasterBand(1).DataType) == (4, 512, gdal.GDT_Int16)
    assert [ms.GetRasterBand(i).GetDescription() for i in range(1, 5)] == ['blue', 'green', 'red', 'near infrared']
    assert (pan.RasterXSize, pan.RasterYSize) == (2048, 2048)
    assert truth.GetGeoTransform() == ms.GetGeoTransform()
    assert (
        pan.GetGeoTransform()[0] == ms.GetGeoTransform()[0] and pan.GetGeoTransform()[1] * 4 == ms.GetGeoTransform()[1]
    )
    assert truth.GetRasterBand(1).GetNoDataValue() is None
    values = {int(line.split(',')[0]) for line in (scene / 'classes.csv').read_text().splitlines()[1:]}
    assert set(np.unique(pixels(scene / 'truth.tif'))) == values
    assert not list(scene.glob('*.aux.xml'))


def test_the_pan_image_shows_the_same_ground(scene):
    """Its 4 by 4 means follow the visible bands, which a shift by one pixel would spoil."""
    ms, pan = pixels(scene / 'ms.tif').astype(float), pixels(scene / 'pan.tif').astype(float)
    mean = pan.reshape(512, 4, 512, 4).mean((1, 3))
    visible = ms[:3].mean(0)
    together = np.corrcoef(mean.ravel(), visible.ravel())[0, 1]
    shifted = np.corrcoef(np.roll(mean, 1, 1).ravel(), visible.ravel())[0, 1]
    assert together > 0.93 and together > shifted + 0.05


def test_polygons_and_raster_are_the_same_truth(scene):
    truth = gdal.Open(str(scene / 'truth.tif'))
    burnt = gdal.GetDriverByName('MEM').Create('', 512, 512, 1, gdal.GDT_Byte)
    burnt.SetGeoTransform(truth.GetGeoTransform())
    burnt.SetSpatialRef(truth.GetSpatialRef())
    source = ogr.Open(str(scene / 'polygons.gpkg'))
    layer = source.GetLayer(0)
    gdal.RasterizeLayer(burnt, [1], layer, options=['ATTRIBUTE=class'])
    # Slivers between polygons may leave a pixel open, which the raster closes.
    assert (burnt.ReadAsArray() != truth.ReadAsArray()).mean() < 1e-4
    assert all(feature.GetGeometryRef().IsValid() for feature in layer)
    area = sum(feature.GetGeometryRef().GetArea() for feature in layer)
    assert area == pytest.approx((512 * demoscene.PIXEL) ** 2, rel=1e-3)  # no overlap and no gap


def test_single_pixels_do_not_tell_the_classes_apart(scene):
    """A Gaussian maximum-likelihood classifier, which sees only spectra, leaves much to be seen by context."""
    x = pixels(scene / 'ms.tif').reshape(4, -1).T.astype(float)
    y = pixels(scene / 'truth.tif').ravel()
    half = len(y) // 2
    scores = []
    for value in np.unique(y):
        own = x[:half][y[:half] == value]
        d, cov = x[half:] - own.mean(0), np.cov(own.T)
        score = -0.5 * np.einsum('ij,jk,ik->i', d, np.linalg.inv(cov), d) - 0.5 * np.linalg.slogdet(cov)[1]
        scores.append(score + np.log(len(own)))
    found = np.unique(y)[np.argmax(scores, 0)]
    iou = {v: ((found == v) & (y[half:] == v)).sum() / ((found == v) | (y[half:] == v)).sum() for v in np.unique(y)}
    assert iou[demoscene.BUILDING] < 0.4 and iou[demoscene.FOREST] < 0.6 and np.mean(list(iou.values())) < 0.7


def test_the_seed_decides_everything(tmp_path):
    def digest(folder):
        return [
            hashlib.sha256(pixels(folder / name).tobytes()).hexdigest() for name in ('ms.tif', 'pan.tif', 'truth.tif')
        ]

    first, again, other = make(tmp_path / 'a', 128), make(tmp_path / 'b', 128), make(tmp_path / 'c', 128, seed=6)
    assert digest(first) == digest(again)
    assert all(a != b for a, b in zip(digest(first), digest(other)))


def test_a_scene_is_replaced_and_other_folders_are_left_alone(tmp_path):
    folder = make(tmp_path / 'a', 64)
    make(folder, 128)
    assert gdal.Open(str(folder / 'ms.tif')).RasterXSize == 128
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/thesis.txt').write_text('x')
    with pytest.raises(errors.OutputRefused, match='mine'):
        make(tmp_path / 'mine')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a', 'mine']


def test_any_size_from_the_smallest_on(tmp_path):
    assert gdal.Open(str(make(tmp_path / 'a', 101) / 'pan.tif')).RasterYSize == 404
    with pytest.raises(errors.InvalidJob, match='at least 64'):
        make(tmp_path / 'b', 63)


def test_cancelling_leaves_nothing(tmp_path):
    reporter = Reporter()
    reporter.cancelled.set()
    with pytest.raises(errors.Cancelled):
        demoscene.make_demo_scene(DemoSceneJob(str(tmp_path / 'scene'), 64), reporter)
    assert not list(tmp_path.iterdir())
