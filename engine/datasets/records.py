"""Files of records (TFRecord): any record in any order without TensorFlow, and writing with it.

A record is: its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, the data, their masked CRC-32C.
With ``gzip`` the whole file is one compressed stream.
Source: TensorFlow's ``record_reader.h``, ``record_writer.h`` and ``crc32c.h``.
"""

from __future__ import annotations

import errno
import gzip
import mmap
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import DatasetError, DiskFull, InvalidJob, write_error
from ..jobs.datasets import COMPRESSIONS
from .crc import crc32c
from .example import decode

HEAD, FOOT = 12, 4  # bytes around the data of a record
_GZIP = b'\x1f\x8b\x08'
_MASK = 0xA282EAD8
_VERIFIED = 1 << 24  # bytes checked at once


def compression_of(path: str, opener: Callable[..., Any] = open) -> str:
    """How a file of records is compressed, from its first bytes: one of `jobs.COMPRESSIONS`.

    Args:
        path: the file.
        opener: opens it; other than `open` for files that lie elsewhere.

    Raises:
        DatasetError: no such file, or it cannot be read.
    """
    try:
        with opener(path, 'rb') as file:
            head = file.read(HEAD)
    except OSError as error:
        raise _unreadable(path, error) from error
    # A plain file whose first length looks like gzip's mark is told by the checksum of that length.
    plain = len(head) == HEAD and not len(_bad_heads(np.frombuffer(head, np.uint8), [0]))
    return 'gzip' if head.startswith(_GZIP) and not plain else 'none'


class RecordFile:
    """A file of records, open for reading in any order. Threads may share it.

    A plain file is mapped into memory, a compressed one is unpacked into a temporary file without a name first.

    Args:
        path: the file.
        compression: one of `jobs.COMPRESSIONS`; see `compression_of`.

    Raises:
        DatasetError: the file is missing, cut off or damaged; the message names it and the record. Whether the data
            of the records are as they were written is what `verify` checks.
        DiskFull: no space for the temporary file.
    """

    def __init__(self, path: str, compression: str = 'none') -> None:
        _check_compression(compression)
        self.path = path
        self._data = _mapped(path) if compression == 'none' else _unpacked(path)
        self._starts, self._lengths = self._walk()

    def __len__(self) -> int:
        return len(self._starts)

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def record(self, index: int) -> bytes:
        """The data of a record; `IndexError` where there is none of this number."""
        if not 0 <= index < len(self):
            raise IndexError(f'{self.path}: record {index} of {len(self)}')
        start = int(self._starts[index]) + HEAD
        return self._data[start : start + int(self._lengths[index])]

    def sample(self, index: int) -> dict[str, np.ndarray]:
        """A record as a sample, see `example.decode`; the error of a damaged one names file and record."""
        try:
            return decode(self.record(index))
        except DatasetError as error:
            raise DatasetError(f'{self.path}: record {index}: {error}') from None

    def verify(self) -> None:
        """Compare all data with their checksums; `DatasetError` names the first record that was damaged."""
        data = np.frombuffer(self._data, np.uint8)
        ends, first = np.cumsum(self._lengths), 0
        while first < len(self):
            before = ends[first] - self._lengths[first]
            last = max(first + 1, int(np.searchsorted(ends, before + _VERIFIED)))
            starts, lengths = self._starts[first:last] + HEAD, self._lengths[first:last]
            wrong = np.flatnonzero(masked(crc32c(data, starts, lengths)) != numbers(data, starts + lengths))
            if len(wrong):
                raise DatasetError(
                    f'{self.path}: record {first + int(wrong[0])} is damaged: its data do not fit their checksum.'
                )
            first = last

    def close(self) -> None:
        """Let go of the file."""
        # Arrays that were made of it may be alive; the file goes with the last of them.
        self._data = b''

    def _walk(self) -> tuple[np.ndarray, np.ndarray]:
        """Where records start, and how long their data are."""
        size, position = len(self._data), 0
        starts, lengths = [], []
        while position + HEAD <= size:
            (length,) = struct.unpack_from('<Q', self._data, position)
            starts.append(position)
            lengths.append(length)
            position += HEAD + length + FOOT
        # Lengths are trusted only now: a wrong one has led the walk astray, but all before it were right.
        wrong = _bad_heads(np.frombuffer(self._data, np.uint8), starts)
        if len(wrong):
            raise DatasetError(
                f'{self.path}: record {int(wrong[0])} is damaged: its length does not fit its checksum. '
                'The file is no TFRecord file, was changed, or is compressed in another way.'
            )
        if position != size:
            number = len(starts) - 1 if position > size else len(starts)
            raise DatasetError(f'{self.path}: cut off within record {number}; the file is not whole.')
        return np.asarray(starts, np.int64), np.asarray(lengths, np.int64)


