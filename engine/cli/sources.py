"""Rasters on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InvalidJob
from ..jobs import SourceSpec

if TYPE_CHECKING:
    from .parser import Parser

FIRST = SourceSpec(()).name
_NAMED = re.compile(r'([A-Za-z][A-Za-z0-9_]*)=(.+)', re.DOTALL)


def add_source_arguments(parser: Parser) -> None:
    """Add what is to be said of rasters besides the first one."""
    group = parser.add_argument_group('rasters')
    group.add_argument(
        '--source', action='append', default=[], metavar='NAME=RASTER',
        help='a further source, of any resolution, for the input of the model of that name, or the next one; given '
        f'again for the same name, its bands follow those before, as --source {FIRST}=RASTER has them follow INPUT',
    )  # fmt: skip
    group.add_argument(
        '--bands', action='append', default=[], metavar='[NAME=]LIST',
        help='bands of INPUT, or of a further source, by number or name, as in 3,2,1 (default: as the model wants)',
    )  # fmt: skip
    group.add_argument(
        '--nodata', action='append', default=[], metavar='[NAME=]VALUE',
        help='no-data of INPUT, or of a further source: a number, nan, none, or one a band separated by commas '
        '(default: as the files declare)',
    )  # fmt: skip


def sources(first: str, options: argparse.Namespace) -> tuple[SourceSpec, ...]:
    """All sources, the first raster's before the others.

    Raises:
        InvalidJob: an option cannot be understood, or is about a source that does not exist.
    """
    rasters = {FIRST: [first]}
    for text in options.source:
        match = _NAMED.fullmatch(text)
        if not match:
            raise InvalidJob(f'--source {text}: write NAME=RASTER; a name is made of letters, digits and _.')
        rasters.setdefault(match[1], []).append(match[2])
    bands = _by_source('--bands', options.bands, rasters)
    nodata = _by_source('--nodata', options.nodata, rasters)
    out = []
    for name, paths in rasters.items():
        numbers, names = _bands(bands.get(name, ''))
        out.append(SourceSpec(tuple(paths), name, numbers, nodata=nodata.get(name, ''), band_names=names))
    return tuple(out)


def _by_source(flag: str, texts: Sequence[str], known: dict[str, list[str]]) -> dict[str, str]:
    """What an option says, by the name of the source."""
    out = {}
    for text in texts:
        match = _NAMED.fullmatch(text)
        name, value = (match[1], match[2]) if match else (FIRST, text)
        if name not in known:
            raise InvalidJob(f'{flag} {text}: there is no source {name!r}; there are {", ".join(known)}.')
        out[name] = value
    return out


def _bands(text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Bands by number and by name; one of them is empty, and both where all are meant."""
    items = [item.strip() for item in text.split(',') if item.strip()]
    if all(item.isdigit() for item in items):
        return tuple(map(int, items)), ()
    return (), tuple(items)
