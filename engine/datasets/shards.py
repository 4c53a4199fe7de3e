"""Writing numpy shards: samples in any order, then only those that are kept.

Files are written with plain writes. Memory-mapped ones would end the process, not raise an error, on a full disk.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from .manifest import Shard

SHARD_BYTES = 64 << 20
_OPEN_FILES = 64
_CHUNK_BYTES = 4 << 20  # read together when shards are finished
_AHEAD = 4  # chunks that wait for their checksum

Each = Callable[[int, np.ndarray], None]


class ShardWriter:
    """Samples of one key, in files of at most `per_shard` samples.

    Args:
        folder: where the files go.
        key: begins their names.
        shape: of one sample.
        dtype: of its numbers.
        capacity: number of samples; `finish` may lower it.
        per_shard: samples in a file; 0 means about 64 MiB.
    """

    def __init__(
        self, folder: str, key: str, shape: tuple[int, ...], dtype: np.dtype, capacity: int, per_shard: int = 0
    ) -> None:
        self.folder, self.key = folder, key
        self.shape, self.dtype = tuple(map(int, shape)), np.dtype(dtype)
        self.count = capacity
        self._bytes = math.prod(shape) * self.dtype.itemsize
        self._per_shard = per_shard or max(1, SHARD_BYTES // self._bytes)
        self._files: OrderedDict[int, io.FileIO] = OrderedDict()

    def write(self, index: int, sample: np.ndarray) -> None:
        """Write a sample at its place."""
        self._write_run(index, np.asarray(sample)[None])

    def write_many(self, indices: np.ndarray, samples: np.ndarray) -> None:
        """Write samples at their places; those that follow one another in a file are written together.

        Args:
            indices: ascending.
            samples: (len(indices), …).
        """
        if not len(indices):
            return
        apart = (np.diff(indices) != 1) | (indices[1:] % self._per_shard == 0)
        starts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(indices)]
        for start, stop in zip(starts, starts[1:]):
            self._write_run(int(indices[start]), samples[start:stop])

    def read(self, index: int) -> np.ndarray:
        """A sample written before."""
        return self._read_run(index, 1)[0]

    def finish(self, chosen: np.ndarray | None = None, each: Each | None = None) -> tuple[Shard, ...]:
        """Make the files last, and say what they are.

        Args:
            chosen: numbers of the samples to keep, ascending; they move up to fill the gaps. None keeps all.
            each: called with the number of the first sample and the samples, (n, …), of one part after the other, in
                a thread of its own.
        """
        kept = np.arange(self.count) if chosen is None else chosen
        before, self.count = self.count, len(kept)
        shards: list[Future[Shard]] = []
        with ThreadPoolExecutor(1) as checksums, ThreadPoolExecutor(1) as listener:
            waiting: deque[Future] = deque()
            for number in range(self._shards(self.count)):
                digest = hashlib.sha256(self._header(number))
                first = number * self._per_shard
                mine = kept[first : first + self._per_shard]
                for start, samples in self.parts(mine):
                    place = first + start
                    if mine[start] != place:
                        self._write_run(place, samples)
                    waiting.append(checksums.submit(digest.update, samples.data.cast('B')))
                    if each is not None:
                        waiting.append(listener.submit(each, place, samples))
                    while len(waiting) > _AHEAD:
                        waiting.popleft().result()
                self._fit(number)
                shards.append(checksums.submit(self._seal, number, digest))
            for future in (*waiting, *shards):
                future.result()
        self.close()
        for number in range(self._shards(self.count), self._shards(before)):
            if os.path.exists(self._path(number)):
                os.remove(self._path(number))
        return tuple(future.result() for future in shards)

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

    def parts(self, indices: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Samples written before, as many at a time as follow one another in a file.

        Args:
            indices: ascending.

        Yields:
            The place of the first in `indices`, and the samples (n, …).
        """
        most = max(1, _CHUNK_BYTES // self._bytes)
        start = 0
        while start < len(indices):
            first = int(indices[start])
            stop = min(start + most, len(indices), start + self._per_shard - first % self._per_shard)
            gaps = indices[start:stop] - np.arange(first, first + stop - start)
            run = int(np.argmax(np.append(gaps, 1) > 0))
            yield start, self._read_run(first, run)
            start += run

    def _fit(self, number: int) -> None:
        """Give a shard the header and the length that fit its samples."""
        file, _ = self._at(number * self._per_shard)
        header = self._header(number)
        file.seek(0)
        _write_all(file, np.frombuffer(header, np.uint8))
        file.truncate(len(header) + self._length(number) * self._bytes)

    def _seal(self, number: int, digest: Any) -> Shard:
        """Make a shard last, and say what it is; other threads may use other shards meanwhile."""
        path = self._path(number)
        with open(path, 'rb+') as file:
            os.fsync(file.fileno())
        return Shard(self.key, os.path.basename(path), self._length(number), os.path.getsize(path), digest.hexdigest())

    def _write_run(self, index: int, samples: np.ndarray) -> None:
        """Write samples that follow one another in a file."""
        file, offset = self._at(index)
        file.seek(offset)
        _write_all(file, np.ascontiguousarray(samples, self.dtype))

    def _read_run(self, index: int, count: int) -> np.ndarray:
        """Samples that follow one another in a file."""
        file, offset = self._at(index)
        file.seek(offset)
        out = np.empty((count, *self.shape), self.dtype)
        rest = out.data.cast('B')
        while rest:
            read = file.readinto(rest)
            if not read:
                raise OSError(f'{file.name}: shorter than what was written to it')
            rest = rest[read:]
        return out

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
                file.truncate(len(self._header(number)) + self._length(number) * self._bytes)
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        return self._files[number], len(self._header(number)) + local * self._bytes


@functools.lru_cache
def _npy_header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """What stands before the numbers in an .npy file (version 1.0). Its length does not depend on the number of
    samples, so that this can change."""
    descr = np.lib.format.dtype_to_descr(dtype)
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    length = -(-(11 + len(text) + 20 - len(str(shape[0]))) // 64) * 64
    return b'\x93NUMPY\x01\x00' + (length - 10).to_bytes(2, 'little') + text.ljust(length - 11).encode() + b'\n'


def _write_all(file: io.FileIO, array: np.ndarray) -> None:
    """Write an array whole: a single write may take only a part of it."""
    rest = array.data.cast('B')
    while rest:
        rest = rest[file.write(rest) :]
