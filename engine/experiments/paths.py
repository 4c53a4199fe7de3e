"""Names of nodes, such as ``data.classes.0.name`` or ``sweep.parameters[train.learning_rate]``."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable
from typing import Tuple, Union

Path = Tuple[Union[str, int], ...]

_BARE = r'[^.\[\]]+'
_BRACKETED = r'\[[^\[\]]+\]'
_NAME = re.compile(rf'(?:{_BARE}|{_BRACKETED})(?:\.{_BARE}|{_BRACKETED})*')
_SEGMENT = re.compile(rf'{_BARE}|{_BRACKETED}')


def split(name: str) -> tuple[str, ...]:
    """The keys in a name; numbers of list items stay text. What holds a dot itself stands in brackets.

    Raises:
        ValueError: a key is empty or a bracket is not closed.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f'{name!r} is no name like train.epochs or data.classes.0.name')
    return tuple(segment.strip('[]') for segment in _SEGMENT.findall(name))


def dotted(path: Iterable[str | int]) -> str:
    """The name of a node; the inverse of `split`."""
    name = ''
    for key in map(str, path):
        name += f'[{key}]' if '.' in key or not key else f'.{key}' if name else key
    return name


def item_number(key: str, count: int) -> int | None:
    """The number of a list item from its text; None where a list of that many items has no such."""
    return int(key) if re.fullmatch('0|[1-9][0-9]{0,8}', key) and int(key) < count else None


def hint(name: str, known: Iterable[str]) -> str:
    """What to say after a name that does not exist: the nearest one that does; nothing if none is near.

    Capitals count for nothing. Only the first few hundred are looked at, as comparing takes its time.
    """
    plain: dict[str, str] = {}
    for other in itertools.islice(known, 300):
        plain.setdefault(other.lower(), other)
    near = difflib.get_close_matches(name.lower(), plain, 1)
    return f'; did you mean {plain[near[0]]}?' if near else ''
