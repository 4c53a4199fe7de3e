"""Records as `tf.train.Example` of plain values: lists of bytes, of float32 or of int64, read by hand.

Source: the protocol buffer wire format, and TensorFlow's ``example.proto`` and ``feature.proto``.
"""

from __future__ import annotations

from typing import Union

import numpy as np

from ... import wire
from ...wire import Buffer

Values = Union[np.ndarray, list[bytes]]
_KINDS = {1: 'string', 2: 'float32', 3: 'int64'}  # fields of `Feature`


def features_of(record: Buffer) -> dict[str, memoryview]:
    """The features of a record by name, not read yet.

    Raises:
        ValueError: it is no such record, or a damaged one.
    """
    found = {}
    for features in wire.messages(memoryview(record), 1):
        for entry in wire.messages(features, 1):
            found[wire.text(entry, 1)] = wire.last(entry, 2)
    return found


def values_of(feature: memoryview) -> tuple[str, Values]:
    """Type and values of a feature: an array, or a list of bytes. The type is empty where the feature has no list.

    Raises:
        ValueError: it is damaged.
    """
    kind, content = '', memoryview(b'')
    for number, value in wire.fields(feature):
        if number in _KINDS and isinstance(value, memoryview):
            kind, content = _KINDS[number], value  # the last one counts
    if kind == 'string':
        return kind, [bytes(value) for value in wire.messages(content, 1)]
    parts = [value for number, value in wire.fields(content) if number == 1]
    if kind == 'float32':
        return kind, np.frombuffer(b''.join(part for part in parts if not isinstance(part, int)), '<f4')
    packed = [_integers(part) if not isinstance(part, int) else np.array([part], np.uint64) for part in parts]
    values = packed[0] if len(packed) == 1 else np.concatenate([np.empty(0, np.uint64), *packed])
    return kind, values.view(np.int64)


def _integers(packed: memoryview) -> np.ndarray:
    """uint64 numbers of variable length: seven bits a byte, the lowest first; the last byte of each is below 128."""
    data = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        raise ValueError('a number that does not end')
    if len(ends) == len(data):
        return data.astype(np.uint64)
    lengths = np.diff(ends, prepend=-1)
    longest = int(lengths.max())
    if longest > 10:
        raise ValueError('a number of more than 64 bits')
    low = (data & 0x7F).astype(np.uint32 if longest < 5 else np.uint64)
    out: np.ndarray = low[ends]
    for back in range(1, longest):  # from the highest bits down
        out = np.where(lengths > back, out << 7 | low[ends - back], out)
    return out.astype(np.uint64)
