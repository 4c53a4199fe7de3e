"""Reading windows block by block, against windows read one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from quadrat.engine.datasets.sweep import Sweep
from quadrat.engine.errors import InputUnreadable
from quadrat.engine.gdalio import gdal, gdal_type
from quadrat.engine.jobs import SourceSpec
from quadrat.engine.raster import RasterStack

COLS, ROWS = 301, 203
LAYOUTS = {
    'tiles': ['TILED=YES', 'BLOCKXSIZE=32', 'BLOCKYSIZE=16', 'COMPRESS=DEFLATE'],
    'large tiles': ['TILED=YES', 'BLOCKXSIZE=256', 'BLOCKYSIZE=256', 'COMPRESS=LZW', 'INTERLEAVE=BAND'],
    'rows': ['BLOCKYSIZE=1', 'COMPRESS=DEFLATE'],
    'strips': ['BLOCKYSIZE=7', 'COMPRESS=DEFLATE', 'PREDICTOR=2'],
    'one strip': [f'BLOCKYSIZE={ROWS}', 'COMPRESS=DEFLATE'],
    'plain': [],
}


def array(dtype='int16', bands=3):
    return np.random.default_rng(0).integers(0, 250, (ROWS, COLS, bands)).astype(dtype)


def make(path, pixels, options):
    rows, cols, bands = pixels.shape
    kind = gdal_type(pixels.dtype)
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, kind, options)
    for band in range(bands):
        dataset.GetRasterBand(band + 1).WriteRaster(0, 0, cols, rows, np.ascontiguousarray(pixels[..., band]))
    del dataset
    return str(path)


class Counted(RasterStack):
    """A raster that counts how often each of its blocks is read."""

    def __init__(self, *spec):
        super().__init__(*spec)
        self.blocks = Counter()

    def read(self, window, out=None):
        cols, rows = self.block
        for row in range(window.row // rows, (window.bottom - 1) // rows + 1):
            for col in range(window.col // cols, (window.right - 1) // cols + 1):
                self.blocks[col, row] += 1
        return super().read(window, out)


def random_windows(count, size=(12, 9), seed=1):
    rng = np.random.default_rng(seed)
    cols, rows = rng.integers(0, COLS - size[0] + 1, count), rng.integers(0, ROWS - size[1] + 1, count)
    return np.stack([cols, rows, np.full(count, size[0]), np.full(count, size[1])], 1)


def swept(raster, windows, **options):
    """What a sweep gives, each window once, and the numbers of the windows in the order in which they came."""
    found, order = {}, []
    for numbers, pixels in Sweep(raster, windows, **options):
        assert (np.diff(numbers) > 0).all() and len(numbers) == len(pixels)
        for number, part in zip(numbers.tolist(), pixels):
            assert number not in found
            found[number] = part.copy()
            order.append(number)
    assert sorted(found) == list(range(len(windows)))
    return found, order


def needed_blocks(windows, block):
    out = set()
    for col, row, width, height in windows.tolist():
        for y in range(row // block[1], (row + height - 1) // block[1] + 1):
            out.update((x, y) for x in range(col // block[0], (col + width - 1) // block[0] + 1))
    return out


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('count, size', [(400, (12, 9)), (6, (12, 9)), (60, (70, 90)), (3, (COLS, ROWS))])
def test_every_block_that_is_needed_is_read_once_and_no_other(tmp_path, layout, count, size):
    pixels = array()
    raster = Counted(SourceSpec((make(tmp_path / 'a.tif', pixels, LAYOUTS[layout]),)))
    windows = random_windows(count, size)
    found, _ = swept(raster, windows)
    for number, (col, row, width, height) in enumerate(windows.tolist()):
        np.testing.assert_array_equal(found[number], pixels[row : row + height, col : col + width])
    assert set(raster.blocks) == needed_blocks(windows, raster.block)
    assert set(raster.blocks.values()) == {1}


def test_windows_of_different_sizes(tmp_path):
    pixels = array('float32')
    raster = Counted(SourceSpec((make(tmp_path / 'a.tif', pixels, LAYOUTS['tiles']),)))
    windows = np.concatenate([random_windows(50, size, i) for i, size in enumerate([(1, 1), (40, 3), (5, 120)])])
    found, _ = swept(raster, windows)
    for number, (col, row, width, height) in enumerate(windows.tolist()):
        np.testing.assert_array_equal(found[number], pixels[row : row + height, col : col + width])
    assert set(raster.blocks.values()) == {1}
    assert list(Sweep(raster, np.empty((0, 4)))) == []


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('memory', [60_000, 20_000, 1])
def test_little_memory_costs_time_and_nothing_else(tmp_path, layout, memory):
    """Strips become swaths; blocks on the seams are read again."""
    pixels = array()
    raster = Counted(SourceSpec((make(tmp_path / 'a.tif', pixels, LAYOUTS[layout]),)))
    windows = random_windows(300)
    held = []
    load = Sweep._load

    class Watched(Sweep):
        def _load(self, step, members, before, buffer):
            held.append(buffer.nbytes)
            return load(self, step, members, before, buffer)

    found = {}
    for numbers, part in Watched(raster, windows, memory=memory):
        found.update(zip(numbers.tolist(), part.copy()))
    for number, (col, row, width, height) in enumerate(windows.tolist()):
        np.testing.assert_array_equal(found[number], pixels[row : row + height, col : col + width])
    cols, rows = raster.block
    block = min(cols, COLS) * 6
    # A strip must hold two windows and two blocks side by side, and rows of blocks that are not too tall.
    least = 2 * (2 * (12 * 6) + 2 * block) * (9 + min(rows, 9))
    assert 2 * max(held) <= max(memory, 2 * least)


def test_several_rasters_and_bands_in_any_order(tmp_path):
    a, b = array('uint8', 2), array('int16', 3) + 1000
    paths = make(tmp_path / 'a.tif', a, LAYOUTS['tiles']), make(tmp_path / 'b.tif', b, LAYOUTS['strips'])
    stacked = np.concatenate([a.astype('int16'), b], 2)
    windows = random_windows(80)
    for bands in ((), (4, 1, 3), (2, 5)):
        raster = RasterStack(SourceSpec(paths, bands=bands))
        found, _ = swept(raster, windows)
        chosen = [band - 1 for band in bands] or range(5)
        for number, (col, row, width, height) in enumerate(windows.tolist()):
            np.testing.assert_array_equal(found[number], stacked[row : row + height, col : col + width][..., chosen])


@pytest.mark.parametrize('layout', ['tiles', 'strips', 'rows', 'one strip'])
def test_a_truncated_file_is_an_error(tmp_path, layout):
    path = make(tmp_path / 'a.tif', array(), LAYOUTS[layout])
    with open(path, 'rb+') as file:
        file.truncate(file.seek(0, 2) * 2 // 3)
    cache = gdal.GetCacheMax()
    with pytest.raises(InputUnreadable, match=r'a\.tif'):
        list(Sweep(RasterStack(SourceSpec((path,))), random_windows(200)))
    assert gdal.GetCacheMax() == cache


def test_whoever_stops_listening_stops_the_reading(tmp_path):
    raster = Counted(SourceSpec((make(tmp_path / 'a.tif', array(), LAYOUTS['tiles']),)))
    cache = gdal.GetCacheMax()
    sweep = iter(Sweep(raster, random_windows(200)))
    next(sweep)
    sweep.close()
    assert gdal.GetCacheMax() == cache and len(raster.blocks) < 10 * 13
