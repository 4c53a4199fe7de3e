"""The engine's process, seen from QGIS: start it, give it a job, end it. Knows nothing of QGIS itself.

Whatever the process does (crash, hang, print rubbish, be killed), the one who started it gets an `EngineError` with
one line for people, and no process is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

from ..engine import errors
from ..engine.errors import Cancelled, EngineError, EngineMissing, OutOfMemory, ProtocolError, WorkerFailed
from ..engine.events import PROTOCOL, Error, Event, Log, Ready, Result, decode
from ..engine.jobs import Job
from .child import KILL_GRACE, Child

BOOTSTRAP = Path(__file__).resolve().parent.parent / 'engine' / 'bootstrap.py'
POLL = 0.1  # seconds between looks at whether the user wants to stop
START_LIMIT = 120.0  # seconds until the process must have said that it is ready
CANCEL_GRACE = 8.0  # seconds a cancelled job has to finish its tile or batch
EXIT_GRACE = 10.0  # seconds from the result to the end of the process

_CODES = {cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, EngineError)}
_NOISE = re.compile(r'[IW]\d{4} |WARNING: All log messages before absl|\s*$')  # TensorFlow's at every start
_MEMORY = re.compile(r'bad_alloc|MemoryError|[Cc]annot allocate memory|[Oo]ut of memory|OOM when|failed to allocate')
_MEMORY_ADVICE = 'Use smaller tiles, batches or patches, or close other programs.'


def do_job(
    python: str,
    environment: Dict[str, str],
    job: Job,
    on_event: Callable[[Event], None],
    cancelled: Callable[[], bool],
    limit: float = float('inf'),
) -> Dict[str, Any]:
    """Do a job in a process of its own.

    Args:
        python: the interpreter.
        environment: the environment variables of the process.
        job: the job.
        on_event: called in this thread with each event of the job.
        cancelled: asked often; once it says yes, the job is stopped.
        limit: seconds after which the job is given up.

    Returns:
        The job's outputs by name.

    Raises:
        Cancelled: after the process has ended.
        EngineMissing, WorkerFailed, OutOfMemory, ProtocolError: the process could not do it.
        EngineError: what the job itself says went wrong.
    """
    end = time.monotonic() + limit
    with WorkerProcess(python, environment) as worker:
        try:
            worker.await_ready(cancelled)
            request = worker.start(job)
            while not cancelled():
                if time.monotonic() > end:
                    raise WorkerFailed(f'The engine gave no answer within {limit:.0f} seconds.')
                outcome = _handle(worker.receive(), request, on_event)
                if outcome is not None:
                    worker.finish(EXIT_GRACE)
                    return outcome.values
            _stop(worker, request, on_event)
            raise Cancelled()
        except (EngineMissing, WorkerFailed, OutOfMemory):
            words = worker.last_words()
            if words:
                on_event(Log(f'The last words of the engine:\n{words}', detail=True))
            raise


def _handle(message: Optional[Tuple[str, Event]], request: str, on_event: Callable[[Event], None]) -> Optional[Result]:
    """Pass an event of the request on; returns its result, raises the error that ended it."""
    if message is None:
        return None
    request_id, event = message
    if isinstance(event, Error):  # whatever request it names: there is only one
        if event.traceback:
            on_event(Log(event.traceback, detail=True))
        raise _CODES.get(event.code, EngineError)(event.message)
    if request_id != request:
        return None
    if isinstance(event, Result):
        return event
    on_event(event)
    return None


def _stop(worker: WorkerProcess, request: str, on_event: Callable[[Event], None]) -> None:
    """Ask the job to stop and see to it that it does."""
    worker.send('cancel', request)
    end = time.monotonic() + CANCEL_GRACE
    try:
        while time.monotonic() < end:
            if _handle(worker.receive(), request, on_event) is not None:
                break
        else:
            on_event(Log('The engine did not stop by itself and is ended.', detail=True))
            worker.terminate()
            return
    except EngineError:
        on_event(Log('The engine has stopped.', detail=True))  # most often by `Cancelled`, but any end will do
    worker.finish(KILL_GRACE)


class WorkerProcess:
    """One process of the engine. A context manager: nothing is left of the process after the block.

    Args:
        python: the interpreter.
        environment: the environment variables of the process.

    Raises:
        EngineMissing: the interpreter cannot be started.
    """

    def __init__(self, python: str, environment: Dict[str, str]) -> None:
        self._python = python
        self._ready = False
        self._log = tempfile.TemporaryFile('a+b')  # noqa: SIM115  (lives as long as the process; the child appends)
        try:
            self._child = Child([python, '-u', str(BOOTSTRAP)], environment, stderr=self._log)
        except OSError as error:
            self._log.close()
            raise EngineMissing(f'{python} cannot be started ({error.strerror or error}).') from error

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.__exit__(*error)
        self._log.close()

    def await_ready(self, cancelled: Callable[[], bool]) -> None:
        """Wait until the process says that it is ready."""
        end = time.monotonic() + START_LIMIT
        while not self._ready:
            if cancelled():
                raise Cancelled()
            if time.monotonic() > end:
                raise EngineMissing(f'The engine did not start within {START_LIMIT:.0f} seconds with {self._python}.')
            message = self.receive()
            self._ready = message is not None and isinstance(message[1], Ready)

    def start(self, job: Job) -> str:
        """Send a job; returns the id of the request."""
        request = uuid.uuid4().hex
        self.send('run', request, job=job.to_dict())
        return request

    def send(self, kind: str, request_id: str = '', **more: Any) -> None:
        """Send a request; never waits for the process."""
        line = json.dumps({'v': PROTOCOL, 'id': request_id, 'type': kind, **more})
        self._child.write(line.encode('ascii') + b'\n')

    def receive(self) -> Optional[Tuple[str, Event]]:
        """The next (request id, event), or None if nothing comes for a moment.

        Raises:
            EngineMissing, WorkerFailed, OutOfMemory: the process ended.
            WorkerFailed, ProtocolError: it says what is no event.
        """
        line = self._child.read(POLL)
        if line is None:
            return None
        if not line:
            raise self._death()
        message = decode(line.decode('utf-8', 'replace'))
        if message is None:
            raise _nonsense(line, self._python)
        return message

    def finish(self, seconds: float) -> None:
        """Let the process end by itself, for so many seconds."""
        self.send('shutdown')
        self._child.close_input()
        self._child.wait(seconds)

    def terminate(self) -> None:
        """Ask the process to end at once."""
        self._child.terminate()

    def last_words(self, lines: int = 40) -> str:
        """The last lines of what the process printed, without TensorFlow's usual ones."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 20000))
        text = self._log.read().decode('utf-8', 'replace').splitlines()
        return '\n'.join([line for line in text if not _NOISE.match(line)][-lines:])

    def _death(self) -> EngineError:
        """What to say when the process says nothing more."""
        status = self._child.wait(KILL_GRACE)
        words = self.last_words()
        last = words.splitlines()[-1].strip(' .')[:300] if words else 'it left no message'
        if status is None:
            return WorkerFailed('The engine stopped answering although its process goes on; it was ended.')
        if status in (-9, 137):  # SIGKILL, seen directly or through a wrapper script
            return OutOfMemory(f'The engine was killed, probably because memory ran out. {_MEMORY_ADVICE}')
        if _MEMORY.search(words):
            return OutOfMemory(f'Not enough memory for this job. {_MEMORY_ADVICE} ({last})')
        crash = _crash(status)
        if crash:
            return WorkerFailed(
                f'The engine crashed ({crash}). Too little memory is a frequent cause. {_MEMORY_ADVICE} '
                'If it happens again, please report it with the log.'
            )
        if not self._ready:
            return EngineMissing(f'The engine does not start with {self._python} (exit status {status}): {last}.')
        return WorkerFailed(f'The engine ended before the job was done (exit status {status}): {last}.')


def _crash(status: int) -> str:
    """The name of the crash that an exit status stands for; empty if it stands for none."""
    if status < 0 or 128 < status < 160:  # a signal, seen directly or through a wrapper script
        number = -status if status < 0 else status - 128
        return signal.Signals(number).name if number in set(signal.Signals) else f'signal {number}'
    return f'0x{status:08X}' if status >= 0xC0000000 else ''  # how Windows tells


def _nonsense(line: bytes, python: str) -> EngineError:
    """What to say of a line that is no event."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        version = json.loads(line)['v']
        if version != PROTOCOL:
            return ProtocolError(
                f'The engine speaks version {version} of the protocol, QGIS has loaded version {PROTOCOL}: Quadrat was '
                'updated meanwhile. Restart QGIS.'
            )
    text = line[:80].decode('utf-8', 'replace').strip()
    return WorkerFailed(
        f'The process of the engine printed what is no message of the engine: {text!r}. If {python} is a script, it '
        'must not print anything of its own.'
    )
