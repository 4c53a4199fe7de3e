"""The report of a sweep: its runs in a table, the best one first, and the score over each setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from . import html

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _UPPER, _LOWER = 520, 240, 52, 18, 34, 38
_GAP = 0.12  # share of the axis that is left free at either end
_APART = 0.14  # of the axis, between two of the numbers below it
_LINES = 4
_LOG = 30.0  # from this ratio of largest to smallest on, positive numbers are shown on a logarithmic axis


def sweep_report(title: str, subtitle: str, record: Mapping[str, Any]) -> str:
    """The report as HTML.

    Args:
        record: ``measure`` and ``best`` (number of the best run or None); ``keys`` of the settings; and ``runs``,
            ranked: each with ``number``, ``name``, ``settings`` (texts), ``values`` (as they are), ``score``,
            ``best_epoch``, ``seconds``, ``status`` and ``reason``.
    """
    runs, keys = record['runs'], record['keys']
    parts = [_headline(record), html.section('Runs', _table(record), *_remarks(runs))]
    charts = [_chart(key, record['measure'] or 'score', runs, record['best']) for key in keys]
    if any(run['score'] is not None for run in runs):
        parts.append(html.section('Score over each setting', html.row(*charts)))
    return html.page(title, subtitle, parts)


def _headline(record: Mapping[str, Any]) -> str:
    runs = record['runs']
    done = sum(run['status'] == 'done' for run in runs)
    figures = [('runs done', f'{done} of {len(runs)}')]
    best = next((run for run in runs if run['number'] == record['best']), None)
    if best is not None:
        figures = [(f'best {record["measure"]}', html.number(best['score'], 4)), ('best run', best['name']), *figures]
    figures.append(('seconds', f'{sum(run["seconds"] for run in runs):.0f}'))
    return html.tiles(figures)


def _table(record: Mapping[str, Any]) -> str:
    header = ['Run', *record['keys'], record['measure'] or 'Score', 'Best epoch', 'Seconds', 'Status']
    rows = []
    for run in record['runs']:
        best = run['number'] == record['best']
        cells = [
            f'{run["name"]} ★' if best else run['name'],
            *(html.text(run['settings'].get(key, '')) for key in record['keys']),
            html.number(run['score'], 4),
            '–' if run['best_epoch'] is None else html.text(run['best_epoch']),
            html.number(run['seconds'], 1),
            html.text(run['status']),
        ]
        rows.append([f'<b>{cell}</b>' for cell in cells] if best else cells)
    return html.table(header, rows)


def _remarks(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why runs failed, or cannot be compared."""
    found = [(run['name'], run['reason']) for run in runs if run['reason']]
    return [html.heading('Remarks'), html.facts(found)] if found else []


def _chart(key: str, measure: str, runs: Sequence[Mapping[str, Any]], best: int | None) -> str:
    """The scores of all runs as points over the values of one setting."""
    scored = [run for run in runs if run['score'] is not None and key in run['values']]
    places, labels = _axis([run['values'][key] for run in scored], [run['settings'][key] for run in scored])
    scores = [float(run['score']) for run in scored]
    ticks = _ticks(scores)

    def x(share: float) -> float:
        return _LEFT + (_GAP + share * (1 - 2 * _GAP)) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _LOWER - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (_HEIGHT - _LOWER - _UPPER)

    out = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.text(measure)} over {html.text(key)}">']
    out.append(f'<text x="{_LEFT}" y="16" style="font-weight:600;fill:#1d2b36">{html.text(key)}</text>')
    for tick in ticks:
        height = f'{y(tick):.1f}'
        out.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height}" y2="{height}" stroke="#dfe5ea"/>')
        out.append(f'<text x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.3g}</text>')
    for share, label in labels:
        out.append(f'<text x="{x(share):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{html.text(label)}</text>')
    points = zip(scored, places, scores)
    for run, place, score in sorted(points, key=lambda point: point[0]['number'] == best):  # the best on top
        chosen = run['number'] == best
        colour, radius = (html.COLOURS[1], 6) if chosen else (html.COLOURS[0], 4)
        name = f'{run["name"]}: {run["settings"][key]}, {score:.4f}'
        out.append(
            f'<circle cx="{x(place):.1f}" cy="{y(score):.1f}" r="{radius}" fill="{colour}" fill-opacity="0.8">'
            f'<title>{html.text(name)}</title></circle>'
        )
    return ''.join(out) + '</svg>'


def _ticks(scores: Sequence[float]) -> list[float]:
    """Even values from the worst score to the best one, which need not begin at 0: differences are what is shown."""
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return [low + (high - low) * i / (_LINES - 1) for i in range(_LINES)]


def _axis(values: Sequence[Any], texts: Sequence[str]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where values stand on an axis from 0 to 1, and what is written below it."""
    numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values) or not numbers:
        names = list(dict.fromkeys(texts))
        shares = {name: i / max(len(names) - 1, 1) for i, name in enumerate(names)}
        return [shares[name] for name in texts], [(shares[name], name) for name in names]
    scaled = numbers
    if min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG:
        scaled = [math.log(number) for number in numbers]
    low, span = min(scaled), (max(scaled) - min(scaled)) or 1.0
    places = [(number - low) / span for number in scaled]
    labels: list[tuple[float, str]] = []
    for place, number in sorted(zip(places, numbers)):
        if not labels or place - labels[-1][0] >= _APART:
            labels.append((place, f'{number:.3g}'))
    return places, labels
