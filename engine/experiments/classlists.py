"""Classes as a run tells them: a CSV table, a list, or their number."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..classes import parse_colour, read_csv
from ..errors import EngineError
from .kinds import FILE, Classes, Key, Number, Record, Text
from .paths import Path
from .tree import BROKEN

if TYPE_CHECKING:
    from .checking import Checker

_MOST = 65536
_CLASS = Record(
    {'value': Key(Number(whole=True)), 'name': Key(Text(), ''), 'colour': Key(Text(), '')},
    alone='value',
)


def check_classes(checker: Checker, kind: Classes, value: Any, path: Path) -> Any:
    """Classes as a list of mappings, or `BROKEN`."""
    if isinstance(value, str):
        return _table(checker, value, path)
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value <= _MOST:
            return [{'value': number, 'name': '', 'colour': ''} for number in range(value)]
        return checker.fault(path, f'must be 1 to {_MOST} classes, not {value}')
    return _list(checker, value, path) if isinstance(value, list) else checker.wrong(kind, value, path)


def _table(checker: Checker, value: str, path: Path) -> Any:
    known = len(checker.faults)
    file = checker.place(FILE, value, path)
    if len(checker.faults) > known:
        return BROKEN
    try:
        return [dataclasses.asdict(definition) for definition in read_csv(file)]
    except EngineError as error:
        return checker.fault(path, str(error).removesuffix('.'))


def _list(checker: Checker, value: list[Any], path: Path) -> list[Any]:
    found = checker.items(_CLASS, value, path)
    seen: set[int] = set()
    for number, item in enumerate(found if len(found) == len(value) else ()):
        if item['value'] in seen:
            checker.fault((*path, number), f'the value {item["value"]} stands there twice')
        seen.add(item['value'])
        if item['colour'] and parse_colour(item['colour']) is None:
            checker.fault((*path, number), f'colour {item["colour"]!r} is not of the form #rrggbb')
    return found
