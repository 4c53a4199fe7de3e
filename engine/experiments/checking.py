"""The values of a run against the kinds that they should be of. All faults are found, not only the first."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import EngineError
from .classlists import check_classes
from .kinds import (
    ABSENT,
    REQUIRED,
    Anything,
    Classes,
    Either,
    Flag,
    Kind,
    Listing,
    Number,
    Record,
    Table,
    Tagged,
    Text,
    default_value,
    is_section,
    with_defaults,
)
from .nodes import fault
from .ondisk import absolute, is_path, problem
from .origins import Origin
from .paths import Path, dotted
from .scalars import MISSING
from .tree import BROKEN, Tree
from .wording import choice_fault, described, listed, quoted, reads_as, unknown_key

_LARGEST = 2**63 - 1  # whole number that libraries of numbers take


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something wrong with a run: where it stands, which setting, and what it is in words."""

    origin: Origin
    path: Path
    message: str

    def __str__(self) -> str:
        return fault(self.origin, self.path, self.message)


class Checker:
    """Checks values and collects what is wrong with them.

    Args:
        tree: where the values stand.

    Attributes:
        faults: found so far.
        broken: settings whose value is not known because of a fault; defaults stand in for them.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.faults: list[Fault] = []
        self.broken: set[Path] = set()

    def fault(self, path: Path, message: str) -> Any:
        """Note a fault.

        Returns:
            `BROKEN`.
        """
        self.faults.append(Fault(self.tree.origin(path), path, message))
        return BROKEN

    def check(self, kind: Kind, value: Any, path: Path) -> Any:
        """A value with its type, complete with defaults and absolute paths; or `BROKEN`."""
        if value is BROKEN:
            return BROKEN
        if value == MISSING and isinstance(value, str):
            return self.fault(path, f'must be given, in the file or as -p {dotted(path)}=…')
        if value is None and not isinstance(kind, Anything):
            return None if kind.null else self.wrong(kind, value, path, '; leave the key out for its default')
        return _CHECKS[type(kind)](self, kind, value, path)

    def wrong(self, kind: Kind, value: Any, path: Path, advice: str = '') -> Any:
        """Note that a value is of another kind."""
        return self.fault(path, f'must be {described(kind)}, not {quoted(value)}{advice}')

    def _anything(self, kind: Anything, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return self._table(Table(kind), value, path)
        return self.items(kind, value, path) if isinstance(value, list) else value

    def _flag(self, kind: Flag, value: Any, path: Path) -> Any:
        if isinstance(value, bool):
            return value
        advice = '; take the quotes off' if value in ('true', 'false') else ''
        return self.wrong(kind, value, path, advice)

    def _number(self, kind: Number, value: Any, path: Path) -> Any:
        types = (int,) if kind.whole else (int, float)
        if not isinstance(value, types) or isinstance(value, bool):
            advice = '; take the quotes off' if isinstance(value, str) and reads_as(value, types) else ''
            return self.wrong(kind, value, path, advice)
        if isinstance(value, int) and abs(value) > _LARGEST:
            return self.fault(path, 'is too large a number')
        if kind.among and value not in kind.among:
            return self.fault(path, choice_fault(value, kind.among))
        for bound, words, holds in (
            (kind.least, 'at least', lambda bound: value >= bound),
            (kind.most, 'at most', lambda bound: value <= bound),
            (kind.below, 'less than', lambda bound: value < bound),
        ):
            if bound is not None and not holds(bound):  # not a number is within no bounds
                return self.fault(path, f'must be {words} {bound}, not {quoted(value)}')
        return value if kind.whole else float(value)

    def _text(self, kind: Text, value: Any, path: Path) -> Any:
        if kind.numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
            return 'nan' if isinstance(value, float) and math.isnan(value) else str(value)
        if not isinstance(value, str):
            advice = '' if isinstance(value, (dict, list)) else '; put it in quotes if it is text'
            return self.wrong(kind, value, path, advice)
        if kind.among and value not in kind.among:
            return self.fault(path, choice_fault(value, kind.among))
        return self.place(kind.place, value, path) if kind.place else value

    def place(self, place: str, value: str, path: Path) -> Any:
        """An absolute path that exists if it should."""
        if not value.strip():
            return self.fault(path, 'must be a path, and is empty')
        if not is_path(value, place):
            return value
        origin = self.tree.origin(path)
        found = absolute(value, origin.folder)
        wrong = problem(found, place)
        if not wrong:
            return found
        start = 'the file that says them' if origin.file else 'the current folder'
        advice = f'; relative paths start from {"the folder of " * bool(origin.file)}{start}' if found != value else ''
        self.fault(path, wrong + advice)
        return found  # nothing else is wrong with it

    def _listing(self, kind: Listing, value: Any, path: Path) -> Any:
        if isinstance(value, str) and isinstance(kind.item, Text):
            item = self.check(kind.item, value, path)
            return item if item is BROKEN else [item]
        if kind.count and isinstance(kind.item, Number) and isinstance(value, (int, float)) and kind.count == 2:
            item = self.check(kind.item, value, path)
            return item if item is BROKEN else [item, item]
        if not isinstance(value, list) or (kind.count and len(value) != kind.count):
            return self.wrong(kind, value, path)
        items = self.items(kind.item, value, path)
        if kind.named:
            for number, (given, item) in enumerate(zip(value, items), 1):
                if not isinstance(given, dict) or 'name' not in given:
                    item['name'] = f'{kind.named}{number}'
        return items

    def items(self, kind: Kind, values: list[Any], path: Path) -> list[Any]:
        """The items of a list, but for those that are broken."""
        items = [self.check(kind, item, (*path, number)) for number, item in enumerate(values)]
        if BROKEN in items:
            self.broken.add(path)
        return [item for item in items if item is not BROKEN]

    def _table(self, kind: Table, value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            return self.wrong(kind, value, path)
        items = {str(key): self.check(kind.item, item, (*path, key)) for key, item in value.items()}
        if BROKEN in items.values():
            self.broken.add(path)
        return {key: item for key, item in items.items() if item is not BROKEN}

    def _record(self, kind: Record, value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            if not kind.alone or isinstance(value, bool):
                return self.wrong(kind, value, path)
            # What is wrong with it is told of the place where it stands.
            item = self.check(kind.keys[kind.alone].kind, value, path)
            return item if item is BROKEN else with_defaults(kind, {kind.alone: item})
        known = len(self.faults)
        found = self._keys(kind, value, path)
        if found is not BROKEN and kind.verify and len(self.faults) == known and not self._within_broken(path):
            try:
                kind.verify(found)
            except EngineError as error:
                return self.fault(path, str(error).removeprefix(f'{path[-1]}: ').removesuffix('.'))
        return found

    def _keys(self, kind: Record, value: Mapping[str, Any], path: Path) -> Any:
        """The values of a mapping's keys, in the order of the kind."""
        unknown = [str(name) for name in value if name not in kind.keys and kind.others is None]
        for name in unknown:
            self.fault((*path, name), unknown_key(name, kind))
        meant = [near for name in unknown for near in difflib.get_close_matches(name, kind.keys, 1)]
        found: dict[str, Any] = {}
        whole = True
        for name, key in kind.keys.items():
            given = value.get(name, key.default)
            if given is REQUIRED:
                whole = False
                if name not in meant:
                    self.fault(path, f'{name} is missing')
            elif name not in value or given == '' == key.default or (given is None and is_section(key)):
                found[name] = default_value(key)
            else:
                item = self.check(key.kind, given, (*path, name))
                if item == [] and key.default is REQUIRED and _names_things(key.kind):
                    item = self.fault((*path, name), 'must not be empty')
                if item is BROKEN:
                    self.broken.add((*path, name))
                    whole, item = whole and key.default is not REQUIRED, default_value(key)
                found[name] = item
        if kind.others is not None:
            further = {name: item for name, item in value.items() if name not in kind.keys}
            found |= {str(name): self.check(kind.others, item, (*path, name)) for name, item in further.items()}
        return {name: item for name, item in found.items() if item is not ABSENT} if whole else BROKEN

    def _within_broken(self, path: Path) -> bool:
        return any(broken[: len(path)] == path for broken in self.broken)

    def _tagged(self, kind: Tagged, value: Any, path: Path) -> Any:
        if kind.alone and isinstance(value, str):
            tag, key = kind.alone
            item = self.check(kind.records[tag].keys[key].kind, value, path)
            return item if item is BROKEN else {'type': tag, **with_defaults(kind.records[tag], {key: item})}
        if not isinstance(value, dict):
            return self.wrong(kind, value, path)
        tag = self.check(Text(), value['type'], (*path, 'type')) if 'type' in value else kind.default
        if tag == '' and 'type' not in value:
            return self.fault(path, f'type is missing; it is one of {listed(kind.records)}')
        if tag is BROKEN:
            return BROKEN
        others = {key: item for key, item in value.items() if key != 'type'}
        record = kind.own if kind.own and ':' in tag else kind.records.get(tag)
        if record is None:
            more = ', or module:Class of your own' if kind.own else ''
            self.fault((*path, 'type'), choice_fault(tag, kind.records, more))
            for near in difflib.get_close_matches(tag, kind.records, 1):  # which is meant, most likely
                self._record(kind.records[near], others, path)
            return BROKEN
        found = self._record(record, others, path)
        return found if found is BROKEN else {'type': tag, **found}

    def _either(self, kind: Either, value: Any, path: Path) -> Any:
        types = {Flag: bool, Text: str, Table: dict, Record: dict}
        for one in kind.kinds:
            if isinstance(value, types[type(one)]):
                if isinstance(one, Text) and one.among and value not in one.among:
                    break
                return self.check(one, value, path)
        return self.wrong(kind, value, path)


_CHECKS: dict[type, Callable[[Checker, Any, Any, Path], Any]] = {
    Anything: Checker._anything,
    Flag: Checker._flag,
    Number: Checker._number,
    Text: Checker._text,
    Listing: Checker._listing,
    Table: Checker._table,
    Record: Checker._record,
    Tagged: Checker._tagged,
    Either: Checker._either,
    Classes: check_classes,
}


def _names_things(kind: Kind) -> bool:
    """Whether a list is of files or mappings, rather than of numbers such as a shape."""
    return isinstance(kind, Listing) and (isinstance(kind.item, Record) or bool(getattr(kind.item, 'place', '')))
