"""Values and kinds of values in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from . import scalars
from .kinds import Classes, Either, Flag, Kind, Listing, Number, Record, Table, Tagged, Text
from .paths import hint

_NEAR = 0.75  # likeness of two names, of which one may be meant by the other although it belongs elsewhere
_MOST_KEYS = 20  # that are all named where none is near


def described(kind: Kind) -> str:
    """What a value of a kind is."""
    if isinstance(kind, Flag):
        return 'true or false'
    if isinstance(kind, (Number, Text)) and kind.among:
        return f'one of {listed(kind.among)}'
    if isinstance(kind, Number):
        return 'a whole number' if kind.whole else 'a number'
    if isinstance(kind, Text):
        return 'a path' if kind.place else 'text'
    if isinstance(kind, Listing):
        return f'a list of {kind.count} values' if kind.count else 'a list'
    if isinstance(kind, Classes):
        return 'a CSV table of classes, a list of {value, name, colour}, or the number of classes'
    if isinstance(kind, Either):
        return ' or '.join(dict.fromkeys(map(described, kind.kinds)))
    return 'a mapping' if isinstance(kind, (Record, Table, Tagged)) else 'a value'


def quoted(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, dict):
        return 'a mapping'
    if isinstance(value, list):
        return f'a list of {len(value)} values'
    return scalars.quoted(value)


def listed(names: Iterable[Any]) -> str:
    """Names, one after the other."""
    return ', '.join(str(name) for name in names if name != '')


def choice_fault(value: Any, known: Iterable[Any], more: str = '') -> str:
    """What to say of a value that is none of those it may be; `more` follows their names."""
    names = [str(name) for name in known if name != '']
    return f'must be one of {listed(names)}{more}, not {quoted(value)}{hint(str(value), names)}'


def unknown_key(name: str, kind: Record) -> str:
    """What to say of a key that a mapping does not have."""
    what = f'no such option of {kind.what}' if kind.what else 'no such key'
    if name in kind.elsewhere:
        return f'{what}; {kind.elsewhere[name]}'
    near = hint(name, kind.keys)
    if near:
        return what + near
    for other in difflib.get_close_matches(name, kind.elsewhere, 1, _NEAR):
        return f'{what}; perhaps {other} is meant: {kind.elsewhere[other]}'
    if not kind.keys:
        return f'{what}; there are none'
    return what + (f'; known are {listed(kind.keys)}' if len(kind.keys) <= _MOST_KEYS else '')


def reads_as(text: str, types: tuple[type, ...]) -> bool:
    """Whether text would be a number of these types without its quotes."""
    found = scalars.scalar(text)
    return isinstance(found, types) and not isinstance(found, bool)
