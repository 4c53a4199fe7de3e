"""Names and colours of classes: CSV tables, QGIS styles, and a palette for those that have none.

Standard library only, so that QGIS' Python may import it.
"""

from __future__ import annotations

import csv
import os
import re
from html.parser import HTMLParser
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .errors import InputMissing, InputUnreadable
from .jobs import ClassDef

# Twenty colours that stay apart on a map and for most colour-blind people, after Trubetskoy's list of distinct colours.
PALETTE = (
    '#e6194b', '#3cb44b', '#4363d8', '#ffe119', '#f58231', '#911eb4', '#42d4f4', '#f032e6', '#bfef45', '#469990',
    '#9a6324', '#800000', '#fabed4', '#dcbeff', '#aaffc3', '#808000', '#000075', '#ffd8b1', '#a9a9a9', '#fffac8',
)  # fmt: skip

_COLOUR = re.compile(r'#?([0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?$')
_HEADERS = {'value': 'value', 'name': 'name', 'label': 'name', 'colour': 'colour', 'color': 'colour'}


def parse_colour(text: str) -> Optional[str]:
    """A colour as ``#rrggbb`` from that, ``rrggbb``, ``#rrggbbaa`` or ``r,g,b``; None where it is none of these."""
    text = text.strip()
    match = _COLOUR.match(text)
    if match:
        return '#' + match.group(1).lower()
    parts = [part.strip() for part in text.split(',')]
    if len(parts) in (3, 4) and all(part.isdigit() and int(part) <= 255 for part in parts):
        return '#' + ''.join(f'{int(part):02x}' for part in parts[:3])
    return None


def complete(values: Iterable[int], named: Sequence[ClassDef]) -> Tuple[ClassDef, ...]:
    """A class for each value, in their order: named and coloured as in `named`, else by its value and the palette."""
    known: Dict[int, ClassDef] = {definition.value: definition for definition in named}
    taken = {definition.colour.lower() for definition in named}
    free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
    out: List[ClassDef] = []
    for value in values:
        definition = known.get(value, ClassDef(value))
        colour = definition.colour
        if not colour:
            colour = free[0]
            free = [*free[1:], colour]
        out.append(ClassDef(value, definition.name or str(value), colour))
    return tuple(out)


def merge(*lists: Iterable[ClassDef]) -> Tuple[ClassDef, ...]:
    """What several lists say of the same values: the first that has a name, and the first that has a colour, counts."""
    out: Dict[int, ClassDef] = {}
    for definition in (definition for definitions in lists for definition in definitions):
        known = out.get(definition.value, ClassDef(definition.value))
        out[definition.value] = ClassDef(
            definition.value, known.name or definition.name, known.colour or definition.colour
        )
    return tuple(out.values())


def table_lines(path: str, what: str, columns: str = '') -> List[str]:
    """The lines of a table in a text file.

    Args:
        what: what it should be, for messages, such as ``a table of classes``.
        columns: follows that where the file does not exist.

    Raises:
        InputMissing, InputUnreadable: naming the file.
    """
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            return file.read().splitlines()
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file. It should be {what}{columns}.') from None
    except (OSError, ValueError) as error:
        raise InputUnreadable(f'{path}: cannot be read as {what} ({error}).') from error


def read_csv(path: str) -> Tuple[ClassDef, ...]:
    """Classes from a CSV table ``value,name,colour``.

    The header may be missing, its columns may stand in any order, and all but ``value`` may be left out; ``color``
    and ``label`` are understood too. Fields are separated by commas, semicolons or tabs.

    Raises:
        InputMissing, InputUnreadable: naming the file, the line and what is wrong there.
    """
    lines = table_lines(path, 'a table of classes', ': value,name,colour')
    first = next((line for line in lines if line.strip()), '')
    delimiter = max(';\t,', key=first.count)
    columns = ['value', 'name', 'colour']
    out: Dict[int, ClassDef] = {}
    started = False
    for number, row in enumerate(csv.reader(lines, delimiter=delimiter), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        lowered = [cell.lower() for cell in cells]
        if not started and 'value' in lowered:
            columns = [_HEADERS.get(cell, '') for cell in lowered]
        else:
            definition = _class_of_row(dict(zip(columns, cells)), f'{path}, line {number}')
            if definition.value in out:
                raise InputUnreadable(f'{path}, line {number}: value {definition.value} stands there twice.')
            out[definition.value] = definition
        started = True
    if not out:
        raise InputUnreadable(f'{path}: no classes in it. Each line should be value,name,colour.')
    return tuple(out.values())


def _class_of_row(row: Dict[str, str], where: str) -> ClassDef:
    """One class of a table; `where` begins the error messages."""
    text, colour = row.get('value', ''), row.get('colour', '')
    try:
        value = int(text)
    except ValueError:
        raise InputUnreadable(f'{where}: {text!r} is no whole number; lines should be value,name,colour.') from None
    if colour and parse_colour(colour) is None:
        raise InputUnreadable(f'{where}: colour {colour!r} is not of the form #rrggbb.')
    return ClassDef(value, row.get('name', ''), parse_colour(colour) or '')


class _PalettedStyle(HTMLParser):
    """Collects the entries of a paletted renderer from a QGIS style.

    Styles are XML, but all that is needed are the attributes of one empty element; this parser reads them without
    the entity expansion that makes XML from unknown places a risk. It gives names in lower case.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.inside = False
        self.entries: List[Tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = {key: value or '' for key, value in attrs}
        if tag == 'rasterrenderer':
            self.inside = values.get('type') == 'paletted'
        elif tag == 'paletteentry' and self.inside:
            self.entries.append((values.get('value', ''), values.get('label', ''), values.get('color', '')))

    def handle_endtag(self, tag: str) -> None:
        if tag == 'rasterrenderer':
            self.inside = False


def read_qml(path: str) -> Tuple[ClassDef, ...]:
    """Classes of a QGIS style file whose raster renderer is paletted; none for other renderers."""
    parser = _PalettedStyle()
    try:
        with open(path, encoding='utf-8-sig') as file:
            parser.feed(file.read())
    except (OSError, ValueError) as error:
        raise InputUnreadable(f'{path}: cannot be read as a QGIS style ({error}).') from error
    out: Dict[int, ClassDef] = {}
    for text, label, colour in parser.entries:
        try:
            value = float(text)
        except ValueError:
            continue
        if value.is_integer():
            name = '' if label == text else label
            out[int(value)] = ClassDef(int(value), name, parse_colour(colour) or '')
    return tuple(out.values())


def sidecar(path: str) -> Optional[str]:
    """The QGIS style beside a file: ``<file>.qml``, or ``<base name>.qml`` as QGIS itself writes it."""
    for candidate in (os.path.splitext(path)[0] + '.qml', path + '.qml'):
        if os.path.isfile(candidate):
            return candidate
    return None
