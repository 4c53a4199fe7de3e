"""A child process whose output is read line by line, that can be ended at any time and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import Any, Dict, List, Optional

LONGEST_LINE = 1 << 20  # bytes; what is longer comes in pieces
KILL_GRACE = 3.0  # seconds between asking a process to end and ending it


class Child:
    """A process in a group of its own, out of reach of the terminal's Ctrl-C and without a window.

    A context manager: after the block, nothing is left of the process and of those it started.

    Args:
        command: the program and its arguments; no shell is involved.
        environment: the environment variables of the process.
        stderr: where its errors go, as for `subprocess.Popen`.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, command: List[str], environment: Dict[str, str], stderr: Any = subprocess.STDOUT) -> None:
        if sys.platform == 'win32':
            group: Dict[str, Any] = {'creationflags': subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        else:
            group = {'start_new_session': True}
        # The programs are interpreters that the user chose or Quadrat found, with arguments of Quadrat's own.
        self._process = subprocess.Popen(  # nosec B603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment, **group
        )
        self._ended = threading.Event()
        self._outgoing: queue.Queue[Optional[bytes]] = queue.Queue()
        self._incoming: queue.Queue[bytes] = queue.Queue(maxsize=1000)
        for work in (self._write, self._read):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.close_input()
        if os.name == 'posix':
            self._signal(signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def write(self, data: bytes) -> None:
        """Queue data for the standard input; never waits for the process."""
        self._outgoing.put(data)

    def close_input(self) -> None:
        """End the standard input, once everything queued is written."""
        self._outgoing.put(None)

    def read(self, timeout: float) -> Optional[bytes]:
        """The next line of output; empty at the end of the output; None if nothing comes in time."""
        try:
            return self._incoming.get(timeout=timeout)
        except queue.Empty:
            return None

    def wait(self, seconds: float) -> Optional[int]:
        """The exit status, or None if the process still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Ask the process and those it started to end, and give them a moment."""
        if os.name == 'posix':
            self._signal(signal.SIGTERM)
            self.wait(KILL_GRACE)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of the group has ended already
            os.killpg(self._process.pid, number)

    def _write(self) -> None:
        """Thread: pass data on. A process that does not read must not stop QGIS."""
        with contextlib.suppress(OSError):  # the process is gone, which the end of its output tells
            for data in iter(self._outgoing.get, None):
                self._process.stdin.write(data)
                self._process.stdin.flush()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        """Thread: collect lines."""
        with self._process.stdout as pipe:
            line = b' '
            while line and not self._ended.is_set():
                line = pipe.readline(LONGEST_LINE)
                while not self._ended.is_set():
                    with contextlib.suppress(queue.Full):
                        self._incoming.put(line, timeout=1)
                        break
