"""One sample as a record: `tf.train.Example` read and written by hand, without TensorFlow.

Every feature is one bytes value: a serialised ``TensorProto``, as ``tf.io.serialize_tensor`` makes it. What other
writers put into a ``TensorProto`` (values in typed lists, the last one repeated) is read as well.

Source: the protocol buffer wire format, and TensorFlow's ``example.proto``, ``feature.proto``, ``tensor.proto``,
``tensor_shape.proto`` and ``types.proto``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from .. import wire
from ..errors import DatasetError
from ..wire import Buffer

_STRING, _BFLOAT16 = 7, 14  # of `DataType`
# `DataType` -> (numpy type, number of the list in `TensorProto` that holds its values one by one)
_TYPES: dict[int, tuple[np.dtype, int]] = {
    number: (np.dtype(name).newbyteorder('<'), field)
    for number, name, field in (
        (1, 'float32', 5),
        (2, 'float64', 6),
        (3, 'int32', 7),
        (4, 'uint8', 7),
        (5, 'int16', 7),
        (6, 'int8', 7),
        (8, 'complex64', 9),
        (9, 'int64', 10),
        (10, 'bool', 11),
        (17, 'uint16', 7),
        (18, 'complex128', 12),
        (19, 'float16', 13),
        (22, 'uint32', 16),
        (23, 'uint64', 17),
    )
}
_NUMBERS = {dtype.name: number for number, (dtype, _) in _TYPES.items()} | {'bfloat16': _BFLOAT16}
# Lists of numbers of fixed length; the others hold variable-length integers.
_FIXED = {5: '<f4', 6: '<f8', 9: '<f4', 12: '<f8'}
_CONTENT, _STRING_VALUES = 4, 8
_LARGEST = 1 << 28  # bytes of a tensor that its record gives by fewer values than it has


def encode(sample: Mapping[str, np.ndarray]) -> bytes:
    """A sample as a serialised ``tf.train.Example``; keys are sorted, so that equal samples give equal bytes.

    Args:
        sample: key -> array (or scalar) of numbers, booleans or text.

    Raises:
        DatasetError: an array of a type that TensorFlow does not have.
    """
    entries = []
    for key in sorted(sample):
        try:
            tensor = encode_tensor(np.asarray(sample[key]))
        except TypeError as error:
            raise DatasetError(f'{key}: {error}') from None
        # Feature{bytes_list: {value: tensor}}
        feature = wire.message(1, wire.message(1, tensor))
        entries.append(wire.message(1, wire.message(1, key.encode()) + wire.message(2, feature)))
    return wire.message(1, b''.join(entries))


def encode_tensor(array: np.ndarray) -> bytes:
    """The bytes that ``tf.io.serialize_tensor`` gives for an array; `TypeError` where it could not."""
    if array.dtype.kind in 'OSU':
        texts = [wire.message(_STRING_VALUES, _as_bytes(value)) for value in array.reshape(-1).tolist()]
        return b''.join([_head(_STRING, array.shape), *texts])
    return tensor_header(array.dtype, array.shape) + array.astype(array.dtype.newbyteorder('<'), copy=False).tobytes()


@functools.lru_cache
def tensor_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """What stands before the numbers in a serialised tensor: the same bytes for every one of this type and shape.

    Raises:
        TypeError: there are no such tensors.
    """
    if dtype.name not in _NUMBERS:
        raise TypeError(f'arrays of {dtype} cannot be stored; give numbers, booleans or text')
    length = math.prod(shape) * dtype.itemsize
    head = _head(_NUMBERS[dtype.name], shape)
    return head + wire.begin(_CONTENT, length) if length else head


def _head(number: int, shape: tuple[int, ...]) -> bytes:
    """Type and shape of a tensor."""
    # A size of 0 is the default of its field, which is then left out.
    sizes = [wire.varint(1 << 3) + wire.varint(size) if size else b'' for size in shape]
    dimensions = b''.join(wire.message(2, size) for size in sizes)
    return wire.varint(1 << 3) + wire.varint(number) + wire.message(2, dimensions)


def decode(record: Buffer) -> dict[str, np.ndarray]:
    """The sample in a serialised ``tf.train.Example``.

    Args:
        record: its bytes; the arrays look into them where they can, and are read-only then.

    Returns:
        key -> array. Text comes as an array of objects of type bytes, bfloat16 as float32.

    Raises:
        DatasetError: not such a record, or a damaged one. The caller knows of which file.
    """
    sample = {}
    try:
        for features in wire.messages(memoryview(record), 1):
            for entry in wire.messages(features, 1):
                key = bytes(wire.last(entry, 1)).decode()
                sample[key] = _decode_feature(wire.last(entry, 2), key)
    except (ValueError, OverflowError) as error:  # UnicodeDecodeError is one as well
        raise DatasetError(f'not a record of serialised tensors, or a damaged one ({error})') from None
    return sample


def _decode_feature(feature: memoryview, key: str) -> np.ndarray:
    """The tensor that is a feature's only value."""
    values = [value for values in wire.messages(feature, 1) for value in wire.messages(values, 1)]
    if len(values) != 1:
        raise ValueError(f'{key!r} has {len(values)} values of bytes where one is expected')
    try:
        return decode_tensor(values[0])
    except ValueError as error:
        raise ValueError(f'{key!r}: {error}') from None


