"""What a command says, to people in a terminal or to programs."""

from __future__ import annotations

import json
import threading
from typing import Any, NamedTuple

from ..errors import Cancelled, ConfigurationError
from ..events import Error, Event, Log, Metric, Preview, Progress, Result, Warn
from ..records import finite
from .bar import Bar
from .parser import LEVELS
from .streams import Streams


class Answer(NamedTuple):
    """What a command gives.

    Attributes:
        values: for programs, by name.
        text: for people; None where the values are just as good.
    """

    values: dict[str, Any]
    text: str | None = None


class Console:
    """Base of both.

    Args:
        streams: where to say it.

    Attributes:
        cancelled: set when the job should stop, as when nobody listens any more.
        detailed: whether somebody wants to know all that libraries say.
    """

    detailed = False

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self.cancelled = threading.Event()
        for stream in (streams.answers, streams.messages):
            stream.on_closed = self.cancelled.set

    def hear(self, event: Event) -> None:
        """An event of the job."""
        raise NotImplementedError

    def answer(self, answer: Answer) -> None:
        """The last word of a command that did its work."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """A part of the answer, for people, before the last word."""

    def fail(self, fault: Error, error: BaseException) -> None:
        """The last word of one that did not.

        Args:
            fault: what to say.
            error: what happened.
        """
        raise NotImplementedError

    def note(self, text: str) -> None:
        """A line that is neither the job's nor the answer."""
        self._streams.messages.write(text)


class Terminal(Console):
    """Text: the answer on the standard output; progress, log lines, warnings and errors on the standard error.

    Args:
        level: one of `LEVELS`; what is below is not shown.
    """

    def __init__(self, streams: Streams, level: str) -> None:
        super().__init__(streams)
        self._level = LEVELS[level]
        self.detailed = level == 'DEBUG'
        self._bar = Bar(streams.messages)
        self._lock = threading.RLock()  # signals are told from a thread of their own

    def hear(self, event: Event) -> None:
        if isinstance(event, Progress):
            if self._level <= LEVELS['INFO']:
                with self._lock:
                    self._bar.show(event.fraction, event.text)
            return
        level, text = _line(event)
        if text and LEVELS[level] >= self._level:
            self.note(text)

    def answer(self, answer: Answer) -> None:
        text = answer.text
        self.say(json.dumps(answer.values, indent=1, ensure_ascii=False) if text is None else text)

    def say(self, text: str) -> None:
        self._bar.clear()
        if text:
            self._streams.answers.write(text.rstrip('\n'))

    def fail(self, fault: Error, error: BaseException) -> None:
        self._bar.clear()
        if fault.traceback:
            self.note(fault.traceback)
        if isinstance(error, ConfigurationError):
            # Each fault begins with its file and line, as editors and compilers have it.
            self.note('\n'.join(error.faults))
        elif fault.code == Cancelled.code:
            self.note(fault.message)
        else:
            self.note(f'Error: {fault.message}')

    def note(self, text: str) -> None:
        with self._lock:
            self._bar.line_above(text)


class JsonLines(Console):
    """Each event as a line of JSON on the standard output; the last one is of type ``result`` or ``error``."""

    def hear(self, event: Event) -> None:
        self._write(event.to_dict())

    def answer(self, answer: Answer) -> None:
        self._write(Result(answer.values).to_dict())

    def fail(self, fault: Error, error: BaseException) -> None:
        if fault.traceback:
            self.note(fault.traceback)
        line = {'type': fault.type, 'code': fault.code, 'message': fault.message}
        faults = getattr(error, 'faults', ())
        self._write({**line, 'faults': list(faults)} if faults else line)

    def _write(self, line: dict[str, Any]) -> None:
        self._streams.answers.write(json.dumps(finite(line)))


def _line(event: Event) -> tuple[str, str]:
    """(level, text) of an event; no text where there is nothing to say."""
    if isinstance(event, Log):
        return 'DEBUG' if event.detail else 'INFO', event.text
    if isinstance(event, Warn):
        return 'WARNING', f'Warning: {event.text}'
    if isinstance(event, Metric):
        return 'DEBUG', f'{event.name} {event.value:.6g} at {event.step}'
    if isinstance(event, Preview):
        return 'DEBUG', event.path
    return 'DEBUG', ''
