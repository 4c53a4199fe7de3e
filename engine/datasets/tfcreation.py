"""Listing the TFRecords of a folder in its metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from ..errors import DatasetError
from .recordscan import Scan
from .soundness import SKIPPED, FileReport
from .tffolder import TFRecordFolder
from .tflisting import change_listing

_LEFT = 'Its entry was left as it is; force updates it.'
_BROKEN = 'They were left as they are; force keeps a copy of them and makes new ones.'


class Creation:
    """The work on one folder: `rows` finds out, `write` writes.

    Args:
        folder: which files.
        read: scans a file of the folder.
        force: whether entries may be changed and removed.
    """

    def __init__(self, folder: TFRecordFolder, read: Callable[[TFRecordFolder, str], Scan], force: bool) -> None:
        self._folder, self._read, self._force = folder, read, force
        self._changes: dict[str, Optional[Scan]] = {}

    def rows(self) -> list[FileReport]:
        """Read the files, and say of each what becomes of its entry."""
        folder = self._folder
        if folder.listing.broken and not self._force:
            unread = [
                folder.skipped.get(name)
                or folder.row(name, 'unchecked', 'not read: the metadata have to be mended first.')
                for name in folder.names
            ]
            return [*folder.fault(_BROKEN), *unread]
        rows = [folder.skipped.get(name) or self._row(name) for name in folder.names]
        rows += map(self._gone, folder.gone)
        if folder.listing.broken and not self._changes:
            rows += folder.fault('They were left as they are, since there is no sound file to list.')
        return rows

    def write(self) -> list[str]:
        """Write what was found so far; returns what else there is to say."""
        folder, listing = self._folder, self._folder.listing
        if not self._changes:
            return []
        copy = change_listing(folder.path, self._changes, self._force)
        return [f'{listing.path}: had faults and was replaced; {copy} is a copy of it.'] if copy else []

    def _row(self, name: str) -> FileReport:
        """Read a file."""
        folder, listing = self._folder, self._folder.listing
        fault = listing.faults.get(name, '')
        if fault and not self._force:
            return folder.row(name, 'faulty', f'{fault} {_LEFT}')
        try:
            found = self._read(folder, name)
        except DatasetError as error:
            return self._damaged(name, folder.words(name, error))
        if fault or name not in listing.entries:
            return self._enter(name, found, 'updated' if fault else 'added')
        status, text = folder.difference(name, found)
        if not status:
            return folder.row(name, records=found.records)
        return self._enter(name, found, 'updated') if self._force else folder.row(name, status, f'{text} {_LEFT}')

    def _enter(self, name: str, found: Scan, change: str) -> FileReport:
        self._changes[name] = found
        return self._folder.row(name, records=found.records, change=change)

    def _damaged(self, name: str, text: str) -> FileReport:
        known = name in {**self._folder.listing.entries, **self._folder.listing.faults}
        if not known:
            return self._folder.row(name, 'damaged', f'{text} It was not listed.')
        if not self._force:
            return self._folder.row(name, 'damaged', f'{text} Its entry was left as it is; force removes it.')
        self._changes[name] = None
        return self._folder.row(name, 'damaged', f'{text} Its entry was removed.', change='removed')

    def _gone(self, name: str) -> FileReport:
        """A file that is listed only."""
        added = {other: found.md5 for other, found in self._changes.items() if found}
        row = self._folder.lost(name, added)
        if not self._force:
            return self._folder.row(name, row.status, f'{row.text} Its entry was left as it is; force removes it.')
        self._changes[name] = None
        return self._folder.row(name, SKIPPED, f'skipped: {row.text} Its entry was removed.', change='removed')
