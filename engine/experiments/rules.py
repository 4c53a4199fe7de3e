"""What the checks of a job say, of the keys that it is about, and all of it at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import EngineError
from ..jobs import Job, TrainJob, TrainSavedModelJob
from ..training import checks
from ..training.graph import checks as graph_checks
from .derivation import record_of
from .kinds import Record
from .paths import Path, dotted
from .schema import places
from .wording import choice_fault

_NAME = re.compile(r'[A-Za-z_]+')
_LEADING = re.compile(r'([A-Za-z_]+)(?: ([^:]*?))?: ')
_UNKNOWN = re.compile(r'unknown; known are (.*)\.')
_WORD = re.compile(r'(?<![\w/\\.-])[A-Z][A-Z_]+(?![\w/\\-])')  # no part of a path
_OPTION = re.compile(r'OPTIONS \{"(\w+)": ([^}]*)\}')
_MOST = 100  # faults of one job


def rule_faults(job: Job, broken: Iterable[str]) -> list[tuple[Path, str]]:
    """What cannot work, whatever the data: which key, and why.

    Args:
        job: sound but for what its own checks find.
        broken: keys whose values are not those that were given; what is said of them is left out.
    """
    if isinstance(job, TrainJob):
        return _training_rules().faults(job, broken)
    if isinstance(job, TrainSavedModelJob):
        return _Rules(graph_checks.check_job, _parameters(TrainSavedModelJob), {'input': 'sources'}).faults(job, broken)
    return []


def told_of_files(message: str) -> tuple[Path, str]:
    """What a training says of its settings once it has seen the samples, in the words of a file.

    Returns:
        The key that it is about, empty if it begins with none; and the message.
    """

    def spelled(found: re.Match[str]) -> str:
        return f'{dotted(places().get(f"options.{found[1]}", ("model", found[1])))}={found[2]}'

    return _training_rules().told(_OPTION.sub(spelled, message.removeprefix('OPTIONS.')))


def _training_rules() -> _Rules:
    return _Rules(checks.check_job, places(), {'validation_dataset': 'validation', 'points': 'windows'})


def _parameters(cls: Any) -> dict[str, Path]:
    """Fields of a job, and those of dataclasses in it -> their keys."""
    found: dict[str, Path] = {}
    for name, key in record_of(cls).keys.items():
        found[name] = ('parameters', name)
        for inner in key.kind.keys if isinstance(key.kind, Record) else ():
            found[f'{name}.{inner}'] = ('parameters', name, inner)
    return found


class _Rules:
    """The checks of a kind of job.

    Args:
        check: raises `EngineError` for the first thing that is wrong.
        places: the fields that it speaks of, with a dot before those of dataclasses in the job -> their keys.
        names: others that it calls fields by, in lower case -> field.
    """

    def __init__(self, check: Callable[[Any], None], places: Mapping[str, Path], names: Mapping[str, str]) -> None:
        self._check, self._places = check, places
        self._fields: dict[str, str] = dict(names)
        for field in sorted(places, key=lambda field: '.' in field):
            for name in (field.rpartition('.')[2], field.replace('.', '_')):
                self._fields.setdefault(name, field)

    def faults(self, job: Any, broken: Iterable[str]) -> list[tuple[Path, str]]:
        """See `rule_faults`. What was found is put right with the default, to see what else there is."""
        unreliable = {key.lower() for key in broken}
        found: list[tuple[Path, str]] = []
        for _ in range(_MOST):
            message = self._message(job)
            if not message:
                break
            field = self._field_of(message, job)
            path = self._places[field] if field else ()
            if not any(_mentions(message, key) for key in unreliable):
                found.append((path, self._for_files(message, field)))
            if path and path[-1] in unreliable:  # its default does not do either, with something else that was given
                field = self._mentioned(message, job)
            if not field:
                break
            job = _with_default(job, field)
            unreliable.add(str(self._places[field][-1]))
        return found

    def told(self, message: str) -> tuple[Path, str]:
        """The key that a message begins with, empty if there is none, and the message in the words of a file."""
        leading = _LEADING.match(message)
        field = self._fields.get(leading[1].lower(), '') if leading else ''
        return self._places[field] if field else (), self._for_files(message, field)

    def _message(self, job: Any) -> str:
        try:
            self._check(job)
        except EngineError as error:
            return str(error)
        return ''

    def _field_of(self, message: str, job: Any) -> str:
        """The field that a message is about: the one that it begins with, else one that it mentions and that is
        given."""
        leading = _NAME.match(message)
        if leading and leading[0].lower() in self._fields:
            return self._fields[leading[0].lower()]
        return self._mentioned(message, job)

    def _mentioned(self, message: str, job: Any) -> str:
        """The first field that a message mentions and that is given; empty where there is none."""
        words = [word.lower() for word in _NAME.findall(message)]
        mentioned = [self._fields[word] for word in words if word in self._fields]
        return next((field for field in mentioned if _with_default(job, field) != job), '')

    def _for_files(self, message: str, field: str) -> str:
        """A message in the words of a file: its key stands before it, and other names are those of keys."""
        leading = _LEADING.match(message)
        if leading and self._fields.get(leading[1].lower()) == field:
            message = message[leading.end() :]
            value = leading[2] or ''
            unknown = _UNKNOWN.fullmatch(message)
            if unknown:
                return choice_fault(value.strip('\'"'), unknown[1].split(', '))
            if value and message.startswith('must be '):
                message = f'{message.removesuffix(".")}, not {value}'
            elif value:
                message = f'{value}: {message}'

        def key(word: re.Match[str]) -> str:
            name = self._fields.get(word[0].lower())
            return dotted(self._places[name]) if name else word[0]

        return _WORD.sub(key, message).removesuffix('.')


def _mentions(message: str, key: str) -> bool:
    """Whether a message speaks of a setting, in whatever spelling."""
    plain = re.sub('[^a-z0-9]+', ' ', message.lower())
    return f' {key.replace("_", " ")} ' in f' {plain} '


def _with_default(job: Any, field: str) -> Any:
    """The job with the default of a field in place of its value."""
    group, _, name = field.rpartition('.')
    if group:
        return dataclasses.replace(job, **{group: _with_default(getattr(job, group), name)})
    found = next(item for item in dataclasses.fields(job) if item.name == name)
    if found.default_factory is not dataclasses.MISSING:
        return dataclasses.replace(job, **{name: found.default_factory()})
    return dataclasses.replace(job, **{name: '' if found.default is dataclasses.MISSING else found.default})
