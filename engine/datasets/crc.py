"""CRC-32C of many stretches of bytes at once, in numpy.

A CRC is linear over GF(2): that of a stretch is the exclusive or of the CRCs of its parts, each moved on by the
number of bytes behind it. So all stretches are cut into parts of one length, the parts of all of them are worked on
side by side, and neighbours are then joined in pairs.

Source: RFC 3720, appendix B.4 (the Castagnoli polynomial); zlib's ``crc32_combine`` for joining.
"""

from __future__ import annotations

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78
_PART = 64  # bytes


def crc32c(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The checksums of several stretches of `data`.

    Args:
        data: uint8.
        starts, lengths: of each stretch, in bytes.

    Returns:
        uint32, one a stretch.
    """
    out = np.empty(len(starts), np.uint32)
    short = lengths <= _PART
    for length in np.unique(lengths[short]).tolist():
        chosen = np.flatnonzero(lengths == length)
        out[chosen] = _short(data, starts[chosen], length)
    if not short.all():
        out[~short] = _long(data, starts[~short], lengths[~short])
    return out


def joined(first: np.ndarray, second: np.ndarray, length: int) -> np.ndarray:
    """The checksums of pairs of stretches that follow one another, from their own and the length of the second."""
    return _move(first, length) ^ second


def _short(data: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The checksums of stretches of one length."""
    crc = np.full(len(starts), 0xFFFFFFFF, np.uint32)
    for offset in range(length):
        crc = _step(crc, data[starts + offset])
    return ~crc


def _long(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The checksums of stretches that are longer than a part. They end with whole parts."""
    first = int(starts.min())
    near = np.concatenate([np.zeros(_PART, np.uint8), data[first : int((starts + lengths).max())]])
    ends = starts + lengths - first + _PART
    counts = -(-lengths // _PART)
    rows = np.cumsum(counts)
    behind = np.repeat(rows, counts) - np.arange(rows[-1])  # parts from here to the end of the stretch
    parts = np.lib.stride_tricks.sliding_window_view(near, _PART)[np.repeat(ends, counts) - _PART * behind]
    # Zeros before the first byte change nothing once the register, all ones at the start, is part of the data.
    gaps = counts * _PART - lengths
    heads = rows - counts
    parts[heads] *= np.arange(_PART) >= gaps[:, None]
    parts.reshape(-1)[(heads * _PART + gaps)[:, None] + np.arange(4)] ^= 0xFF
    crc = np.zeros(len(parts), np.uint32)
    for column in np.ascontiguousarray(parts.T):
        crc = _step(crc, column)
    size = _PART
    while counts.max() > 1:
        odd = counts % 2  # these get a part of nothing in front
        pairs = np.zeros(int((counts + odd).sum()), np.uint32)
        pairs[np.arange(len(crc)) + np.repeat(np.cumsum(odd), counts)] = crc
        crc = _move(pairs[0::2], size) ^ pairs[1::2]
        counts, size = (counts + odd) // 2, size * 2
    return ~crc


def _step(crc: np.ndarray, byte: np.ndarray) -> np.ndarray:
    """The registers after one more byte each."""
    return _table()[(crc ^ byte) & 0xFF] ^ crc >> 8


@functools.lru_cache
def _table() -> np.ndarray:
    """What one byte does to an empty register."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, crc >> 1 ^ np.uint32(_POLYNOMIAL), crc >> 1)
    return crc


def _move(crc: np.ndarray, count: int) -> np.ndarray:
    """The registers after `count` bytes of zeros."""
    tables = _mover(count)
    return tables[0][crc & 0xFF] ^ tables[1][crc >> 8 & 0xFF] ^ tables[2][crc >> 16 & 0xFF] ^ tables[3][crc >> 24]


@functools.lru_cache
def _mover(count: int) -> np.ndarray:
    """(4, 256): what `count` bytes of zeros make of each byte of a register."""
    crc = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    if count > _PART:
        crc, count = _move(_move(crc, count // 2), count // 2), count % 2
    for _ in range(count):
        crc = _step(crc, np.zeros((), np.uint8))
    return crc
