"""Finding a name among those there are, and saying so where it is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from ..errors import ModelError

_SHOWN = 12


def unknown_name(path: str, what: str, name: str, known: Iterable[str], further: Iterable[str] = ()) -> ModelError:
    """The error for a name that a model does not have.

    Args:
        path: of the model.
        what: of what kind it is, such as ``output``.
        name: that was asked for.
        known: names to list.
        further: names that may only be meant.
    """
    names, others = list(known), list(further)
    near = difflib.get_close_matches(name, names, 3)
    # A part of a longer name, which Keras numbers: the last of a layer's operations gives its output.
    part = re.compile(rf'(.*/)?{re.escape(name)}(_\d+)?(/.*)?')
    near += [item for item in reversed(others) if part.fullmatch(item)][:2]
    near += difflib.get_close_matches(name, others, 3)
    near = [item for item in dict.fromkeys(near) if item != name][:3]
    meant = f'did you mean {" or ".join(map(repr, near))}? It' if near else 'it'
    there = ', '.join(names[:_SHOWN]) + (' and others' if len(names) > _SHOWN else '')
    return ModelError(f'{path}: the model has no {what} {name!r}; {meant} has {there or "none"}.')


def find(name: str, known: Iterable[str]) -> str | None:
    """The name that is meant: `name`, or the one that differs by the ``:0`` of tensors; None: there is none."""
    plain = name.removesuffix(':0')
    return next((item for item in known if item in (name, plain, f'{plain}:0')), None)
