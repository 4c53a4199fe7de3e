"""Counts of pixels as XML, in the layout of the Orfeo ToolBox."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser

from ..errors import InputMissing, InputUnreadable

_ROOT, _MAP, _ENTRY = 'generalstatistics', 'statistic', 'statisticmap'
_CLASSES, _VECTORS = 'samplesPerClass', 'samplesPerVector'


def statistics_xml(classes: Mapping[str, int], features: Mapping[int, int]) -> str:
    """The text of a statistics file; the entries are in the order of their keys as text.

    Args:
        classes: pixels of each class.
        features: pixels of each feature by its number.
    """
    lines = ['<?xml version="1.0" ?>', '<GeneralStatistics>']
    for name, counts in ((_CLASSES, classes), (_VECTORS, {str(fid): count for fid, count in features.items()})):
        lines.append(f'    <Statistic name="{name}">')
        lines += [f'        <StatisticMap key="{_quoted(key)}" value="{counts[key]}" />' for key in sorted(counts)]
        lines.append('    </Statistic>')
    return '\n'.join([*lines, '</GeneralStatistics>', ''])


def _quoted(text: str) -> str:
    """A text as the value of an attribute; line breaks and the like would not survive as they are."""
    return re.sub('[\x00-\x1f]', lambda match: f'&#x{ord(match.group()):02X};', html.escape(text))


def read_class_counts(path: str) -> dict[str, int]:
    """Pixels of each class from a statistics file.

    Raises:
        InputMissing, InputUnreadable: there is no such file, or it is damaged or of another kind.
    """
    parser = _Statistics()
    try:
        with open(path, encoding='utf-8-sig') as file:
            parser.feed(file.read())
            parser.close()
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file. It should hold statistics of classes as XML.') from None
    except (OSError, ValueError) as error:
        raise InputUnreadable(f'{path}: cannot be read as statistics of classes ({error}).') from error
    if parser.problem or not parser.whole or _CLASSES not in parser.maps:
        problem = parser.problem or (f'no {_CLASSES!r} in it' if parser.whole else 'its end is missing')
        raise InputUnreadable(
            f'{path}: these are no whole statistics of classes: {problem}. Make them with "Count pixels of classes", '
            'or give none.'
        )
    return parser.maps[_CLASSES]


class _Statistics(HTMLParser):
    """Collects the entries of a statistics file.

    All that is needed are the attributes of empty elements; this parser reads them without the entity expansion that
    makes XML from unknown places a risk. It gives names in lower case.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.maps: dict[str, dict[str, int]] = {}
        self.problem = ''
        self.whole = False
        self._map: dict[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = {key: value or '' for key, value in attrs}
        if tag == _MAP:
            self._map = self.maps.setdefault(values.get('name', ''), {})
        elif tag == _ENTRY:
            key, text = values.get('key'), values.get('value', '')
            if self._map is None or key is None or not re.fullmatch('[0-9]+', text):
                self.problem = self.problem or f'key {key!r} has the value {text!r}'
            elif key in self._map:
                self.problem = self.problem or f'key {key!r} stands there twice'
            else:
                self._map[key] = int(text)

    def handle_endtag(self, tag: str) -> None:
        if tag == _MAP:
            self._map = None
        elif tag == _ROOT:
            self.whole = self._map is None
