"""A value of a run configuration together with its place."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any

from .origins import Origin
from .paths import Path, dotted
from .scalars import quoted


class Broken(enum.Enum):
    """Stands for a value that could not be found out; its fault is told already."""

    BROKEN = 'broken'

    def __repr__(self) -> str:
        return 'BROKEN'


BROKEN = Broken.BROKEN


@dataclasses.dataclass(frozen=True)
class Node:
    """A value and where it was said. Nodes are not changed once they are made, so that trees may share them.

    Attributes:
        content: a text, number, boolean or None; a list of nodes; a dictionary of nodes by key; or `BROKEN`.
        origin: where its key or item stands.
        blank: nothing at all was written after the key.
    """

    content: Any
    origin: Origin
    blank: bool = False

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if isinstance(self.content, dict):
            return 'a mapping'
        if isinstance(self.content, list):
            return 'a list'
        return quoted(self.content)

    def children(self) -> Iterator[tuple[str | int, Node]]:
        """Keys and nodes of a mapping, numbers and nodes of a list; nothing for the rest."""
        if isinstance(self.content, dict):
            yield from self.content.items()
        elif isinstance(self.content, list):
            yield from enumerate(self.content)


def plain(node: Node) -> Any:
    """The value without its places."""
    if isinstance(node.content, dict):
        return {key: plain(child) for key, child in node.content.items()}
    if isinstance(node.content, list):
        return [plain(child) for child in node.content]
    return node.content


def fault(origin: Origin, path: Path, message: str) -> str:
    """One line: the place, the name of the node if it has one, and what is wrong."""
    name = f'{dotted(path)}: ' if path else ''
    return ' '.join(f'{origin}: {name}{message}'.split())
