"""The command line as a program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .parser import Answered, UsageError, parse
from .streams import Streams

if TYPE_CHECKING:
    import argparse

    from .console import Console

DONE, FAILED, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None: those of the process.

    Returns:
        The exit status: 0 where it was done, 1 where it failed, 2 where the arguments cannot be understood, 130 where
        it was interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with Streams() as streams:
        try:
            options = parse(arguments)
        except Answered as answer:
            streams.answers.write(str(answer).rstrip('\n'))
            return FAILED if streams.closed else DONE
        except UsageError as error:
            _refuse(streams, str(error), '--json' in arguments)
            return USAGE
        status = _do(options, _console(options, streams))
        return FAILED if streams.closed else status


def _console(options: argparse.Namespace, streams: Streams) -> Console:
    from .console import JsonLines, Terminal

    return JsonLines(streams) if options.json else Terminal(streams, options.log_level)


def _refuse(streams: Streams, text: str, json: bool) -> None:
    """Say what is wrong with the arguments."""
    streams.messages.write(f'Error: {text}')
    if json:
        from ..events import Error
        from .console import JsonLines

        JsonLines(streams).fail(Error('usage', text), UsageError())


def _do(options: argparse.Namespace, console: Console) -> int:
    """The command."""
    try:
        answer = options.do(options, console)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # code of the user's own may call exit()
        return _failed(error, console)
    console.answer(answer)
    return DONE


def _failed(error: BaseException, console: Console) -> int:
    """Say why a command did not do its work; returns the exit status."""
    from ..errors import Cancelled
    from ..worker import failure
    from .interruption import INTERRUPTED

    fault = failure(Cancelled('Interrupted.') if isinstance(error, KeyboardInterrupt) else error)
    console.fail(fault, error)
    return INTERRUPTED if fault.code == Cancelled.code else FAILED
