"""Square diagrams of two axes with the same ends, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .html import COLOURS, text


class Square:
    """A square diagram of two axes with the same ends; `svg` puts parts into it.

    Args:
        upward, across: what the axes are.
        low, high: their ends.
    """

    def __init__(self, upward: str, across: str, low: float, high: float) -> None:
        self._names, self._low, self._high = (upward, across), low, high
        self._side, self._margin = 320, 58

    def _x(self, value: float) -> float:
        return self._margin + (value - self._low) / (self._high - self._low) * self._side

    def _y(self, value: float) -> float:
        return 14 + self._side - (value - self._low) / (self._high - self._low) * self._side

    def rectangle(self, left: float, bottom: float, right: float, top: float, colour: str) -> str:
        """A filled rectangle, in values of the axes."""
        x, y = self._x(left), self._y(top)
        size = f'width="{self._x(right) - x:.2f}" height="{self._y(bottom) - y:.2f}"'
        return f'<rect x="{x:.2f}" y="{y:.2f}" {size} fill="{text(colour)}"/>'

    def dot(self, x: float, y: float) -> str:
        """A point."""
        return f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="3.5" fill="{COLOURS[0]}"/>'

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """A line through points."""
        places = ' '.join(f'{self._x(x):.1f},{self._y(y):.1f}' for x, y in points)
        return f'<polyline points="{places}" fill="none" stroke="{COLOURS[0]}" stroke-width="2"/>'

    def diagonal(self) -> str:
        """Where both values are the same."""
        ends = (
            f'x1="{self._x(self._low)}" y1="{self._y(self._low)}" x2="{self._x(self._high)}" y2="{self._y(self._high)}"'
        )
        return f'<line {ends} stroke="#5d6d7a" stroke-dasharray="4 4"/>'

    def svg(self, parts: Iterable[str]) -> str:
        """The diagram."""
        upward, across = map(text, self._names)
        width, height = self._margin + self._side + 14, self._side + 62
        name = f'role="img" aria-label="{upward}, {across}"'
        out = [f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" {name}>']
        for part in (0, 0.25, 0.5, 0.75, 1):
            value = self._low + part * (self._high - self._low)
            x, y = self._x(value), self._y(value)
            out.append(f'<line x1="{self._margin}" x2="{width - 14}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dfe5ea"/>')
            out.append(f'<text x="{self._margin - 7}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
            out.append(f'<text x="{x:.1f}" y="{height - 30}" text-anchor="middle">{value:.4g}</text>')
        middle = 14 + self._side / 2
        out.append(f'<text x="{self._margin + self._side / 2}" y="{height - 8}" text-anchor="middle">{across}</text>')
        out.append(f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{upward}</text>')
        return ''.join([*out, *parts]) + '</svg>'


def shade(share: float) -> str:
    """A colour of the reports, from nearly white at 0 to dark at 1."""
    return '#' + ''.join(f'{round(244 + (end - 244) * min(max(share, 0.0), 1.0)):02x}' for end in (31, 122, 92))
