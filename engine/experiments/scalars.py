"""What a word of a run configuration means: the core schema of YAML 1.2.

Only ``true`` and ``false`` are booleans (also as ``True`` and ``TRUE``), ``null``, ``~`` and nothing at all are null,
``12``, ``0x1f``, ``0o17``, ``1.5``, ``1e-3``, ``.inf`` and ``.nan`` are numbers. All else is text: ``yes``, ``no``,
``on``, ``2020-01-05``, ``12:30``, ``1_000``, and ``007``, whose zeros mean something.

Source: YAML 1.2.2, 10.3; without numbers that begin with needless zeros.
"""

from __future__ import annotations

import math
import re
from typing import Union

Scalar = Union[str, int, float, bool, None]

MISSING = '???'  # a value that must be given
_LONGEST = 60  # characters of a value in a message

_WORDS = {
    **dict.fromkeys(('', '~', 'null', 'Null', 'NULL')),
    **dict.fromkeys(('true', 'True', 'TRUE'), True),
    **dict.fromkeys(('false', 'False', 'FALSE'), False),
}
_WHOLE = r'(?:0|[1-9][0-9]{0,999})'  # Python refuses to read numbers of some thousand digits
_INTEGER = re.compile(rf'[-+]?{_WHOLE}')
_BASED = re.compile(r'0x[0-9a-fA-F]{1,999}|0o[0-7]{1,999}')
_EXPONENT = r'(?:[eE][-+]?[0-9]{1,9})'
_FLOAT = re.compile(rf'[-+]?(?:(?:{_WHOLE}\.[0-9]*|\.[0-9]+){_EXPONENT}?|{_WHOLE}{_EXPONENT})')
_INFINITE = re.compile(r'([-+]?)\.(?:inf|Inf|INF)')
_NAN = re.compile(r'\.(?:nan|NaN|NAN)')


def scalar(text: str) -> Scalar:
    """The value of a word that stands without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    infinite = _INFINITE.fullmatch(text)
    if infinite:
        return float(infinite[1] + 'inf')
    return math.nan if _NAN.fullmatch(text) else text


def spelled(value: Scalar) -> str:
    """A value as it is written; the inverse of `scalar` but for text that means something else without quotes."""
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return ('-' if value < 0 else '') + ('.nan' if math.isnan(value) else '.inf')
    return str(value)


def quoted(value: Scalar) -> str:
    """A value as a message shows it: text in quotes, and no more than the beginning of a long one."""
    text = repr(value) if isinstance(value, str) else spelled(value)
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'
