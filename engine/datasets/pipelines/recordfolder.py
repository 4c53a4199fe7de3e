"""The files of records in a folder: complete, in order, and as one stream."""

from __future__ import annotations

import json
import os
import re

import tensorflow as tf

from ...errors import DatasetError, InvalidJob, NoSamples
from ...jobs import from_dict
from ..files import sha256
from ..manifest import FILE, Shard, read_manifest
from ..records import RecordFile, compression_of
from .parsing import lost

SHARDS = 'shards.json'
_SUFFIX = '.records'


class RecordFolder:
    """Files of records.

    Args:
        path: the folder; anywhere that TensorFlow reads from.

    Attributes:
        ours: Quadrat wrote the files and noted what is in them.
        count: samples in all; None where nobody noted it and the files are not on a disk of this computer.

    Raises:
        DatasetError: there is no file, or one is missing, left over from something else, cut off or damaged; the
            message names it. The data within records are not looked at.
        NoSamples: the files hold no record.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        names = _names(path)
        self._files = [_join(path, name) for name in names]
        self._compression = compression_of(self._files[0], tf.io.gfile.GFile)
        noted = _noted(path)
        self.ours = bool(noted)
        self._counts: list[int] | None = None
        if noted:
            _compare(path, names, noted)
            self._counts = [noted[name].count for name in names]
        elif not _elsewhere(path):
            _require_no_gap(path, names)
            self._counts = [self._length(file) for file in self._files]
        self._hashes = {_join(path, name): shard.sha256 for name, shard in noted.items()}
        self.count = None if self._counts is None else sum(self._counts)
        if self.count == 0:
            raise NoSamples(f'{path}: no record in its files.')

    def records(self, shuffle: int | None = None, seed: int | None = None) -> tf.data.Dataset:
        """The records of an epoch.

        Args:
            shuffle: the files come in random order, and their records by way of a buffer of so many; None: in order.
            seed: of the random order.
        """
        counts = tf.constant(self._counts or [0] * len(self._files), tf.int64)
        stream = tf.data.Dataset.from_tensor_slices((self._files, counts))
        if shuffle:
            stream = stream.shuffle(len(self._files), seed)
        stream = stream.flat_map(self._read)
        return stream.shuffle(shuffle, seed) if shuffle else stream

    def _read(self, path: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
        """The records of a file. In place of those that TensorFlow cannot read stand some that name the file."""
        records = tf.data.TFRecordDataset(path, 'GZIP' if self._compression == 'gzip' else '')
        if self._counts is None:
            return records
        rest = tf.data.Dataset.from_tensors(lost(path)).repeat(count)
        return records.ignore_errors().concatenate(rest).take(count)

    def fair(self, workers: int) -> bool:
        """Whether several workers that share the files in turn all get as many samples."""
        return (
            workers > 1
            and self._counts is not None
            and len(self._counts) >= workers
            and len({sum(self._counts[worker::workers]) for worker in range(workers)}) == 1
        )

    def verify(self) -> None:
        """Read everything on this computer's disks; `DatasetError` names the first file that is damaged."""
        for file in self._files:
            with self._open(file) as records:
                records.verify()
            if file in self._hashes and sha256(file) != self._hashes[file]:
                raise DatasetError(f'{file}: the file was changed since it was written.')

    def _length(self, file: str) -> int:
        with self._open(file) as records:
            return len(records)

    def _open(self, file: str) -> RecordFile:
        return RecordFile(file, self._compression)


def _names(path: str) -> list[str]:
    """The files of records, in the order of their numbers."""
    try:
        names = [name for name in tf.io.gfile.listdir(path) if name.endswith(_SUFFIX)]
    except tf.errors.OpError as error:
        raise DatasetError(f'{path}: cannot be listed ({error.message}).') from error
    if not names:
        raise DatasetError(f'{path}: no file of records (0{_SUFFIX}, …) in it.')
    return sorted(names, key=lambda name: (_number(name) is None, _number(name) or 0, name))


def _number(name: str) -> int | None:
    digits = name[: -len(_SUFFIX)]
    return int(digits) if re.fullmatch(r'[0-9]+', digits) else None


def _require_no_gap(path: str, names: list[str]) -> None:
    """Raise `DatasetError` where a file of a numbered series is missing."""
    numbers = [_number(name) for name in names]
    if None not in numbers and numbers != list(range(len(names))):
        missing = min(set(range(len(names))) - {*numbers})
        raise DatasetError(f'{_join(path, str(missing) + _SUFFIX)}: this part of the dataset is missing.')


def _noted(path: str) -> dict[str, Shard]:
    """What Quadrat noted of its files when it wrote them, by their names: in the folder, or in a dataset's manifest."""
    try:
        if tf.io.gfile.exists(_join(path, SHARDS)):
            with tf.io.gfile.GFile(_join(path, SHARDS)) as file:
                shards = [from_dict(Shard, shard) for shard in json.load(file)['shards']]
            return {shard.path: shard for shard in shards}
    except (ValueError, KeyError, TypeError, InvalidJob, tf.errors.OpError) as error:
        raise DatasetError(f'{_join(path, SHARDS)}: cannot be read ({error}).') from error
    folder = os.path.abspath(path)
    for dataset, inside in ((folder, ''), (os.path.dirname(folder), os.path.basename(folder) + '/')):
        if not _elsewhere(path) and os.path.isfile(os.path.join(dataset, FILE)):
            try:
                manifest = read_manifest(dataset)
            except DatasetError:
                continue  # of something else: the records are looked at instead
            own = {shard.path: shard for shard in manifest.shards if shard.path.endswith(_SUFFIX)}
            return {name[len(inside) :]: shard for name, shard in own.items() if name.startswith(inside)}
    return {}


def _compare(path: str, names: list[str], noted: dict[str, Shard]) -> None:
    """Raise `DatasetError`, naming the file, where the files are not those that were noted."""
    for name, shard in noted.items():
        if name not in names:
            raise DatasetError(f'{_join(path, name)}: this part of the dataset is missing.')
        size = tf.io.gfile.stat(_join(path, name)).length
        if size != shard.size:
            raise DatasetError(
                f'{_join(path, name)}: {size} bytes, but {shard.size} were written; the file is not whole or was '
                'changed.'
            )
    for name in names:
        if name not in noted:
            raise DatasetError(
                f'{_join(path, name)}: belongs to another dataset. Remove it, or write the records again.'
            )


def _elsewhere(path: str) -> bool:
    """Whether a path is that of another file system than the computer's own."""
    return '://' in path


def _join(folder: str, name: str) -> str:
    return f'{folder.rstrip("/")}/{name}' if _elsewhere(folder) else os.path.join(folder, name)
