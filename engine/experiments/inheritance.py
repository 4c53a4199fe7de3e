"""The files of a run configuration: one, and those that it extends.

``extend: base.yaml`` or a list of files, relative to the file that says so; or the name of a preset. Files come before
the one that extends them, depth first and in the listed order, each once: where two extend the same one, it comes
before the first of them. ``*`` and ``?`` are not expanded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..errors import ConfigurationError, InputMissing
from .documents import read_document
from .finding import SUFFIXES, find_preset, named
from .merging import APPEND, REMOVE, merge
from .nodes import Node, fault
from .origins import Origin, shown
from .paths import hint

EXTEND = 'extend'
MAX_FILES = 50


def read_files(file: str, faults: list[str]) -> Node:
    """What a file says over what it extends.

    Args:
        file: absolute path.
        faults: gets what is wrong but leaves something to go on with, such as removing what is not there.

    Raises:
        InputMissing: the file does not exist.
        ConfigurationError: everything that keeps one of the files from being read.
    """
    reading = _Reading()
    reading.read(file, read_document(file))
    if reading.faults:
        raise ConfigurationError(reading.faults)
    first, *others = reading.documents
    merged = merge(None, first, (), faults)
    for document in others:
        merged = merge(merged, document, (), faults)
    return merged


class _Reading:
    """Reads files and those that they extend.

    Attributes:
        documents: in the order of merging, without their `extend`.
        faults: what is wrong, over all files.
    """

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self.faults: list[str] = []
        self._chain: list[str] = []
        self._done: set[str] = set()

    def read(self, file: str, document: Node) -> None:
        """Take a file, after those that it extends."""
        self._chain.append(file)
        self._done.add(_identity(file))
        for name, origin in self._extended(document):
            beside = os.path.abspath(os.path.join(os.path.dirname(file), name))
            preset = '' if os.path.lexists(beside) else find_preset(name)
            self._extend(preset or beside, name, origin)
        self._chain.pop()
        self.documents.append(
            Node({key: node for key, node in document.content.items() if key != EXTEND}, document.origin)
        )

    def _extend(self, file: str, name: str, origin: Origin) -> None:
        """Take a file that another one names."""
        identities = [_identity(above) for above in self._chain]
        if _identity(file) in identities:
            circle = [*self._chain[identities.index(_identity(file)) :], file]
            message = f'goes round in a circle: {" -> ".join(shown(path) for path in circle)}'
            self.faults.append(fault(origin, (EXTEND,), message))
        elif _identity(file) in self._done:
            return
        elif len(self._done) >= MAX_FILES:
            self.faults.append(fault(origin, (EXTEND,), f'more than {MAX_FILES} files in all'))
        else:
            try:
                document = read_document(file)
            except InputMissing:
                self.faults.append(fault(origin, (EXTEND,), _missing(file, name)))
            except ConfigurationError as error:
                self._done.add(_identity(file))
                self.faults.extend(error.faults)
            else:
                self.read(file, document)

    def _extended(self, document: Node) -> Iterator[tuple[str, Origin]]:
        """The files that one extends, each with the place that says so."""
        for mark in (APPEND, REMOVE):
            if mark + EXTEND in document.content:
                origin = document.content[mark + EXTEND].origin
                self.faults.append(fault(origin, (mark + EXTEND,), f'cannot be marked; write {EXTEND}: [files]'))
        node = document.content.get(EXTEND)
        if node is None or node.content is None:
            return
        for item in node.content if isinstance(node.content, list) else [node]:
            if not isinstance(item.content, str) or not item.content:
                self.faults.append(fault(item.origin, (EXTEND,), f'expected the name of a file, found {item.kind}'))
            elif '${' in item.content:
                message = f'{item.kind}: files are read before references; write the name out'
                self.faults.append(fault(item.origin, (EXTEND,), message))
            else:
                yield item.content, item.origin


def _missing(file: str, name: str) -> str:
    """What to say of a file that does not exist."""
    folder = os.path.dirname(file)
    if not os.path.isdir(folder):
        return f'{name}: no such file; there is no folder {shown(folder)}'
    if any(mark in name for mark in '*?'):
        return f'{name}: no such file; names with * or ? are not expanded, list the files'
    whole = named(os.path.basename(file), folder)
    if whole:
        return f'{name}: no such file in {shown(folder)}; did you mean {os.path.basename(whole)}?'
    more = '' if os.path.splitext(name)[1] in SUFFIXES else ', and no such preset'
    return f'{name}: no such file in {shown(folder)}{more}{hint(os.path.basename(file), sorted(os.listdir(folder)))}'


def _identity(file: str) -> str:
    """The same for all names of a file."""
    return os.path.normcase(os.path.realpath(file))
