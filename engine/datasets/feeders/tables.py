"""Samples from files that are read into memory: tables as CSV, arrays of numpy."""

from __future__ import annotations

import csv
import difflib
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from ...errors import DatasetError, InputMissing, InvalidJob, NoSamples

Number = TypeVar('Number', int, float)
_COMMA = re.compile(r'[+-]?\d+,\d+')
_DELIMITERS = (';', '\t', '|', ',')


def read_csv(path: str, delimiter: str = ',') -> dict[str, np.ndarray]:
    """The columns of a table of numbers: int64 where all are whole, else float64; an empty cell is NaN.

    Raises:
        InputMissing, DatasetError: naming the file, and the line and the column of what is no number.
    """
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            rows = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(rows, [])]
            if not all(names) or len(set(names)) < len(names):
                raise DatasetError(
                    f'{path}: the first line must name the columns, each once; it has {", ".join(names)!r}.'
                )
            cells: list[list[str]] = []
            lines: list[int] = []
            for row in rows:
                if row and len(row) != len(names):
                    raise DatasetError(
                        f'{path}: line {rows.line_num}: {len(row)} cells, and {len(names)} columns.{_hint(names)}'
                    )
                if row:
                    cells.append(row)
                    lines.append(rows.line_num)
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file.') from None
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f'{path}: cannot be read ({error}).') from error
    if not cells:
        raise NoSamples(f'{path}: no line of numbers below the names.')
    return {name: _numbers(path, name, [row[place] for row in cells], lines) for place, name in enumerate(names)}


def read_npz(path: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz.

    Raises:
        InputMissing, DatasetError: naming the file.
    """
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError('it is one array')
        with found as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file.') from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f'{path}: cannot be read as .npz ({error}).') from error


def read_npy(path: str) -> np.ndarray:
    """The array of an .npy, mapped into memory.

    Raises:
        InputMissing, DatasetError: naming the file.
    """
    try:
        found = np.load(path, mmap_mode='r', allow_pickle=False)
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file.') from None
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f'{path}: cannot be read as .npy ({error}).') from error
    if not isinstance(found, np.ndarray):
        raise DatasetError(f'{path}: cannot be read as .npy (it is an .npz).')
    return found


def pick(
    columns: dict[str, np.ndarray], features: Sequence[str], labels: Sequence[str], where: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns for the network, and those that it learns.

    Args:
        features: their names; none: all but the labels.
        labels: their names.

    Raises:
        InvalidJob: there is no such column, or none for the network.
    """
    for name in (*features, *labels):
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            hint = f' Did you mean {near[0]!r}?' if near else ''
            raise InvalidJob(f'{where}: no column {name!r}.{hint} There are {", ".join(columns)}.')
    chosen = features or [name for name in columns if name not in labels]
    if not chosen:
        raise InvalidJob(f'{where}: no column is left for the network beside {", ".join(labels)}.')
    return {name: columns[name] for name in chosen}, {name: columns[name] for name in labels}


def _hint(names: Sequence[str]) -> str:
    """What to do where a table of one column probably has several."""
    mark = next((mark for mark in _DELIMITERS if len(names) == 1 and mark in names[0]), '')
    return f' Is its delimiter {mark!r}?' if mark else ''


def _numbers(path: str, name: str, texts: Sequence[str], lines: Sequence[int]) -> np.ndarray:
    try:
        return np.array([_plain(text, int) for text in texts], np.int64)
    except (ValueError, OverflowError):  # not all of them are whole
        return _fractions(path, name, texts, lines)


def _fractions(path: str, name: str, texts: Sequence[str], lines: Sequence[int]) -> np.ndarray:
    out = np.empty(len(texts))
    for place, (text, line) in enumerate(zip(texts, lines)):
        try:
            out[place] = _plain(text, float) if text.strip() else np.nan
        except ValueError:
            hint = ' Decimals are written with a point.' if _COMMA.fullmatch(text.strip()) else _hint([name])
            raise DatasetError(f'{path}: line {line}: {name} is {text!r}, which is no number.{hint}') from None
    return out


def _plain(text: str, kind: Callable[[str], Number]) -> Number:
    """A number, without the underscores that Python would allow."""
    if '_' in text:
        raise ValueError(text)
    return kind(text)
