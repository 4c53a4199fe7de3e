r"""What ``${a.b}`` stands for.

A reference alone stands for the other value as it is, with its type; mappings and lists are copied. Within other text
it stands for the other value as text. ``${.b}`` is a key beside the one that says it, ``${..b}`` one beside the mapping
or list around it; ``${a.0}`` and ``${a[0]}`` are items, ``${a.${b}}`` is named by another value. ``\${`` is a plain
``${``, and ``\\${a}`` a backslash before a reference.

The grammar is OmegaConf's, and so are the parser and the visitor. Its functions (``${oc.env:HOME}``, or any other that
somebody registered) are refused by the visitor itself, whatever is registered; so nothing needs to be cleared for all
users of OmegaConf in this process. A name is looked up among the keys of the configuration and nowhere else.

Source: OmegaConf 2.3, "Variable interpolation".
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NoReturn

from omegaconf.errors import GrammarParseError
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor, OmegaConfGrammarParser

from .nodes import BROKEN, Node, fault
from .origins import Origin
from .paths import Path, dotted, hint, item_number, split
from .scalars import MISSING, spelled

START = '${'
MAX_TEXT = 10_000  # characters of a text with references, before and after
MAX_REFERENCES = 30  # in one text
MAX_CHAIN = 50  # references and levels on the way to one value
MAX_DEPTH = 64  # levels of the whole
MAX_WEIGHT = 100_000  # values that are copied, and hundreds of characters that are put together


def escaped(text: str) -> str:
    """A text that stands for `text` where references are filled in."""
    return re.sub(r'(\\*)\$\{', lambda found: rf'{found[1] * 2}\${{', text)


def fill_in(root: Node, faults: list[str]) -> Node:
    """The tree with what its references stand for.

    Args:
        root: a mapping.
        faults: gets what is wrong; the value is `BROKEN` there and where others refer to it.
    """
    return _Filling(root, faults).at(()).node


class _Fault(Exception):
    """A reference that stands for nothing; the message says why, and none means that this was said elsewhere."""


class _Missing(Exception):
    """A reference to a value that must be given; so must what it is part of."""


@dataclasses.dataclass(frozen=True)
class _Result:
    """What a node becomes.

    Attributes:
        path: where it was said: of the other value, for a reference alone.
        node: without references.
        weight: the number of values in it, and of hundreds of characters that were put together.
        depth: levels below it.
    """

    path: Path
    node: Node
    weight: int = 1
    depth: int = 0

    def __str__(self) -> str:
        """As part of a text."""
        if self.node.content is BROKEN:
            raise _Fault
        if isinstance(self.node.content, (dict, list)):
            raise _Fault(f'{dotted(self.path)} is {self.node.kind}, which cannot be part of a text')
        if self.node.content == MISSING:
            raise _Missing
        return spelled(self.node.content)


class _Filling:
    """Values by path, found out when they are asked for, each once."""

    def __init__(self, root: Node, faults: list[str]) -> None:
        self._faults = faults
        self._nodes: dict[Path, Node] = {}
        self._by_key: dict[str | int, list[Path]] = {}
        self._results: dict[Path, _Result] = {}
        self._open: list[Path] = []
        self._copied = 0
        self._index(root, ())

    def at(self, path: Path) -> _Result:
        """What the node at a path becomes."""
        if path in self._results:
            return self._results[path]
        if path in self._open:
            circle = [*self._open[self._open.index(path) :], path]
            raise _Fault(f'goes round in a circle: {" -> ".join(map(dotted, circle))}')
        if len(self._open) >= MAX_CHAIN:
            raise _Fault(f'more than {MAX_CHAIN} references and levels behind one another')
        self._open.append(path)
        try:
            self._results[path] = self._result(path, self._nodes[path])
        finally:
            self._open.pop()
        return self._results[path]

    def _index(self, node: Node, path: Path) -> None:
        self._nodes[path] = node
        if path:
            self._by_key.setdefault(path[-1], []).append(path)
        for key, child in node.children():
            self._index(child, (*path, key))

    def _result(self, path: Path, node: Node) -> _Result:
        if isinstance(node.content, str) and START in node.content:
            return self._filled(path, node)
        if not isinstance(node.content, (dict, list)):
            return _Result(path, node)
        found = {key: self.at((*path, key)) for key, _ in node.children()}
        children = {key: result.node for key, result in found.items()}
        content = children if isinstance(node.content, dict) else list(children.values())
        weight = 1 + sum(result.weight for result in found.values())
        depth = 1 + max((result.depth for result in found.values()), default=0)
        return _Result(path, Node(content, node.origin), weight, depth)

    def _filled(self, path: Path, node: Node) -> _Result:
        """What a text with references becomes."""
        try:
            return self._value(path, node)
        except _Missing:
            return _Result(path, Node(MISSING, node.origin))
        except _Fault as error:
            if str(error):
                self._faults.append(fault(node.origin, path, f'{node.kind}: {error}'))
        except (GrammarParseError, RecursionError):  # the parser descends into the brackets of a text
            message = f'{node.kind}: no reference like ${{a.b}}; write \\${{ where ${{ is meant as it stands'
            self._faults.append(fault(node.origin, path, message))
        return _Result(path, Node(BROKEN, node.origin))

    def _value(self, path: Path, node: Node) -> _Result:
        text = node.content
        if len(text) > MAX_TEXT or text.count(START) > MAX_REFERENCES:
            raise _Fault(f'more than {MAX_TEXT} characters or {MAX_REFERENCES} references in one text')
        visitor = _Visitor(lambda name: self._found(path, name))
        value = visitor.visit(parse(text))
        if isinstance(value, _Result):
            self._charge(value.weight)
            if len(path) + value.depth > MAX_DEPTH:
                raise _Fault(f'nested deeper than {MAX_DEPTH} levels')
            filled = Node(value.node.content, _from(node, value))
            return _Result(value.path, filled, value.weight, value.depth)
        if len(value) > MAX_TEXT:
            raise _Fault(f'more than {MAX_TEXT} characters when filled in')
        self._charge(1 + len(value) // 100)
        if not (text.startswith(START) and visitor.first):
            return _Result(path, Node(value, node.origin))
        return _Result(path, Node(value, _from(node, visitor.first)))

    def _charge(self, weight: int) -> None:
        """Count what is copied: a few lines can ask for more than any memory holds."""
        self._copied += weight
        if self._copied > MAX_WEIGHT:
            raise _Fault('the references together copy too much')

    def _found(self, path: Path, name: str) -> _Result:
        """What a name stands for in a reference at a path."""
        dots = len(name) - len(name.lstrip('.'))
        if dots > len(path):
            raise _Fault('leads above the top')
        try:
            keys = split(name[dots:])
        except ValueError as error:
            raise _Fault(str(error)) from None
        where = path[: len(path) - dots] if dots else ()
        for position, key in enumerate(keys):
            where = self._followed(where)
            content = self._nodes[where].content
            if content is BROKEN:
                raise _Fault
            if content == MISSING:
                raise _Missing
            number = item_number(key, len(content)) if isinstance(content, list) else None
            if number is None and not (isinstance(content, dict) and key in content):
                raise _Fault(self._unknown(where, keys[position:]))
            where = (*where, key if number is None else number)
        return self.at(where)

    def _followed(self, path: Path) -> Path:
        """Where to look for keys of a node: in what it refers to, if it does."""
        content = self._nodes[path].content
        if not isinstance(content, str) or START not in content:
            return path
        result = self.at(path)
        if result.node.content is BROKEN:
            raise _Fault
        return result.path

    def _unknown(self, where: Path, keys: tuple[str, ...]) -> str:
        """What to say of keys that are not there."""
        name = dotted((*where, *keys))
        near = [*self._by_key.get(keys[-1], ()), *((*where, key) for key, _ in self._nodes[where].children())]
        return f'{name} is not given{hint(name, map(dotted, near))}'


def _from(node: Node, found: _Result) -> Origin:
    """The origin of a text that begins with what a reference stands for: a path goes on from where that was said."""
    return dataclasses.replace(node.origin, source=found.node.origin.source or found.node.origin)


class _Visitor(GrammarVisitor):
    """Visits one text.

    Args:
        find: gives what a name stands for.

    Attributes:
        first: what the first reference stands for, once it was visited.
    """

    def __init__(self, find: Callable[[str], _Result]) -> None:
        super().__init__(self._find, _refuse, None)
        self._look_up = find
        self.first: _Result | None = None

    def _find(self, name: str, memo: object) -> Any:
        found = self._look_up(name)
        self.first = self.first or found
        return found

    def visitConfigKey(self, ctx: OmegaConfGrammarParser.ConfigKeyContext) -> str:  # noqa: N802 - their name
        """A part of a name; one that another value gives as text."""
        part = ctx.getChild(0)
        if isinstance(part, OmegaConfGrammarParser.InterpolationContext):
            return str(self.visitInterpolation(part))
        return super().visitConfigKey(ctx)

    def visitInterpolationResolver(self, ctx: OmegaConfGrammarParser.InterpolationResolverContext) -> Any:  # noqa: N802
        """A function: refused before its name or what it is given are looked at."""
        _refuse()


def _refuse(**call: Any) -> NoReturn:
    raise _Fault('a function; references stand for values of the configuration, and nothing is called')
