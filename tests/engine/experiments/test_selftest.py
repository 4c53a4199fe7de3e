"""The self-test: it passes here, and where it does not it says at which step and what to do."""

from __future__ import annotations

import json
import re
import threading

import pytest

from quadrat.engine.errors import Cancelled, EngineError, OutputRefused
from quadrat.engine.events import Log, Progress, Reporter
from quadrat.engine.experiments.selftest import self_test
from quadrat.engine.experiments.trials import Trials
from quadrat.engine.jobs import SelfTestJob

STEPS = ('libraries', 'coordinates', 'toy', 'training', 'map', 'comparison')


@pytest.fixture
def quick(monkeypatch):
    """Nothing is tried in earnest, and everything works."""
    for step in STEPS:
        monkeypatch.setattr(Trials, step, lambda self: 'fine')


def test_it_passes_here(tmp_path):
    events: list = []
    values = self_test(SelfTestJob(str(tmp_path / 'test')), Reporter(events.append))
    assert values['SECONDS'] < 30 and values['SCORE'] > 0.5 and values['OUTPUT'] == str(tmp_path / 'test')
    assert any(event.text.startswith('Self-test passed') for event in events if isinstance(event, Log))
    record = json.loads((tmp_path / 'test/selftest.json').read_text())
    assert record['passed'] and [step['result'] for step in record['steps']] == ['passed'] * 6
    assert re.search(r'those of TensorFlow, to \de-\d|not installed', record['steps'][-1]['text'])
    assert record['versions']['tensorflow'] and record['versions']['gdal'] and record['devices']
    page = (tmp_path / 'test/report.html').read_text()
    assert values['REPORT'] == str(tmp_path / 'test/report.html') and 'Self-test passed' in page
    # Every step has made what the next one took.
    for name in ('toy/run/best/item.json', 'package/item.json', 'maps/tensorflow.tif'):
        assert (tmp_path / 'test' / name).is_file()
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions)


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (EngineError('The network does not learn.'), 'The network does not learn.'),
        (ModuleNotFoundError('No module', name='tensorflow'), 'does not have the package tensorflow'),
        (RuntimeError('odd'), 'A fault of Quadrat itself, please report it with the log: RuntimeError: odd'),
    ],
)
def test_a_step_that_fails_is_told_with_what_to_do(quick, tmp_path, monkeypatch, error, words):
    def fail(self):
        raise error

    monkeypatch.setattr(Trials, 'libraries', fail)
    with pytest.raises(EngineError, match='Self-test failed: Libraries: ') as fault:
        self_test(SelfTestJob(str(tmp_path / 'test')), Reporter())
    assert words in str(fault.value) and 'Install the engine' in str(fault.value) and '\n' not in str(fault.value)
    record = json.loads((tmp_path / 'test/selftest.json').read_text())
    results = [(step['result'], bool(step['remedy'])) for step in record['steps']]
    assert results == [('failed', True)] + [('not done', False)] * 5 and not record['passed']
    page = (tmp_path / 'test/report.html').read_text()
    assert 'Self-test failed' in page and words.split(':')[0] in page and 'Install the engine' in page


def test_an_earlier_test_is_replaced_and_nothing_else(quick, tmp_path):
    folder = tmp_path / 'test'
    job = SelfTestJob(str(folder))
    self_test(job, Reporter())
    (folder / 'scene').mkdir()
    (folder / 'scene/old.tif').write_text('old')
    self_test(job, Reporter())
    assert sorted(path.name for path in folder.iterdir()) == ['report.html', 'selftest.json']
    (folder / 'thesis.txt').write_text('all of it')
    with pytest.raises(OutputRefused, match=r'thesis\.txt, which is of no self-test'):
        self_test(job, Reporter())
    (tmp_path / 'mine/toy').mkdir(parents=True)
    for output in (tmp_path / 'mine', folder / 'thesis.txt'):
        with pytest.raises(OutputRefused):
            self_test(SelfTestJob(str(output)), Reporter())
    assert (tmp_path / 'mine/toy').is_dir()


def test_it_can_be_cancelled(quick, tmp_path, monkeypatch):
    cancelled = threading.Event()
    monkeypatch.setattr(Trials, 'toy', lambda self: cancelled.set() or 'fine')
    with pytest.raises(Cancelled):
        self_test(SelfTestJob(str(tmp_path / 'test')), Reporter(cancelled=cancelled))
    assert json.loads((tmp_path / 'test/selftest.json').read_text())['running']
