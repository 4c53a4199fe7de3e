"""Whole rasters as arrays of patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quadrat.engine import gdal_open, read_as_np_arr
from quadrat.engine.errors import InputMissing, InputUnreadable


def test_patches_and_whole_rasters(write_patches):
    patches = np.random.default_rng(0).integers(-300, 300, (5, 4, 4, 3), dtype=np.int16)
    dataset = gdal_open(write_patches('a.tif', patches, 'INTERLEAVE=BAND'))
    found = read_as_np_arr(dataset)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, patches)
    whole = read_as_np_arr(dataset, as_patches=False, dtype=np.float64)
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(whole, patches.reshape(1, 20, 4, 3))


def test_labels_of_one_pixel_are_patches_too(write_patches):
    labels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    np.testing.assert_array_equal(read_as_np_arr(gdal_open(write_patches('a.tif', labels))), labels)


def test_what_cannot_be_read_is_named(tmp_path, write_patches):
    with pytest.raises(InputMissing, match=r'nowhere\.tif'):
        gdal_open(str(tmp_path / 'nowhere.tif'))
    oblong = gdal_open(write_patches('oblong.tif', np.zeros((3, 5, 4, 1), np.uint8)))
    with pytest.raises(InputUnreadable, match=r'oblong\.tif: 4 x 15 pixels .* square'):
        read_as_np_arr(oblong)
    path = tmp_path / 'short.tif'
    noise = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 1), dtype=np.uint8)
    path.write_bytes(Path(write_patches('a.tif', noise, 'COMPRESS=DEFLATE')).read_bytes()[:-800])
    with pytest.raises(InputUnreadable, match=r'short\.tif'):
        read_as_np_arr(gdal_open(str(path)))


@pytest.mark.baseline
def test_the_baseline_patches(shared):
    dataset = gdal_open(str(shared / 'data' / 'otbtf-suite' / 'data' / 'amsterdam_patches_A.tif'))
    assert read_as_np_arr(dataset).shape == (113, 64, 64, 4)
    assert read_as_np_arr(dataset, as_patches=False).shape == (1, 7232, 64, 4)
