"""Tables of classes in the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..events import Reporter

_MOST = 100  # lines


def in_order(classes: Iterable[str]) -> list[str]:
    """Classes as people list them: by number where all are whole numbers, else by the alphabet."""
    listed = sorted(classes)
    return sorted(listed, key=int) if all(re.fullmatch('-?[0-9]+', text) for text in listed) else listed


def log_table(
    columns: Sequence[str], lines: Mapping[str, Sequence[str]], total: Sequence[str], reporter: Reporter
) -> None:
    """Log a table with a line a class and one for all, or the first lines of a long one.

    Args:
        columns: their names.
        lines: the cells of each class; empty where there is no value.
        total: the cells of all classes.
    """
    shown = in_order(lines)[:_MOST]
    table = [('class', columns), *((text, lines[text]) for text in shown), ('all', total)]
    wide = max(len(text) for text, _ in table)
    rows = [(text.ljust(wide) + ''.join(cell.rjust(13) for cell in cells)).rstrip() for text, cells in table]
    for row in rows[:-1]:
        reporter.log(row)
    if len(lines) > len(shown):
        reporter.log(f'… and {len(lines) - len(shown)} more classes')
    reporter.log(rows[-1])
