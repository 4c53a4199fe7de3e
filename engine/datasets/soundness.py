"""What a check of files found: one row a file, for people and for programs."""

from __future__ import annotations

import dataclasses
from typing import Optional

OK, SKIPPED = 'ok', 'skipped'


@dataclasses.dataclass(frozen=True)
class FileReport:
    """One file.

    Attributes:
        name: of the file, for people: relative to the folder that all files of the report share.
        path: where it lies, absolute.
        status: ``ok``, ``skipped`` (it is none of those that count), or a word for what is wrong: ``missing``,
            ``resized``, ``changed``, ``renamed``, ``unlisted``, ``damaged``, ``faulty``, ``unchecked``, ``unmatched``.
        text: ``ok``, or one line: what is wrong and what to do.
        records: in the file, as far as known.
        change: what was done to its entry: ``added``, ``updated``, ``removed``, or nothing.
    """

    name: str
    path: str
    status: str = OK
    text: str = OK
    records: Optional[int] = None
    change: str = ''

    @property
    def sound(self) -> bool:
        return self.status in (OK, SKIPPED)

    def __str__(self) -> str:
        return f'{self.name}: {self.text}'


@dataclasses.dataclass(frozen=True)
class Report:
    """All files that were looked at.

    Attributes:
        files: by folder and name.
        notes: what else there is to say, such as where the copy of a replaced file lies.
    """

    files: tuple[FileReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return all(file.sound for file in self.files)

    @property
    def problems(self) -> tuple[FileReport, ...]:
        """The files that something is wrong with."""
        return tuple(file for file in self.files if not file.sound)

    @property
    def records(self) -> int:
        """Records, or samples, in all sound files together."""
        return sum(file.records or 0 for file in self.files if file.status == OK)
