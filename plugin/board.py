"""TensorBoard beside QGIS."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, List

from ..engine.errors import Cancelled, EngineMissing, WorkerFailed
from . import environment
from .child import Child

SCRIPT = Path(__file__).resolve().parent.parent / 'engine' / 'board.py'
POLL = 0.1  # seconds between looks at whether the user wants to stop
START_LIMIT = 120.0  # seconds until it must have said where it is

_running: List[Child] = []


def start(folder: str, seconds: float, cancelled: Callable[[], bool]) -> str:
    """Start TensorBoard in the engine's environment.

    Args:
        folder: whose logs, and those of folders within it, are shown.
        seconds: after which it ends, be QGIS there or not; 0: with QGIS.
        cancelled: asked while it starts.

    Returns:
        Its address.

    Raises:
        EngineMissing: there is no TensorBoard.
        WorkerFailed: it does not start.
    """
    interpreter = environment.find(True)
    command = [interpreter.path, '-u', str(SCRIPT), folder, str(seconds)]
    try:
        child = Child(command, environment.child_environment())
    except OSError as error:
        raise EngineMissing(f'{interpreter.path} cannot be started ({error.strerror or error}).') from error
    try:
        url = _address(child, interpreter.path, cancelled)
    except BaseException:
        child.__exit__()
        raise
    _running.append(child)
    return url


def stop_all() -> None:
    """End all that were started."""
    while _running:
        _running.pop().__exit__()


def _address(child: Child, python: str, cancelled: Callable[[], bool]) -> str:
    """What it says of where it is."""
    end, last = time.monotonic() + START_LIMIT, ''
    while time.monotonic() < end:
        if cancelled():
            raise Cancelled()
        line = child.read(POLL)
        if line is None:
            continue
        text = line.decode('utf-8', 'replace').strip()
        if text.startswith('http'):
            return text
        if text.startswith('missing: '):
            raise EngineMissing(
                f'{python} has no TensorBoard ({text[len("missing: ") :]}). Run "Install the engine" again, or: '
                f'"{python}" -m pip install tensorboard'
            )
        if not line:
            raise WorkerFailed(f'TensorBoard ended before it was there: {last or "it left no message"}.')
        last = text or last
    raise WorkerFailed(f'TensorBoard did not start within {START_LIMIT:.0f} seconds.')
