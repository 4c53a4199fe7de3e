"""Constants that people give to a model: ``name=value``, typed by what the model wants.

``learning_rate=1e-3; dropout=0; weights=(1, 2.5, 3); training=false; mode='quick; dirty'``

Values are numbers, with sign and exponent as one likes, ``true`` and ``false``, and text, in quotes where it holds one
of ``;,()``; parentheses make vectors. What a value is taken for is the model's affair: its type and number of axes.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import InvalidJob

_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')
_NOT_FINITE = re.compile(r'[+-]?(inf|infinity|nan)', re.IGNORECASE)
_BOOLEANS = {'true': True, 'false': False, '1': True, '0': False}
_FORMS = 'Write name=value, or name=(1, 2, 3) for a vector, with ; between them.'


def parse(text: str) -> dict[str, str]:
    """Names and the texts of their values.

    Args:
        text: ``name=value`` with semicolons or line breaks between them; the first ``=`` counts.

    Raises:
        InvalidJob: it cannot be understood.
    """
    found: dict[str, str] = {}
    for part in _split(text.replace('\n', ';'), ';', text):
        name, sign, value = (piece.strip() for piece in part.partition('='))
        if not sign or not name or not value:
            raise InvalidJob(f'USER_PLACEHOLDERS: {part.strip()!r} names no value. {_FORMS}')
        if name in found:
            raise InvalidJob(f'USER_PLACEHOLDERS: {name} is given twice.')
        found[name] = value
    return found


def constant(name: str, text: str, dtype: str, shape: Sequence[int | None] | None) -> np.ndarray:
    """The value of a constant.

    Args:
        name: of it, for messages.
        text: the value as people write it.
        dtype: what the model wants: the name of numpy's type, or ``string``.
        shape: what the model wants, None where any length will do; None as a whole where it is not known: a value in
            parentheses is a vector then, and one without a scalar.

    Raises:
        InvalidJob: it is no such value, or has another number of values than the model wants.
    """
    where = f'USER_PLACEHOLDERS: {name}={text}'
    if text.startswith('(') != text.endswith(')'):
        raise InvalidJob(f'{where}: a parenthesis is missing. {_FORMS}')
    vector = text.startswith('(')
    parts = [part.strip() for part in _split(text[1:-1], ',', text)] if vector else [text]
    values = np.array([_element(part, dtype, where) for part in parts], object if dtype == 'string' else dtype)
    if shape is None:
        return values if vector else values[0:1].reshape(())
    return _shaped(values, tuple(shape), where)


def _shaped(values: np.ndarray, shape: tuple[int | None, ...], where: str) -> np.ndarray:
    """The values in the shape that the model wants; the last open length takes what the others leave."""
    open_axes = [axis for axis, size in enumerate(shape) if size is None]
    sizes = [1 if size is None else size for size in shape]
    if open_axes:
        sizes[open_axes[-1]] = max(len(values) // max(math.prod(sizes), 1), 1)
    if math.prod(sizes) != len(values):
        wanted = f'the shape {[size or "any" for size in shape]}' if shape else 'a single value'
        count = f'{len(values)} values are' if len(values) != 1 else 'one value is'
        raise InvalidJob(f'{where}: {count} given, but the model wants {wanted}.'.replace("'any'", 'any'))
    return values.reshape(sizes)


def _element(text: str, dtype: str, where: str) -> object:
    """One value, as Python has it."""
    if dtype == 'string':
        return _unquoted(text).encode()
    if dtype == 'bool':
        if text.lower() not in _BOOLEANS:
            raise InvalidJob(f'{where}: {text!r} is neither true nor false, which the model wants.')
        return _BOOLEANS[text.lower()]
    kind = np.dtype(dtype)
    if not _NUMBER.fullmatch(text) and not (kind.kind == 'f' and _NOT_FINITE.fullmatch(text)):
        raise InvalidJob(f'{where}: {text!r} is no number; the model wants {dtype}.')
    if kind.kind == 'f':
        with np.errstate(over='ignore'):
            value = kind.type(text)
        if np.isinf(value) and not _NOT_FINITE.fullmatch(text):
            raise InvalidJob(f'{where}: {text} is too large for {dtype}.')
        return value
    whole = decimal.Decimal(text)
    limits = np.iinfo(kind)
    if not limits.min <= whole <= limits.max:
        raise InvalidJob(f'{where}: {text} is outside {limits.min} to {limits.max}, which {dtype} holds.')
    if whole != int(whole):
        raise InvalidJob(f'{where}: {text} is no whole number; the model wants {dtype}.')
    return int(whole)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in '\'"' and text[-1] == text[0] else text


def _split(text: str, separator: str, whole: str) -> Iterator[str]:
    """The parts between separators that stand in no quotes and no parentheses, but for blank ones after the last."""
    start, quote, depth = 0, '', 0
    for position, letter in enumerate(text):
        if quote:
            quote = '' if letter == quote else quote
        elif letter in '\'"':
            quote = letter
        elif letter in '()':
            depth += 1 if letter == '(' else -1
        elif letter == separator and depth == 0:
            if separator == ',' or text[start:position].strip():
                yield text[start:position]
            start = position + 1
    if quote or depth:
        raise InvalidJob(f'USER_PLACEHOLDERS: {whole}: a quote or parenthesis is left open. {_FORMS}')
    if separator == ',' or text[start:].strip():
        yield text[start:]
