"""The standard streams of a command: its answer alone goes to the standard output, all else to the standard error."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TextIO

ANSWERS, MESSAGES = 1, 2  # descriptors


class Stream:
    """A standard stream that may be closed at its other end, as by ``| head``.

    Args:
        descriptor: what to write to.
        like: the stream in whose encoding; what that cannot express is escaped.

    Attributes:
        closed: whether nobody reads any more; what is written then is lost.
        on_closed: called as soon as that is seen.
    """

    def __init__(self, descriptor: int, like: TextIO | None) -> None:
        encoding = getattr(like, 'encoding', None) or 'utf-8'
        self._file = os.fdopen(os.dup(descriptor), 'w', encoding=encoding, errors='backslashreplace')
        self._lock = threading.Lock()
        self.closed = False
        self.on_closed: Callable[[], None] = lambda: None

    def write(self, text: str, end: str = '\n') -> None:
        """Write text at once."""
        with self._lock:
            try:
                self._file.write(text + end)
                self._file.flush()
            except OSError:
                self._let_go()

    def terminal(self) -> bool:
        """Whether somebody looks at it."""
        return self._file.isatty()

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _let_go(self) -> None:
        """Write to nowhere from now on; what is still in the buffer goes there, too."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)
        self.closed = True
        self.on_closed()


class Streams:
    """Both streams of a process while a command works.

    A context manager. Within it whatever prints to the standard output, C++ libraries too, reaches the standard error
    instead.

    Attributes:
        answers: the real standard output.
        messages: the standard error.
    """

    def __enter__(self) -> Streams:
        for descriptor in (ANSWERS, MESSAGES):
            _open_somewhere(descriptor)
        self._stdout = sys.stdout
        if self._stdout is not None:
            self._stdout.flush()
        self.answers = Stream(ANSWERS, sys.stdout)
        self.messages = Stream(MESSAGES, sys.stderr)
        self._kept = os.dup(ANSWERS)
        os.dup2(MESSAGES, ANSWERS)
        sys.stdout = sys.stderr
        return self

    def __exit__(self, *error: object) -> None:
        sys.stdout = self._stdout
        os.dup2(self._kept, ANSWERS)
        os.close(self._kept)
        self.answers.close()
        self.messages.close()

    @property
    def closed(self) -> bool:
        """Whether somebody has stopped to listen."""
        return self.answers.closed or self.messages.closed


def _open_somewhere(descriptor: int) -> None:
    """Let a descriptor that this process was started without lead nowhere: files opened later would take its place."""
    try:
        os.fstat(descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
