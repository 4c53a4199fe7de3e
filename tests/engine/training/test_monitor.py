"""Which number is looked at, which epochs are the best by it, and when there is nothing better any more."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.errors import InvalidJob
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import TrainJob, TrainOptions
from quadrat.engine.training.judge import Judge
from quadrat.engine.training.monitor import Monitor, Ranking
from quadrat.engine.training.opening import open_material
from quadrat.engine.training.trainer import train_model

NAN = float('nan')


def test_which_numbers_there_are_and_which_way_they_go():
    def rising(task: str, name: str = '', mode: str = 'auto') -> tuple[str, bool]:
        found = Monitor.of(TrainOptions(monitor=name, monitor_mode=mode), task)
        return found.name, found.rising

    assert [rising(task) for task in ('segmentation', 'classification', 'regression')] == [
        ('mean_iou', True),
        ('macro_f1', True),
        ('r2', True),
    ]
    assert [rising('regression', name)[1] for name in ('loss', 'rmse', 'mae', 'r2')] == [False, False, False, True]
    assert rising('segmentation', 'loss', 'max') == ('loss', True)
    assert rising('regression', 'bias', 'min') == ('bias', False)
    with pytest.raises(InvalidJob, match=r'near 0.*rmse'):
        rising('regression', 'bias')
    with pytest.raises(InvalidJob, match='known are loss, overall_accuracy, mean_iou, macro_f1'):
        rising('segmentation', 'rmse')
    with pytest.raises(InvalidJob, match='known are loss, rmse, mae, bias, r2'):
        rising('regression', 'val_loss')


@pytest.mark.parametrize(
    ('name', 'values', 'best'),
    [
        ('mean_iou', [0.1, 0.5, 0.3, 0.4], [2, 4, 3]),
        ('loss', [0.1, 0.5, 0.3, 0.4], [1, 3, 4]),
        ('mean_iou', [0.5, 0.5, 0.5, 0.5], [1, 2, 3]),  # of equal ones the first
        ('mean_iou', [NAN, 0.2, NAN, 0.1], [2, 4, 3]),  # any number is better than none
        ('mean_iou', [NAN, NAN], [2, 1]),
        ('mean_iou', [], []),
    ],
)
def test_the_best_in_their_order(name, values, best):
    monitor = Monitor.of(TrainOptions(monitor=name), 'segmentation')
    for size in (1, 3):
        ranking = Ranking(monitor, size)
        for epoch, value in enumerate(values, 1):
            entries = json.loads(json.dumps(ranking.entries))  # as a state keeps it
            ranking = Ranking(monitor, size, entries)
            assert ranking.add(epoch, 10 * epoch, {name: value}) == (10 * epoch in ranking.steps)
        assert ranking.steps == [10 * epoch for epoch in best[:size]]


@pytest.mark.parametrize(
    ('options', 'scores', 'stops'),
    [
        ({'patience': 2}, [0.1, 0.2, 0.2, 0.2, 0.5], 4),
        ({'patience': 2}, [0.1, 0.2, 0.1, 0.3, 0.2, 0.1], 6),
        ({'patience': 2, 'minimum_epochs': 5}, [0.5, 0.1, 0.1, 0.1, 0.1, 0.1], 5),
        ({'patience': 2, 'minimum_epochs': 5}, [0.5, 0.1, 0.1, 0.6, 0.1, 0.1], 6),
        ({'patience': 2, 'min_delta': 0.05}, [0.1, 0.12, 0.14, 0.16, 0.18], 3),
        ({'patience': 3, 'min_delta': 0.05}, [0.1, 0.12, 0.14, 0.16, 0.18], None),  # slowly, but more than that
        ({'patience': 0}, [0.5, 0.1, 0.1, 0.1], None),
        ({'patience': 1}, [NAN, NAN, 0.1, 0.1], 4),
        ({'patience': 2, 'monitor': 'loss'}, [0.5, 0.4, 0.45, 0.41], 4),
        ({'patience': 2, 'monitor': 'loss', 'monitor_mode': 'max'}, [0.5, 0.4, 0.45, 0.41], 3),
    ],
)
def test_when_it_stops(options, scores, stops):
    monitor = Monitor.of(TrainOptions(**options), 'segmentation')
    judged = [(5 * epoch, monitor.score({monitor.name: value})) for epoch, value in enumerate(scores, 1)]
    found = [epoch for epoch in range(1, len(scores) + 1) if monitor.exhausted(judged[:epoch], 5, epoch)]
    assert (found[0] if found else None) == stops


def test_epochs_that_nobody_looked_at_do_not_count():
    monitor = Monitor('mean_iou', patience=2)
    assert not monitor.exhausted([(5, 0.5), (12, 0.4)], 5, 4) and monitor.exhausted([(5, 0.5), (15, 0.4)], 5, 4)
    assert not monitor.exhausted([], 5, 9)


def test_scores_for_the_schedule_are_higher_where_better(dataset, tmp_path):
    job = TrainJob(dataset, str(tmp_path / 'a'), options=TrainOptions(monitor='loss'))
    judge = Judge(job, open_material(job, Reporter()), 1, Reporter())
    rows = [
        {'epoch': 1, 'step': 5, 'training': {'loss': 9.0}, 'validation': {'loss': 0.75}},
        {'epoch': 2, 'step': 7, 'validation': {'loss': 0.25}},
        {'epoch': 2, 'step': 10, 'training': {'loss': 9.0}, 'validation': {'loss': 0.5}},
        {'epoch': 3, 'step': 15, 'training': {'loss': 9.0}},
        {'epoch': 4, 'step': 17, 'validation': {'loss': 0.125}},
    ]
    assert judge.scores(rows, 4) == [-0.75, -0.25]  # no more than the beginning of the fourth epoch can know


def test_what_is_without_effect_where_nothing_validates(dataset, tmp_path):
    material = open_material(TrainJob(dataset, str(tmp_path / 'a')), Reporter())
    material = dataclasses.replace(material, splits={'train': material.splits['train']})
    for schedule, idle in (('cosine', 'monitor, patience: without'), ('plateau', 'patience: without')):
        said: list = []
        options = TrainOptions(monitor='loss', patience=2, schedule=schedule)
        Judge(TrainJob(dataset, str(tmp_path / 'a'), options=options), material, 1, Reporter(said.append))
        assert any(isinstance(event, Warn) and event.text.startswith(idle) for event in said)


def test_the_best_and_the_end_by_another_number(dataset, tmp_path):
    """The loss begins to rise while other numbers still get better."""
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, Log) else None)
    options = TrainOptions(monitor='loss', patience=3, min_delta=1e-6, schedule='constant', augment=False)
    job = TrainJob(dataset, str(tmp_path / 'a'), architecture='dense', epochs=40, learning_rate=0.3, options=options)
    values = train_model(job, hear)
    record = json.loads((tmp_path / 'a/training.json').read_text())
    losses = [row['validation']['loss'] for row in record['history']]
    best = int(np.argmin(losses))
    assert values['BEST_EPOCH'] == best + 1 == len(losses) - 3 and len(losses) < 40
    assert record['stopped'] == {'reason': 'patience', 'text': 'no better loss for 3 epochs'}
    assert any(text == 'Stopped: no better loss for 3 epochs.' for text in said)
    assert values['BEST_SCORE'] == record['best']['score'] == pytest.approx(losses[best])
    assert record['best']['measure'] == 'loss' and record['best']['step'] == record['history'][best]['step']
    assert record['results']['validation']['loss'] == pytest.approx(losses[best])
    page = (Path(job.output) / 'report.html').read_text()
    assert 'no better loss for 3 epochs' in page and 'low is good' in page
    plain = dataclasses.replace(job, output=str(tmp_path / 'b'), options=dataclasses.replace(options, monitor='iou'))
    with pytest.raises(InvalidJob, match="monitor 'iou': unknown"):
        train_model(plain, Reporter())
