"""A folder that one run, or one sweep, works in."""

from __future__ import annotations

import os
from collections.abc import Collection
from types import TracebackType

from ..errors import OutputRefused, write_error
from ..folder import final_name, is_passing, names_in
from ..training.lock import FolderLock
from ..training.runfolder import LOCK


class WorkFolder:
    """Makes a folder and keeps others out of it; a context manager.

    Args:
        path: the folder.
        names: what it may hold besides the lock.
        what: it is, for messages, such as ``sweep``.

    Raises, on entry:
        OutputRefused: it holds other things, or another process works there.
    """

    def __init__(self, path: str, names: Collection[str], what: str) -> None:
        self.path = os.path.abspath(path)
        self._names, self._what = names, what
        self._lock = FolderLock(os.path.join(self.path, LOCK))

    def __enter__(self) -> WorkFolder:
        self._refuse_foreign()
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise write_error(self.path, error) from error
        self._lock.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def _refuse_foreign(self) -> None:
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise OutputRefused(f'{self.path}: this is a file; a {self._what} has a folder. Give another name.')
        found = [name for name in names_in(self.path) if not is_passing(name)]
        foreign = [name for name in found if name != LOCK and final_name(name) not in self._names]
        if foreign or (found and LOCK not in found):
            raise OutputRefused(
                f'{self.path}: holds {(foreign or found)[0]}, which is of no {self._what}. Give another folder.'
            )
