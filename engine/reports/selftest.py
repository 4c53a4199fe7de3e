"""The report of the self-test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import html

_GOOD, _BAD, _OPEN = '#1f7a5c', '#d7301f', '#c6d0d8'


def self_test_report(record: Mapping[str, Any]) -> str:
    """The report as HTML.

    Args:
        record: ``passed``, ``seconds``, ``started``; ``steps``, each with ``name``, ``result`` (``passed``, ``failed``
            or ``not done``), ``seconds``, ``text`` and ``remedy``; ``versions`` by name; and ``devices``.
    """
    steps = record['steps']
    passed = sum(step['result'] == 'passed' for step in steps)
    words = 'Self-test passed' if record['passed'] else 'Self-test failed'
    rows = [
        [_result(step['result']), html.text(step['name']), f'{step["seconds"]:.1f} s', html.text(_words(step))]
        for step in steps
    ]
    return html.page(
        words,
        record['started'].replace('T', ' '),
        [
            html.tiles([('steps passed', f'{passed} of {len(steps)}'), ('seconds', f'{record["seconds"]:.1f}')]),
            html.section('Steps', html.text_table(['Result', 'Step', 'Time', 'What was found'], rows)),
            html.section(
                'Installation',
                html.facts([*record['versions'].items(), *(('Device', device) for device in record['devices'])]),
            ),
        ],
    )


def _result(result: str) -> str:
    return html.class_name(result, {'passed': _GOOD, 'failed': _BAD}.get(result, _OPEN))


def _words(step: Mapping[str, Any]) -> str:
    """What came of a step, and what to do about it."""
    return ' '.join(filter(None, (step['text'], step['remedy'])))
