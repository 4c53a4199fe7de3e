"""The peer's grid, points and sequence of splits: its own results, and its rules written down once more."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal
from quadrat.engine.grid import Grid
from quadrat.engine.jobs import SPLITS, LabelRaster, SelectPatchesJob
from quadrat.engine.raster import grid_of
from quadrat.engine.sampling.otbtf import corner_shift, peer_grid, periodic_splits
from quadrat.engine.sampling.patches import select_patches


def points(path):
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    return [{**f.items(), 'x': f.GetGeometryRef().GetX(), 'y': f.GetGeometryRef().GetY()} for f in layer]


def raster(path, pixels, nodata=None):
    height, width = pixels.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), width, height, 1, gdal.GDT_Byte)
    dataset.SetGeoTransform((100, 2, 0, 900, 0, -2))
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset.WriteRaster(0, 0, width, height, pixels.astype(np.uint8).tobytes())
    return str(path)


@pytest.mark.baseline
@pytest.mark.parametrize('strategy', ['split', 'all'])
def test_the_points_of_the_peer(shared, tmp_path, strategy):
    data = shared / 'data' / 'otbtf-suite' / 'data'
    job = SelectPatchesJob(
        str(data / 'pxs_subset.tif'),
        str(tmp_path / 'p.gpkg'),
        32,
        32,
        strategy=strategy,
        train=50,
        validation=25,
        test=25,
        otbtf=True,
    )
    select_patches(job, Reporter())
    found = points(job.output)
    files = {'all': 'train'} if strategy == 'all' else {'train': 'train', 'valid': 'validation', 'test': 'test'}
    for name, split in files.items():
        expected = [
            (feature['properties']['id'], *feature['geometry']['coordinates'])
            for feature in json.loads((data / f'vector_{name}.geojson').read_text())['features']
        ]
        assert [(p['id'], p['x'], p['y']) for p in found if p['split'] == split] == expected
    dataset = gdal.OpenEx(job.output)
    assert dataset.GetLayer(0).GetSpatialRef().GetAuthorityCode(None) == '2154'


@pytest.mark.parametrize('size, step, offset', [(32, 32, 0), (33, 32, 0), (5, 1, 0), (4, 1, 3), (7, 5, 3), (6, 9, -2)])
@pytest.mark.parametrize('up', [-2.0, 2.0])
def test_the_grid_of_the_peer(size, step, offset, up):
    image = Grid('', (0, 2, 0, 0, 0, up), 131, 128)
    radius, patches, shift = size // 2, peer_grid(image, size, step, (offset, 0)), corner_shift(image, size)
    first = radius if step == 1 else radius + 1
    expected = [i for i in range(first, 131) if (i - radius - 1 - offset) % step == 0 and i <= 131 - 1 - radius]
    assert (patches.cols + radius - shift[0]).tolist() == expected
    expected = [j for j in range(first, 128) if (j - radius - 1) % step == 0 and j <= 128 - 1 - radius]
    assert (patches.rows + radius - shift[1]).tolist() == expected
    assert min(patches.cols.min(), patches.rows.min()) >= 0
    assert patches.cols.max() + size <= 131 and patches.rows.max() + size <= 128
    assert shift == (0, 1 if up < 0 and size % 2 == 0 else 0)


def test_the_sequence_is_the_peers():
    for weights in ((50, 25, 25), (60, 20, 20), (1, 0, 3), (0, 0, 2), (33.3, 33.3, 33.4), (7, 2, 5)):
        array, counters, expected = np.array(weights, np.float64), [0.0, 0.0, 0.0], []
        for _ in range(200):
            group = min((i for i in range(3) if weights[i]), key=lambda i: round(counters[i], 9))
            counters[group] += sum(weights) / weights[group]
            expected.append(group)
        assert periodic_splits(200, array).tolist() == expected
    assert periodic_splits(8, np.array([50.0, 25, 25])).tolist() == [0, 1, 2, 0] * 2


def test_mask_and_nodata_as_the_peer_does(tmp_path):
    pixels, mask = np.ones((40, 40), int), np.ones((40, 40), int)
    mask[13, 12] = 255
    # Grid pixels 5, 14, 23, 32; windows of 9 pixels from 4 before to 4 after.
    path, output = raster(tmp_path / 'a.tif', pixels), str(tmp_path / 'p.geojson')
    job = SelectPatchesJob(path, output, 8, 9, strategy='all', otbtf=True)

    def grid_pixels(**changes):
        select_patches(SelectPatchesJob(**{**vars(job), **changes}), Reporter())
        return {(p['col'], p['row'] - 1) for p in points(output)}

    everything = grid_pixels()
    assert everything == {(i, j) for i in (5, 14, 23, 32) for j in (5, 14, 23, 32)}
    # With a mask alone only the grid pixel counts, which must be 1.
    masked = raster(tmp_path / 'm.tif', mask)
    assert grid_pixels(mask=masked) == everything
    mask[14, 14] = 255
    masked = raster(tmp_path / 'm.tif', mask)
    assert everything - grid_pixels(mask=masked) == {(14, 14)}
    # With no-data all of the window counts, one row and one column more than the patch; and the mask must not be 0.
    pixels[18, 10] = 7  # last row of the patch of (14, 14)
    pixels[23, 9] = 7  # last column of the window of (5, 23), whose patch ends one before
    pixels[28, 31] = 7  # first row of the window of (32, 32), whose patch starts one after
    path = raster(tmp_path / 'a.tif', pixels)
    assert everything - grid_pixels(nodata='7') == {(14, 14), (5, 23), (32, 32)}
    mask[36, 36] = 0
    mask[36, 14] = 0
    masked = raster(tmp_path / 'm.tif', mask)
    assert everything - grid_pixels(nodata='7', mask=masked) == {(14, 14), (5, 23), (32, 32), (14, 32)}


def test_random_and_balanced(tmp_path):
    rng = np.random.default_rng(0)
    classes = np.kron(rng.choice([-1, 0, 0, 0, 0, 5, 9], (30, 30)), np.ones((8, 8), int))  # any values will do
    labels = LabelRaster(raster(tmp_path / 'l.tif', np.where(classes < 0, 255, classes), nodata=255))
    path, output = raster(tmp_path / 'a.tif', np.ones((240, 240))), str(tmp_path / 'p.geojson')
    job = SelectPatchesJob(path, output, 8, 8, labels=labels, otbtf=True, strategy='random')
    select_patches(job, Reporter())
    found = points(output)
    assert len(found) == 29 * 29 and {p['split'] for p in found} == set(SPLITS)
    select_patches(SelectPatchesJob(**{**vars(job), 'strategy': 'balanced'}), Reporter())
    found = points(output)
    assert 29 * 29 / 5 < len(found) < 29 * 29
    first = grid_of(gdal.Open(path))
    for p in found:
        i, j = (p['col'] - 5) // 8, (p['row'] - 6) // 8
        assert p['split'] == SPLITS[(i + j) % 2]
        assert first.pixel_at(p['x'], p['y']) == (p['col'], p['row'])
