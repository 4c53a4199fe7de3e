"""A lock on a folder that the system itself lets go of when its holder ends, however it does."""

from __future__ import annotations

import errno
import os
import platform
import sys
from types import TracebackType
from typing import IO, Optional

from ..errors import OutputRefused, write_error

_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
_FAR = 1 << 30  # beyond the text: what Windows has locked cannot be read


class FolderLock:
    """A file that names who works in its folder; a context manager. The file stays, the lock does not.

    Args:
        path: the file; it is made.

    Raises, on entry:
        OutputRefused: another process works there, or nothing can be written or locked there.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._file: Optional[IO[str]] = None

    def __enter__(self) -> FolderLock:
        try:
            file = open(self._path, 'a+', encoding='utf-8')
        except OSError as error:
            raise write_error(self._path, error) from error
        try:
            self._take(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()  # which lets go of the lock
            self._file = None

    def _take(self, file: IO[str]) -> None:
        folder = os.path.dirname(self._path)
        try:
            _lock(file)
        except OSError as error:
            if error.errno not in _HELD:
                raise OutputRefused(
                    f'{folder}: cannot be locked ({error}), so that two runs could not be told apart. Choose a folder '
                    'on another file system.'
                ) from error
            file.seek(0)
            holder = file.read(200).strip() or 'another process'
            raise OutputRefused(
                f'{folder}: {holder} is at work there. Wait until it is done, or give another folder.'
            ) from error
        try:
            file.truncate(0)
            file.write(f'process {os.getpid()} on {platform.node()}\n')
            file.flush()
        except OSError as error:
            raise write_error(self._path, error) from error


def _lock(file: IO[str]) -> None:
    """Lock an open file, or raise OSError at once."""
    if sys.platform == 'win32':
        import msvcrt

        os.lseek(file.fileno(), _FAR, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