def decode_tensor(tensor: Buffer) -> np.ndarray:
    """The array in a serialised ``TensorProto``; `ValueError` where it is none."""
    number, content = 0, memoryview(b'')
    shape: list[int] = []
    values: dict[int, list[Buffer]] = {}
    for field, value in wire.fields(memoryview(tensor)):
        if isinstance(value, int):
            if field == 1:
                number = value
            values.setdefault(field, []).append(wire.varint(value))
        elif field == 2:
            shape += _decode_shape(value)
        elif field == _CONTENT:
            content = value
        else:
            values.setdefault(field, []).append(value)
    if number == _STRING:
        return _strings(values.get(_STRING_VALUES, []), shape)
    if number not in _TYPES and number != _BFLOAT16:
        raise ValueError(f'a tensor of type number {number}, which is not supported')
    dtype, field = _TYPES[17] if number == _BFLOAT16 else _TYPES[number]
    if content:
        expected = math.prod(shape) * dtype.itemsize
        if len(content) != expected:
            raise ValueError(f'{len(content)} bytes for a tensor of {expected}')
        array = np.frombuffer(content, dtype)
    else:
        field = 13 if number == _BFLOAT16 else field
        array = _fill(_listed(values.get(field, []), field, dtype), math.prod(shape))
    if number == _BFLOAT16:
        array = (array.astype('<u4') << 16).view('<f4')
    return array.reshape(shape)


def _decode_shape(shape: memoryview) -> list[int]:
    sizes = []
    for dimension in wire.messages(shape, 2):
        size = dict(wire.fields(dimension)).get(1, 0)
        if not isinstance(size, int) or size >> 63:
            raise ValueError('a tensor of unknown size')
        sizes.append(size)
    return sizes


def _listed(parts: list[Buffer], field: int, dtype: np.dtype) -> np.ndarray:
    """The values of a typed list, packed or not."""
    raw = b''.join(parts)
    if field in _FIXED:
        return np.frombuffer(raw, _FIXED[field]).view(dtype)
    numbers = np.fromiter(wire.varints(raw), np.uint64)  # negative numbers are stored in two's complement of 64 bits
    if dtype.kind == 'f':  # the bits of half-precision numbers
        return numbers.astype('<u2').view(dtype)
    return numbers.astype(dtype)


def _fill(values: np.ndarray, count: int) -> np.ndarray:
    """As many values as a tensor has: the last one given is repeated, and 0 where none is given."""
    if len(values) > count:
        raise ValueError(f'{len(values)} values for a tensor of {count}')
    if len(values) == count:
        return values
    if count * values.itemsize > _LARGEST:
        raise ValueError(f'{len(values)} values for a tensor of {count}, more than a record may stand for')
    out = np.zeros(count, values.dtype)
    if len(values):
        out[: len(values)] = values
        out[len(values) :] = values[-1]
    return out


def _strings(values: list[Buffer], shape: list[int]) -> np.ndarray:
    if len(values) != math.prod(shape):
        raise ValueError(f'{len(values)} texts for a tensor of {math.prod(shape)}')
    out = np.empty(len(values), object)
    out[:] = [bytes(value) for value in values]
    return out.reshape(shape)


def _as_bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f'objects of type {type(value).__name__} cannot be stored; give numbers, booleans or text')
