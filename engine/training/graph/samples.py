"""Samples as a graph is fed with them, wherever they lie: patches-images or a dataset."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence

import numpy as np

from ...datasets.readahead import read_ahead
from ...datasets.reader import Dataset
from ...datasets.stores import Form, ImageShard, image_dtype
from ...errors import BandMismatch, DatasetError, OutOfMemory
from ...events import Reporter
from ...gdalio import open_raster
from ...jobs import SourceSpec
from .wiring import Shape

_AT_ONCE = 256  # samples moved into memory at once
_AHEAD = 2  # batches being read while one is in use


class Samples(abc.ABC):
    """Samples of several sources, the n-th of each belonging together.

    Attributes:
        count: how many there are.
        shapes: of one sample of each source: (rows, columns, bands).
    """

    count: int
    shapes: tuple[Shape, ...]

    @abc.abstractmethod
    def read(self, source: int, indices: np.ndarray) -> np.ndarray:
        """Samples of a source in the order asked for: (samples, rows, columns, bands)."""

    def loaded(self, what: str, reporter: Reporter) -> Samples:
        """The same, all in memory.

        Args:
            what: they are, for people.
            reporter: hears how far it is, and can stop it.

        Raises:
            OutOfMemory: there are too many.
        """
        arrays: list[np.ndarray] = []
        try:
            for source, shape in enumerate(self.shapes):
                array = np.empty((self.count, *shape), self.read(source, np.arange(min(self.count, 1))).dtype)
                for start in range(0, self.count, _AT_ONCE):
                    reporter.check_cancelled()
                    reporter.progress((source + start / self.count) / len(self.shapes), f'Reading the {what}')
                    part = np.arange(start, min(start + _AT_ONCE, self.count))
                    array[part] = self.read(source, part)
                arrays.append(array)
        except MemoryError as error:
            raise OutOfMemory(
                f'The {what} do not fit into the memory; read them while training, with STREAMING.'
            ) from (error)
        return _InMemory(arrays)


class _InMemory(Samples):
    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays = arrays
        self.count = len(arrays[0])
        self.shapes = tuple((array.shape[1], array.shape[2], array.shape[3]) for array in arrays)

    def read(self, source: int, indices: np.ndarray) -> np.ndarray:
        return self._arrays[source][indices]


class PatchesImages(Samples):
    """Samples in images in which patches stand below one another, one or several for each source.

    Args:
        sources: the images, their patch sizes (0: as wide as the image, and square) and bands.

    Raises:
        InputMissing, InputUnreadable: an image cannot be read.
        DatasetError: the images do not hold patches of that size, or not as many of each.
        BandMismatch: a band that an image does not have.
    """

    def __init__(self, sources: Sequence[SourceSpec]) -> None:
        self._stacks = [_Stack(source) for source in sources]
        self.count = self._stacks[0].count
        self.shapes = tuple(stack.shape for stack in self._stacks)
        for stack in self._stacks:
            if stack.count != self.count:
                raise DatasetError(
                    f'{stack.path} holds {stack.count} patches, but {self._stacks[0].path}, which goes with it, '
                    f'{self.count}.'
                )

    def read(self, source: int, indices: np.ndarray) -> np.ndarray:
        return self._stacks[source].read(indices)


class _Stack:
    """The images of a source, their bands one after the other."""

    def __init__(self, source: SourceSpec) -> None:
        self.path = source.rasters[0]
        files = [_open(path, source.patch_size) for path in source.rasters]
        self.count = files[0][1]
        for path, (_, count, form) in zip(source.rasters, files):
            if (count, form.shape[:2]) != (self.count, files[0][2].shape[:2]):
                raise DatasetError(f'{path}: other patches, or other numbers of them, than in {self.path}.')
        self._files = [file for file, _, _ in files]
        if source.band_names:
            raise BandMismatch(f'{self.path}: bands of patches are given by their numbers, not by names.')
        self._bands = [band - 1 for band in source.bands]
        bands = sum(form.shape[2] for _, _, form in files)
        if source.bands and not 1 <= min(source.bands) <= max(source.bands) <= bands:
            raise BandMismatch(f'{self.path}: bands {source.bands}; there are 1 to {bands}.')
        rows, cols, _ = files[0][2].shape
        self.shape = (rows, cols, len(self._bands) or bands)

    def read(self, indices: np.ndarray) -> np.ndarray:
        parts = [file.read('', indices) for file in self._files]
        pixels = parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
        return pixels[..., self._bands] if self._bands else pixels


def _open(path: str, size: tuple[int, int]) -> tuple[ImageShard, int, Form]:
    """A patches-image, the number of its patches, and what one of them looks like."""
    dataset = open_raster(path)
    width, height = dataset.RasterXSize, dataset.RasterYSize
    cols, rows = size if any(size) else (width, width)
    if width != cols or height % rows:
        fitting = f'PATCH_SIZE {width}' if not height % width else 'another PATCH_SIZE'
        raise DatasetError(
            f'{path}: {width} x {height} pixels are not patches of {cols} x {rows} pixels below one another. Give '
            f'{fitting}.'
        )
    form = Form((rows, cols, dataset.RasterCount), image_dtype(dataset, path))
    return ImageShard(path, height // rows, form), height // rows, form


class DatasetSamples(Samples):
    """The samples of a split of a dataset.

    Args:
        keys: of the dataset, in the order of the sources.
        indices: of the samples.
    """

    def __init__(self, dataset: Dataset, keys: Sequence[str], indices: np.ndarray) -> None:
        self._dataset, self._keys, self._indices = dataset, keys, indices
        self.count = len(indices)
        self.shapes = tuple(dataset.forms[key].shape for key in keys)

    def read(self, source: int, indices: np.ndarray) -> np.ndarray:
        return self._dataset.read(self._keys[source], self._indices[indices])


def batches(samples: Samples, sources: Sequence[int], order: np.ndarray, size: int) -> Iterator[list[np.ndarray]]:
    """All samples in an order, `size` at a time, what is left in the end; read ahead.

    Args:
        sources: numbers of those that are wanted.

    Returns:
        The samples of each of these sources, batch by batch.
    """
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return read_ahead(lambda chosen: [samples.read(source, chosen) for source in sources], parts, _AHEAD)
