r"""Single values changed from outside: ``key=value``, ``+key=value``, ``~key``, ``~key=value``.

The marks mean what they mean in files (`merging`): append to a list, remove a key, take items out of a list. Keys are
dotted names; list items have numbers (``data.classes.0.name``), and a key that holds a dot itself stands in brackets
(``sweep.parameters[train.epochs]=[1, 2]``). Keys that do not exist yet are made, for the checks to judge.

A value means what the same words mean in a file: ``true``, ``null``, ``1e-3`` and ``12`` are no text, ``yes``,
``2020-01-05``, ``/a/path`` and ``C:\data`` are. What begins with ``[``, ``{``, ``'`` or ``"`` is read as YAML: lists,
mappings (which merge), and text that would else mean something, as in ``name='12'``. Everything else is taken as it
stands, with ``#``, ``: `` and any other mark, and nothing at all is the empty text. A shell takes its own share of
quotes and brackets first: there, put the whole override in single quotes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from ..errors import ConfigurationError
from .documents import MAX_DEPTH, read_flow
from .inheritance import EXTEND
from .merging import APPEND, REMOVE, appended, merge, removed
from .nodes import BROKEN, Node, fault
from .origins import Origin
from .paths import Path, dotted, hint, item_number, split
from .scalars import scalar


@dataclasses.dataclass(frozen=True)
class Override:
    """One override.

    Attributes:
        keys: of the node, the numbers of list items as text.
        mark: ``+``, ``~`` or nothing.
        value: null for ``~key``.
    """

    keys: tuple[str, ...]
    mark: str
    value: Node


def read_overrides(texts: Sequence[str], faults: list[str]) -> list[Override]:
    """Overrides from their texts; those that cannot be understood go to `faults`."""
    found = []
    for text in texts:
        origin = Origin('', 0, ' '.join(text.split()))
        try:
            found.append(_read(text, origin))
        except ValueError as error:
            faults.append(fault(origin, (), str(error)))
        except ConfigurationError as error:
            faults.extend(error.faults)
    return found


def override(root: Node, overrides: Sequence[Override], faults: list[str]) -> Node:
    """The tree after overrides, from the first to the last; those that do not fit it go to `faults`."""
    for change in overrides:
        root = _changed(root, (), change, (), root.origin, faults) or root
    return root


def _read(text: str, origin: Origin) -> Override:
    name, equals, value = text.strip().partition('=')
    mark = name[:1] if name[:1] in (APPEND, REMOVE) else ''
    if not equals and mark != REMOVE:
        raise ValueError('expected key=value, +key=value or ~key')
    keys = split(name[len(mark) :].strip())
    if any(key[0] in (APPEND, REMOVE) for key in keys):
        raise ValueError('one mark, + or ~, stands in front of the whole name')
    if keys[0] == EXTEND:
        raise ValueError('files can be extended only in files')
    if len(keys) > MAX_DEPTH:
        raise ValueError(f'deeper than {MAX_DEPTH} levels')
    return Override(keys, mark, _value(value.strip(), origin) if equals else Node(None, origin))


def _value(text: str, origin: Origin) -> Node:
    if text[:1] in ('[', '{', '"', "'"):
        return read_flow(text, origin)
    return Node(scalar(text) if text else '', origin)


def _changed(
    node: Node | None, path: Path, change: Override, known: Iterable[str], above: Origin, faults: list[str]
) -> Node | None:
    """The node at `path` after an override of itself or of something below it; None if it is removed.

    Args:
        known: keys beside it, for messages.
        above: origin of what it is part of, and of mappings that are made on the way: nobody gave them as a whole.
    """
    value = change.value
    if len(path) == len(change.keys):
        if change.mark == REMOVE:
            return removed(node, value, path, faults, known)
        return appended(node, value, path, faults) if change.mark == APPEND else merge(node, value, path, faults)
    if node is None or node.content is None:
        if change.mark == REMOVE:
            near = hint(str(path[-1]), known) if node is None else ''
            faults.append(fault(value.origin, (), f'nothing to remove; {dotted(path)} is not given{near}'))
            return node
        node = Node({}, above)
    if isinstance(node.content, dict):
        return _below_mapping(node, path, change, faults)
    if isinstance(node.content, list):
        return _below_list(node, path, change, faults)
    if node.content is not BROKEN:
        message = f'{dotted(path)} is {node.kind} ({node.origin}), no mapping; give it as a whole'
        faults.append(fault(value.origin, (), message))
    return node


def _below_mapping(node: Node, path: Path, change: Override, faults: list[str]) -> Node:
    key = change.keys[len(path)]
    content = dict(node.content)
    child = _changed(content.get(key), (*path, key), change, content, node.origin, faults)
    if child is None:
        content.pop(key, None)
    else:
        content[key] = child
    return Node(content, node.origin)


def _below_list(node: Node, path: Path, change: Override, faults: list[str]) -> Node:
    items = list(node.content)
    key = change.keys[len(path)]
    index = item_number(key, len(items))
    if index is None:
        message = f'{dotted(path)} ({node.origin}) is a list of {len(items)}, numbered from 0; there is no item {key}'
        faults.append(fault(change.value.origin, (), message))
        return node
    item = _changed(items[index], (*path, index), change, (), node.origin, faults)
    items[index : index + 1] = [] if item is None else [item]
    return Node(items, node.origin)
