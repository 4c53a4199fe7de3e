"""What people see, and what programs read."""

from __future__ import annotations

import json
import os

import pytest

from quadrat.engine.cli.bar import bar_line, clock
from quadrat.engine.cli.console import Answer, JsonLines, Terminal
from quadrat.engine.cli.streams import Stream
from quadrat.engine.errors import ConfigurationError
from quadrat.engine.events import Error, Log, Metric, Preview, Progress, Warn

EVENTS = (
    Progress(0.5, 'half'),
    Log('log'),
    Log('detail', True),
    Warn('odd'),
    Metric('loss', float('nan'), 3),
    Preview('p'),
)


class Kept:
    """A stream that keeps what it is given."""

    def __init__(self):
        self.text = ''

    def write(self, text, end='\n'):
        self.text += text + end

    def terminal(self):
        return False


class Both:
    def __init__(self):
        self.answers, self.messages = Kept(), Kept()


@pytest.mark.parametrize(
    ('level', 'lines'),
    [
        ('DEBUG', ['log', 'detail', 'Warning: odd', 'loss nan at 3', 'p']),
        ('INFO', ['log', 'Warning: odd']),
        ('WARNING', ['Warning: odd']),
        ('ERROR', []),
        ('CRITICAL', []),
    ],
)
def test_levels(level, lines):
    streams = Both()
    console = Terminal(streams, level)
    for event in EVENTS:
        console.hear(event)
    assert streams.messages.text.splitlines() == lines and not streams.answers.text
    console.fail(Error('engine', 'No luck.'), ValueError())
    assert streams.messages.text.splitlines() == [*lines, 'Error: No luck.']


def test_answers():
    streams = Both()
    console = Terminal(streams, 'INFO')
    console.answer(Answer({'OUTPUT': 'Zürich'}))
    assert json.loads(streams.answers.text) == {'OUTPUT': 'Zürich'}
    console.answer(Answer({}, 'a.yaml: ok'))
    assert streams.answers.text.endswith('\na.yaml: ok\n')
    assert not streams.messages.text


def test_faults_are_a_line_each():
    streams = Both()
    error = ConfigurationError(['a.yaml:1: x', 'b.yaml:2: y'])
    Terminal(streams, 'INFO').fail(Error(error.code, str(error)), error)
    assert streams.messages.text == 'a.yaml:1: x\nb.yaml:2: y\n'
    streams = Both()
    JsonLines(streams).fail(Error(error.code, str(error)), error)
    assert json.loads(streams.answers.text) == {
        'type': 'error',
        'code': 'configuration',
        'message': '2 faults: a.yaml:1: x | b.yaml:2: y',
        'faults': ['a.yaml:1: x', 'b.yaml:2: y'],
    }


def test_json_has_every_event_and_no_nan():
    streams = Both()
    console = JsonLines(streams)
    for event in EVENTS:
        console.hear(event)
    console.say('only for people')
    console.answer(Answer({'SCORE': float('inf'), 'PATHS': ('ä', float('nan'))}, 'text'))

    def refuse(name):
        raise AssertionError(name)

    *lines, last = [json.loads(line, parse_constant=refuse) for line in streams.answers.text.splitlines()]
    assert [line['type'] for line in lines] == ['progress', 'log', 'log', 'warning', 'metric', 'preview']
    assert lines[4] == {'type': 'metric', 'name': 'loss', 'value': None, 'step': 3}
    assert last == {'type': 'result', 'values': {'SCORE': None, 'PATHS': ['ä', None]}}
    assert streams.answers.text.isascii() and not streams.messages.text


def test_the_bar_fits():
    for width in range(4, 200, 7):
        assert len(bar_line(0.25, 4000.0, 'a long text ' * 9, width)) <= width
    assert bar_line(0.25, 75.0, 'epoch 3', 79) == ' 25% [#######.......................] ETA 1:15  epoch 3'
    assert bar_line(1.0, None, '', 40) == '100%'
    assert [clock(seconds) for seconds in (0, 7.4, 754, 3722)] == ['0:00', '0:07', '12:34', '1:02:02']


def screen(text: str) -> list[str]:
    """What a terminal shows of some text: lines, in which a carriage return goes back to the first column."""
    shown = []
    for line in text.replace('\r\n', '\n').split('\n'):
        cells: list[str] = []
        for part in line.split('\r'):
            cells[: len(part)] = part
        shown.append(''.join(cells).rstrip())
    return shown


def test_lines_and_the_bar_in_a_terminal():
    pty = pytest.importorskip('pty')
    master, slave = pty.openpty()
    streams = Both()
    streams.messages = Stream(slave, None)
    console = Terminal(streams, 'INFO')
    shown = ''

    def see() -> list[str]:
        nonlocal shown
        shown += os.read(master, 10000).decode()
        return screen(shown)

    console.hear(Progress(0.5, 'half of a long way'))
    assert see() == [' 50% [###############...............]  half of a long way']
    console.hear(Log('a line'))
    assert see() == ['a line', ' 50% [###############...............]  half of a long way']
    console.hear(Progress(0.6, 'more'))
    line, bar = see()
    assert line == 'a line' and bar.startswith(' 60% [####') and ' ETA 0:00  more' in bar
    console.answer(Answer({}, 'done'))
    assert see() == ['a line', ''] and streams.answers.text == 'done\n'
    streams.messages.close()
    os.close(slave)
    os.close(master)