class RecordWriter:
    """Writes records to a file with TensorFlow, which computes the checksums.

    Args:
        path: the file; it is replaced.
        compression: one of `jobs.COMPRESSIONS`.

    Attributes:
        count: records written so far.

    Raises, also later:
        DiskFull, OutputRefused: it cannot be written.
    """

    def __init__(self, path: str, compression: str = 'none') -> None:
        import tensorflow as tf

        _check_compression(compression)
        self.path, self.count = path, 0
        self._error = tf.errors.OpError
        self._writer = self._do(tf.io.TFRecordWriter, path, 'GZIP' if compression == 'gzip' else '')

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, record: bytes) -> None:
        self._do(self._writer.write, record)
        self.count += 1

    def close(self) -> None:
        """Finish the file and make it last."""
        self._do(self._writer.close)
        with open(self.path, 'rb+') as file:
            os.fsync(file.fileno())

    def _do(self, step: Any, *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except self._error as error:
            raise write_error(self.path, error) from error


def _check_compression(compression: str) -> None:
    if compression not in COMPRESSIONS:
        raise InvalidJob(f'Compression {compression!r}: choose one of {", ".join(COMPRESSIONS)}.')


def _mapped(path: str) -> mmap.mmap | bytes:
    try:
        with open(path, 'rb') as file:
            if not os.fstat(file.fileno()).st_size:
                return b''  # nothing to map
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unpacked(path: str) -> mmap.mmap | bytes:
    """A compressed file, unpacked into a temporary one."""
    try:
        with open(path, 'rb') as file, tempfile.TemporaryFile(prefix='quadrat-') as plain:
            with gzip.GzipFile(fileobj=file) as packed:
                shutil.copyfileobj(packed, plain, 1 << 20)
            plain.flush()
            return mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ) if plain.tell() else b''
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f'{path}: cut off or damaged: it cannot be unpacked ({error}).') from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            place = tempfile.gettempdir()
            raise DiskFull(f'{place}: no space to unpack {path} into. Free some, or name another by TMPDIR.') from error
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> DatasetError:
    if isinstance(error, FileNotFoundError):
        return DatasetError(f'{path}: this part of the dataset is missing.')
    return DatasetError(f'{path}: cannot be read ({error}).')


def _bad_heads(data: np.ndarray, starts: list[int]) -> np.ndarray:
    """Numbers of those records whose length does not fit its checksum."""
    index = np.asarray(starts, np.int64)
    if not len(index):
        return index
    return np.flatnonzero(masked(crc32c(data, index, np.full(len(index), 8))) != numbers(data, index + 8))


def numbers(data: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The little-endian numbers of 4 bytes at these places."""
    return np.ascontiguousarray(data[starts[:, None] + np.arange(4)]).view('<u4')[:, 0]


def masked(crc: np.ndarray) -> np.ndarray:
    """Checksums as they stand in a file of records."""
    return (crc >> 15 | crc << 17) + np.uint32(_MASK)
