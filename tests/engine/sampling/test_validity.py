"""Counting in patches against counting patch by patch: whatever the grid, the strips, the overlaps."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal, gdal_type
from quadrat.engine.grid import Grid, Window
from quadrat.engine.jobs import LabelRaster, SourceSpec
from quadrat.engine.raster import RasterStack
from quadrat.engine.sampling import counts as counting
from quadrat.engine.sampling.counts import PatchCounts
from quadrat.engine.sampling.histograms import count_in_patches
from quadrat.engine.sampling.patchgrid import PatchGrid, whole_patches
from quadrat.engine.sampling.validity import everywhere, with_data


def raster(path, pixels, transform=(0, 1, 0, 0, 0, -1), nodata=None, tiled=False):
    """A raster of pixels (bands, rows, columns)."""
    options = ['TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=32'] if tiled else []
    bands, height, width = pixels.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), width, height, bands, gdal_type(pixels.dtype), options)
    dataset.SetGeoTransform(transform)
    for number in range(1, bands + 1):
        if nodata is not None:
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
    dataset.WriteRaster(0, 0, width, height, np.ascontiguousarray(pixels).tobytes())
    return str(path)


def some_patches(rng, width, height):
    size, step = int(rng.integers(1, 20)), int(rng.integers(1, 25))
    return whole_patches(width, height, size, step, tuple(rng.integers(-30, 30, 2).tolist()))


@pytest.mark.parametrize('case', range(12))
def test_a_patch_is_valid_if_all_its_pixels_are(tmp_path, monkeypatch, case):
    rng = np.random.default_rng(case)
    monkeypatch.setattr(counting, '_STRIP_BYTES', int(rng.integers(1, 20000)))
    height, width = rng.integers(60, 120, 2).tolist()
    patches = some_patches(rng, width, height)
    pixels = np.where(rng.random((2, height, width)) < 0.03, -5, 1).astype(np.float32)
    pixels[1, rng.random((height, width)) < 0.004] = np.nan
    stack = RasterStack(SourceSpec((raster(tmp_path / 'a.tif', pixels, tiled=case % 2 == 0),), nodata='-5'))
    found = everywhere(
        stack, PatchCounts(patches.cols, patches.rows, (patches.size,) * 2), with_data(stack), Reporter()
    )
    good = np.isfinite(pixels).all(0) & ~(pixels == -5).all(0)
    assert found.shape == patches.shape
    for i, row in enumerate(patches.rows):
        for j, col in enumerate(patches.cols):
            assert found[i, j] == good[row : row + patches.size, col : col + patches.size].all()


@pytest.mark.parametrize('case', range(12))
def test_histograms_of_labels_on_related_grids(tmp_path, monkeypatch, case):
    """The label raster is finer, as fine or coarser than the image, shifted, and covers a part of it."""
    rng = np.random.default_rng(100 + case)
    monkeypatch.setattr(counting, '_STRIP_BYTES', int(rng.integers(1, 60000)))
    patches = some_patches(rng, 90, 80)
    image = Grid('', (0, 6, 0, 0, 0, -6), 90, 80)
    pixel = (2, 6, 18)[case % 3]
    left, top = (rng.integers(-5, 10, 2) * (6 if pixel < 18 else 18)).tolist()
    shift = 6 * int(rng.integers(0, 3)) if pixel == 18 else 0
    values = np.array([-3, 4, 7, 70000, 255], np.int32)
    labels = rng.choice(values, (1, 480 // pixel, 540 // pixel))
    path = raster(tmp_path / 'l.tif', labels, (left + shift, pixel, 0, -top - shift, 0, -pixel), 255, case % 2 == 0)
    found = count_in_patches(LabelRaster(path), (), image, 'the image', patches, Reporter())
    assert found.nodata == 255 and [item.value for item in found.classes] == [-3, 4, 7, 70000]
    unit = min(pixel, 6)  # count by hand on the finer of the two grids
    ground = np.full((480 // unit, 540 // unit), 255)
    for row in range(ground.shape[0]):
        for col in range(ground.shape[1]):
            y, x = (row * unit - top - shift) // pixel, (col * unit - left - shift) // pixel
            if 0 <= y < labels.shape[1] and 0 <= x < labels.shape[2]:
                ground[row, col] = labels[0, y, x]
    scale = 6 // unit
    assert found.area == (patches.size * scale) ** 2
    for i, row in enumerate((patches.rows * scale).tolist()):
        for j, col in enumerate((patches.cols * scale).tolist()):
            patch = ground[row : row + patches.size * scale, col : col + patches.size * scale]
            assert found.pixels[i, j].tolist() == [(patch == value).sum() for value in (-3, 4, 7, 70000)]


def test_each_row_is_read_once_in_whole_blocks():
    patches = PatchGrid(Window(3, 5, 1000, 3000), 40, 10)
    counts = PatchCounts(patches.cols, patches.rows, (40, 40))
    strips = list(counts.strips(50_000, 256))
    assert strips[0][0] == 5 and strips[-1][1] == 2995 + 10
    assert all(end == start for (_, end), (start, _) in zip(strips, strips[1:]))
    assert all(end % 256 == 0 for _, end in strips[:-1])
    assert max(end - start for start, end in strips) * 50_000 <= counting._STRIP_BYTES
    # A block that is much too high is no reason to take it all at once.
    assert max(end - start for start, end in counts.strips(1 << 20, 3000)) * (1 << 20) <= counting._STRIP_BYTES
