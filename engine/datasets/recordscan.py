"""Reading a file of records (TFRecord) once from end to end: how many there are, and whether they are sound.

Memory stays bounded, whatever the size of the file or of a record. The format is that of `records`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

from ..errors import DatasetError
from .crc import crc32c, joined
from .records import FOOT, HEAD, compression_of, masked, numbers

_BLOCK = 8 << 20  # bytes read, and checked, at once
_NAMED_SO = re.compile(r'(\.(tfrecords?|tfr|records?)(\.gz)?|-of-\d+(\.gz)?)$', re.IGNORECASE)
_MOST_PACKED = 1100  # times its size that a compressed file can hold: deflate packs no better


class Scan(NamedTuple):
    """What was found in a sound file: its records, its bytes as they are on disk, and their MD5 as hexadecimal text."""

    records: int
    size: int
    md5: str


def scan(path: str, compression: str = 'auto', each: Callable[[int], None] = lambda count: None) -> Scan:
    """Read a file of records and compare them with their checksums.

    Args:
        path: the file.
        compression: one of `jobs.COMPRESSIONS`, or ``auto``: as its first bytes say.
        each: called with the number of bytes read since the last call.

    Raises:
        DatasetError: it is missing, no file of records, cut off or damaged; the message names the file and the record.
    """
    packed = (compression_of(path) if compression == 'auto' else compression) == 'gzip'
    walk = _Walk()
    try:
        with open(path, 'rb') as file:
            hashed = _Hashed(file, each)
            walk.through(gzip.GzipFile(fileobj=hashed) if packed else hashed)
            hashed.finish()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f'{path}: cut off or damaged after {walk.count} records: it cannot be unpacked ({error}).'
        ) from error
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error}).') from error
    except _Damaged as error:
        raise DatasetError(f'{path}: {error}') from None
    return Scan(walk.count, hashed.size, hashed.md5)


def may_be_records(path: str) -> bool:
    """Whether a file is one of records, sound or not, as far as its name and its first bytes tell.

    What has the name of one counts as one, and so does what begins like one. A length that is larger than the file,
    with a checksum that does not fit, is the beginning of something else, such as text or a picture.
    """
    if _NAMED_SO.search(os.path.basename(path)) or not os.path.getsize(path):
        return True
    try:
        with open(path, 'rb') as file:
            head, largest = file.read(HEAD), os.path.getsize(path)
        if compression_of(path) == 'gzip':
            with gzip.open(path) as packed:
                head, largest = packed.read(HEAD), largest * _MOST_PACKED
    except (EOFError, zlib.error, OSError, DatasetError):
        return True  # reading it all says what is wrong
    if len(head) < HEAD:
        return not head
    length, checksum = struct.unpack('<QI', head)
    fits = masked(crc32c(np.frombuffer(head, np.uint8), np.zeros(1, np.int64), np.array([HEAD - FOOT])))[0] == checksum
    return bool(fits or length <= largest)


def digest(path: str, each: Callable[[int], None] = lambda count: None) -> str:
    """The MD5 of a file as hexadecimal text.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with open(path, 'rb') as file:
            hashed = _Hashed(file, each)
            hashed.finish()
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error}).') from error
    return hashed.md5


class _Damaged(Exception):
    """What is wrong with a record."""


class _Hashed(io.RawIOBase):
    """A file that hashes what is read of it."""

    def __init__(self, file: BinaryIO, each: Callable[[int], None]) -> None:
        self._file, self._each = file, each
        self._digest = hashlib.md5(usedforsecurity=False)  # the format names it; it tells files apart, no more
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        block = self._file.read(size)
        self._digest.update(block)
        self.size += len(block)
        self._each(len(block))
        return block

    def finish(self) -> None:
        """Read what is left."""
        while self.read(_BLOCK):
            continue

    @property
    def md5(self) -> str:
        return self._digest.hexdigest()


class _Walk:
    """Goes through records, whole or in pieces, and checks them.

    Attributes:
        count: sound records so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rest = -1  # bytes that the record at the front still has; -1: its head comes next
        self._crc = np.zeros(1, np.uint32)  # of what was read of it

    def through(self, stream: gzip.GzipFile | _Hashed) -> None:
        """Read a stream to its end."""
        buffer = bytearray()
        while block := stream.read(_BLOCK):
            buffer += block
            while taken := self._take(buffer):
                del buffer[:taken]
        if buffer or self._rest >= 0:
            raise _Damaged(f'cut off within record {self.count}; the file is not whole.')

    def _take(self, buffer: bytearray) -> int:
        """Check what can be checked; returns how many bytes that were."""
        if self._rest >= 0:
            return self._go_on(buffer)
        starts, lengths, end = _whole_records(buffer)
        if starts:
            data = np.frombuffer(buffer, np.uint8)
            self._check(data, np.array(starts), np.array(lengths))
            del data  # a buffer that someone looks into cannot be cut
            return end
        if len(buffer) < HEAD:
            return 0
        self._check_heads(np.frombuffer(buffer[:HEAD], np.uint8), np.zeros(1, np.int64))
        (length,) = struct.unpack_from('<Q', buffer)
        if length <= _BLOCK:
            return 0
        self._rest, self._crc = length, np.zeros(1, np.uint32)  # the checksum of nothing
        return HEAD

    def _go_on(self, buffer: bytearray) -> int:
        """The next piece of a record, or its end."""
        length = min(self._rest, len(buffer))
        if length:
            piece = np.frombuffer(buffer[:length], np.uint8)
            found = crc32c(piece, np.zeros(1, np.int64), np.array([length]))
            self._crc = joined(self._crc, found, length)
            self._rest -= length
            return length
        if len(buffer) < FOOT or self._rest:
            return 0
        if masked(self._crc)[0] != struct.unpack_from('<I', buffer)[0]:
            raise self._wrong_data(0)
        self.count, self._rest = self.count + 1, -1
        return FOOT

    def _check(self, data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Compare whole records with their checksums."""
        self._check_heads(data, starts)
        found = masked(crc32c(data, starts + HEAD, lengths))
        wrong = np.flatnonzero(found != numbers(data, starts + HEAD + lengths))
        if len(wrong):
            raise self._wrong_data(int(wrong[0]))
        self.count += len(starts)

    def _check_heads(self, data: np.ndarray, starts: np.ndarray) -> None:
        found = masked(crc32c(data, starts, np.full(len(starts), HEAD - FOOT)))
        wrong = np.flatnonzero(found != numbers(data, starts + HEAD - FOOT))
        if len(wrong):
            number = self.count + int(wrong[0])
            if not number:
                raise _Damaged('is no file of records (TFRecord), or damaged at its beginning.')
            raise _Damaged(f'record {number} is damaged: its length does not fit its checksum.')

    def _wrong_data(self, ahead: int) -> _Damaged:
        return _Damaged(f'record {self.count + ahead} is damaged: its data do not fit their checksum.')


def _whole_records(buffer: bytearray) -> tuple[list[int], list[int], int]:
    """Where the records that are all there begin, how long their data are, and where the last one ends."""
    starts, lengths, position, size = [], [], 0, len(buffer)
    while position + HEAD <= size:
        (length,) = struct.unpack_from('<Q', buffer, position)
        if position + HEAD + length + FOOT > size:
            break
        starts.append(position)
        lengths.append(length)
        position += HEAD + length + FOOT
    return starts, lengths, position
