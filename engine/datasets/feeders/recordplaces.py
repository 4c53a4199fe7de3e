"""The files that a feeder of TFRecords reads: found by patterns, and compared with the metadata beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ...errors import DatasetError, InputMissing
from ...events import Reporter
from ..filepatterns import matching_files
from ..files import LISTING
from ..soundness import OK, Report
from ..tfmetadata import check_metadata, create_metadata

_SHOWN = 5  # files that a message lists
_UNLISTED = 'unlisted'


def record_files(patterns: Sequence[str], make_metadata: bool, reporter: Reporter) -> list[str]:
    """Files of records, in an order that is the same on all systems.

    Args:
        patterns: which ones, see `tfmetadata`.
        make_metadata: make the metadata of folders that have none, and add files that they do not list.
        reporter: hears how far that is, and can stop it.

    Raises:
        InputMissing: nothing matches a pattern.
        DatasetError: files are not those that the metadata of their folder tell of; the message names them.
        OutputRefused, DiskFull: the metadata cannot be written.
    """
    _, lost = matching_files(patterns)
    if lost:
        raise InputMissing(f'file_patterns: no file matches {lost[0]!r} (in {os.getcwd()}).')
    report = check_metadata(patterns)
    bare = _bare(report)
    if make_metadata and any(row.status == _UNLISTED for row in report.files):
        report, bare = create_metadata(patterns, on_progress=_teller(reporter)), set()
    problems = [row for row in report.problems if os.path.dirname(row.path) not in bare]
    if problems:
        named = ' '.join(f'{row.path}: {row.text}' for row in problems[:_SHOWN])
        more = f' {len(problems) - _SHOWN} more files have faults.' if len(problems) > _SHOWN else ''
        raise DatasetError(f'{named}{more} If the files are right, make their metadata anew.')
    found = [row.path for row in report.files if row.status == OK or row.status == _UNLISTED]
    if not found:
        raise InputMissing(f'file_patterns: no file that matches {", ".join(patterns)} is one of TFRecords.')
    return found


def _bare(report: Report) -> set[str]:
    """The folders that have no metadata."""
    return {
        os.path.dirname(row.path)
        for row in report.files
        if row.status == 'missing' and os.path.basename(row.path) == LISTING
    }


def _teller(reporter: Reporter) -> Callable[[float, str], None]:
    def tell(done: float, name: str) -> None:
        reporter.check_cancelled()
        reporter.progress(done, f'Reading {name} for its metadata')

    return tell
