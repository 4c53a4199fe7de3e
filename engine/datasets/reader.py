"""Reading a dataset of numpy shards: any sample in any order, straight from the files."""

from __future__ import annotations

import csv
import dataclasses
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ..errors import DatasetError
from .manifest import Manifest, Shard, read_manifest

SAMPLES = 'samples.csv'
CLASS_PREFIX = 'class_'
_OPEN_SHARDS = 256  # each mapped file takes a file handle, and systems give as few as 1024


@dataclasses.dataclass(frozen=True)
class SampleTable:
    """The rows of samples.csv, one entry a sample.

    Attributes:
        ids: what the points layer calls the samples.
        x, y: float64 map coordinates of the points, in the dataset's CRS.
        images: the raster each patch was cut from.
        splits: names of splits.
        pixels: class value -> int64 number of its pixels in each patch.
    """

    ids: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    images: tuple[str, ...]
    splits: tuple[str, ...]
    pixels: dict[int, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)


class Dataset:
    """A dataset folder, open for reading. Threads may share it.

    Attributes:
        folder: where it lies.
        manifest: what is in it.
        samples: the table of its samples.
        count: number of samples.
        splits: split -> int64 indices of its samples, ascending.
    """

    def __init__(self, folder: str, manifest: Manifest, samples: SampleTable) -> None:
        self.folder = folder
        self.manifest = manifest
        self.samples = samples
        self.count = manifest.count
        names = np.asarray(samples.splits, dtype=str)
        self.splits = {split: np.flatnonzero(names == split) for split in manifest.splits}
        self._shards: dict[str, list[Shard]] = {}
        for shard in manifest.shards:
            self._shards.setdefault(shard.key, []).append(shard)
        self._starts = {key: np.cumsum([0] + [shard.count for shard in shards]) for key, shards in self._shards.items()}
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: str) -> Dataset:
        """Open a dataset and check that its files are those of the manifest: sizes, shapes and types.

        Raises:
            InputMissing: no such folder.
            DatasetError: the folder is no dataset, or a file of it is missing, short or of another shape.
        """
        folder = os.fspath(folder)
        manifest = read_manifest(folder)
        dataset = cls(folder, manifest, _read_samples(folder, manifest.count))
        for key in dataset.keys:
            dataset._check(key)
        for split, info in manifest.splits.items():
            if len(dataset.splits[split]) != info.count:
                raise DatasetError(
                    f'{os.path.join(folder, SAMPLES)}: {len(dataset.splits[split])} samples of split {split!r}, the '
                    f'manifest says {info.count}. Extract the patches again.'
                )
        return dataset

    @property
    def keys(self) -> tuple[str, ...]:
        """What `read` can be asked for: the names of the sources, then that of the labels if there are any."""
        labels = self.manifest.labels
        return (*(source.name for source in self.manifest.sources), *((labels.name,) if labels else ()))

    def indices(self, split: str) -> np.ndarray:
        """Indices of the samples of a split, ascending; none where the dataset has no such split."""
        return self.splits.get(split, np.empty(0, np.int64))

    def read(self, key: str, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Samples in the order asked for.

        Args:
            key: name of a source, or of the labels.
            indices: numbers of samples, in any order, repeated or not.

        Returns:
            (len(indices), rows, columns, bands) in the type of the shards.
        """
        shape, dtype = self._layout(key)
        index = np.asarray(indices, np.int64)
        if index.size and (index.min() < 0 or index.max() >= self.count):
            raise IndexError(f'{self.folder}: sample {index.min()} to {index.max()} of {self.count}')
        out = np.empty((len(index), *shape), dtype)
        shards = np.searchsorted(self._starts[key], index, side='right') - 1
        for number in np.unique(shards):
            chosen = np.flatnonzero(shards == number)
            out[chosen] = self._map(self._shards[key][number])[index[chosen] - self._starts[key][number]]
        return out

    def _layout(self, key: str) -> tuple[tuple[int, int, int], np.dtype]:
        """Shape and type of one sample of `key`."""
        labels = self.manifest.labels
        info = labels if labels and key == labels.name else self.manifest.source(key)
        return info.shape, np.dtype(info.dtype)

    def _map(self, shard: Shard) -> np.ndarray:
        """The memory-mapped shard; those used longest ago are closed."""
        with self._lock:
            if shard.path in self._maps:
                self._maps.move_to_end(shard.path)
                return self._maps[shard.path]
            path = os.path.join(self.folder, shard.path)
            try:
                array = np.load(path, mmap_mode='r', allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise DatasetError(f'{path}: cannot be read ({error}). Extract the patches again.') from error
            self._maps[shard.path] = array
            if len(self._maps) > _OPEN_SHARDS:
                self._maps.popitem(last=False)
            return array

    def _check(self, key: str) -> None:
        """Raise `DatasetError`, naming the file, where the shards of a key are not what the manifest says."""
        shape, dtype = self._layout(key)
        for shard in self._shards.get(key, []):
            path = os.path.join(self.folder, shard.path)
            if not os.path.isfile(path):
                raise DatasetError(f'{path}: this part of the dataset is missing. Extract the patches again.')
            size = os.path.getsize(path)
            if size != shard.size:
                raise DatasetError(
                    f'{path}: {size} bytes, the manifest says {shard.size}; the file is not whole or was changed. '
                    'Extract the patches again.'
                )
            array = self._map(shard)
            if array.shape != (shard.count, *shape) or array.dtype != dtype:
                raise DatasetError(
                    f'{path}: holds {array.dtype} of shape {array.shape}, the manifest says {dtype} of shape '
                    f'{(shard.count, *shape)}. Extract the patches again.'
                )
        found = sum(shard.count for shard in self._shards.get(key, []))
        if found != self.count:
            raise DatasetError(
                f'{self.folder}: its manifest names {found} of {self.count} samples of {key!r}. '
                'Extract the patches again.'
            )


def _read_samples(folder: str, count: int) -> SampleTable:
    """samples.csv of a dataset of `count` samples."""
    path = os.path.join(folder, SAMPLES)
    try:
        with open(path, encoding='utf-8', newline='') as file:
            rows = csv.DictReader(file)
            columns: dict[str, list[str]] = {name: [] for name in rows.fieldnames or ()}
            for row in rows:
                for name, values in columns.items():
                    values.append(row[name])
        table = SampleTable(
            tuple(columns['id']),
            np.asarray(columns['x'], np.float64),
            np.asarray(columns['y'], np.float64),
            tuple(columns['image']),
            tuple(columns['split']),
            {
                int(name[len(CLASS_PREFIX) :]): np.asarray(values, np.int64)
                for name, values in columns.items()
                if name.startswith(CLASS_PREFIX)
            },
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DatasetError(f'{path}: cannot be read ({error}). Extract the patches again.') from error
    if len(table) != count:
        raise DatasetError(f'{path}: {len(table)} samples, the manifest says {count}. Extract the patches again.')
    return table
