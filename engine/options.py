"""Options of one of several things, such as an architecture or a feeder: their bounds, and their dataclasses from plain
values (stdlib only)."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Tuple, TypeVar

from .errors import InvalidJob
from .jobs import from_dict

T = TypeVar('T')


def bounded(
    default: Any = dataclasses.MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
    among: Iterable[Any] = (),
    path: bool = False,
) -> Any:
    """A field of a dataclass, with the bounds that `checked_options` holds its value, or each of its values, to.

    Args:
        default: none: it must be given.
        least, most: the smallest and the largest value.
        below: the smallest one that is too large.
        among: the only values.
        path: a file or folder, or a pattern of files.
    """
    marks = {'least': least, 'most': most, 'below': below, 'among': tuple(among), 'path': path}
    return dataclasses.field(default=default, metadata=marks)


def checked_options(cls: type[T], given: Mapping[str, Any], what: str, prefix: str = 'Option ') -> T:
    """Options as a dataclass. One text will do where a list of texts is meant.

    Args:
        given: plain values by name.
        what: they are options of, for messages.
        prefix: of their names in messages.

    Raises:
        InvalidJob: an unknown or missing name, a value of another type, or out of bounds.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            known = ', '.join(fields) or 'none'
            raise InvalidJob(f'Option {name!r}: {what} has no such option.{_hint(name, fields)} Known are: {known}.')
    hints = typing.get_type_hints(cls)
    alone = {name: value for name, value in given.items() if hints[name] == Tuple[str, ...] and isinstance(value, str)}
    options = from_dict(cls, {**given, **{name: (value,) for name, value in alone.items()}}, prefix)
    for name, field in fields.items():
        value = getattr(options, name)
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                _require(prefix + name, item, field.metadata)
    return options


def _require(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    """Raise `InvalidJob` where a value is out of bounds."""
    among = bounds.get('among')
    if among and value not in among:
        known = [str(item) for item in among if item != '']
        raise InvalidJob(f'{name} {value!r}: unknown.{_hint(value, known)} Known are: {", ".join(known)}.')
    for bound, words, holds in (
        (bounds.get('least'), 'at least', lambda bound: value >= bound),
        (bounds.get('most'), 'at most', lambda bound: value <= bound),
        (bounds.get('below'), 'less than', lambda bound: value < bound),
    ):
        if bound is not None and not holds(bound):  # not a number is within no bounds
            raise InvalidJob(f'{name} {value}: must be {words} {bound}.')


def _hint(name: Any, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), known, 1)
    return f' Did you mean {near[0]!r}?' if near else ''
