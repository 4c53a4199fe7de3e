"""``quadrat manifest``: files of samples, listed, checked and counted."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..datasets.filepatterns import folder_of
from ..datasets.manifest import FILE, read_manifest
from ..datasets.soundness import FileReport, Report
from ..errors import DatasetError, InvalidJob
from ..events import Reporter
from ..jobs import COMPRESSIONS
from .console import Answer, Console
from .interruption import Interruption
from .parser import finish, sentence

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat manifest create 'samples/*.tfrecord'
  quadrat manifest check --full 'samples/*.tfrecord'
  quadrat manifest check patches                        a folder that "Extract patches" made
  quadrat manifest count 'samples/*.tfrecord' --json
"""


class Unsound(DatasetError):
    """Files are not what they should be.

    Args:
        faults: a line each.
    """

    def __init__(self, message: str, faults: Sequence[str]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def add_arguments(parser: Parser) -> None:
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION', title='actions')
    summaries = {
        _create: 'list TFRecords, with sizes and numbers of records, in the _tfrecord_metadata.json of their folder',
        _check: 'compare TFRecords, or the dataset in a folder, with what was listed',
        _count: 'count records of TFRecords, or samples of the dataset in a folder',
    }
    for action, summary in summaries.items():
        name = action.__name__.strip('_')
        leaf = actions.add_parser(name, help=summary, description=sentence(summary))
        leaf.add_argument(
            'patterns', metavar='PATTERN', nargs='+', help='a file, a folder, or files as in "data/*.rec"'
        )
        leaf.add_argument(
            '--compression', choices=('auto', *COMPRESSIONS), default='auto', help='of TFRecords (default auto)'
        )
        if action is _create:
            leaf.add_argument(
                '--force', action='store_true', help='change or remove entries that are not right any more'
            )
        if action is _check:
            leaf.add_argument('--full', action='store_true', help='read the files, too; else only sizes are compared')
        leaf.set_defaults(action=action)
        finish(leaf, ''.join(line for line in EXAMPLES.splitlines(True) if f' {name} ' in line))


def do(options: argparse.Namespace, console: Console) -> Answer:
    with Interruption(console.cancelled, console.note):
        reports = options.action(options, Reporter(console.hear, console.cancelled))
    files = [file for report in reports for file in report.files]
    notes = [note for report in reports for note in report.notes]
    faults = [str(file) for file in files if not file.sound]
    words = _counted if options.action is _count else str
    lines = [*map(words, files), *notes]
    records = sum(report.records for report in reports)
    if options.action is _count:
        lines.append(f'total: {records}')
    values = {'FILES': [dataclasses.asdict(file) for file in files], 'NOTES': notes, 'RECORDS': records}
    if faults:
        console.say('\n'.join(lines))
        verb = 'is' if len(faults) == 1 else 'are'
        raise Unsound(f'{len(faults)} of {len(files)} files {verb} not sound.', faults)
    return Answer(values, '\n'.join(lines))


def _create(options: argparse.Namespace, reporter: Reporter) -> list[Report]:
    from ..datasets.tfmetadata import create_metadata

    for folder in filter(_is_dataset, options.patterns):
        raise InvalidJob(f'{folder}: a dataset has a manifest, {FILE}, from the beginning; it can be checked only.')
    return [
        create_metadata(
            options.patterns, compression=options.compression, force=options.force, on_progress=_progress(reporter)
        )
    ]


def _check(options: argparse.Namespace, reporter: Reporter) -> list[Report]:
    from ..datasets.tfmetadata import check_metadata

    folders, patterns = _sorted_out(options.patterns)
    reports = [_check_dataset(folder, options.full, reporter) for folder in folders]
    if patterns:
        progress = _progress(reporter)
        reports.append(
            check_metadata(patterns, full=options.full, compression=options.compression, on_progress=progress)
        )
    return reports


def _check_dataset(folder: str, full: bool, reporter: Reporter) -> Report:
    from ..datasets.checking import dataset_report

    return dataset_report(folder, full, reporter)


def _count(options: argparse.Namespace, reporter: Reporter) -> list[Report]:
    from ..datasets.tfmetadata import count_records

    folders, patterns = _sorted_out(options.patterns)
    reports = [_samples(folder) for folder in folders]
    if patterns:
        reports.append(count_records(patterns, compression=options.compression, on_progress=_progress(reporter)))
    return reports


def _samples(folder: str) -> Report:
    """A row for each split of a dataset."""
    splits = read_manifest(folder).splits
    return Report(tuple(FileReport(name, folder, records=split.count) for name, split in splits.items()))


def _sorted_out(patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Folders of datasets, and patterns of other files."""
    folders = [folder_of(pattern, FILE) for pattern in patterns if _is_dataset(pattern)]
    return folders, [pattern for pattern in patterns if not _is_dataset(pattern)]


def _is_dataset(pattern: str) -> bool:
    """Whether it is the folder of a dataset, or the manifest in it."""
    return os.path.isfile(os.path.join(folder_of(pattern, FILE), FILE))


def _counted(file: FileReport) -> str:
    return str(file) if file.records is None or not file.sound else f'{file.name}: {file.records}'


def _progress(reporter: Reporter) -> Callable[[float, str], None]:
    """What hears how far the work is, and ends it where it should stop."""

    def hear(fraction: float, text: str) -> None:
        reporter.check_cancelled()
        reporter.progress(fraction, text)

    return hear
