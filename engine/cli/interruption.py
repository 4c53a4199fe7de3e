"""Ctrl-C and other requests to stop, while a job runs."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

INTERRUPTED = 130  # what shells make of a program that Ctrl-C ended
_NAMES = ('SIGINT', 'SIGTERM', 'SIGBREAK')  # the last is Ctrl-Break of Windows


class Interruption:
    """Signals that ask the job to stop by itself; a second SIGINT ends the process at once.

    A context manager, for the main thread. The signals are heard by a thread of their own: Python's handlers wait for
    the main thread, which may be inside TensorFlow for a while.

    Args:
        cancelled: set when a signal comes.
        tell: called with a line for people.
    """

    def __init__(self, cancelled: threading.Event, tell: Callable[[str], None]) -> None:
        self._cancelled, self._tell = cancelled, tell

    def __enter__(self) -> Interruption:
        # A pair of sockets, since on Windows nothing else can be written to without waiting.
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        self._handlers = {number: signal.signal(number, _nothing) for number in numbers}
        self._wakeup = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name='signals', daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._mouth.close()

    def _listen(self) -> None:
        with self._ear:
            while number := self._ear.recv(1):
                if number[0] in self._handlers:
                    self._hear(number[0])

    def _hear(self, number: int) -> None:
        if not self._cancelled.is_set():
            self._cancelled.set()
            self._tell('Stopping; Ctrl-C once more ends at once.')
        elif number == signal.SIGINT:
            self._tell('Ended.')
            os._exit(INTERRUPTED)


def _nothing(*signal: object) -> None:
    """The handler in Python's own hands; the number has gone to the socket already."""
