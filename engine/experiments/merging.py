"""One configuration over another: what the later one says wins.

- Mappings merge key by key; texts, numbers and lists are replaced, also by a mapping and a mapping by them. Whether the
  result makes sense is for the checks that know the keys.
- ``+key: [a]`` appends to the inherited list, or begins one; what is no list counts as a list of one.
- ``~key:`` removes an inherited key, ``~key: [a]`` takes items out of an inherited list. Both come before all else in
  the same mapping, so that ``~key:`` together with ``key: {…}`` replaces a mapping as a whole.
- A key with nothing after it does not wipe out an inherited mapping: that is a fault, because mostly its lines were
  commented out. ``null`` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from omegaconf import OmegaConf

from .nodes import BROKEN, Node, fault, plain
from .paths import Path, hint

REMOVE, APPEND = '~', '+'


def merge(inherited: Node | None, own: Node, path: Path, faults: list[str]) -> Node:
    """`own` over `inherited`.

    Args:
        inherited: what was said before, free of marks; None if there is nothing.
        own: what is said now, with keys that may be marked.
        path: of both, for messages.
        faults: gets what is wrong; where a mark cannot be followed the value is `BROKEN`.
    """
    inherited, own = _settled(inherited, own, path, faults)
    if inherited is None or not (isinstance(inherited.content, dict) and isinstance(own.content, dict)):
        return own
    return _joined(inherited, own)


def appended(inherited: Node | None, own: Node, path: Path, faults: list[str]) -> Node:
    """The inherited list with the items of `own` after it."""
    items = _items(_settled(None, own, path, faults)[1])
    if inherited is None:
        return Node(items, own.origin)
    if not isinstance(inherited.content, list):
        return _no_list(inherited, own, path, faults)
    return Node([*inherited.content, *items], own.origin)


def removed(inherited: Node | None, own: Node, path: Path, faults: list[str], known: Iterable[str] = ()) -> Node | None:
    """The inherited list without the items of `own`; None where `own` is null, which removes it as a whole.

    Args:
        known: keys beside it, for the message where nothing is inherited.
    """
    if inherited is None:
        faults.append(fault(own.origin, path, f'nothing to remove; this is not given{hint(str(path[-1]), known)}'))
        return None
    if own.content is None:
        return None
    if not isinstance(inherited.content, list):
        return _no_list(inherited, own, path, faults)
    rest = list(inherited.content)
    for item in _items(own):
        left = [node for node in rest if not _same(plain(node), plain(item))]
        if len(left) == len(rest):
            near = hint(str(plain(item)), [str(plain(node)) for node in rest])
            message = f'nothing to take out; the list in {inherited.origin} does not hold {item.kind}{near}'
            faults.append(fault(item.origin, path, message))
        rest = left
    return Node(rest, own.origin)


def _settled(inherited: Node | None, own: Node, path: Path, faults: list[str]) -> tuple[Node | None, Node]:
    """Both after the marks in `own` were followed: inherited without what it removes, own with what it appends to."""
    if isinstance(own.content, list):
        items = [_settled(None, item, (*path, index), faults)[1] for index, item in enumerate(own.content)]
        return inherited, Node(items, own.origin)
    inner = inherited is not None and isinstance(inherited.content, dict)
    if own.blank and inherited is not None and inner:
        message = (
            f'empty, but {inherited.origin} has a mapping here; leave the key out to keep that, write ~{path[-1]}: or '
            'null to be without it'
        )
        faults.append(fault(own.origin, path, message))
        return inherited, inherited
    if not isinstance(own.content, dict):
        return inherited, own
    layer = _Layer(inherited.content if inherited is not None and inner else {}, own.content, path, faults)
    kept = Node(layer.kept, inherited.origin) if inherited is not None and inner else inherited
    return kept, Node(layer.given, own.origin)


class _Layer:
    """One mapping over another: follows the marks of its keys.

    Attributes:
        kept: the inherited mapping without what is removed.
        given: the own mapping without marks.
    """

    def __init__(self, inherited: dict[str, Node], own: dict[str, Node], path: Path, faults: list[str]) -> None:
        self.kept = dict(inherited)
        self.given: dict[str, Node] = {}
        self._own, self._path, self._faults = own, path, faults
        follow = {REMOVE: self._remove, APPEND: self._append, '': self._take}
        marks = {written: written[0] if written[0] in follow else '' for written in own}
        for mark in follow:
            for written in (written for written in own if marks[written] == mark):
                if self._sound(mark, written[len(mark) :], own[written]):
                    follow[mark](written[len(mark) :], own[written])

    def _sound(self, mark: str, key: str, child: Node) -> bool:
        """Whether a marked key says something."""
        if not key:
            self._faults.append(fault(child.origin, self._path, f'{mark}: a mark without a key'))
        elif mark and key in self._own and not (mark == REMOVE and child.content is None):
            message = f'given with {mark}, and without in {self._own[key].origin}; one of them is too many'
            self._faults.append(fault(child.origin, (*self._path, key), message))
        else:
            return True
        return False

    def _remove(self, key: str, child: Node) -> None:
        rest = removed(self.kept.get(key), child, (*self._path, key), self._faults, self.kept)
        self.kept.pop(key, None)
        if rest is not None:
            self.kept[key] = rest

    def _append(self, key: str, child: Node) -> None:
        self.given[key] = appended(self.kept.get(key), child, (*self._path, key), self._faults)

    def _take(self, key: str, child: Node) -> None:
        rest, self.given[key] = _settled(self.kept.get(key), child, (*self._path, key), self._faults)
        if rest is not None:
            self.kept[key] = rest


def _joined(inherited: Node, own: Node) -> Node:
    """OmegaConf's merge of two mappings without marks.

    It merges the numbers of nodes instead of values. So a value takes its place along, and no text gets to OmegaConf,
    which follows references while it merges, also those that call functions.
    """
    nodes: list[Node] = []

    def numbered(node: Node) -> Any:
        nodes.append(node)
        number = len(nodes) - 1
        if not isinstance(node.content, dict):
            return number
        return {'': number, **{key: numbered(child) for key, child in node.content.items()}}  # no key is empty

    def restored(merged: Any) -> Node:
        if not isinstance(merged, dict):
            return nodes[merged]
        children = {key: restored(child) for key, child in merged.items() if key}
        return Node(children, nodes[merged['']].origin)

    merged = OmegaConf.merge(numbered(inherited), numbered(own))
    return restored(OmegaConf.to_container(merged))


def _items(node: Node) -> list[Node]:
    return node.content if isinstance(node.content, list) else [node]


def _no_list(inherited: Node, own: Node, path: Path, faults: list[str]) -> Node:
    """What becomes of a node where a mark for lists meets something else."""
    if inherited.content is not BROKEN:
        message = f'only lists can be added to or have items taken out; {inherited.origin} has {inherited.kind} here'
        faults.append(fault(own.origin, path, message))
    return Node(BROKEN, own.origin)


def _same(first: Any, second: Any) -> bool:
    """Whether two plain values are equal; true is not 1."""
    return first == second and isinstance(first, bool) == isinstance(second, bool)
