"""Reading a dataset of any layout: any sample in any order, straight from the files."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ..errors import DatasetError
from ..events import Reporter
from .foreign import is_foreign
from .integrity import Problem, files, in_one_line, names, quick
from .manifest import Manifest, Shard, read_manifest
from .places import Places
from .stores import OpenShard, forms, open_shard
from .table import CLASS_PREFIX, NO_SAMPLES, SAMPLES, SampleTable, read_table

__all__ = ['CLASS_PREFIX', 'SAMPLES', 'Dataset', 'SampleTable']

_OPEN_SHARDS = 256  # each takes a file handle, and systems give as few as 1024
_UNPACKED_SHARDS = 32  # each takes the room of its file, unpacked


class Dataset:
    """A dataset folder, open for reading. Threads may share it.

    Only files that the manifest names are read; what else lies in the folder does not count.

    Attributes:
        folder: where it lies.
        manifest: what is in it.
        samples: the table of its samples.
        count: number of samples.
        splits: split -> int64 indices of its samples, ascending.
        foreign: the folder is not ours: it has no manifest, and this one was made up.
        forms: what one sample of each key looks like.
        places: which sample lies in which file.
    """

    def __init__(self, folder: str, manifest: Manifest, samples: SampleTable, foreign: bool = False) -> None:
        self.folder = folder
        self.manifest = manifest
        self.samples = samples
        self.count = manifest.count
        self.foreign = foreign
        names = np.asarray(samples.splits, dtype=str)
        self.splits = {split: np.flatnonzero(names == split) for split in manifest.splits}
        self.forms = forms(manifest, foreign)
        self.places = Places(manifest.shards, self.splits, self.count)
        self._maps: OrderedDict[str, OpenShard] = OrderedDict()
        unpacked = manifest.layout == 'tfrecords' and manifest.compression == 'gzip'
        self._most = _UNPACKED_SHARDS if unpacked else _OPEN_SHARDS
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: str, labels: str = '', reporter: Reporter | None = None) -> Dataset:
        """Open a dataset and check that its files are those of the manifest: names, sizes, shapes, types, counts
        and classes. All that is wrong is named at once.

        A folder of TFRecords or patches-images without a manifest is opened as well, and read once for that; see
        `recognition.recognise`.

        Args:
            labels: for a folder without manifest: the key that holds the labels.
            reporter: hears how far reading a folder without manifest is, and can stop it.

        Raises:
            InputMissing: no such folder.
            DatasetError: the folder is no dataset, or files of it are missing, damaged, or not what they should be.
        """
        folder = os.fspath(folder)
        if is_foreign(folder):
            from .recognition import recognise  # which reads through this class

            return recognise(folder, labels, reporter or Reporter())
        dataset, problems = look_over(folder)
        if problems:
            raise DatasetError(f'{in_one_line(folder, problems)} Make the dataset again.')
        return dataset

    @property
    def keys(self) -> tuple[str, ...]:
        """What `read` can be asked for: the names of the sources, then that of the labels if there are any."""
        return tuple(self.forms)

    def indices(self, split: str) -> np.ndarray:
        """Indices of the samples of a split, ascending; none where the dataset has no such split."""
        return self.splits.get(split, np.empty(0, np.int64))

    def read(self, key: str, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Samples in the order asked for.

        Args:
            key: name of a source, or of the labels.
            indices: numbers of samples, in any order, repeated or not.

        Returns:
            (len(indices), rows, columns, bands) in the type that the manifest names.
        """
        if key not in self.forms:
            self.manifest.source(key)  # says which there are
        form = self.forms[key]
        index = np.asarray(indices, np.int64)
        if index.size and (index.min() < 0 or index.max() >= self.count):
            raise IndexError(f'{self.folder}: sample {index.min()} to {index.max()} of {self.count}')
        out = np.empty((len(index), *form.shape), form.dtype)
        for shard, chosen, positions in self.places.of(key, index):
            out[chosen] = self.shard(shard).read(key, positions)
        return out

    def path(self, shard: Shard) -> str:
        """Where a file of the dataset lies."""
        return os.path.join(self.folder, *shard.path.split('/'))

    def shard(self, shard: Shard) -> OpenShard:
        """A file of the dataset, opened; those used longest ago are closed."""
        with self._lock:
            if shard.path in self._maps:
                self._maps.move_to_end(shard.path)
                return self._maps[shard.path]
            found = open_shard(self.path(shard), self.manifest, shard, self.forms)
            self._maps[shard.path] = found
            if len(self._maps) > self._most:
                self._maps.popitem(last=False)
            return found


def look_over(folder: str) -> tuple[Dataset, list[Problem]]:
    """A dataset of ours, as far as it can be opened, and what shows to be wrong with it without reading samples.

    Where the table of samples cannot be read, there are none, since nobody knows which one lies where.

    Raises:
        InputMissing, DatasetError: there is no dataset, or its manifest cannot be read.
    """
    manifest = read_manifest(folder)
    try:
        dataset = Dataset(folder, manifest, read_table(folder, manifest.count))
    except DatasetError as error:
        dataset = Dataset(folder, manifest, NO_SAMPLES)
        text = str(error).removeprefix(f'{os.path.join(folder, SAMPLES)}: ')
        return dataset, [Problem(SAMPLES, text), *names(dataset), *files(dataset)]
    return dataset, [*quick(dataset)]
