"""Patch selection: every patch inside, no pixel in two splits, the buffer kept, the shares met."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat.engine.errors import EngineError, InvalidJob, NoSamples, OutputRefused
from quadrat.engine.events import Log, Reporter
from quadrat.engine.gdalio import gdal, osr
from quadrat.engine.jobs import SelectPatchesJob
from quadrat.engine.raster import grid_of
from quadrat.engine.sampling.patches import select_patches
from quadrat.engine.sampling.splits import PatchGrid, split_blocks

TURNED = (5e5, 1.2, 0.5, 5e6, 0.5, -1.2)


def raster(path, width, height, transform=None, epsg=32631):
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), width, height, 1, gdal.GDT_Byte, ['SPARSE_OK=YES'])
    if transform:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(crs)
        dataset.SetGeoTransform(transform)
    return str(path)


def points(path):
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    return [{**f.items(), 'x': f.GetGeometryRef().GetX(), 'y': f.GetGeometryRef().GetY()} for f in layer]


def painted(grid, split, margin=0):
    """(splits, rows, cols) booleans: the pixels within `margin` of the patches of each split."""
    out = np.zeros((3, grid.height, grid.width), bool)
    for i, row in enumerate(grid.rows):
        for j, col in enumerate(grid.cols):
            if split.patches[i, j] >= 0:
                top, left = max(row - margin, 0), max(col - margin, 0)
                out[split.patches[i, j], top : row + grid.size + margin, left : col + grid.size + margin] = True
    return out


@pytest.mark.parametrize('case', range(25))
def test_no_pixel_is_in_two_splits_and_the_buffer_is_kept(case):
    rng = np.random.default_rng(case)
    size = int(rng.integers(1, 14))
    grid = PatchGrid(int(rng.integers(90, 170)), int(rng.integers(90, 170)), size, int(rng.integers(1, 2 * size + 1)))
    buffer = int(rng.integers(0, 8))
    block = 2 * size + grid.step + buffer + int(rng.integers(0, 9))
    split = split_blocks(grid, block, buffer, np.array([0.6, 0.2, 0.2]), case)
    assert set(np.unique(split.patches)) >= {0, 1, 2}
    pixels = painted(grid, split)
    for a in range(3):
        # Patches of one split grown by the buffer, less one pixel, still touch no patch of another.
        grown = painted(grid, split, max(buffer - 1, 0))[a]
        assert not (grown & pixels[[b for b in range(3) if b != a]].any(0)).any()
    # What was dropped was dropped with reason: it is near two splits.
    for i, j in np.argwhere(split.patches < 0):
        row, col = grid.rows[i], grid.cols[j]
        top, left = max(row - buffer, 0) // block, max(col - buffer, 0) // block
        near = split.blocks[top : (row + size + buffer) // block + 1, left : (col + size + buffer) // block + 1]
        assert len(np.unique(near)) > 1


@pytest.mark.parametrize('shares', [(0.6, 0.2, 0.2), (0.9, 0.05, 0.05), (0.5, 0.0, 0.5), (0.0, 1.0, 0.0)])
def test_shares_are_met_as_far_as_blocks_allow(shares):
    grid = PatchGrid(1000, 1000, 16, 16)
    split = split_blocks(grid, 64, 0, np.array(shares), 3)
    counts = np.bincount(split.patches[split.patches >= 0], minlength=3)
    assert np.abs(counts / counts.sum() - shares).max() < 0.005
    assert all((count > 0) == (share > 0) for count, share in zip(counts, shares))


def test_every_split_gets_a_block_if_there_are_enough():
    for seed in range(20):
        split = split_blocks(PatchGrid(96, 32, 32, 32), 32, 0, np.array([0.98, 0.01, 0.01]), seed)
        assert sorted(split.patches.ravel()) == [0, 1, 2]
    with pytest.raises(NoSamples, match='smaller blocks'):
        split_blocks(PatchGrid(96, 32, 32, 32), 64, 0, np.array([0.6, 0.2, 0.2]), 0)


@pytest.mark.parametrize(
    'transform',
    [None, (6e5, 1.5, 0, 5.8e6, 0, -1.5), (6e5, 1.5, 0, 5.8e6, 0, 1.5), TURNED],
    ids=['none', 'up', 'south', 'turned'],
)
@pytest.mark.parametrize('size, step', [(16, 0), (15, 7)])
def test_points_are_the_centres_of_the_pixels_they_name(tmp_path, transform, size, step):
    path = raster(tmp_path / 'a.tif', 101, 83, transform)
    job = SelectPatchesJob(path, str(tmp_path / 'p.gpkg'), size, step, block_size=30, seed=5)
    assert select_patches(job, Reporter()) == {'OUTPUT': job.output}
    grid, found = grid_of(gdal.Open(path)), points(job.output)
    assert [p['id'] for p in found] == list(range(len(found))) and len(found) > 4
    for p in found:
        assert (p['x'], p['y']) == pytest.approx(grid.centre(p['col'], p['row']), rel=1e-14)
        assert grid.pixel_at(p['x'], p['y']) == (p['col'], p['row'])
        col, row = p['col'] - size // 2, p['row'] - size // 2
        assert col % (step or size) == row % (step or size) == 0
        assert 0 <= col <= 101 - size and 0 <= row <= 83 - size
    dataset = gdal.OpenEx(job.output)
    crs = dataset.GetLayer(0).GetSpatialRef()
    assert (crs is not None and crs.GetAuthorityCode(None) == '32631') or transform is None


def test_all_gives_the_whole_grid_for_training(tmp_path):
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 50, 40), str(tmp_path / 'p.gpkg'), 16, 8, strategy='all')
    select_patches(job, Reporter())
    found = points(job.output)
    assert [(p['row'], p['col']) for p in found] == [(r, c) for r in (8, 16, 24, 32) for c in (8, 16, 24, 32, 40)]
    assert {p['split'] for p in found} == {'train'}


def test_blocks_shrink_by_default_on_a_small_image(tmp_path):
    events = []
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 150, 150), str(tmp_path / 'p.gpkg'), 64)
    select_patches(job, Reporter(events.append))
    assert sorted({p['split'] for p in points(job.output)}) == ['test', 'train', 'validation']
    assert any(event.type == 'warning' and 'of 64 pixels' in event.text for event in events)


def test_the_same_seed_gives_the_same_points_another_one_others(tmp_path):
    path, seen = raster(tmp_path / 'a.tif', 400, 400), []
    for number, seed in enumerate((0, 0, 1)):
        job = SelectPatchesJob(path, str(tmp_path / f'{number}.geojson'), 16, seed=seed)
        select_patches(job, Reporter())
        seen.append([(p['row'], p['col'], p['split']) for p in points(job.output)])
    assert seen[0] == seen[1] != seen[2]


def test_the_log_counts_patches_and_what_the_buffer_took(tmp_path):
    events = []
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 256, 256), str(tmp_path / 'p.gpkg'), 16, buffer=20)
    select_patches(job, Reporter(events.append))
    text = '\n'.join(event.text for event in events if isinstance(event, Log))
    kept = len(points(job.output))
    assert f'{256 - kept} of 256 grid positions dropped' in text and 'validation' in text


@pytest.mark.parametrize('name', ['p.gpkg', 'p.geojson', 'p.shp', 'p.fgb', 'p.sqlite'])
def test_formats_follow_the_ending_and_replace_what_was_there(tmp_path, name):
    path = raster(tmp_path / 'a.tif', 64, 64)
    for size in (32, 16):
        select_patches(SelectPatchesJob(path, str(tmp_path / name), size, strategy='all'), Reporter())
    assert [p['id'] for p in points(tmp_path / name)] == list(range(16))
    assert not [left for left in os.listdir(tmp_path) if 'part' in left]


@pytest.mark.parametrize(
    'changes, kind, words',
    [
        ({'patch_size': 101}, NoSamples, 'smaller than a patch'),
        ({'block_size': 10}, InvalidJob, 'hold no patch'),
        ({'buffer': 60, 'block_size': 64}, NoSamples, 'smaller buffer'),
        ({'train': 0.0, 'validation': 0.0, 'test': 0.0}, InvalidJob, 'shares'),
        ({'train': -1.0}, InvalidJob, 'shares'),
        ({'strategy': 'chess'}, InvalidJob, 'blocks, all'),
        ({'block_size': 90}, NoSamples, 'smaller blocks'),
        ({'output': 'p.xyz'}, OutputRefused, 'endings'),
        ({'output': 'file/p.gpkg'}, OutputRefused, 'cannot be written'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(tmp_path, changes, kind, words):
    path = raster(tmp_path / 'a.tif', 100, 100)
    (tmp_path / 'file').write_text('')
    output = str(tmp_path / changes.pop('output', 'p.gpkg'))
    with pytest.raises(kind, match=words) as caught:
        select_patches(SelectPatchesJob(path, output, **{'patch_size': 16, 'step': 4, **changes}), Reporter())
    assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ['a.tif', 'file']
