"""What a running job says, as JSON lines between processes and as objects within one.

A job function receives a `Reporter` and talks through it; who listens is not its concern: the worker writes each
event as a line on its standard output, a library user passes a callback.

On the wire an event is one JSON object a line::

    {"v": 1, "id": "<request id>", "type": "progress", "fraction": 0.25, "text": "tile 4 of 16"}
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from typing import Any, Callable, ClassVar, Dict, Optional, Type

from .errors import Cancelled

PROTOCOL = 1  # raised when a message changes its meaning; both ends must agree


@dataclasses.dataclass(frozen=True)
class Event:
    """Base of all events. `type` is its name on the wire."""

    type: ClassVar[str] = ''

    def to_dict(self) -> Dict[str, Any]:
        return {'type': self.type, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class Ready(Event):
    """The worker is up. Sent once, with no request id."""

    type: ClassVar[str] = 'ready'
    python: str = ''
    pid: int = 0


@dataclasses.dataclass(frozen=True)
class Progress(Event):
    """How far the job is: `fraction` from 0 to 1, never falling within a job."""

    type: ClassVar[str] = 'progress'
    fraction: float = 0.0
    text: str = ''


@dataclasses.dataclass(frozen=True)
class Log(Event):
    """A line for the log. `detail` lines are for the curious and for bug reports."""

    type: ClassVar[str] = 'log'
    text: str = ''
    detail: bool = False


@dataclasses.dataclass(frozen=True)
class Warn(Event):
    """Something the user should know although the job goes on."""

    type: ClassVar[str] = 'warning'
    text: str = ''


@dataclasses.dataclass(frozen=True)
class Metric(Event):
    """A number measured at a step: `name` such as ``validation/miou``, `step` such as the epoch."""

    type: ClassVar[str] = 'metric'
    name: str = ''
    value: float = 0.0
    step: int = 0


@dataclasses.dataclass(frozen=True)
class Preview(Event):
    """A picture of the state of the work: the path of a PNG."""

    type: ClassVar[str] = 'preview'
    path: str = ''


@dataclasses.dataclass(frozen=True)
class Result(Event):
    """The job is done; `values` are its outputs by name (paths, numbers, text)."""

    type: ClassVar[str] = 'result'
    values: Dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Error(Event):
    """The job failed. `message` is one line for people, `code` one of `errors.*.code` or ``internal``."""

    type: ClassVar[str] = 'error'
    code: str = ''
    message: str = ''
    traceback: str = ''


TYPES: Dict[str, Type[Event]] = {cls.type: cls for cls in (Ready, Progress, Log, Warn, Metric, Preview, Result, Error)}


def encode(event: Event, request_id: str = '') -> str:
    """One line of JSON, without the line break. Pure ASCII, so no terminal or code page can spoil it."""
    return json.dumps({'v': PROTOCOL, 'id': request_id, **event.to_dict()})


def decode(line: str) -> Optional[tuple]:
    """(request id, event) of a line, or None where the line is no event (something else printed there)."""
    try:
        message = json.loads(line)
        cls = TYPES[message.pop('type')]
        version, request_id = message.pop('v'), message.pop('id')
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if version != PROTOCOL:
        return None
    names = {field.name for field in dataclasses.fields(cls)}
    return request_id, cls(**{key: value for key, value in message.items() if key in names})


class Reporter:
    """What a job function talks to.

    Args:
        on_event: called with each `Event`, from whatever thread reports it, one at a time.
        cancelled: set from outside when the job should stop.

    Attributes:
        resolved: what `resolve` was told, by name.
        writes: False where another process of the same job writes its outputs, and so its records.
    """

    INTERVAL = 0.1  # seconds between progress events; a fast loop must not flood the pipe

    def __init__(
        self, on_event: Optional[Callable[[Event], None]] = None, cancelled: Optional[threading.Event] = None
    ) -> None:
        self._on_event = on_event
        self._lock = threading.Lock()
        self._fraction = 0.0
        self._sent = 0.0
        self._span = (0.0, 1.0)
        self.cancelled = cancelled or threading.Event()
        self.resolved: Dict[str, Any] = {}
        self.writes = True

    def emit(self, event: Event) -> None:
        """Pass an event on as it is."""
        if self._on_event is not None:
            with self._lock:
                self._on_event(event)

    def stage(self, start: float, end: float) -> None:
        """What follows reports 0 to 1 for the part of the job from `start` to `end`."""
        self._span = (start, end)

    def within(self, start: float, end: float) -> Reporter:
        """A reporter for a whole job that is the part of this one from `start` to `end`."""

        def hear(event: Event) -> None:
            if isinstance(event, Progress):
                self.stage(start, end)
                self.progress(event.fraction, event.text)
            else:
                self.emit(event)

        inner = Reporter(hear, self.cancelled)
        inner.resolved = self.resolved
        return inner

    def progress(self, fraction: float, text: str = '') -> None:
        """Report progress within the current stage; drops what comes too fast and never goes back."""
        start, end = self._span
        fraction = start + (end - start) * min(max(fraction, 0.0), 1.0)
        now = time.monotonic()
        if fraction < self._fraction or (now - self._sent < self.INTERVAL and fraction < 1.0):
            return
        self._fraction, self._sent = fraction, now
        self.emit(Progress(fraction, text))

    def log(self, text: str, detail: bool = False) -> None:
        self.emit(Log(text, detail))

    def warn(self, text: str) -> None:
        self.emit(Warn(text))

    def resolve(self, name: str, value: Any) -> None:
        """Say which value is used where the job left the choice open; it goes to the log and to the record."""
        self.resolved[name] = value
        self.log(f'{name}: {value}', detail=True)

    def metric(self, name: str, value: float, step: int) -> None:
        self.emit(Metric(name, float(value), int(step)))

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the user has asked to stop. Call it once a tile, batch or second."""
        if self.cancelled.is_set():
            raise Cancelled()
