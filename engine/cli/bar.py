"""How far a job is, as one line of a terminal that is written over again and again."""

from __future__ import annotations

import shutil
import time

from .streams import Stream

WIDEST = 30  # characters of the bar itself
NARROW = 50  # columns of a terminal that has no room for it
ECHO = 2  # what a terminal itself adds when somebody presses Ctrl-C: ^C


class Bar:
    """A progress bar with the time that is left.

    Args:
        stream: where it is shown; on what is no terminal it shows nothing.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._terminal = stream.terminal()
        self._line = ''
        self._start: tuple[float, float] | None = None

    def show(self, fraction: float, text: str) -> None:
        """Draw it anew.

        Args:
            fraction: of the job, from 0 to 1.
            text: what is being done.
        """
        if not self._terminal:
            return
        now = time.monotonic()
        # A job that goes on where an earlier one ended does not begin at 0.
        started, first = self._start = self._start or (now, fraction)
        left = (now - started) / (fraction - first) * (1 - fraction) if fraction > first else None
        self._draw(bar_line(fraction, left, text, shutil.get_terminal_size().columns - 1 - ECHO))

    def line_above(self, text: str) -> None:
        """Write a line; the bar comes after it."""
        line = self._line
        self.clear()
        self._stream.write(text)
        if line:
            self._draw(line)

    def clear(self) -> None:
        """Take it away."""
        if self._line:
            self._draw('')

    def _draw(self, line: str) -> None:
        # Blanks instead of escape sequences, which not every terminal on Windows knows.
        width = len(self._line) + ECHO if self._line else 0
        self._stream.write('\r' + line.ljust(width) + ('' if line else '\r'), end='')
        self._line = line


def bar_line(fraction: float, left: float | None, text: str, width: int) -> str:
    """The bar as text.

    Args:
        left: seconds until the end; None while they are not known.
        width: the most characters it may have.
    """
    head = f'{100 * fraction:3.0f}%'
    if width >= NARROW:
        size = min(WIDEST, width - NARROW + 10)
        done = int(fraction * size)
        head += f' [{"#" * done}{"." * (size - done)}]'
    if left is not None:
        head += f' ETA {clock(left)}'
    return f'{head}  {text}'[:width].rstrip()


def clock(seconds: float) -> str:
    """Seconds as people read them: ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f'{hours}:{minute:02d}:{second:02d}' if hours else f'{minute}:{second:02d}'
