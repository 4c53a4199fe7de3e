"""Kinds of values from the types of dataclasses' fields."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, Union

from ..datasets.feeders.descriptors import DESCRIPTORS
from ..datasets.feeders.descriptors import fault_of as descriptor_fault
from ..errors import InvalidJob
from ..jobs import ClassDef, SourceSpec, from_dict
from .fields import CHOICES, LEFT_OUT, NUMBERS, PATHS
from .kinds import (
    PATTERN,
    REQUIRED,
    Anything,
    Classes,
    Flag,
    Key,
    Kind,
    Listing,
    Number,
    Record,
    Table,
    Tagged,
    Text,
)


@functools.cache
def record_of(cls: type) -> Record:
    """The keys of a dataclass; those that no run says are left out."""
    hints = typing.get_type_hints(cls)
    keys = {
        field.name: Key(_kind(hints[field.name], _marks(cls, field)), default_of(field))
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.name not in LEFT_OUT.get(cls, ())
    }
    required = [name for name, key in keys.items() if key.default is REQUIRED]
    return Record(keys, alone=required[0] if len(required) == 1 else '')


def checked_record(cls: type, fault_of: Any) -> Record:
    """The keys of a dataclass whose values may contradict one another, as `fault_of` a dataclass says."""

    def verify(values: dict[str, Any]) -> None:
        fault = fault_of(from_dict(cls, values))
        if fault:
            raise InvalidJob(fault)

    return dataclasses.replace(record_of(cls), verify=verify, alone='')


def plain(value: Any) -> Any:
    """A value as YAML has it: lists and mappings in place of tuples and dataclasses, without what no run says."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names if name not in LEFT_OUT.get(type(value), ())}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The plain default of a field, or `REQUIRED`."""
    if field.default_factory is not dataclasses.MISSING:
        return plain(field.default_factory())
    return REQUIRED if field.default is dataclasses.MISSING else plain(field.default)


def _marks(cls: type, field: dataclasses.Field[Any]) -> dict[str, Any]:
    """What is known of a field besides its type."""
    marks = {
        'among': CHOICES.get(cls, {}).get(field.name, ()),
        'place': PATHS.get(cls, {}).get(field.name, ''),
        'numbers': field.name in NUMBERS.get(cls, ()),
    }
    own = dict(field.metadata)
    if own.pop('path', False):
        own['place'] = PATTERN
    return {**marks, **own}


def _kind(hint: Any, marks: Mapping[str, Any]) -> Kind:
    """The kind of values of a type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        inner = next(arg for arg in args if arg is not type(None))
        return dataclasses.replace(_kind(inner, marks), null=True)
    if origin is tuple:
        return _listing(args, marks)
    if origin is dict:
        if marks.get('descriptors'):
            return Table(Tagged({name: checked_record(cls, descriptor_fault) for name, cls in DESCRIPTORS.items()}))
        return Table(_kind(args[1], {}))
    if dataclasses.is_dataclass(hint):
        return record_of(hint)  # type: ignore[arg-type]
    if hint is bool:
        return Flag()
    if hint in (int, float):
        bounds = {name: marks[name] for name in ('least', 'most', 'below') if name in marks}
        return Number(hint is int, among=tuple(marks['among']), **bounds)
    if hint is str:
        return Text(tuple(marks['among']), marks['place'], marks['numbers'])
    return Anything()


def _listing(args: tuple[Any, ...], marks: Mapping[str, Any]) -> Kind:
    """The kind of a tuple."""
    if args[0] is ClassDef:
        return Classes()
    item = _kind(args[0], marks)
    if args[-1] is not Ellipsis:
        return Listing(item, len(args))
    return Listing(item, named='source' if args[0] is SourceSpec else '')
