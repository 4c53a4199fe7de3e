"""From records to tensors in TensorFlow's graph, many at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ...errors import DatasetError
from ..example import decode, tensor_header

# Types that `decode_raw` lacks, and those of the same size that it has.
_STAND_IN = {tf.uint32: tf.int32, tf.uint64: tf.int64, tf.bfloat16: tf.uint16}
_LOST = b'damaged or cut off: '

Parser = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class Form(NamedTuple):
    """What the tensors of one key have in common."""

    dtype: tf.DType
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        """What stands before the numbers in each of them; empty where they have none."""
        if self.dtype == tf.string or not math.prod(self.shape):
            return b''
        return tensor_header(self.dtype.as_numpy_dtype(0).dtype, self.shape)

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.size

    def decode(self, numbers: tf.Tensor) -> tf.Tensor:
        """The tensors whose numbers stand in these bytes."""
        dtype = _STAND_IN.get(self.dtype, self.dtype)
        return tf.reshape(tf.bitcast(tf.io.decode_raw(numbers, dtype), self.dtype), (-1, *self.shape))


def lost(path: tf.Tensor) -> tf.Tensor:
    """What stands for a record that cannot be read: a parser fails on it with a message that names the file."""
    return tf.strings.join([_LOST, path])


def parser(record: bytes, forms: Mapping[str, Form], uniform: bool) -> Parser:
    """How the records of a dataset are best parsed.

    Args:
        record: one of them.
        forms: of each key.
        uniform: all have what is not numbers in common, as those written by `example.encode` do.

    Returns:
        A function: (samples,) records -> key -> (samples, …).

    Raises:
        DatasetError: it is no record of such samples.
    """
    if record.startswith(_LOST):
        raise DatasetError(record.decode())
    places = _places(record, forms)
    if places is None:
        return lambda records: parse_any(records, forms)
    if not uniform:
        return lambda records: _cut_features(records, forms)
    return lambda records: _cut_records(records, forms, places, record)


def _places(record: bytes, forms: Mapping[str, Form]) -> dict[str, int] | None:
    """Where the numbers of each key begin in a record; None where they do not all follow a header."""
    sample = decode(record)
    missing = forms.keys() - sample.keys()
    if missing:
        raise DatasetError(f'no {min(missing)!r} in the first record; it has {", ".join(sorted(sample))}')
    first = np.frombuffer(record, np.uint8).ctypes.data
    places = {key: sample[key].ctypes.data - first for key in forms}
    for key, form in forms.items():
        header = form.header
        if not header or record[max(0, places[key] - len(header)) : max(0, places[key])] != header:
            return None
    return places


def _features(records: tf.Tensor, forms: Mapping[str, Form]) -> dict[str, tf.Tensor]:
    """The serialised tensors of each key."""
    return tf.io.parse_example(records, {key: tf.io.FixedLenFeature([], tf.string) for key in forms})


def parse_any(records: tf.Tensor, forms: Mapping[str, Form]) -> dict[str, tf.Tensor]:
    """The samples in records whose tensors are written in any way."""

    def parse(tensors: tf.Tensor, form: Form) -> tf.Tensor:
        def one(tensor: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(tf.io.parse_tensor(tensor, form.dtype), form.shape)

        return tf.map_fn(one, tensors, fn_output_signature=tf.TensorSpec(form.shape, form.dtype))

    return {key: parse(tensors, forms[key]) for key, tensors in _features(records, forms).items()}


def _cut_features(records: tf.Tensor, forms: Mapping[str, Form]) -> dict[str, tf.Tensor]:
    """Tensors that are a constant header and numbers."""
    out = {}
    for key, tensors in _features(records, forms).items():
        form = forms[key]
        start = len(form.header)
        same = tf.strings.substr(tensors, 0, start) == form.header
        whole = tf.strings.length(tensors) == start + form.size
        with tf.control_dependencies([_require(same & whole, records)]):
            out[key] = form.decode(tf.strings.substr(tensors, start, form.size))
    return out


def _cut_records(
    records: tf.Tensor, forms: Mapping[str, Form], places: Mapping[str, int], like: bytes
) -> dict[str, tf.Tensor]:
    """Records whose numbers begin at the same `places`, with the same bytes around them as in one of them."""
    same = tf.strings.length(records) == len(like)
    start = 0
    for key, place in sorted(places.items(), key=lambda item: item[1]):
        same &= tf.strings.substr(records, start, place - start) == like[start:place]
        start = place + forms[key].size
    with tf.control_dependencies([_require(same, records)]):
        parts = {key: tf.strings.substr(records, place, forms[key].size) for key, place in places.items()}
    return {key: forms[key].decode(part) for key, part in parts.items()}


def _require(right: tf.Tensor, records: tf.Tensor) -> tf.Operation:
    """Fail where a record is not as it should be."""
    worst = records[tf.argmin(tf.cast(right, tf.uint8))]
    other = 'A record is of another type, shape or form than the first one.'
    message = tf.where(tf.strings.substr(worst, 0, len(_LOST)) == _LOST, tf.strings.substr(worst, 0, 4096), other)
    return tf.debugging.Assert(tf.reduce_all(right), [message])
