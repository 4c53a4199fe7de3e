"""The metadata that lie beside TFRecords: made, checked, and records counted.

Each folder has metadata of its own, see `tflisting`. Files are named by patterns, which are expanded here: a file, a
folder (all its files), or a path with ``*``, ``?``, ``[…]`` and ``**``. Nothing of this needs TensorFlow.

Source: Deephub's ``_tfrecord_metadata.json``, version 1.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

from ..errors import DatasetError, InvalidJob
from ..jobs.datasets import COMPRESSIONS
from .filepatterns import Place, folder_of, listed, places_of
from .files import LISTING
from .recordscan import Scan, digest, scan
from .soundness import FileReport, Report
from .tfcreation import Creation
from .tffolder import TFRecordFolder

Progress = Callable[[float, str], None]
_MEND = 'Mend them, or let "manifest create" make new ones with force.'


def create_metadata(
    patterns: str | Sequence[str],
    *,
    compression: str = 'auto',
    force: bool = False,
    on_progress: Progress | None = None,
) -> Report:
    """List TFRecords in the metadata of their folders.

    All files that match are read. Those that are not listed yet are added, and entries that are right are kept. An
    entry that is not right, because its file was changed, is gone or is damaged, is named; it stays as it is unless
    `force` is set, and then it is updated, or removed where no sound file is left. Files that are damaged get no entry.
    Metadata that cannot be understood are named and left alone; with `force` a copy is kept, and told, and what is
    wrong in them is replaced. Entries of files that do not match stay in any case.

    Args:
        patterns: which files, see above.
        compression: ``none``, ``gzip``, or ``auto``: as the first bytes of each file say.
        force: whether entries may be changed and removed.
        on_progress: called now and then with the share that is done and the file; what it raises ends the work, and
            what was found so far is written.

    Returns:
        A row for each file.

    Raises:
        InvalidJob: no pattern, or an unknown compression.
        DatasetError: metadata were damaged by others while this went on.
        OutputRefused, DiskFull: metadata cannot be written.
    """
    work = _Work(patterns, compression, on_progress)
    rows, notes = work.unmatched(), []
    for folder in work.folders:
        creation = Creation(folder, work.scan, force)
        try:
            rows += creation.rows()
        finally:
            notes += creation.write()
    return work.report(rows, notes)


def check_metadata(
    patterns: str | Sequence[str],
    *,
    full: bool = False,
    compression: str = 'auto',
    on_progress: Progress | None = None,
) -> Report:
    """Compare TFRecords with the metadata of their folders. All that is wrong is found at once.

    Args:
        patterns: which files, see above; those that the metadata list, and that match, count as well.
        full: read the files: MD5, the checksums of all records, and their number. Else sizes are compared.
        compression: ``none``, ``gzip``, or ``auto``: as the first bytes of each file say.
        on_progress: called now and then with the share that is done and the file.

    Returns:
        A row for each file, with the records that the metadata tell of.

    Raises:
        InvalidJob: no pattern, or an unknown compression.
    """
    work = _Work(patterns, compression, on_progress)
    rows = work.unmatched()
    for folder in work.folders:
        rows += _checked(folder, work, full)
    return work.report(rows)


def count_records(
    patterns: str | Sequence[str], *, compression: str = 'auto', on_progress: Progress | None = None
) -> Report:
    """Count the records of TFRecords by reading them; metadata are not needed.

    Args:
        patterns: which files, see above.
        compression: ``none``, ``gzip``, or ``auto``: as the first bytes of each file say.
        on_progress: called now and then with the share that is done and the file.

    Returns:
        A row for each file, with its records.

    Raises:
        InvalidJob: no pattern, or an unknown compression.
    """
    work = _Work(patterns, compression, on_progress)
    rows = work.unmatched()
    for folder in work.folders:
        rows += [folder.skipped.get(name) or _counted(folder, name, work) for name in folder.names]
    return work.report(rows)


class _Work:
    """The folders that patterns mean, and reading their files with progress.

    Attributes:
        folders: by path.
    """

    def __init__(self, patterns: str | Sequence[str], compression: str, on_progress: Progress | None) -> None:
        if compression not in ('auto', *COMPRESSIONS):
            raise InvalidJob(f'Compression {compression!r}: choose one of auto, {", ".join(COMPRESSIONS)}.')
        self._places = {pattern: places_of(folder_of(pattern, LISTING)) for pattern in listed(patterns)}
        grouped: dict[str, list[Place]] = {}
        for place in (place for places in self._places.values() for place in places):
            grouped.setdefault(place.folder, []).append(place)
        self.folders = [TFRecordFolder(path, places) for path, places in sorted(grouped.items())]
        self._compression, self._on_progress = compression, on_progress
        files = [folder.file(name) for folder in self.folders for name in folder.names if name not in folder.skipped]
        self._total, self._done = max(1, sum(map(os.path.getsize, files))), 0

    def unmatched(self) -> list[FileReport]:
        """A row for each pattern that means no TFRecord."""
        folders = {folder.path: folder for folder in self.folders}
        text = 'matches no TFRecord; give a file, a folder, or a pattern such as "folder/train-*".'
        return [
            FileReport(pattern, os.path.abspath(pattern), 'unmatched', text)
            for pattern, places in self._places.items()
            if not any(folders[place.folder].means(place) for place in places)
        ]

    def scan(self, folder: TFRecordFolder, name: str) -> Scan:
        """Read a file; see `recordscan.scan`."""
        return scan(folder.file(name), self._compression, lambda count: self._progress(count, name))

    def _progress(self, count: int, name: str) -> None:
        self._done += count
        if self._on_progress:
            self._on_progress(min(self._done / self._total, 1.0), name)

    def report(self, rows: list[FileReport], notes: Sequence[str] = ()) -> Report:
        """The rows by folder and name, which they tell from the folder on that all of them share."""
        places = [os.path.dirname(row.path) for row in rows if row.status != 'unmatched']
        shared = os.path.commonpath(places) if len({os.path.splitdrive(place)[0] for place in places}) == 1 else ''
        if shared:
            rows = [
                row if row.status == 'unmatched' else dataclasses.replace(row, name=os.path.relpath(row.path, shared))
                for row in rows
            ]
        return Report(tuple(sorted(rows, key=lambda row: os.path.split(row.path))), tuple(notes))


def _counted(folder: TFRecordFolder, name: str, work: _Work) -> FileReport:
    try:
        return folder.row(name, records=work.scan(folder, name).records)
    except DatasetError as error:
        return folder.row(name, 'damaged', folder.words(name, error))


def _checked(folder: TFRecordFolder, work: _Work, full: bool) -> list[FileReport]:
    """The rows of a folder."""
    listing = folder.listing
    rows = [*folder.fault(_MEND)]
    known = {**listing.entries, **listing.faults}
    new = [name for name in folder.names if name not in known and name not in folder.skipped]
    sizes = {listing.entries[name].size for name in folder.gone if name in listing.entries}
    # Only what may be a listed file under another name is read.
    hashes = {name: digest(folder.file(name)) for name in new if os.path.getsize(folder.file(name)) in sizes}
    for name in folder.names:
        if name in folder.skipped:
            rows.append(folder.skipped[name])
        elif listing.broken:
            rows.append(folder.row(name, 'unchecked', 'not checked: the metadata cannot be understood.'))
        elif name in listing.faults:
            rows.append(folder.row(name, 'faulty', f'{listing.faults[name]} {_MEND}'))
        elif name in new:
            rows.append(_unlisted(folder, name, hashes))
        else:
            rows.append(_compared(folder, name, work, full))
    return rows + [folder.lost(name, hashes) for name in folder.gone]


def _unlisted(folder: TFRecordFolder, name: str, hashes: dict[str, str]) -> FileReport:
    """The row of a file without an entry."""
    entries = folder.listing.entries
    old = next((old for old in folder.gone if old in entries and entries[old].md5 == hashes.get(name)), '')
    hint = f'it holds the bytes that are listed as {old!r}.' if old else '"manifest create" lists it.'
    return folder.row(name, 'unlisted', f'not listed in the metadata: {hint}')


def _compared(folder: TFRecordFolder, name: str, work: _Work, full: bool) -> FileReport:
    """The row of a file with an entry."""
    entry, size = folder.listing.entries[name], os.path.getsize(folder.file(name))
    status, text = folder.resized(entry, size) if size != entry.size else ('', '')
    if full:
        try:
            found = work.scan(folder, name)
        except DatasetError as error:
            status, text = status or 'damaged', f'{text} {folder.words(name, error)}'.strip()
        else:
            status, text = (status, text) if status else folder.difference(name, found)
    return folder.row(name, status, text) if status else folder.row(name, records=entry.records)
