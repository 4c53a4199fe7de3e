"""Fields of options: their bounds, and options as dataclasses from plain values (stdlib only)."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from typing import Any, Mapping, Tuple, Type, TypeVar

from ...errors import InvalidJob
from ...jobs import from_dict

T = TypeVar('T')


def bounded(
    default: Any = dataclasses.MISSING,
    *,
    least: float | None = None,
    among: Tuple[Any, ...] = (),
    path: bool = False,
) -> Any:
    """A field of options.

    Args:
        default: none: it must be given.
        least: the smallest value, or the smallest of each of several.
        among: the only values.
        path: a file or folder, or a pattern of files.
    """
    marks = {'least': least, 'among': among, 'path': path}
    return dataclasses.field(default=default, metadata=marks)


def from_options(cls: Type[T], given: Mapping[str, Any], where: str) -> T:
    """Options as a dataclass. One text will do where a list of texts is meant.

    Args:
        given: plain values by name.
        where: what messages call them.

    Raises:
        InvalidJob: an unknown or missing name, a value of another type or out of bounds.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for name in given:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, 1)
            hint = f' Did you mean {near[0]!r}?' if near else ''
            raise InvalidJob(f'{where}: no option {name!r}.{hint} Known are: {", ".join(fields)}.')
    alone = {key: value for key, value in given.items() if hints[key] == Tuple[str, ...] and isinstance(value, str)}
    found = from_dict(cls, {**given, **{key: (value,) for key, value in alone.items()}}, f'{where}.')
    for name, field in fields.items():
        value = getattr(found, name)
        for item in value if isinstance(value, tuple) else (value,):
            least, among = field.metadata.get('least'), field.metadata.get('among')
            if least is not None and item is not None and not item >= least:
                raise InvalidJob(f'{where}.{name} {item}: must be at least {least}.')
            if among and item not in among:
                known = [str(value) for value in among if value != '']
                near = difflib.get_close_matches(str(item), known, 1)
                hint = f' Did you mean {near[0]!r}?' if near else ''
                raise InvalidJob(f'{where}.{name} {item!r}: unknown.{hint} Known are: {", ".join(known)}.')
    return found
