"""What a run said, through all its beginnings."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TextIO

from ..errors import Cancelled, EngineError, write_error
from ..events import Event, Reporter
from ..records import local_time, log_line, versions
from ..training.runfolder import LOG


class RunLog:
    """Appends what a job says to the log of a run folder; a context manager.

    Args:
        folder: the run folder.
        reporter: who else should hear it.

    Attributes:
        reporter: what the job talks to. Nothing is written before `open`.
    """

    def __init__(self, folder: str, reporter: Reporter) -> None:
        self._path = os.path.join(folder, LOG)
        self._listener = reporter
        self._file: TextIO | None = None
        self.reporter = Reporter(self._hear, reporter.cancelled)
        self.reporter.resolved = reporter.resolved

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.writes = self.reporter.writes
        if self._file is None:
            return
        if error is not None:
            known = isinstance(error, EngineError)
            words = 'Interrupted.' if isinstance(error, Cancelled) else str(error) if known else repr(error)
            self._file.write(f'{local_time()} {words}\n')
        self._file.close()

    def open(self) -> None:
        """Begin to write, once nobody else does."""
        try:
            # A line at a time, so that it is there after a kill.
            self._file = open(self._path, 'a', encoding='utf-8', buffering=1)  # noqa: SIM115 - closed on exit
        except OSError as error:
            raise write_error(self._path, error) from error
        self._write(f'Quadrat {versions()["quadrat"]}')

    def _hear(self, event: Event) -> None:
        line = log_line(event)
        if line is not None:
            self._write(line)
        self._listener.emit(event)

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(f'{local_time()} {text}\n')
        except OSError as error:
            raise write_error(self._path, error) from error
