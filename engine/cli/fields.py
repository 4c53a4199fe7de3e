"""Options that are fields of a job: declared by name, with type and default from the job's dataclass."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from ..jobs import Job, VectorSpec

_LAYER = '|layername='  # as QGIS writes the layer of a file


@dataclasses.dataclass(frozen=True)
class Field:
    """An option that is a field of a job.

    Attributes:
        name: of the field. The option is called ``--name``, ``--no-name`` where it takes back what is true by default.
        help: what it means.
        metavar: what stands for the value, or for each of them.
        choices: all values there are.
    """

    name: str
    help: str
    metavar: str = ''
    choices: Sequence[Any] = ()


def add_fields(parser: argparse._ActionsContainer, job: type[Job], fields: Iterable[Field]) -> None:
    """Add fields of a class of jobs to a parser. An option that is not given sets nothing."""
    hints = typing.get_type_hints(job)
    defaults = {field.name: field.default for field in dataclasses.fields(job)}
    for field in fields:
        default = defaults[field.name]
        flag = f'--{"no-" if default is True else ""}{field.name.replace("_", "-")}'
        if isinstance(default, bool):
            options: dict[str, Any] = {'action': 'store_false' if default else 'store_true'}
        else:
            options = _options(hints[field.name], field)
        parser.add_argument(
            flag, dest=field.name, default=argparse.SUPPRESS, help=field.help + _default_text(default), **options
        )


def given(options: argparse.Namespace, fields: Iterable[Field]) -> dict[str, Any]:
    """The values of those fields that were given, by name."""
    values = {field.name: getattr(options, field.name) for field in fields if hasattr(options, field.name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def vector(text: str) -> VectorSpec:
    """A layer of a vector file: ``FILE`` or ``FILE|layername=LAYER``."""
    path, _, layer = text.partition(_LAYER)
    return VectorSpec(path, layer)


def _options(hint: Any, field: Field) -> dict[str, Any]:
    """What `argparse` is to do with values of a type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return _options(parts[0], field)
    metavar = field.metavar or field.name.upper()
    if origin is tuple and parts[-1] is Ellipsis:
        return {'action': 'append', 'type': parts[0], 'metavar': metavar}
    if origin is tuple:
        return {'nargs': len(parts), 'type': parts[0], 'metavar': tuple(metavar.split())}
    options = {'type': vector if hint is VectorSpec else hint}
    if field.choices:
        return {**options, 'choices': field.choices}
    return {**options, 'metavar': metavar}


def _default_text(default: Any) -> str:
    """The default, to follow the help; nothing where the help says it better."""
    if isinstance(default, bool) or default in ('', None, (), dataclasses.MISSING):
        return ''
    items = default if isinstance(default, tuple) else (default,)
    return f' (default {" ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items)})'
