"""One file of a run configuration: YAML read as plain data, with the line of every key and list item.

PyYAML only parses here; nothing is constructed from tags, which are refused, and words mean what `scalars` says.
Aliases stand for copies.
"""

from __future__ import annotations

import os
from typing import Any

import yaml

from ..errors import ConfigurationError, InputMissing
from .nodes import Node, fault
from .origins import Origin, shown
from .paths import Path, dotted
from .scalars import scalar

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 10_000  # with what aliases stand for


def read_document(path: str) -> Node:
    """The mapping in a file.

    Args:
        path: absolute path of a YAML file in UTF-8.

    Raises:
        InputMissing: there is no such file.
        ConfigurationError: it cannot be read, is no YAML, or has tags, keys that are given twice, a second document, or
            no mapping at the top.
    """
    text = _read(path)
    place = Origin(path, 1)
    root = _parsed(text, place)
    if not isinstance(root.content, dict):
        found = 'nothing' if root.blank else root.kind
        raise ConfigurationError([fault(place, (), f'expected keys and values, such as "train:", found {found}')])
    return root


def read_flow(text: str, origin: Origin) -> Node:
    """The value in a text such as ``[a, b]``, ``{a: 1}`` or ``'x'``; all that is in it has the same origin.

    Raises:
        ConfigurationError: it is no YAML, or has tags or keys that are given twice.
    """
    return _parsed(text, origin)


def _read(path: str) -> str:
    """The text of a file of bounded size."""
    try:
        with open(path, 'rb') as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputMissing(f'{shown(path)}: no such file.') from None
    except (OSError, ValueError) as error:
        if os.path.isdir(path):
            raise ConfigurationError([f'{shown(path)}: this is a folder; give the YAML file in it']) from None
        reason = getattr(error, 'strerror', None) or str(error)
        raise ConfigurationError([f'{shown(path)}: cannot be read ({reason})']) from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError([f'{shown(path)}: larger than {MAX_BYTES >> 20} MB; this is no run configuration'])
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data.count(b'\n', 0, error.start) + 1
        raise ConfigurationError([f'{shown(path)}:{line}: not text in UTF-8; save the file in that encoding']) from None


class _TooMuch(yaml.MarkedYAMLError):
    """YAML beyond the limits."""


class _Loader(yaml.SafeLoader):
    """Composes nodes, and notes each tag instead of following it."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.count = 0
        self.tags: list[tuple[str, int]] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if getattr(event, 'tag', None):
            self.tags.append((event.tag.replace('tag:yaml.org,2002:', '!!'), event.start_mark.line))
        if self.depth > MAX_DEPTH:
            raise _TooMuch(problem=f'nested deeper than {MAX_DEPTH} levels', problem_mark=event.start_mark)
        if self.count > 2 * MAX_NODES:  # keys too are nodes here
            raise _TooMuch(problem=f'more than {MAX_NODES} values', problem_mark=event.start_mark)
        self.count += 1
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _parsed(text: str, place: Origin) -> Node:
    """The value of a text that begins at a place."""
    faults: list[str] = []
    root = None
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        origin = _at(place, text.count('\n', 0, error.position))
        message = f'the character U+{error.character:04X} cannot stand in YAML; is this a text file?'
        raise ConfigurationError([fault(origin, (), message)]) from None
    try:
        root = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            message = 'a second document (after ---); a run configuration is one'
            faults.append(fault(_at(place, loader.peek_event().start_mark.line), (), message))
    except yaml.MarkedYAMLError as error:
        faults.append(_syntax(error, place))
    for tag, line in loader.tags:
        faults.append(fault(_at(place, line), (), f'{tag}: tags are not allowed; a run configuration is plain values'))
    builder = _Builder(place, faults)
    node = Node(None, place, blank=True) if root is None else builder.node(root, place, ())
    if faults:
        raise ConfigurationError(faults)
    return node


def _at(place: Origin, line: int) -> Origin:
    """The origin of a line, counted from 0, below a place; an override is one place as a whole."""
    return Origin(place.file, place.line + line, place.text) if place.file else place


def _syntax(error: yaml.MarkedYAMLError, place: Origin) -> str:
    """The fault in a text that is no YAML."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or 'it cannot be understood'
    if r"'\t'" in problem:
        problem = 'a tab; indent with spaces'
    elif "but got '{'" in problem:
        problem = 'a brace; within { } and [ ] put ${…} in quotes'
    elif problem == "expected the node content, but found '?'":
        problem = 'a question mark; within { } and [ ] put "???" in quotes'
    elif 'escape' in problem:
        problem = 'a backslash in double quotes; write paths of Windows in single quotes, or without any'
    elif problem.startswith('expected <block end>') and 'block' in problem[20:]:
        problem = 'indented unlike the lines above'
    elif problem.startswith('mapping values are not allowed'):
        problem = 'a colon where no key can be; indent evenly, and put text that holds ": " in quotes'
    elif error.context and error.context_mark and error.context_mark.line != mark.line and place.file:
        problem = f'{problem} ({error.context} that begins in line {place.line + error.context_mark.line})'
    prefix = '' if isinstance(error, _TooMuch) else 'not valid YAML: '
    return fault(_at(place, mark.line if mark else 0), (), prefix + problem)


class _Builder:
    """Nodes with origins from PyYAML's."""

    def __init__(self, place: Origin, faults: list[str]) -> None:
        self._place = place
        self._faults = faults
        self._count = 0
        self._open: list[yaml.Node] = []

    def node(self, found: yaml.Node, origin: Origin, path: Path) -> Node:
        """The node of a value whose key or item stands at `origin`."""
        self._count += 1
        if self._count > MAX_NODES:
            message = f'more than {MAX_NODES} values, with what aliases (*name) stand for'
            raise ConfigurationError([*self._faults, fault(origin, (), message)])
        if isinstance(found, yaml.ScalarNode):
            if '\0' in found.value:  # which no path may hold, and which C takes for the end
                self._faults.append(fault(origin, path, r'the character \0; within double quotes a backslash is \\'))
            value = scalar(found.value) if found.style is None else found.value
            return Node(value, origin, blank=found.style is None and not found.value)
        if any(found is above for above in self._open):
            self._faults.append(fault(origin, path, 'an alias (*name) that holds itself'))
            return Node(None, origin)
        self._open.append(found)
        if isinstance(found, yaml.SequenceNode):
            content: Any = [
                self.node(item, self._origin(item), (*path, index)) for index, item in enumerate(found.value)
            ]
        else:
            content = self._mapping(found, path)
        self._open.pop()
        return Node(content, origin)

    def _mapping(self, found: yaml.MappingNode, path: Path) -> dict[str, Node]:
        """The nodes of a mapping by key."""
        content: dict[str, Node] = {}
        for key, value in found.value:
            origin = self._origin(key)
            message = self._wrong(key, content)
            if message:
                self._faults.append(fault(origin, path, message))
            else:
                content[key.value] = self.node(value, origin, (*path, key.value))
        return content

    def _wrong(self, key: yaml.Node, before: dict[str, Node]) -> str:
        """What is wrong with a key, if anything is."""
        if not isinstance(key, yaml.ScalarNode):
            return 'a key that is a list or mapping; keys are text'
        if not key.value.strip():
            return 'a key without a name'
        if key.value == '<<':
            return '<<: is no part of YAML 1.2; use "extend", or references such as ${data.train}'
        if key.value in before:
            return f'{dotted([key.value])}: given twice, first in {before[key.value].origin}'
        return ''

    def _origin(self, found: yaml.Node) -> Origin:
        return _at(self._place, found.start_mark.line)
