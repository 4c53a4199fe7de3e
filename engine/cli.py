"""The command line: ``python -m quadrat …``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from . import records, registry
from .events import Error, Event, Log, Progress, Warn
from .worker import failure, set_defaults

CANCELLED = 130  # what shells make of an interrupted program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog='quadrat', description='Deep networks on map patches.')
    commands = parser.add_subparsers(dest='name', required=True, metavar='COMMAND')
    run = commands.add_parser('run', help='do a job, or do again what the record beside an output tells')
    run.add_argument('job', metavar='JOB.json', help='a job, or the record <output>.json of an earlier run')
    run.set_defaults(do=_run)
    options = parser.parse_args(arguments)
    set_defaults()
    try:
        return options.do(options)
    except Exception as error:
        fault = failure(error)
        _show(Error('', '', fault.traceback))
        print(f'Error: {fault.message}', file=sys.stderr)
        return CANCELLED if fault.code == 'cancelled' else 1


def _run(options: argparse.Namespace) -> int:
    """``quadrat run``: the outputs go to the standard output as JSON, everything else to the standard error."""
    job, folder = records.load(options.job)
    if os.path.isdir(folder):
        os.chdir(folder)
    cancelled = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: cancelled.set())
    values = registry.run(job, _show, cancelled)
    print(json.dumps(values, indent=1, ensure_ascii=False))
    return 0


def _show(event: Event) -> None:
    """An event as a line of text for the terminal."""
    if isinstance(event, Progress):
        if sys.stderr.isatty():
            print(f'{100 * event.fraction:5.1f} % {event.text}', end='\033[K\r', file=sys.stderr)
    elif isinstance(event, Log):
        print(event.text, file=sys.stderr)
    elif isinstance(event, Warn):
        print(f'Warning: {event.text}', file=sys.stderr)
    elif isinstance(event, Error) and event.traceback:
        print(event.traceback, file=sys.stderr)
