"""CRC-32C of many stretches of bytes at once, in numpy.

A CRC is linear over GF(2): that of a stretch is the exclusive or of the CRCs of its parts, each moved on by the
number of bytes behind it. So a stretch is cut into as many equal parts as it has bytes in a part, all parts are
worked on side by side, and neighbours are then joined in pairs.

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
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        out[chosen] = _equal(data, starts[chosen], length)
    return out


def _equal(data: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The checksums of stretches of one length."""
    if length <= _PART:
        crc = np.full(len(starts), 0xFFFFFFFF, np.uint32)
        for offset in range(length):
            crc = _step(crc, data[starts + offset])
        return ~crc
    parts = 1 << (-(-length // _PART) - 1).bit_length()
    size = -(-length // parts)
    # Zeros before the first byte change nothing once the register, all ones at the start, is part of the data.
    padded = np.zeros((len(starts), parts * size), np.uint8)
    for row, start in zip(padded, starts.tolist()):
        row[-length:] = data[start : start + length]
    padded[:, -length : -length + 4] ^= 0xFF
    crc = np.zeros(len(starts) * parts, np.uint32)
    for column in np.ascontiguousarray(padded.reshape(-1, size).T):
        crc = _step(crc, column)
    while parts > 1:
        crc = _move(crc[0::2], size) ^ crc[1::2]
        parts, size = parts // 2, size * 2
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
    if count > _PART and count % 2 == 0:
        return _move(_move(crc, count // 2), count // 2)
    for _ in range(count):
        crc = _step(crc, np.zeros((), np.uint8))
    return crc
