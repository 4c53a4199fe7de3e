"""Writing numpy shards: samples in any order, then only those that are kept.

Files are written with plain writes. Memory-mapped ones would end the process, not raise an error, on a full disk.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from .manifest import Shard

SHARD_BYTES = 64 << 20
_OPEN_FILES = 16


class ShardWriter:
    """Samples of one key, in files of at most `per_shard` samples.

    Args:
        folder: where the files go.
        key: begins their names.
        shape: of one sample.
        dtype: of its numbers.
        capacity: number of samples; `keep` may lower it.
        per_shard: samples in a file; 0 means about 64 MiB.
    """

    def __init__(
        self, folder: str, key: str, shape: tuple[int, ...], dtype: np.dtype, capacity: int, per_shard: int = 0
    ) -> None:
        self.folder, self.key, self.shape, self.dtype = folder, key, shape, np.dtype(dtype)
        self.count = capacity
        self._bytes = math.prod(shape) * self.dtype.itemsize
        self._per_shard = per_shard or max(1, SHARD_BYTES // self._bytes)
        self._files: OrderedDict[int, io.FileIO] = OrderedDict()

    def write(self, index: int, sample: np.ndarray) -> None:
        """Write a sample at its place."""
        file, offset = self._at(index)
        file.seek(offset)
        _write_all(file, np.ascontiguousarray(sample, self.dtype))

    def read(self, index: int) -> np.ndarray:
        """A sample written before."""
        file, offset = self._at(index)
        file.seek(offset)
        out = np.empty(self.shape, self.dtype)
        if file.readinto(out.data.cast('B')) != self._bytes:
            raise OSError(f'{file.name}: shorter than what was written to it')
        return out

    def keep(self, indices: np.ndarray) -> None:
        """Keep only these samples (ascending); they move up to fill the gaps."""
        for new, old in enumerate(indices.tolist()):
            if new != old:
                self.write(new, self.read(old))
        self.close()
        for number in range(self._shards(len(indices)), self._shards(self.count)):
            if os.path.exists(self._path(number)):
                os.remove(self._path(number))
        self.count = len(indices)
        if self.count:
            self._shorten(self._shards(self.count) - 1)

    def finish(self, each: Callable[[int, np.ndarray], None] | None = None) -> tuple[Shard, ...]:
        """Make the files last, and say what they are.

        Args:
            each: called with the number and the pixels of every sample, in order, while checksums are computed.
        """
        self.close()
        shards = []
        for number in range(self._shards(self.count)):
            path = self._path(number)
            digest = hashlib.sha256(self._header(number))
            for index in range(number * self._per_shard, number * self._per_shard + self._length(number)):
                sample = self.read(index)
                digest.update(sample.data)
                if each is not None:
                    each(index, sample)
            os.fsync(self._files[number].fileno())
            size = os.path.getsize(path)
            shards.append(Shard(self.key, os.path.basename(path), self._length(number), size, digest.hexdigest()))
        self.close()
        return tuple(shards)

    def close(self) -> None:
        """Close the files."""
        while self._files:
            self._files.popitem()[1].close()

    def remove(self) -> None:
        """Delete the files."""
        self.close()
        for number in range(self._shards(self.count)):
            if os.path.exists(self._path(number)):
                os.remove(self._path(number))

    def _shards(self, count: int) -> int:
        return -(-count // self._per_shard)

    def _length(self, number: int) -> int:
        """Samples in a shard."""
        return min(self._per_shard, self.count - number * self._per_shard)

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, f'{self.key}-{number:05d}.npy')

    def _header(self, number: int) -> bytes:
        return _npy_header((self._length(number), *self.shape), self.dtype)

    def _at(self, index: int) -> tuple[io.FileIO, int]:
        """The open file that holds a sample, and where in it."""
        number, local = divmod(index, self._per_shard)
        if number in self._files:
            self._files.move_to_end(number)
        else:
            path = self._path(number)
            new = not os.path.exists(path)
            file = io.FileIO(path, 'w+' if new else 'r+')
            self._files[number] = file
            if new:
                _write_all(file, np.frombuffer(self._header(number), np.uint8))
                file.truncate(len(self._header(number)) + self._length(number) * self._bytes)
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        return self._files[number], len(self._header(number)) + local * self._bytes

    def _shorten(self, number: int) -> None:
        """Give the last shard the header and the length that fit its number of samples."""
        path = self._path(number)
        with open(path, 'rb') as old, io.FileIO(path + '.new', 'w') as new:
            np.lib.format.read_magic(old)
            np.lib.format.read_array_header_1_0(old)
            _write_all(new, np.frombuffer(self._header(number), np.uint8))
            for _ in range(self._length(number)):
                _write_all(new, np.frombuffer(old.read(self._bytes), np.uint8))
        os.replace(path + '.new', path)


@functools.lru_cache
def _npy_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """What stands before the numbers in an .npy file."""
    buffer = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(buffer, {'descr': descr, 'fortran_order': False, 'shape': shape})
    return buffer.getvalue()


def _write_all(file: io.FileIO, array: np.ndarray) -> None:
    """Write an array whole: a single write may take only a part of it."""
    rest = array.data.cast('B')
    while rest:
        rest = rest[file.write(rest) :]
