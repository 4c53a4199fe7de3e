"""The record that every output carries beside it: how it was made, so that it can be made again.

``<output>.json`` holds the job, the versions of what did it, and fingerprints of what it read; ``<output>.log`` holds
what it said. Both exist only when the job was done.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib
import json
import math
import os
import platform
import sys
import time
from typing import Any

from .datasets.filepatterns import matching_files
from .errors import InputMissing, InputUnreadable
from .events import Event, Log, Reporter, Warn
from .folder import write_whole
from .jobs import Job, job_from_dict

VERSION = 1
HASHED = 16 << 20  # bytes; larger inputs are told apart by size and time alone


class Recorder:
    """Listens to a job and writes its records when it is done.

    A context manager around the job: `reporter` is what the job talks to, `finish` writes the records. Without a
    call of `finish` nothing is written.

    Args:
        job: the job about to be done.
        reporter: who else should hear what the job says.
    """

    def __init__(self, job: Job, reporter: Reporter) -> None:
        self._job = job
        self._listener = reporter
        self._lines: list[str] = []
        self.reporter = Reporter(self._hear, reporter.cancelled)

    def __enter__(self) -> Recorder:
        self._started = local_time()
        self._clock = time.monotonic()
        # Before the job starts: what it reads is what matters, not what somebody makes of the files meanwhile.
        self._inputs = input_fingerprints(self._job)
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to undo: a job that failed leaves no record."""

    def finish(self, values: dict[str, Any]) -> None:
        """Write the records beside the outputs that the job was asked for.

        Args:
            values: what the job returned.
        """
        if not self.reporter.writes:
            return
        record = {
            'record': VERSION,
            'job': self._job.to_dict(),
            'resolved': self.reporter.resolved,
            'folder': os.getcwd(),
            'values': values,
            'versions': versions(),
            'inputs': self._inputs,
            'started': self._started,
            'seconds': round(time.monotonic() - self._clock, 3),
        }
        text = json.dumps(record, indent=1, ensure_ascii=False) + '\n'
        head = f'Quadrat {versions()["quadrat"]}: {self._job.kind}, {record["started"]}'
        log = '\n'.join([head, *self._lines, ''])
        for output in self._job.outputs().values():
            if output:
                place = output.rstrip('/\\') or output
                write_whole(place + '.json', text)
                write_whole(place + '.log', log)

    def _hear(self, event: Event) -> None:
        line = log_line(event)
        if line is not None:
            self._lines.append(f'{time.monotonic() - self._clock:9.2f} {line}')
        self._listener.emit(event)


def load(path: str) -> tuple[Job, str]:
    """The job in a file: one written by hand or by `jobs.dumps`, or the record of an earlier run.

    Returns:
        The job, and the folder that its relative paths start from (empty: the current one).

    Raises:
        InputMissing, InputUnreadable, InvalidJob: one line each.
    """
    try:
        with open(path, encoding='utf-8') as file:
            data = json.load(file)
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file.') from None
    except (OSError, ValueError) as error:
        raise InputUnreadable(f'{path}: not a job or record in JSON ({error}).') from error
    if isinstance(data, dict) and isinstance(data.get('job'), dict):
        if data.get('record') != VERSION:
            raise InputUnreadable(f'{path}: a record of version {data.get("record")}; known is {VERSION}.')
        return job_from_dict(data['job']), str(data.get('folder', ''))
    return job_from_dict(data), ''


def input_fingerprints(job: Job) -> list[dict[str, Any]]:
    """The `fingerprint` of each thing that a job reads; of a pattern those of the files that it means."""
    found: list[str] = []
    for path in filter(None, job.inputs()):
        found += [path] if os.path.lexists(path) else matching_files(path)[0] or [path]
    return [fingerprint(path) for path in found]


def fingerprint(path: str) -> dict[str, Any]:
    """What tells one state of a file or folder from another.

    Returns:
        ``path`` and, where it is on disk, ``size`` in bytes and ``mtime`` (seconds, the newest within a folder); for
        a folder also the number of ``files``; for files up to `HASHED` bytes also ``sha256``.
    """
    try:
        state = os.stat(path)
        if os.path.isdir(path):
            parts = [os.lstat(os.path.join(top, name)) for top, _, names in os.walk(path) for name in names]
            newest = max((part.st_mtime for part in parts), default=state.st_mtime)
            size = sum(part.st_size for part in parts)
            return {'path': path, 'files': len(parts), 'size': size, 'mtime': newest}
        found = {'path': path, 'size': state.st_size, 'mtime': state.st_mtime}
        if state.st_size <= HASHED:
            with open(path, 'rb') as file:
                found['sha256'] = hashlib.sha256(file.read()).hexdigest()
        return found
    except (OSError, ValueError):
        return {'path': path}  # something that only GDAL opens, or a missing file: the job says that better


def log_line(event: Event) -> str | None:
    """What a log keeps of an event; None of those that it does not."""
    if isinstance(event, Warn):
        return f'Warning: {event.text}'
    return event.text if isinstance(event, Log) else None


def local_time() -> str:
    """The time here, to the second, with what tells it from UTC."""
    return datetime.datetime.now().astimezone().isoformat(timespec='seconds')


def finite(value: Any) -> Any:
    """Plain values with None for what JSON has no number for: infinities, and what is not a number."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """Versions of Quadrat, of Python, and of those libraries that are loaded."""
    package = importlib.import_module(__package__.rpartition('.')[0])
    found = {'quadrat': package.__version__, 'python': platform.python_version(), 'platform': platform.platform()}
    for name in ('numpy', 'tensorflow', 'keras', 'openvino', 'sklearn', 'skops'):
        if name in sys.modules:
            found[name] = sys.modules[name].__version__
    if 'osgeo.gdal' in sys.modules:
        found['gdal'] = sys.modules['osgeo.gdal'].VersionInfo('RELEASE_NAME')
    return found
