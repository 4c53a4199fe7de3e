"""The engine as a process of its own: requests in, events out, one JSON object a line.

Requests on the standard input, each with the protocol's version::

    {"v": 1, "id": "a", "type": "run", "job": {"job": "demoscene", "output": "scene"}}
    {"v": 1, "id": "a", "type": "cancel"}
    {"v": 1, "id": "", "type": "shutdown"}

Jobs are done in turn. Events (see `events`) go to the standard output, which nothing else can reach: whatever a
library prints there ends up on the standard error. When the input ends, whoever started this process is gone; the
running job is cancelled, and the process ends even if the job does not.
"""

from __future__ import annotations

import errno
import faulthandler
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

from . import registry
from .errors import DiskFull, EngineError, EngineMissing, OutOfMemory, ProtocolError
from .events import PROTOCOL, Error, Event, Ready, Result, encode
from .jobs import job_from_dict

GRACE = 5.0  # seconds a job has to end by itself once nobody listens any more


def main() -> int:
    """Serve requests until the input ends or a shutdown is asked for."""
    events = take_stdout()
    set_defaults()
    faulthandler.enable()  # a crash leaves a trace on the standard error
    return Worker(events).serve()


def set_defaults() -> None:
    """What TensorFlow and Keras read from the environment when they are imported."""
    os.environ['KERAS_BACKEND'] = 'tensorflow'  # a user's keras.json may name another
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')  # other programs need the GPU's memory, too


def take_stdout() -> TextIO:
    """The real standard output; from now on, what is printed goes to the standard error."""
    events = os.fdopen(os.dup(1), 'w', encoding='ascii', newline='\n')
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


class Worker:
    """Does the jobs it is asked for, one after another.

    Args:
        events: where events are written.
        requests: descriptor of the file that requests are read from.
    """

    def __init__(self, events: TextIO, requests: int = 0) -> None:
        self._events = events
        self._requests = requests
        self._writing = threading.Lock()
        self._todo: queue.Queue[tuple[str, Any, threading.Event] | None] = queue.Queue()
        self._cancelled: dict[str, threading.Event] = {}

    def serve(self) -> int:
        """Work until there is nothing more to do; returns the exit status."""
        self._send(encode(Ready(sys.executable, os.getpid())))
        threading.Thread(target=self._listen, name='requests', daemon=True).start()
        while True:
            request = self._todo.get()
            if request is None:
                return 0
            self._do(*request)

    def _do(self, request_id: str, job: Any, cancelled: threading.Event) -> None:
        """One job, from its first event to its result or error."""

        def tell(event: Event) -> None:
            self._send(encode(event, request_id))

        try:
            outcome = encode(Result(registry.run(job_from_dict(job), tell, cancelled)), request_id)
        except Exception as error:
            outcome = encode(failure(error), request_id)
        self._cancelled.pop(request_id, None)
        self._send(outcome)

    def _listen(self) -> None:
        """Read requests as they come, while jobs run; a thread of its own."""
        for line in _lines(self._requests):
            fault = self._accept(line)
            if fault:
                self._send(encode(Error(ProtocolError.code, fault), _request_id(line)))
        self._cancel_all()
        self._todo.put(None)
        time.sleep(GRACE)
        os._exit(1)

    def _accept(self, line: bytes) -> str:
        """Take one request in; returns what is wrong with it, if anything."""
        try:
            message = json.loads(line)
            version, request_id, kind = message['v'], str(message['id']), message['type']
        except (ValueError, KeyError, TypeError):
            return f'Not a request: {line[:80].decode("utf-8", "replace")!r}.'
        if version != PROTOCOL:
            return (
                f'The request is of protocol version {version}, this engine speaks version {PROTOCOL}: QGIS and the '
                'engine are of different versions of Quadrat. Restart QGIS.'
            )
        if kind == 'run':
            self._cancelled[request_id] = cancelled = threading.Event()
            self._todo.put((request_id, message.get('job'), cancelled))
        elif kind == 'cancel':
            if request_id in self._cancelled:  # else it is done already
                self._cancelled[request_id].set()
        elif kind == 'shutdown':
            self._todo.put(None)
        else:
            return f'Unknown request {kind!r}; known are run, cancel and shutdown.'
        return ''

    def _cancel_all(self) -> None:
        for cancelled in list(self._cancelled.values()):
            cancelled.set()

    def _send(self, line: str) -> None:
        try:
            with self._writing:
                self._events.write(line + '\n')
                self._events.flush()
        except OSError:  # nobody reads any more
            self._cancel_all()


def failure(error: BaseException) -> Error:
    """The error event for whatever ended a job: one line for people, and the traceback where it is our fault."""
    if isinstance(error, EngineError):
        return Error(error.code, str(error))
    trace = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
    what = ' '.join(f'{type(error).__name__}: {error}'.split())[:300]
    if _is_memory(error):
        message = 'Not enough memory for this job. Use smaller tiles, batches or patches, or close other programs.'
        return Error(OutOfMemory.code, message, trace)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Error(DiskFull.code, f'The disk is full. Free some space or choose another place. {what}', trace)
    if isinstance(error, ImportError) and not (error.name or '').startswith(__package__.partition('.')[0]):
        if isinstance(error, ModuleNotFoundError):
            return Error(EngineMissing.code, f'{sys.executable} does not have the package {error.name}.')
        return Error(EngineMissing.code, f'{sys.executable} cannot load what the engine needs: {what}.', trace)
    return Error('internal', f'A fault of Quadrat itself, please report it with the log: {what}', trace)


def _is_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, also where a library has wrapped the error in another."""
    while error is not None:
        # TensorFlow's errors are known by name and text, so that nothing is imported for jobs that do without it.
        if isinstance(error, MemoryError) or type(error).__name__ == 'ResourceExhaustedError':
            return True
        if 'RESOURCE_EXHAUSTED' in str(error):  # how XLA puts it, inside an error of another class
            return True
        error = error.__cause__ or error.__context__
    return False


def _lines(descriptor: int) -> Iterator[bytes]:
    """Lines of a descriptor. No file object: its lock, held by a waiting thread, would abort Python's exit."""
    rest = b''
    while True:
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b'\n')
        yield from (line for line in lines if line.strip())


def _request_id(line: bytes) -> str:
    """The id of a request that cannot be understood, as far as it can be told."""
    try:
        return str(json.loads(line)['id'])
    except (ValueError, KeyError, TypeError):
        return ''


if __name__ == '__main__':
    sys.exit(main())
