"""Plain values as YAML that people like to read and that `tree.load_tree` reads as the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .paths import Path
from .references import escaped
from .scalars import scalar, spelled

_PLAIN = re.compile(r'[^\W\d][\w./+-]*|/[\w./+-]*')
_OTHERS = ('yes', 'no', 'on', 'off', 'y', 'n')  # no text for readers of older YAML
_WIDEST = 100  # characters of a mapping that stands on one line
_ALIGNED = 64  # column up to which comments are aligned


class Line(NamedTuple):
    """A line, and the comment after it."""

    text: str
    comment: str = ''


def text_of(values: dict[str, Any], comment: Callable[[Path, Any], str] = lambda path, value: '') -> str:
    """Sections with an empty line between them.

    Args:
        comment: of a path and the value there.
    """
    blocks = []
    for name, value in values.items():
        lines = list(_mapping({name: value}, (), '', comment))
        width = max((len(line.text) for line in lines if line.comment and len(line.text) <= _ALIGNED), default=0)
        blocks.append(''.join(f'{_commented(line, width)}\n' for line in lines))
    return '\n'.join(blocks)


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return '{' + ', '.join(f'{_text(str(key))}: {flow(item)}' for key, item in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ', '.join(map(flow, value)) + ']'
    if isinstance(value, str):
        return _text(escaped(value))
    return spelled(value)


def _text(text: str) -> str:
    """Text, in quotes where it would be something else without them."""
    if _PLAIN.fullmatch(text) and scalar(text) == text and text.lower() not in _OTHERS:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=not text.replace('\n', '').isprintable())


def _mapping(values: dict[str, Any], path: Path, indent: str, comment: Callable[[Path, Any], str]) -> Iterator[Line]:
    """Lines of a mapping, one key after the other."""
    for key, value in values.items():
        here, name = (*path, key), f'{indent}{_text(str(key))}:'
        if isinstance(value, dict) and value:
            yield Line(name)
            yield from _mapping(value, here, indent + '  ', comment)
        elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
            yield Line(name)
            yield from _items(value, here, indent + '  ', comment)
        else:
            yield Line(f'{name} {flow(value)}', comment(here, value))


def _items(values: list[Any], path: Path, indent: str, comment: Callable[[Path, Any], str]) -> Iterator[Line]:
    """Lines of a list whose items are mappings or lists."""
    for number, item in enumerate(values):
        here, short = (*path, number), flow(item)
        if not isinstance(item, dict) or not item or len(short) + len(indent) <= _WIDEST:
            yield Line(f'{indent}- {short}', comment(here, item))
            continue
        first, *others = _mapping(item, here, indent + '  ', comment)
        yield Line(f'{indent}- {first.text.lstrip()}', first.comment)
        yield from others


def _commented(line: Line, width: int) -> str:
    """A line with its comment, which begins in the column after `width`."""
    return f'{line.text.ljust(width)}  # {one_line(line.comment)}' if line.comment else line.text


def one_line(text: str) -> str:
    """Text that can stand in a comment."""
    return ''.join(mark if mark.isprintable() else ' ' for mark in text)
