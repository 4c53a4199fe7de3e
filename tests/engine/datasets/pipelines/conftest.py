"""Readers whose samples say which they are, and images of patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.datasets.pipelines.readers import PatchesReaderBase
from quadrat.engine.gdalio import gdal, gdal_type


class Numbered(PatchesReaderBase):
    """A reader as a user writes one: sample k holds the number k."""

    def __init__(self, size: int) -> None:
        self.size = size

    def get_sample(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < self.size:
            raise IndexError(index)
        return {'image': np.full((2, 2, 3), index, np.float32), 'number': np.array([index], np.int32)}

    def get_stats(self) -> dict[str, dict[str, np.ndarray]]:
        return {'image': {'mean': np.full(3, (self.size - 1) / 2)}}

    def get_size(self) -> int:
        return self.size


@pytest.fixture
def numbered() -> type[Numbered]:
    return Numbered


@pytest.fixture
def write_patches(tmp_path):
    """A function ``(name, (patches, rows, columns, bands) array, *creation options) -> path``."""

    def write(name: str, patches: np.ndarray, *options: str) -> str:
        count, rows, cols, bands = patches.shape
        path = str(tmp_path / name)
        target = gdal.GetDriverByName('GTiff').Create(
            path, cols, count * rows, bands, gdal_type(patches.dtype), list(options)
        )
        for band in range(bands):
            data = np.ascontiguousarray(patches[..., band].reshape(-1, cols))
            target.GetRasterBand(band + 1).WriteRaster(0, 0, cols, count * rows, data.tobytes())
        target = None
        assert Path(path).is_file()
        return path

    return write
