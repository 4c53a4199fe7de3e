"""What patterns mean in one folder of TFRecords, beside what its metadata list."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from ..errors import DatasetError
from .filepatterns import Place, files_in
from .files import LISTING
from .recordscan import Scan, may_be_records
from .soundness import OK, SKIPPED, FileReport
from .tflisting import is_listing, read_listing


class TFRecordFolder:
    """A folder, and the files in it that are meant.

    Attributes:
        path: of the folder.
        listing: its metadata.
        names: files in it that are meant, sorted.
        gone: files that its metadata list, that are meant, and that are not there.
        skipped: those of `names` that only happen to match: metadata, and what is clearly no TFRecord; with a row each.
    """

    def __init__(self, path: str, places: Sequence[Place]) -> None:
        self.path, self._places = path, places
        self.listing = read_listing(path)
        there = files_in(path)
        self.names = self._meant(there)
        self.gone = self._meant(sorted({*self.listing.entries, *self.listing.faults} - {'', *there}))
        self.skipped = {name: row for name in self.names if (row := self._skip(name))}

    def means(self, place: Place) -> bool:
        """Whether there is any TFRecord that a place means, be it listed only."""
        return bool(place.chosen([*(name for name in self.names if name not in self.skipped), *self.gone]))

    def file(self, name: str) -> str:
        """Where a file lies."""
        return os.path.join(self.path, name)

    def row(
        self, name: str, status: str = OK, text: str = OK, records: Optional[int] = None, change: str = ''
    ) -> FileReport:
        """A row of the report."""
        return FileReport(name, self.file(name), status, text, records, change)

    def words(self, name: str, error: DatasetError) -> str:
        """What an error says of a file whose row names it anyway."""
        return str(error).removeprefix(f'{self.file(name)}: ')

    def fault(self, advice: str) -> Iterator[FileReport]:
        """The row of the metadata themselves, where they are missing or cannot be understood."""
        if self.listing.broken:
            yield self.row(LISTING, 'faulty', f'{self.listing.broken} {advice}')
        elif not self.listing.exists and len(self.skipped) < len(self.names):
            yield self.row(LISTING, 'missing', 'missing: this folder has no metadata; "manifest create" makes them.')

    def difference(self, name: str, found: Scan) -> tuple[str, str]:
        """Status and text of a sound file that is not what its entry says; empty where it is."""
        entry = self.listing.entries[name]
        if found.size != entry.size:
            return self.resized(entry, found.size)
        if found.md5 != entry.md5:
            other = next((other for other, item in self.listing.entries.items() if item.md5 == found.md5), '')
            hint = f' They are those listed as {other!r}: were files swapped or renamed?' if other else ''
            return 'changed', f'its bytes are not those that are listed (MD5).{hint}'
        if found.records != entry.records:
            return 'changed', f'holds {found.records} records, the metadata say {entry.records}; they were changed.'
        return '', ''

    def resized(self, entry: Scan, size: int) -> tuple[str, str]:
        """Status and text of a file of another size than its entry says."""
        return 'resized', f'{size} bytes, the metadata say {entry.size}; it is not whole, or was changed.'

    def lost(self, name: str, found: Mapping[str, str]) -> FileReport:
        """The row of a listed file that is not there.

        Args:
            found: file that is not listed -> its MD5.
        """
        if name in self.listing.faults:
            return self.row(name, 'faulty', f'{self.listing.faults[name]} There is no such file, either.')
        entry = self.listing.entries[name]
        new = next((other for other, md5 in found.items() if md5 == entry.md5), '')
        if new:
            return self.row(name, 'renamed', f'missing: it was renamed to {new!r}, which holds its bytes.')
        return self.row(name, 'missing', 'missing: it is listed, but not there.')

    def _meant(self, names: Sequence[str]) -> list[str]:
        found = {
            name for place in self._places for name in place.chosen(names) if not (place.whole and is_listing(name))
        }
        return sorted(found)

    def _skip(self, name: str) -> FileReport | None:
        if is_listing(name):
            return self.row(name, SKIPPED, 'skipped: these are metadata, and no records.')
        exact = any(place.exact and place.names == name for place in self._places)
        if exact or name in self.listing.entries or name in self.listing.faults or may_be_records(self.file(name)):
            return None
        return self.row(name, SKIPPED, 'skipped: no file of records (TFRecord).')
