"""Features of records as columns, each as its descriptor says."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Union

import numpy as np

from ...errors import DatasetError
from ...events import Reporter
from .descriptors import Descriptor, FixedLenFeature, FixedLenSequenceFeature, ImageFeature, VarLenFeature
from .examples import Values, values_of
from .images import read_image
from .recordfiles import RecordFiles
from .source import Column

_NUMPY: dict[str, np.dtype] = {'int64': np.dtype('int64'), 'float32': np.dtype('float32'), 'string': np.dtype(object)}
_AT_ONCE = 256  # records looked at together
Lists = Union[VarLenFeature, FixedLenSequenceFeature]


def record_columns(
    records: RecordFiles, descriptors: Mapping[str, Descriptor], reporter: Reporter
) -> dict[str, Column]:
    """A column for each descriptor. All records are read where the longest list has to be found.

    Raises:
        DatasetError: naming file and record of what does not fit its descriptor.
    """
    out: dict[str, RecordColumn] = {}
    for name, descriptor in descriptors.items():
        if isinstance(descriptor, ImageFeature):
            out[name] = _Image(records, name, descriptor)
        elif isinstance(descriptor, FixedLenFeature):
            out[name] = _Fixed(records, name, descriptor)
        else:
            out[name] = _List(records, name, descriptor)
    endless = [column for column in out.values() if isinstance(column, _List) and not column.length]
    for start in range(0, records.count, _AT_ONCE) if endless else ():
        reporter.check_cancelled()
        reporter.progress(start / records.count, 'Looking for the longest lists')
        indices = np.arange(start, min(start + _AT_ONCE, records.count))
        for column in endless:
            column.lengthen(indices)
    return dict(out)


class RecordColumn(Column):
    """A feature of records."""

    def __init__(self, records: RecordFiles, name: str) -> None:
        self.records, self.name = records, name

    def read(self, indices: np.ndarray) -> np.ndarray:
        out = np.empty((len(indices), *self.shape), self.dtype)
        for place, (index, feature) in enumerate(self._found(indices)):
            try:
                out[place, ...] = self.value(feature)
            except ValueError as error:
                raise self.fault(index, error) from None
        return out

    @abc.abstractmethod
    def value(self, feature: memoryview | None) -> np.ndarray:
        """What one record holds; `ValueError` where that is not what it should be."""

    def fault(self, index: int, what: object) -> DatasetError:
        """The error for a record."""
        return DatasetError(f'{self.records.where(index)}: {self.name!r} {what}.')

    def _found(self, indices: np.ndarray) -> list[tuple[int, memoryview | None]]:
        """(number, feature) of each record."""
        features = self.records.features(indices)
        return [(index, found.get(self.name)) for index, found in zip(indices.tolist(), features)]


class _Fixed(RecordColumn):
    """As many values in each record."""

    def __init__(self, records: RecordFiles, name: str, descriptor: FixedLenFeature) -> None:
        super().__init__(records, name)
        self.shape, self.dtype = tuple(descriptor.shape), _NUMPY[descriptor.dtype]
        self._kind, self._default = descriptor.dtype, None
        if descriptor.default_value is not None:
            self._default = np.empty(self.shape, self.dtype)
            given = np.array(_bytes(descriptor.default_value), self.dtype)
            self._default[...] = given.reshape(self.shape) if given.size == math.prod(self.shape) else given

    def value(self, feature: memoryview | None) -> np.ndarray:
        values = _values(feature, self._kind)
        if values is None:
            if self._default is None:
                raise ValueError('is missing; a default_value would stand for it')
            return self._default
        if len(values) != math.prod(self.shape):
            raise ValueError(f'has {len(values)} values, and the shape {list(self.shape)} {math.prod(self.shape)}')
        return _array(values, self.dtype).reshape(self.shape)


class _List(RecordColumn):
    """A list of any length, filled up with zeros, or with empty texts."""

    def __init__(self, records: RecordFiles, name: str, descriptor: Lists) -> None:
        super().__init__(records, name)
        self._item: tuple[int, ...] = ()
        self._needed = False
        if isinstance(descriptor, FixedLenSequenceFeature):
            self._item, self._needed = tuple(descriptor.shape), not descriptor.allow_missing
        self._kind, self.dtype, self.length = descriptor.dtype, _NUMPY[descriptor.dtype], descriptor.length
        self.shape = (self.length, *self._item)

    def lengthen(self, indices: np.ndarray) -> None:
        """Be as long as the longest list of these records."""
        for index, feature in self._found(indices):
            try:
                self.length = max(self.length, len(self._list(feature)))
            except ValueError as error:
                raise self.fault(index, error) from None
        self.shape = (self.length, *self._item)

    def value(self, feature: memoryview | None) -> np.ndarray:
        values = self._list(feature)
        if len(values) > self.length:
            raise ValueError(f'has {len(values)} values, more than the length {self.length}')
        out = np.full(self.shape, b'' if self.dtype == object else 0, self.dtype)
        out[: len(values)] = values
        return out

    def _list(self, feature: memoryview | None) -> np.ndarray:
        """(values, …) of a record."""
        values = _values(feature, self._kind)
        if values is None and self._needed:
            raise ValueError('is missing; with allow_missing it would be an empty list')
        found = _array(values if values is not None else [], self.dtype)
        size = math.prod(self._item)
        if len(found) % size:
            raise ValueError(f'has {len(found)} values, no whole number of things of the shape {list(self._item)}')
        return found.reshape(-1, *self._item)


class _Image(RecordColumn):
    """A picture in the bytes of its file; all are as large as the first."""

    def __init__(self, records: RecordFiles, name: str, descriptor: ImageFeature) -> None:
        super().__init__(records, name)
        self._how = descriptor
        ((index, feature),) = self._found(np.zeros(1, np.int64))
        try:
            first = self._picture(feature)
        except ValueError as error:
            raise self.fault(index, error) from None
        self.shape, self.dtype = first.shape, first.dtype

    def value(self, feature: memoryview | None) -> np.ndarray:
        found = self._picture(feature)
        if found.shape != self.shape:
            raise ValueError(f'is of {_size(found.shape)}, and that of the first record of {_size(self.shape)}')
        return found

    def _picture(self, feature: memoryview | None) -> np.ndarray:
        values = _values(feature, 'string')
        if values is None:
            raise ValueError('is missing')
        if len(values) != 1:
            raise ValueError(f'has {len(values)} values, and a picture is one')
        return read_image(values[0], self._how)


def _values(feature: memoryview | None, kind: str) -> Values | None:
    """The values of a feature; None where the record has none.

    Raises:
        ValueError: they are of another type.
    """
    if feature is None:
        return None
    found, values = values_of(feature)
    if not found:
        return None
    if found != kind:
        raise ValueError(f'holds {found}, and {kind} is expected')
    return values


def _array(values: Values, dtype: np.dtype) -> np.ndarray:
    """Values along one axis."""
    if isinstance(values, np.ndarray):
        return values
    out = np.empty(len(values), dtype)
    out[:] = values
    return out


def _bytes(value: object) -> object:
    """Text as records hold it."""
    if isinstance(value, (list, tuple)):
        return [_bytes(item) for item in value]
    return value.encode() if isinstance(value, str) else value


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]} x {shape[0]} pixels and {shape[2]} channels'
