"""The sweep of a run: each value that it tries is checked as if the run itself had it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from .checking import Checker
from .kinds import Key, Number, Record, Text
from .origins import Origin
from .paths import Path, dotted, split
from .reading import Reading, read_run
from .sweepspec import METHODS, SCALES, Range, SweepSpec
from .tree import BROKEN, Tree
from .wording import quoted

GRID, RANDOM = METHODS
_TRIED = ('model', 'data', 'train', 'parameters')  # sections whose settings may be tried
_RANGE = Record({'minimum': Key(Number()), 'maximum': Key(Number()), 'scale': Key(Text(SCALES), SCALES[0])})


class SweepReader:
    """Reads the sweep of a tree.

    Args:
        tree: the run with its sweep.
        reading: of the run.
        trusted: folders whose code may be run.

    Attributes:
        faults: found so far.
    """

    def __init__(self, tree: Tree, reading: Reading, trusted: Sequence[str] = ()) -> None:
        self._reading, self._trusted = reading, trusted
        self._known = {(fault.path, fault.message) for fault in reading.faults}
        self._checker = Checker(tree)
        values = {name: value for name, value in tree.values.items() if name != 'sweep'}
        self._tree = dataclasses.replace(tree, values=values)
        self.faults = self._checker.faults

    def spec(self) -> SweepSpec | None:
        """What is tried; None where there is no sweep, or none that can be understood."""
        given = self._reading.values.get('sweep')
        if given is None:
            return None
        self._check_method(given)
        tried = {name: self._parameter(name, value) for name, value in given['parameters'].items()}
        if not tried and ('sweep', 'parameters') not in self._checker.broken:
            self._checker.fault(('sweep', 'parameters'), 'name the settings to try, such as train.learning_rate')
        found = {name: value for name, value in tried.items() if value is not None}
        return SweepSpec(given['method'], found, given.get('count', 0), given['seed'])

    def _check_method(self, given: dict[str, Any]) -> None:
        """What the two methods need."""
        random = given['method'] == RANDOM
        if random and 'count' not in given:
            self._checker.fault(('sweep',), 'count is missing: say how many runs are drawn')
        if not random and 'count' in given:
            self._checker.fault(('sweep', 'count'), f'a {GRID} tries every combination; count goes with {RANDOM}')
        for name, value in given['parameters'].items():
            if not random and isinstance(value, dict):
                path = ('sweep', 'parameters', name)
                self._checker.fault(path, f'a {GRID} needs a list of values; a range goes with {RANDOM}')

    def _parameter(self, name: str, value: Any) -> list[Any] | Range | None:
        """The values to try of one setting."""
        path: Path = ('sweep', 'parameters', name)
        try:
            keys = split(name)
        except ValueError as error:
            self._checker.fault(path, str(error))
            return None
        if len(keys) < 2 or keys[0] not in _TRIED:
            places = ', '.join(f'{section}.' for section in _TRIED[:-1])
            self._checker.fault(path, f'only settings under {places} or {_TRIED[-1]}. can be tried')
            return None
        if isinstance(value, dict):
            return self._range(keys, value, path)
        if not isinstance(value, list) or not value:
            wanted = 'a list of values, or {minimum: …, maximum: …}'
            self._checker.fault(path, f'must be {wanted}, not {quoted(value) if value != [] else "an empty list"}')
            return None
        return [self._tried(keys, item, (*path, number)) for number, item in enumerate(value)]

    def _range(self, keys: tuple[str, ...], value: dict[str, Any], path: Path) -> Range | None:
        """Numbers to draw from."""
        found = self._checker.check(_RANGE, value, path)
        if found is BROKEN or any(broken[: len(path)] == path for broken in self._checker.broken):
            return None
        low, high = (self._tried(keys, value[end], (*path, end)) for end in ('minimum', 'maximum'))
        if not all(isinstance(end, (int, float)) for end in (low, high)):
            if low is not BROKEN and high is not BROKEN:
                self._checker.fault(path, f'{dotted(keys)} is no number; give a list of values')
            return None
        if not low < high:
            self._checker.fault(
                path, f'minimum must be less than maximum, and {quoted(low)} is not less than {quoted(high)}'
            )
        if found['scale'] == 'log' and not low > 0:
            self._checker.fault((*path, 'minimum'), f'must be greater than 0 for the scale log, not {quoted(low)}')
        return Range(low, high, found['scale'])

    def _tried(self, keys: tuple[str, ...], value: Any, path: Path) -> Any:
        """A value as the run has it then; `BROKEN` where it cannot have it."""
        origin = self._checker.tree.origin(path)
        tree = _with_value(self._tree, keys, value, origin)
        if tree is None:
            return self._checker.fault(path, f'{dotted(keys)} is no setting: there is a value on the way to it')
        reading = read_run(tree, self._trusted)
        new = [fault for fault in reading.faults if (fault.path, fault.message) not in self._known]
        for fault in new:
            about = '' if fault.path == keys else f'{dotted(fault.path)}: '
            self._checker.fault(path, about + fault.message)
        return BROKEN if new else _value_at(reading.values, keys, value)


def _with_value(tree: Tree, keys: tuple[str, ...], value: Any, origin: Origin) -> Tree | None:
    """The tree with another value, as an override makes it; None where something on the way is no mapping."""
    values = dict(tree.values)
    place = values
    for key in keys[:-1]:
        below = place.get(key, {})
        if not isinstance(below, dict):
            return None
        place[key] = dict(below)
        place = place[key]
    place[keys[-1]] = _merged(place.get(keys[-1]), value)
    merges = isinstance(value, dict)
    origins = {path: place for path, place in tree.origins.items() if merges or path[: len(keys)] != keys}
    return dataclasses.replace(tree, values=values, origins={**origins, keys: origin})


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), item) for key, item in new.items()}


def _value_at(values: Any, keys: tuple[str, ...], given: Any) -> Any:
    """The value that a run has for a setting; what was given where it is told elsewhere."""
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return given
        values = values[key]
    return values
