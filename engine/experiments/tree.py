"""A run configuration as its files and overrides say it: merged, with references filled in, not yet checked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigurationError
from .inheritance import read_files
from .nodes import BROKEN, Node, plain
from .origins import Origin
from .overrides import override, read_overrides
from .paths import Path
from .references import fill_in

__all__ = ['BROKEN', 'Tree', 'load_tree']


@dataclasses.dataclass(frozen=True)
class Tree:
    """Plain values with the place of each.

    Attributes:
        file: absolute path of the file that was asked for.
        values: mappings, lists, texts, numbers, booleans and None. ``???`` means that a value must be given; `BROKEN`
            stands where a fault left none, and later checks skip it.
        origins: the origin of every key and list item by its path, such as ``('data', 'classes', 0, 'name')``.
        faults: what is wrong, one line each, beginning with file and line or the override.
    """

    file: str
    values: dict[str, Any]
    origins: Mapping[Path, Origin]
    faults: tuple[str, ...] = ()

    def origin(self, path: Sequence[str | int]) -> Origin:
        """The origin of a node, or of the nearest one above it; the file's first line where there is none."""
        path = tuple(path)
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return Origin(self.file, 1)


def load_tree(file: str, overrides: Sequence[str] = ()) -> Tree:
    """Read a run configuration and the files that it extends, apply overrides, and fill in references.

    Args:
        file: path of the YAML file.
        overrides: ``key=value``, ``+key=value`` or ``~key``, from the first to the last; see `overrides`.

    Raises:
        InputMissing: the file does not exist.
        ConfigurationError: all that leaves no tree, such as faulty YAML, tags, missing files or a cycle of `extend`.
    """
    file = os.path.abspath(file)
    faults: list[str] = []
    changes = read_overrides(overrides, faults)
    try:
        root = read_files(file, faults)
    except ConfigurationError as error:
        raise ConfigurationError([*error.faults, *faults]) from None
    root = fill_in(override(root, changes, faults), faults)
    origins: dict[Path, Origin] = {}
    _collect(root, (), origins)
    return Tree(file, plain(root), origins, tuple(faults))


def _collect(node: Node, path: Path, origins: dict[Path, Origin]) -> None:
    """Note the origins below a node by path."""
    for key, child in node.children():
        origins[(*path, key)] = child.origin
        _collect(child, (*path, key), origins)
