"""The look of all reports: one self-contained HTML page, without scripts and without anything from elsewhere.

Functions return HTML; texts given to them are escaped here, and only here.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_STYLE = """
:root { --ink: #1d2b36; --soft: #5d6d7a; --line: #dfe5ea; --ground: #f4f6f8; --accent: #1f7a5c; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 0 20px 48px; }
header { background: var(--ink); color: #fff; padding: 30px 0 26px; margin-bottom: 24px; }
header div { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
header p { margin: 4px 0 0; color: #b9c6d0; }
h1 { margin: 0; font-size: 27px; font-weight: 650; letter-spacing: -.01em; }
h2 { margin: 0 0 14px; font-size: 18px; font-weight: 650; }
h3 { margin: 20px 0 8px; font-size: 14px; font-weight: 600; color: var(--soft); }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; margin: 0 0 18px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
th:first-child, td:first-child, td.text { text-align: left; }
td.text { white-space: normal; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
.wide { overflow-x: auto; }
.tiles { display: flex; flex-wrap: wrap; gap: 14px; margin-bottom: 18px; }
.tile { flex: 1 1 150px; background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; }
.tile b { display: block; font-size: 25px; font-weight: 650; letter-spacing: -.01em; }
.tile span { color: var(--soft); font-size: 13px; }
.row { display: flex; flex-wrap: wrap; gap: 24px; }
.row > * { flex: 1 1 380px; min-width: min-content; }
.swatch { display: inline-block; width: 13px; height: 13px; border-radius: 3px; border: 1px solid rgba(0,0,0,.25);
  margin-right: 8px; vertical-align: -1px; }
.heat td { text-align: center; min-width: 74px; border: 2px solid #fff; border-radius: 4px; }
.heat td:first-child { text-align: left; }
.heat th { text-align: center; max-width: 120px; overflow: hidden; text-overflow: ellipsis; }
.heat small { display: block; opacity: .75; font-size: 11px; }
.gallery { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; max-width: 720px; }
.gallery span { color: var(--soft); font-size: 13px; }
.gallery img { width: 100%; display: block; border-radius: 4px; border: 1px solid var(--line);
  image-rendering: pixelated; }
.legend { margin: 10px 0 0; color: var(--soft); font-size: 13px; }
.legend span { margin-right: 16px; white-space: nowrap; }
.bar { display: flex; height: 22px; border-radius: 5px; overflow: hidden; border: 1px solid var(--line); }
.bar span { height: 100%; min-width: 1px; }
.gap { background: repeating-linear-gradient(135deg, #eef1f4 0 4px, #c6d0d8 4px 5px); }
img.whole { display: block; max-width: 100%; border: 1px solid var(--line); border-radius: 6px; }
p.note { margin: 10px 0 0; color: var(--soft); font-size: 13px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--soft); }
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } }
"""
COLOURS = ('#3b6fb6', '#d9722b', '#1f7a5c', '#8a4fa3')  # of lines, in this order


class Line(NamedTuple):
    """A line of a chart: its name, and a value for each place (None where there is none).

    The places are epochs 1, 2, …, unless `places` says where between them the values are.
    """

    name: str
    values: Sequence[float | None]
    places: Sequence[float] = ()


def page(title: str, subtitle: str, parts: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{text(title)}</title><style>{_STYLE}</style></head>\n'
        f'<body><header><div><h1>{text(title)}</h1><p>{text(subtitle)}</p></div></header>\n'
        '<main>' + '\n'.join(parts) + '</main></body></html>\n'
    )


def text(value: object) -> str:
    """Anything as text that is safe in HTML."""
    return html.escape(str(value))


def section(title: str, *parts: str) -> str:
    return f'<section><h2>{text(title)}</h2>{"".join(parts)}</section>'


def heading(title: str) -> str:
    return f'<h3>{text(title)}</h3>'


def note(words: str) -> str:
    return f'<p class="note">{text(words)}</p>'


def row(*parts: str) -> str:
    """Parts side by side where there is room."""
    return '<div class="row">' + ''.join(f'<div>{part}</div>' for part in parts) + '</div>'


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """A few large figures: (label, value)."""
    return (
        '<div class="tiles">'
        + ''.join(f'<div class="tile"><b>{text(value)}</b><span>{text(label)}</span></div>' for label, value in values)
        + '</div>'
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already (`text`, `number`, `class_name`); an empty header leaves it out."""
    head = '<tr>' + ''.join(f'<th>{text(name)}</th>' for name in header) + '</tr>' if header else ''
    body = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in cells) + '</tr>' for cells in rows)
    return f'<div class="wide"><table>{head}{body}</table></div>'


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of words, which are HTML already: columns are to the left, and long lines are broken."""
    head = ''.join(f'<th style="text-align:left">{text(name)}</th>' for name in header)
    body = ''.join('<tr>' + ''.join(f'<td class="text">{cell}</td>' for cell in cells) + '</tr>' for cells in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def facts(values: Iterable[tuple[str, object]]) -> str:
    """A table of names and what they are."""
    body = ''.join(f'<tr><td>{text(name)}</td><td class="text">{text(value)}</td></tr>' for name, value in values)
    return f'<div class="wide"><table>{body}</table></div>'


def number(value: float | None, digits: int = 3) -> str:
    """A fraction with so many digits; a dash where it is not defined."""
    return '–' if value is None else f'{value:.{digits}f}'


def count(value: int) -> str:
    """A whole number, its thousands apart."""
    return f'{value:,}'.replace(',', '\u202f')


def class_name(name: str, colour: str) -> str:
    """A class with a sample of its colour."""
    return f'{_swatch(colour)}{text(name)}'


def legend(classes: Iterable[tuple[str, str]]) -> str:
    """Names and colours of classes in a line."""
    return '<p class="legend">' + ' '.join(f'<span>{class_name(*item)}</span>' for item in classes) + '</p>'


def heat_table(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A confusion matrix: rows are the reference; the darker a cell, the larger its share of the row."""
    head = '<tr><th></th>' + ''.join(f'<th title="{text(name)}">{text(name)}</th>' for name in names) + '</tr>'
    body = []
    for i, cells in enumerate(counts):
        total = sum(cells)
        body.append(f'<tr><td>{text(names[i])}</td>')
        for j, cell in enumerate(cells):
            share = cell / total if total else 0.0
            rgb = '31,122,92' if i == j else '200,70,40'
            ink = '#fff' if share > 0.55 else 'inherit'
            body.append(
                f'<td style="background:rgba({rgb},{share**0.6:.3f});color:{ink}">{count(cell)}'
                f'<small>{share:.1%}</small></td>'
            )
        body.append('</tr>')
    return f'<div class="wide"><table class="heat">{head}{"".join(body)}</table></div>'


def gallery(headings: Sequence[str], pictures: Iterable[Sequence[bytes]]) -> str:
    """Rows of three PNG pictures below three headings."""
    cells = ''.join(f'<span>{text(name)}</span>' for name in headings)
    for trio in pictures:
        for name, data in zip(headings, trio):
            source = base64.b64encode(data).decode('ascii')
            cells += f'<img alt="{text(name)}" src="data:image/png;base64,{source}">'
    return f'<div class="gallery">{cells}</div>'


def picture(name: str, data: bytes) -> str:
    """A PNG, as wide as there is room."""
    source = base64.b64encode(data).decode('ascii')
    return f'<img class="whole" alt="{text(name)}" src="data:image/png;base64,{source}">'


def share_bar(parts: Iterable[tuple[str, str, int]]) -> str:
    """Parts of a whole beside one another: (name, colour, size). Without a colour they are hatched."""
    listed = [part for part in parts if part[2]]
    total = sum(size for _, _, size in listed)
    spans = ''
    for name, colour, size in listed:
        look = f'background:{text(colour)};' if colour else ''
        gap = '' if colour else ' class="gap"'
        spans += (
            f'<span{gap} title="{text(name)}: {size / total:.1%}" style="{look}width:{100 * size / total:.3f}%"></span>'
        )
    return f'<div class="bar">{spans}</div>'


def line_chart(title: str, lines: Sequence[Line], mark: float | None = None, top: float | None = None) -> str:
    """Values over epochs as an SVG.

    Args:
        mark: the place to mark with a vertical line.
        top: upper end of the vertical axis; None for that of the values.
    """
    width, height, left, right, upper, lower = 520, 270, 46, 14, 34, 34
    values = [value for line in lines for value in line.values if value is not None]
    ticks = _ticks(top if top is not None else max(values, default=1.0), min(values, default=0.0))
    places = [line.places or range(1, len(line.values) + 1) for line in lines]
    first = min([1, *(place for known in places for place in known)])
    steps = max([1, *(math.ceil(place) for known in places for place in known)])

    def x(place: float) -> float:
        return left + (place - first) / max(steps - first, 1) * (width - left - right)

    def y(value: float) -> float:
        share = (min(value, ticks[-1]) - ticks[0]) / (ticks[-1] - ticks[0])
        return height - lower - share * (height - lower - upper)

    out = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(title)}">']
    out.append(f'<text x="{left}" y="16" style="font-weight:600;fill:#1d2b36">{text(title)}</text>')
    for tick in ticks:
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#dfe5ea"/>')
        out.append(f'<text x="{left - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for step in _steps(steps):
        out.append(f'<text x="{x(step):.1f}" y="{height - 14}" text-anchor="middle">{step}</text>')
    if mark is not None:
        out.append(
            f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{upper}" y2="{height - lower}" stroke="#5d6d7a" '
            'stroke-dasharray="4 4"/>'
        )
    name_x = width - right
    for line, known, colour in reversed(list(zip(lines, places, COLOURS))):
        points = [(x(place), y(value)) for place, value in zip(known, line.values) if value is not None]
        path = ' '.join(f'{px:.1f},{py:.1f}' for px, py in points)
        out.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
        )
        if points:
            out.append(f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3" fill="{colour}"/>')
        look = f'fill:{colour};font-weight:600'
        out.append(f'<text x="{name_x}" y="16" text-anchor="end" style="{look}">{text(line.name)}</text>')
        name_x -= 12 + 7 * len(line.name)
    return ''.join(out) + '</svg>'


def _swatch(colour: str) -> str:
    return f'<span class="swatch" style="background:{text(colour)}"></span>'


def _ticks(largest: float, least: float = 0.0) -> list[float]:
    """Round values from 0, or from below `least` where that is negative, to at least `largest`; about six of them."""
    low = min(least, 0.0)
    span = max(largest, 0.0) - low
    if not span > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(span))
    step = next(power * share for share in (0.2, 0.5, 1.0, 2.0) if power * share * 5 >= span * (1 - 1e-9))
    first, last = math.floor(low / step * (1 + 1e-9)), math.ceil(max(largest, 0.0) / step * (1 - 1e-9))
    return [round(step * i, 10) for i in range(first, last + 1)]


def _steps(count_: int) -> list[int]:
    """At most about ten steps to write below a chart: the first, and round ones."""
    distance = next(d for d in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if count_ / d <= 10)
    return [1, *range(distance if distance > 1 else 2, count_ + 1, distance)]
