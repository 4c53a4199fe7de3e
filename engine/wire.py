"""The wire format of protocol buffers, as far as reading models and writing records need it.

Source: "Encoding", Protocol Buffers documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

Value = Union[int, memoryview]
Buffer = Union[bytes, bytearray, memoryview]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of everything in a message: an integer, or bytes. `ValueError` where it is damaged."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f'a field of wire type {wire}')
        if length > len(message) - position:
            raise ValueError('a field that reaches over the end')
        yield tag >> 3, message[position : position + length]
        position += length


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """The bytes of the fields of a message that have this number."""
    for field, value in fields(message):
        if field == number and isinstance(value, memoryview):
            yield value


def last(message: memoryview, number: int) -> memoryview:
    """The bytes of the last of these fields, the one that counts; nothing where there is none."""
    return next(reversed([*messages(message, number)]), memoryview(b''))


def text(message: memoryview, number: int) -> str:
    """The text of a field; empty where there is none."""
    return bytes(last(message, number)).decode()


def integer(message: memoryview, number: int) -> int:
    """The number of a field, in two's complement of 64 bits; 0 where there is none."""
    value = next(reversed([item for field, item in fields(message) if field == number]), 0)
    if not isinstance(value, int):
        raise ValueError('bytes where a number is expected')
    return value - (1 << 64) if value >> 63 else value


def entries(message: memoryview, number: int) -> dict[str, memoryview]:
    """A map from text to messages."""
    return {text(entry, 1): last(entry, 2) for entry in messages(message, number)}


def varints(buffer: Buffer) -> Iterator[int]:
    """Numbers of variable length, one after the other."""
    position = 0
    while position < len(buffer):
        value, position = _varint(buffer, position)
        yield value


def message(number: int, content: bytes) -> bytes:
    """A field that holds bytes or another message, to write."""
    return begin(number, len(content)) + content


def begin(number: int, length: int) -> bytes:
    """What stands before the content of such a field."""
    return varint(number << 3 | _BYTES) + varint(length)


def varint(value: int) -> bytes:
    """A number of variable length, to write."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """A number of variable length, and the position after it."""
    if position < len(buffer) and buffer[position] < 0x80:  # most are short
        return buffer[position], position + 1
    value = shift = 0
    while shift < 70 and position < len(buffer):
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position
        shift += 7
    raise ValueError('a number that does not end')
