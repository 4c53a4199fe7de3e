"""Samples from images of patches, as "Extract patches" and OTBTF write them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import DatasetError, InvalidJob
from ...gdalio import open_raster
from ..stores import Form, ImageShard, image_dtype
from .arrays import square_patches
from .memory import aligned, copy_rows
from .readers import PatchesReaderBase, measure

_AT_ONCE = 256  # patches moved into memory at once


class PatchesImagesReader(PatchesReaderBase):
    """Samples from images in which square patches stand below one another: patch k of every source is sample k.

    Args:
        filenames_dict: source -> its files, as many for each source. The files of a source have patches of the same
            size and bands; the n-th files of all sources hold as many patches.
        use_streaming: read patches when they are asked for, mapped into memory where the file is an uncompressed
            GeoTIFF, with GDAL else. False reads all of them into memory at once.
        scalar_dict: name -> a value a file (number, text or array), given with every sample of that file.

    Raises:
        InvalidJob: the arguments contradict one another.
        DatasetError: the files do; it names both.
        InputMissing, InputUnreadable: naming the file.
    """

    def __init__(
        self,
        filenames_dict: Mapping[str, Sequence[str]],
        use_streaming: bool = False,
        scalar_dict: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        _check_arguments(filenames_dict, scalar_dict or {})
        files = {key: [_open(os.fspath(path)) for path in paths] for key, paths in filenames_dict.items()}
        _check_files(files)
        first = next(iter(files.values()))
        self._starts = np.cumsum([0, *(file.count for file in first)])
        self._sources = {key: _Source(of_key, self._starts) for key, of_key in files.items()}
        self._scalars = {key: np.stack([np.asarray(v) for v in values]) for key, values in (scalar_dict or {}).items()}
        if not use_streaming:
            for source in self._sources.values():
                source.load()

    def get_sample(self, index: int) -> dict[str, np.ndarray]:
        """Sample `index`: source -> (rows, columns, bands), name of a scalar -> its value."""
        return {key: values[0, ...] for key, values in self.get_samples(np.array([index])).items()}

    def get_samples(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        if len(indices) and (indices.min() < 0 or indices.max() >= self.get_size()):
            raise IndexError(f'sample {indices.min()} to {indices.max()} of {self.get_size()}')
        samples = {key: source.read(indices) for key, source in self._sources.items()}
        files = np.searchsorted(self._starts, indices, side='right') - 1
        return samples | {key: values[files] for key, values in self._scalars.items()}

    def get_stats(self) -> dict[str, dict[str, np.ndarray]]:
        """Of each source, over all pixels: see `readers.measure`. Scalars have none."""
        return measure(self, tuple(self._sources))

    def get_size(self) -> int:
        return int(self._starts[-1])


class _File:
    """An image of patches."""

    def __init__(self, path: str, count: int, form: Form) -> None:
        self.path, self.count, self.form = path, count, form
        self.patches = ImageShard(path, count, form)


def _open(path: str) -> _File:
    dataset = open_raster(path)
    width, bands = dataset.RasterXSize, dataset.RasterCount
    count = square_patches(path, width, dataset.RasterYSize)
    return _File(path, count, Form((width, width, bands), image_dtype(dataset, path)))


class _Source:
    """The files of a source, one after the other."""

    def __init__(self, files: list[_File], starts: np.ndarray) -> None:
        self._files, self._starts = files, starts
        self._shape = files[0].form.shape
        self._dtype = np.result_type(*(file.form.dtype for file in files))
        self._memory: np.ndarray | None = None

    def load(self) -> None:
        """Read everything into memory."""
        memory = np.empty((int(self._starts[-1]), *self._shape), self._dtype)
        for start in range(0, len(memory), _AT_ONCE):
            indices = np.arange(start, min(start + _AT_ONCE, len(memory)))
            memory[start : start + _AT_ONCE] = self.read(indices)
        self._memory, self._files = memory, []

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Patches by their numbers."""
        out = aligned((len(indices), *self._shape), self._dtype)
        if self._memory is not None:
            # The numbers were checked; in any other mode numpy would copy once more.
            return np.take(self._memory, indices, 0, out, mode='clip')
        numbers = np.searchsorted(self._starts, indices, side='right') - 1
        for number in np.unique(numbers).tolist():
            chosen = np.flatnonzero(numbers == number)
            positions = indices[chosen] - self._starts[number]
            patches = self._files[number].patches
            if patches.mapped is None:
                out[chosen] = patches.read('', positions)
            else:
                copy_rows(np.asarray(patches.mapped), positions, out, chosen)
        return out


def _check_arguments(filenames_dict: Mapping[str, Sequence[str]], scalar_dict: Mapping[str, Sequence[Any]]) -> None:
    if not filenames_dict:
        raise InvalidJob('filenames_dict: no source given.')
    for key, values in (*filenames_dict.items(), *scalar_dict.items()):
        if isinstance(values, (str, bytes)) or not values:
            raise InvalidJob(f'{key}: a list of at least one is expected, not {values!r}.')
    first, files = next(iter(filenames_dict.items()))
    for key, values in (*filenames_dict.items(), *scalar_dict.items()):
        if len(values) != len(files):
            raise InvalidJob(f'{key}: {len(values)} given, but {len(files)} files of {first}.')
    both = filenames_dict.keys() & scalar_dict.keys()
    if both:
        raise InvalidJob(f'{min(both)}: names both a source and a scalar.')


def _check_files(files: Mapping[str, Sequence[_File]]) -> None:
    """Raise `DatasetError`, naming both, where two files do not go together."""
    for key, of_key in files.items():
        for file in of_key[1:]:
            if file.form.shape != of_key[0].form.shape:
                raise DatasetError(
                    f'{key}: patches of different shapes: {of_key[0].path} has {_text(of_key[0])}, {file.path} has '
                    f'{_text(file)}.'
                )
    for side_by_side in zip(*files.values()):
        for one, other in itertools.pairwise(side_by_side):
            if one.count != other.count:
                raise DatasetError(
                    f'{other.path} holds {other.count} patches, but {one.path}, which goes with it, {one.count}.'
                )


def _text(file: _File) -> str:
    rows, cols, bands = file.form.shape
    return f'{cols} x {rows} pixels of {bands} bands'
