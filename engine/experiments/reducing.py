"""Values without what goes without saying, and values seen with their kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .kinds import REQUIRED, Classes, Key, Kind, Listing, Record, Table, Tagged, default_value

_CLASS = {'name': '', 'colour': ''}


def reduced(kind: Kind, value: Any) -> Any:
    """A value from which `Checker.check` makes this one again, without the defaults in it."""
    if isinstance(kind, Record) and isinstance(value, dict):
        return {
            name: reduced(kind.keys[name].kind, item) if name in kind.keys else item
            for name, item in value.items()
            if name not in kind.keys or not _is_default(kind.keys[name], item)
        }
    if isinstance(kind, Tagged):
        record = kind.records.get(value['type'], kind.own)
        others = {name: item for name, item in value.items() if name != 'type'}
        return {'type': value['type'], **(reduced(record, others) if record else others)}
    if isinstance(kind, Table):
        return {name: reduced(kind.item, item) for name, item in value.items()}
    if isinstance(kind, Classes):
        return [{name: text for name, text in item.items() if text != _CLASS.get(name)} for item in value]
    if isinstance(kind, Listing):
        return [_item(kind, number, item) for number, item in enumerate(value, 1)]
    return value


def _is_default(key: Key, value: Any) -> bool:
    return key.default is not REQUIRED and value == default_value(key)


def _item(kind: Listing, number: int, item: Any) -> Any:
    """An item of a list, whose name may follow from its number."""
    found = reduced(kind.item, item)
    if kind.named:
        found = {name: text for name, text in found.items() if name != 'name'}
        if item['name'] != f'{kind.named}{number}':
            found['name'] = item['name']
    return found


def mapped(kind: Kind | None, value: Any, change: Callable[[Kind, Any], Any]) -> Any:
    """A value in which `change` was asked for each part that is no mapping or list of known kinds."""
    if isinstance(kind, Tagged) and isinstance(value, dict):
        kind = kind.records.get(value['type'], kind.own)
    if isinstance(kind, Record) and isinstance(value, dict):
        keys = kind.keys
        return {name: mapped(keys[name].kind, item, change) if name in keys else item for name, item in value.items()}
    if isinstance(kind, Table) and isinstance(value, dict):
        return {name: mapped(kind.item, item, change) for name, item in value.items()}
    if isinstance(kind, Listing) and isinstance(value, list):
        return [mapped(kind.item, item, change) for item in value]
    return value if kind is None else change(kind, value)


def shortened(kind: Kind, value: Any) -> Any:
    """For `mapped`: the number of classes in place of them where nothing else is known of them."""
    if (
        isinstance(kind, Classes)
        and value
        and all(
            item['value'] == number and not any(item.get(name) for name in _CLASS) for number, item in enumerate(value)
        )
    ):
        return len(value)
    return value
