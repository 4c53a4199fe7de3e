"""Patch selection: every patch inside, no pixel in two splits, shares and classes met, points where they should be."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat.engine.errors import EngineError, GridMismatch, InvalidJob, LabelError, NoSamples, OutputRefused
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal, gdal_type, osr
from quadrat.engine.grid import Window
from quadrat.engine.jobs import PATCH_STRATEGIES, SPLITS, ClassDef, LabelRaster, SelectPatchesJob
from quadrat.engine.raster import grid_of
from quadrat.engine.sampling.patches import select_patches
from quadrat.engine.sampling.patchgrid import PatchGrid
from quadrat.engine.sampling.splits import split_blocks

UP = (6e5, 1.5, 0, 5.8e6, 0, -1.5)
TRANSFORMS = {
    'none': None,
    'north-up': UP,
    'south-up': (6e5, 1.5, 0, 5.8e6, 0, 1.5),
    'mirrored': (6e5, -1.5, 0, 5.8e6, 0, -1.5),
    'turned': (5e5, 1.2, 0.5, 5e6, 0.5, -1.2),
    '0.3 m': (654321.1, 0.3, 0, 5812345.7, 0, -0.3),
    '0.6 m': (654321.1, 0.6, 0, 5812345.7, 0, -0.6),
    '1.2 m': (654321.1, 1.2, 0, 5812345.7, 0, -1.2),
    'degrees': (4.123456789, 1 / 108000, 0, 52.3456789, 0, -1 / 108000),
}


def raster(path, width, height, transform=None, pixels=None, nodata=None, epsg=32631):
    """A raster of zeros, or of `pixels` (rows, columns)."""
    kind = gdal.GDT_Byte if pixels is None else gdal_type(pixels.dtype)
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), width, height, 1, kind, ['SPARSE_OK=YES'])
    if transform:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(crs)
        dataset.SetGeoTransform(transform)
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    if pixels is not None:
        dataset.WriteRaster(0, 0, width, height, np.ascontiguousarray(pixels).tobytes())
    return str(path)


def points(path):
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    return [{**f.items(), 'x': f.GetGeometryRef().GetX(), 'y': f.GetGeometryRef().GetY()} for f in layer]


def select(job):
    """The points of a job, and all that was said."""
    events = []
    assert select_patches(job, Reporter(events.append)) == {'OUTPUT': job.output}
    return points(job.output), [event.text for event in events if event.type in ('log', 'warning')]


def labelled(seed, width, height, weights):
    """Labels 10, 20, … in squares of 24 pixels, some of them rare, with 0 in between."""
    rng = np.random.default_rng(seed)
    values = rng.choice(10 * np.arange(1, len(weights) + 1), (height // 24 + 1, width // 24 + 1), p=weights)
    pixels = np.kron(values, np.ones((24, 24), int))[:height, :width]
    return np.where(rng.random(pixels.shape) < 0.1, 0, pixels).astype(np.uint8)


def class_pixels(pixels, found, size, values):
    """{split: pixels of each value} in the patches of points."""
    out = {split: np.zeros(len(values), int) for split in SPLITS}
    for p in found:
        row, col = p['row'] - size // 2, p['col'] - size // 2
        patch = pixels[row : row + size, col : col + size]
        out[p['split']] += [int((patch == value).sum()) for value in values]
    return out


# -- blocks -----------------------------------------------------------------------------------------------------------


def painted(grid, split, margin=0):
    """(splits, rows, cols) booleans: the pixels within `margin` of the patches of each split."""
    out = np.zeros((3, grid.area.bottom, grid.area.right), bool)
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
    area = Window(*rng.integers(0, 20, 2).tolist(), *rng.integers(90, 170, 2).tolist())
    grid = PatchGrid(area, size, int(rng.integers(1, 2 * size + 1)))
    buffer = int(rng.integers(0, 8))
    block = 2 * size + grid.step + buffer + int(rng.integers(0, 9))
    taken = rng.random(grid.shape) < 0.9
    split = split_blocks(grid, block, buffer, np.array([0.6, 0.2, 0.2]), case, taken)
    assert set(np.unique(split.patches)) >= {0, 1, 2}
    assert (split.patches[~taken] == -1).all()
    pixels = painted(grid, split)
    for a in range(3):
        # Patches of one split grown by the buffer still share no pixel with one of another.
        grown = painted(grid, split, buffer)[a]
        assert not (grown & pixels[[b for b in range(3) if b != a]].any(0)).any()
    # What was dropped was dropped with reason: it is near two splits.
    for i, j in np.argwhere(taken & (split.patches < 0)):
        row, col = grid.rows[i] - area.row, grid.cols[j] - area.col
        top, left = max(row - buffer, 0) // block, max(col - buffer, 0) // block
        near = split.blocks[top : (row + size + buffer) // block + 1, left : (col + size + buffer) // block + 1]
        assert len(np.unique(near)) > 1


@pytest.mark.parametrize('shares', [(0.6, 0.2, 0.2), (0.9, 0.05, 0.05), (0.5, 0.0, 0.5), (0.0, 1.0, 0.0)])
@pytest.mark.parametrize('step', [16, 5])
def test_shares_are_met_as_far_as_blocks_allow(shares, step):
    grid = PatchGrid(Window(0, 0, 1000, 1000), 16, step)
    split = split_blocks(grid, 64, 0, np.array(shares), 3)
    counts = np.bincount(split.patches[split.patches >= 0], minlength=3)
    assert np.abs(counts / counts.sum() - shares).max() < 0.01
    assert all((count > 0) == (share > 0) for count, share in zip(counts, shares))


def test_every_split_gets_a_block_if_there_are_enough():
    row = PatchGrid(Window(0, 0, 96, 32), 32, 32)
    for seed in range(20):
        split = split_blocks(row, 32, 0, np.array([0.98, 0.01, 0.01]), seed)
        assert sorted(split.patches.ravel()) == [0, 1, 2]
    with pytest.raises(NoSamples, match='smaller blocks'):
        split_blocks(row, 64, 0, np.array([0.6, 0.2, 0.2]), 0)


def test_blocks_shrink_by_default_on_a_small_image(tmp_path):
    found, said = select(SelectPatchesJob(raster(tmp_path / 'a.tif', 150, 150), str(tmp_path / 'p.gpkg'), 64))
    assert sorted({p['split'] for p in found}) == ['test', 'train', 'validation']
    assert any('of 64 pixels' in text for text in said)


# -- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'name, otbtf', [(name, otbtf) for name in TRANSFORMS for otbtf in (False, True) if not (otbtf and name == 'turned')]
)
@pytest.mark.parametrize('size, step, offset', [(16, 0, (0, 0)), (15, 7, (-3, 9))])
def test_points_fall_into_the_pixels_they_name(tmp_path, name, otbtf, size, step, offset):
    path = raster(tmp_path / 'a.tif', 101, 83, TRANSFORMS[name], epsg=4326 if name == 'degrees' else 32631)
    job = SelectPatchesJob(path, str(tmp_path / 'p.gpkg'), size, step, *offset, block_size=30, seed=5, otbtf=otbtf)
    found, _ = select(job)
    grid = grid_of(gdal.Open(path))
    assert [p['id'] for p in found] == list(range(len(found))) and len(found) > 4
    assert sorted((p['row'], p['col']) for p in found) == [(p['row'], p['col']) for p in found]
    phases = set()
    for p in found:
        if not otbtf or size % 2:
            assert (p['x'], p['y']) == pytest.approx(grid.centre(p['col'], p['row']), rel=1e-14)
        assert grid.pixel_at(p['x'], p['y']) == (p['col'], p['row'])
        col, row = p['col'] - size // 2, p['row'] - size // 2
        phases.add((col % (step or size), row % (step or size)))
        assert 0 <= col <= 101 - size and 0 <= row <= 83 - size
    assert len(phases) == 1
    if not otbtf:
        assert phases == {(offset[0] % (step or size), offset[1] % (step or size))}
    dataset = gdal.OpenEx(job.output)
    crs = dataset.GetLayer(0).GetSpatialRef()
    assert (crs is not None and crs.GetAuthorityCode(None) in ('32631', '4326')) or TRANSFORMS[name] is None


def test_all_gives_the_whole_grid_for_training(tmp_path):
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 50, 40), str(tmp_path / 'p.gpkg'), 16, 8, strategy='all')
    found, _ = select(job)
    assert [(p['row'], p['col']) for p in found] == [(r, c) for r in (8, 16, 24, 32) for c in (8, 16, 24, 32, 40)]
    assert {p['split'] for p in found} == {'train'}


@pytest.mark.parametrize('strategy', PATCH_STRATEGIES)
def test_the_same_seed_gives_the_same_points_another_one_others(tmp_path, strategy):
    path = raster(tmp_path / 'a.tif', 400, 400)
    pixels = labelled(1, 400, 400, [0.5, 0.3, 0.2])
    labels = LabelRaster(raster(tmp_path / 'l.tif', 400, 400, pixels=pixels, nodata=0))
    seen = []
    for number, seed in enumerate((0, 0, 1)):
        output = str(tmp_path / f'{number}.geojson')
        found, _ = select(SelectPatchesJob(path, output, 16, strategy=strategy, labels=labels, seed=seed))
        seen.append([(p['row'], p['col'], p['split']) for p in found])
    assert seen[0] == seen[1]
    assert (seen[0] != seen[2]) == (strategy in ('blocks', 'random', 'stratified', 'balanced'))


@pytest.mark.parametrize('name', ['p.gpkg', 'p.geojson', 'p.shp', 'p.fgb', 'p.sqlite'])
def test_formats_follow_the_ending_and_replace_what_was_there(tmp_path, name):
    path = raster(tmp_path / 'a.tif', 64, 64)
    for size in (32, 16):
        select_patches(SelectPatchesJob(path, str(tmp_path / name), size, strategy='all'), Reporter())
    assert [p['id'] for p in points(tmp_path / name)] == list(range(16))
    assert not [left for left in os.listdir(tmp_path) if 'part' in left]


# -- strategies -------------------------------------------------------------------------------------------------------


def test_chessboard_and_split_and_random(tmp_path):
    path, output = raster(tmp_path / 'a.tif', 140, 100), str(tmp_path / 'p.gpkg')
    found, said = select(SelectPatchesJob(path, output, 20, strategy='chessboard'))
    assert [p['split'] for p in found] == [SPLITS[(p['row'] // 20 + p['col'] // 20) % 2] for p in found]
    assert any('no test split' in text for text in said) and any('side by side' in text for text in said)
    found, said = select(SelectPatchesJob(path, output, 20, strategy='chessboard', validation=0))
    assert len(found) == 18 and {p['split'] for p in found} == {'train'}
    assert any('17 of 35 grid positions dropped: of a split without a share' in text for text in said)
    found, _ = select(SelectPatchesJob(path, output, 20, strategy='split', train=2, validation=0, test=1))
    assert [p['split'] for p in found] == (['train', 'test', 'train'] * 12)[:35]
    found, said = select(SelectPatchesJob(path, output, 20, 10, strategy='random', train=7, validation=2, test=1))
    counts = {name: sum(p['split'] == name for p in found) for name in SPLITS}
    assert counts == {'train': 82, 'validation': 23, 'test': 12}  # 117 patches: 81.9, 23.4, 11.7
    assert any('pixels lie in patches of more than one split' in text for text in said)


@pytest.mark.parametrize('size, step, buffer', [(16, 16, 0), (16, 6, 0), (15, 10, 9)])
@pytest.mark.parametrize('strategy', ['stratified', 'balanced'])
def test_splits_get_their_share_of_each_class_and_no_pixel_in_common(tmp_path, strategy, size, step, buffer):
    pixels = labelled(2, 600, 500, [0.7, 0.2, 0.06, 0.04])
    path = raster(tmp_path / 'a.tif', 600, 500, UP)
    labels = LabelRaster(raster(tmp_path / 'l.tif', 600, 500, UP, pixels, 0))
    job = SelectPatchesJob(
        path, str(tmp_path / 'p.gpkg'), size, step, 5, 7, strategy=strategy, labels=labels, buffer=buffer, block_size=48
    )
    found, said = select(job)
    values = (10, 20, 30, 40)
    counts = np.stack(list(class_pixels(pixels, found, size, values).values()))
    # The buffer drops patches only after their blocks are dealt out.
    assert np.abs(counts / counts.sum(0) - [[0.6], [0.2], [0.2]]).max() < (0.08 if buffer else 0.04)
    seen = np.zeros((3, 500, 600), bool)
    for p in found:
        row, col, split = p['row'] - size // 2, p['col'] - size // 2, SPLITS.index(p['split'])
        assert not seen[np.arange(3) != split, max(row - buffer, 0) : row + size + buffer, col : col + size].any()
        seen[split, row : row + size, col : col + size] = True
    assert not any('too good' in text for text in said)
    table = next(text for text in said if text.startswith('40 '))
    assert [int(word) for word in table.split() if word.isdigit()] == [40, *counts[:, 3].tolist()]


def test_blocks_alone_would_miss_a_rare_class(tmp_path):
    """What stratified is for: a class in a corner, which blocks give to one split."""
    pixels = np.full((512, 512), 1, np.uint8)
    pixels[:128, :96] = 2
    labels = LabelRaster(raster(tmp_path / 'l.tif', 512, 512, pixels=pixels))
    path, output = raster(tmp_path / 'a.tif', 512, 512), str(tmp_path / 'p.gpkg')
    missing = 0
    for seed in range(6):
        job = SelectPatchesJob(path, output, 16, block_size=64, labels=labels, seed=seed, legend=(ClassDef(2, 'pond'),))
        _, said = select(job)
        missing += any("in the split 'test' of class 2 pond" in text or 'validation' in text for text in said[6:])
        found, said = select(SelectPatchesJob(**{**vars(job), 'strategy': 'stratified'}))
        counts = class_pixels(pixels, found, 16, (1, 2))
        assert all(count.all() for count in counts.values())
        assert not any('No pixel' in text for text in said)
    assert missing


def test_balanced_makes_rare_classes_more_frequent_and_keeps_a_quarter(tmp_path):
    pixels = labelled(3, 800, 800, [0.85, 0.1, 0.05])
    labels = LabelRaster(raster(tmp_path / 'l.tif', 800, 800, pixels=pixels, nodata=0))
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 800, 800), str(tmp_path / 'p.gpkg'), 16, labels=labels)
    shares = {}
    for strategy in ('stratified', 'balanced'):
        found, said = select(SelectPatchesJob(**{**vars(job), 'strategy': strategy}))
        counts = sum(class_pixels(pixels, found, 16, (10, 20, 30)).values())
        shares[strategy] = counts / counts.sum()
    assert len(found) > 2500 / 4
    assert shares['balanced'][0] < 0.8 * shares['stratified'][0]
    assert (shares['balanced'][1:] > 1.5 * shares['stratified'][1:]).all()
    assert any('left out for the balance' in text for text in said)


# -- mask, no-data, labels --------------------------------------------------------------------------------------------


def test_mask_and_nodata_hold_for_every_pixel_of_a_patch(tmp_path):
    mask, image = np.full((96, 96), 255, np.uint8), np.ones((96, 96), np.float32)
    mask[40, 5], image[70, 70], image[3, 60] = 0, np.nan, -1
    path = raster(tmp_path / 'a.tif', 96, 96, UP, image)
    job = SelectPatchesJob(path, str(tmp_path / 'p.gpkg'), 32, strategy='all')
    for changes, dropped in (
        ({}, []),
        ({'mask': raster(tmp_path / 'm.tif', 96, 96, UP, mask)}, [(1, 0)]),
        ({'nodata': 'none'}, [(2, 2)]),
        ({'nodata': '-1'}, [(0, 1), (2, 2)]),
        ({'nodata': 'nan', 'mask': str(tmp_path / 'm.tif')}, [(1, 0), (2, 2)]),
    ):
        found, said = select(SelectPatchesJob(**{**vars(job), **changes}))
        left = {(p['row'] // 32, p['col'] // 32) for p in found}
        assert sorted({(i, j) for i in range(3) for j in range(3)} - left) == dropped
        assert sum(int(text.split()[0]) for text in said if 'grid positions dropped' in text) == len(dropped)


def test_the_log_counts_patches_and_classes_and_what_was_dropped(tmp_path):
    pixels = labelled(4, 256, 256, [0.5, 0.5])
    labels = LabelRaster(raster(tmp_path / 'l.tif', 256, 256, pixels=pixels, nodata=0))
    job = SelectPatchesJob(
        raster(tmp_path / 'a.tif', 256, 256),
        str(tmp_path / 'p.gpkg'),
        16,
        buffer=20,
        labels=labels,
        legend=(ClassDef(10, 'forest'),),
    )
    found, said = select(job)
    assert f'{256 - len(found)} of 256 grid positions dropped: too near another split' in said
    counts = class_pixels(pixels, found, 16, (10, 20))
    for number, name in enumerate(('10 forest', '20')):
        row = next(text for text in said if text.startswith(name + ' '))
        assert [int(word) for word in row.split()[len(name.split()) :] if word.isdigit()] == [
            counts[split][number] for split in SPLITS
        ]
    assert any('have no label (no-data of the labels is 0)' in text for text in said)


def test_a_no_data_value_that_has_a_name_is_a_class(tmp_path):
    pixels = np.kron(np.arange(16).reshape(4, 4) % 2, np.ones((16, 16))).astype(np.uint8)
    labels = LabelRaster(raster(tmp_path / 'l.tif', 64, 64, pixels=pixels, nodata=0))
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 64, 64), str(tmp_path / 'p.gpkg'), 16, labels=labels)
    _, said = select(job)
    assert any(text.startswith('50.0% of the pixels have no label') for text in said)
    _, said = select(SelectPatchesJob(**{**vars(job), 'legend': (ClassDef(0, 'fields'),)}))
    assert any(text.startswith('0 fields ') for text in said) and not any('no label' in text for text in said)


# -- what cannot be done ----------------------------------------------------------------------------------------------


@pytest.fixture
def inputs(tmp_path):
    """Rasters to choose from, by name, in a folder of their own."""
    folder = tmp_path / 'inputs'
    folder.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 30000, (100, 100)).astype(np.int32)
    return {
        'image': raster(folder / 'image.tif', 100, 100, UP),
        'turned': raster(folder / 'turned.tif', 100, 100, TRANSFORMS['turned']),
        'empty': raster(folder / 'empty.tif', 100, 100, UP),
        'nan': raster(folder / 'nan.tif', 100, 100, UP, np.full((100, 100), np.nan, np.float32)),
        'shifted': raster(folder / 'shifted.tif', 100, 100, (6e5 + 1.5, *UP[1:])),
        'small': raster(folder / 'small.tif', 99, 100, UP),
        'elsewhere': raster(folder / 'elsewhere.tif', 100, 100, (75e4, *UP[1:])),
        'other': raster(folder / 'other.tif', 100, 100, UP, epsg=32632),
        'nodata': raster(folder / 'nodata.tif', 100, 100, UP, nodata=0),
        'height': raster(folder / 'height.tif', 100, 100, UP, noise),
        'fractions': raster(folder / 'fractions.tif', 100, 100, UP, np.full((100, 100), 0.5, np.float32)),
    }


@pytest.mark.parametrize(
    'changes, kind, words',
    [
        ({'patch_size': 101}, NoSamples, 'smaller than a patch'),
        ({'patch_size': 64, 'step': 64, 'offset_x': 40}, NoSamples, 'hold no patch of 64 with this offset'),
        ({'patch_size': 100, 'otbtf': True}, NoSamples, 'margin of OTBTF'),
        ({'raster': 'turned', 'otbtf': True}, InvalidJob, 'no rotated rasters'),
        ({'block_size': 10}, InvalidJob, 'hold no patch'),
        ({'buffer': 60, 'block_size': 64}, NoSamples, 'smaller buffer'),
        ({'buffer': 3, 'strategy': 'random'}, InvalidJob, 'keeps no BUFFER'),
        ({'train': 0.0, 'validation': 0.0, 'test': 0.0}, InvalidJob, 'shares'),
        ({'train': -1.0}, InvalidJob, 'shares'),
        ({'train': 0.0, 'validation': 0.0, 'strategy': 'chessboard'}, InvalidJob, 'give one of them a share'),
        ({'strategy': 'chess'}, InvalidJob, 'blocks, chessboard'),
        ({'strategy': 'stratified'}, InvalidJob, 'give LABELS'),
        ({'strategy': 'balanced'}, InvalidJob, 'give LABELS'),
        ({'block_size': 90}, NoSamples, 'smaller blocks'),
        ({'mask': 'shifted'}, GridMismatch, 'must lie on the grid of the image'),
        ({'mask': 'small'}, GridMismatch, 'must lie on the grid of the image'),
        ({'mask': 'other'}, GridMismatch, 'Different coordinate reference systems'),
        ({'mask': 'empty'}, NoSamples, '484 not wholly on pixels above 0 of the mask'),
        ({'nodata': 'zero'}, InvalidJob, "'zero' is neither a number"),
        ({'nodata': '0'}, NoSamples, '484 with no-data pixels'),
        ({'raster': 'nan', 'nodata': 'nan'}, NoSamples, 'with no-data pixels'),
        ({'labels': 'elsewhere'}, GridMismatch, 'do not overlap'),
        ({'labels': 'other'}, GridMismatch, 'Different coordinate reference systems'),
        ({'labels': 'nodata'}, LabelError, 'all are no-data'),
        ({'labels': 'height'}, LabelError, 'more than 1000 different values'),
        ({'labels': 'fractions', 'strategy': 'balanced'}, LabelError, '0.5 is no class value'),
        ({'output': 'p.xyz'}, OutputRefused, 'endings'),
        ({'output': 'inputs/image.tif/p.gpkg'}, OutputRefused, 'cannot be written'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(tmp_path, inputs, changes, kind, words):
    values = {'raster': 'image', 'patch_size': 16, 'step': 4, **changes}
    output = str(tmp_path / values.pop('output', 'p.gpkg'))
    for name in ('raster', 'mask', 'labels'):
        if name in values:
            values[name] = inputs[values[name]]
    if 'labels' in values:
        values['labels'] = LabelRaster(values['labels'])
    before = sorted(os.listdir(tmp_path / 'inputs'))
    with pytest.raises(kind, match=words) as caught:
        select_patches(SelectPatchesJob(output=output, **values), Reporter())
    assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    assert os.listdir(tmp_path) == ['inputs'] and sorted(os.listdir(tmp_path / 'inputs')) == before


def test_too_many_patches_are_refused_before_anything_is_read(tmp_path):
    job = SelectPatchesJob(raster(tmp_path / 'a.tif', 9000, 9000), str(tmp_path / 'p.gpkg'), 64, 1)
    with pytest.raises(InvalidJob, match='take a larger STEP'):
        select_patches(job, Reporter())
