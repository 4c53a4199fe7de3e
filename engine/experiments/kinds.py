"""What values a setting of a run may have."""

from __future__ import annotations

import copy
import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

FILE, FOLDER, EITHER, PATTERN, PREFIX = 'file', 'folder', 'either', 'pattern', 'prefix'  # of what a run reads
GDAL = 'gdal'  # a path, or any other name that GDAL opens
WRITTEN = 'written'  # what a run writes


@dataclasses.dataclass(frozen=True)
class Kind:
    """Base of all kinds.

    Attributes:
        null: the value may be null.
    """

    null: bool = dataclasses.field(default=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Anything(Kind):
    """Plain values of any type."""


@dataclasses.dataclass(frozen=True)
class Flag(Kind):
    """True or false."""


@dataclasses.dataclass(frozen=True)
class Number(Kind):
    """A number.

    Attributes:
        whole: without fraction.
        least, most, below: bounds; None: there is none.
        among: the only values; empty: all.
    """

    whole: bool = False
    least: float | None = None
    most: float | None = None
    below: float | None = None
    among: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Text(Kind):
    """Text.

    Attributes:
        among: the only values; empty: all.
        place: what kind of path it is, such as `FILE`; empty: none.
        numbers: a number will do, too.
    """

    among: tuple[str, ...] = ()
    place: str = ''
    numbers: bool = False


@dataclasses.dataclass(frozen=True)
class Listing(Kind):
    """A list of values of one kind. In place of a list of texts one text will do, in place of a pair one number.

    Attributes:
        item: kind of the values.
        count: how many there are; None: any number.
        named: of mappings with a name: what it is where none is given, before the item's number from 1.
    """

    item: Kind
    count: int | None = None
    named: str = ''


@dataclasses.dataclass(frozen=True)
class Table(Kind):
    """Values of one kind by name."""

    item: Kind


class NoDefault(enum.Enum):
    """What stands for a setting that is not given, where that is no value."""

    REQUIRED = 'it must be given'
    ABSENT = 'there is none'


REQUIRED, ABSENT = NoDefault


@dataclasses.dataclass(frozen=True)
class Key:
    """A setting.

    Attributes:
        kind: of its value.
        default: its plain value where it is not given, `REQUIRED`, or `ABSENT`. An empty mapping stands for all the
            defaults of a `Record` or `Tagged`.
    """

    kind: Kind
    default: Any = REQUIRED


@dataclasses.dataclass(frozen=True)
class Record(Kind):
    """A mapping with certain keys.

    Attributes:
        keys: by name, in the order in which they are shown.
        what: it is, for messages; empty: nothing that has a name.
        alone: name of the key that is meant where its value stands in place of the mapping; empty: none.
        elsewhere: names that may be looked for here -> what to say of them.
        others: kind of further keys; None: there are none.
        verify: says in one line, by `InvalidJob`, what is wrong with values that are sound one by one.
    """

    keys: Mapping[str, Key]
    what: str = ''
    alone: str = ''
    elsewhere: Mapping[str, str] = dataclasses.field(default_factory=dict)
    others: Kind | None = None
    verify: Callable[[dict[str, Any]], None] | None = None


@dataclasses.dataclass(frozen=True)
class Tagged(Kind):
    """A mapping whose key ``type`` says which others it has.

    Attributes:
        records: by type, without ``type`` itself.
        default: type where none is given; empty: it must be.
        own: for types of the user's own, ``module:Class``; None: there are none.
        alone: the type and key that are meant where a text stands in place of the mapping; None: none.
    """

    records: Mapping[str, Record]
    default: str = ''
    own: Record | None = None
    alone: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Classes(Kind):
    """Classes: a CSV table, a list of them, or their number."""


@dataclasses.dataclass(frozen=True)
class Either(Kind):
    """One of several kinds, told apart by what is written: true or false, text, a mapping."""

    kinds: tuple[Kind, ...]


def is_section(key: Key) -> bool:
    """Whether all that a mapping holds has defaults, so that it may be left out or empty."""
    return isinstance(key.kind, (Record, Tagged)) and key.default == {}


def default_value(key: Key) -> Any:
    """What a setting is that is not given, complete; or `REQUIRED` or `ABSENT`."""
    return defaults(key.kind) if is_section(key) else copy.deepcopy(key.default)


def defaults(kind: Kind) -> dict[str, Any]:
    """The default values of a `Record` or `Tagged`, of those keys that have one."""
    if isinstance(kind, Tagged):
        return {'type': kind.default, **defaults(kind.records[kind.default])}
    return with_defaults(kind, {}) if isinstance(kind, Record) else {}


def with_defaults(kind: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a mapping and the defaults of its other keys, in their order."""
    values = {name: given[name] if name in given else default_value(key) for name, key in kind.keys.items()}
    return {name: value for name, value in values.items() if not isinstance(value, NoDefault)}
