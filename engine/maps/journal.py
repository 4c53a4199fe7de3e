"""Which tiles of a map are in its file for good, one line each, so that a run that was ended goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time

from ..errors import write_error

FILE = 'tiles.jsonl'
_INTERVAL = 5.0  # seconds after which what was written is forced out to the disk, against a loss of power


@dataclasses.dataclass(frozen=True)
class Entry:
    """A tile that is done.

    Attributes:
        blocks: (column, row) of the blocks of the file that hold data of it; none of a tile without data.
        not_numbers: pixels with data where the model gave no numbers.
    """

    blocks: tuple[tuple[int, int], ...] = ()
    not_numbers: int = 0


class Journal:
    """A file of lines, each written whole before the next. A context manager; threads may share it.

    Args:
        path: the file; what it holds already is kept.
        files: what the entries speak of, forced out to the disk before the entries are.

    Attributes:
        entries: by the number of the tile.
    """

    def __init__(self, path: str, files: tuple[str, ...] = ()) -> None:
        self.path, self._files = path, files
        self.entries = read_journal(path)
        self._lock = threading.Lock()
        self._synced = time.monotonic()

    def __enter__(self) -> Journal:
        try:
            # Without a torn last line, which a kill may leave.
            with open(self.path + '.new', 'w', encoding='utf-8') as file:
                file.writelines(map(_line, self.entries, self.entries.values()))
            os.replace(self.path + '.new', self.path)
            self._file = open(self.path, 'a', encoding='utf-8', buffering=1)
        except OSError as error:
            raise write_error(self.path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, number: int, entry: Entry) -> None:
        """Say that a tile is done; its pixels were flushed twice before."""
        with self._lock:
            self.entries[number] = entry
            try:
                self._file.write(_line(number, entry))
                if time.monotonic() - self._synced > _INTERVAL:
                    self._sync()
            except OSError as error:
                raise write_error(self.path, error) from error

    def _sync(self) -> None:
        for path in self._files:
            with open(path, 'rb+') as file:
                os.fsync(file.fileno())
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def read_journal(path: str) -> dict[int, Entry]:
    """The entries of a journal; none where there is no such file. A line that was not finished does not count."""
    if not os.path.isfile(path):
        return {}
    entries: dict[int, Entry] = {}
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            try:
                number, blocks, not_numbers = json.loads(line if line.endswith('\n') else '')
                entries[int(number)] = Entry(tuple((int(col), int(row)) for col, row in blocks), int(not_numbers))
            except (ValueError, TypeError):
                return entries
    return entries


def _line(number: int, entry: Entry) -> str:
    return json.dumps([number, entry.blocks, entry.not_numbers]) + '\n'
