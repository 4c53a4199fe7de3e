"""When a training validates, keeps its state and shows numbers: each for itself, after epochs, steps or seconds."""

from __future__ import annotations

import dataclasses

import pytest

from quadrat.engine.errors import InvalidJob
from quadrat.engine.events import Metric, Reporter
from quadrat.engine.jobs import TrainJob, TrainOptions
from quadrat.engine.training import training
from quadrat.engine.training.cadence import Cadence, Cadences
from quadrat.engine.training.devices import Devices
from quadrat.engine.training.history import BoardLogs, history_table
from quadrat.engine.training.opening import open_material
from quadrat.engine.training.state import TrainingFolder
from quadrat.engine.training.training import Training


def happens(cadence: Cadence, epochs: int, steps: int) -> list[int]:
    """The steps after which it does, one second each."""
    now = [0.0]
    cadence.clock = lambda: now[0]
    cadence.begin()
    found = []
    for step in range(1, epochs * steps + 1):
        now[0] += 1
        if cadence.due(step, 0 if step % steps else step // steps):
            found.append(step)
    return found


@pytest.mark.parametrize(
    ('epochs', 'steps', 'secs', 'expected'),
    [
        (None, 0, 0.0, [4, 8, 12, 16]),  # nothing given: every epoch
        (1, 0, 0.0, [4, 8, 12, 16]),
        (3, 0, 0.0, [12]),
        (5, 0, 0.0, []),
        (0, 0, 0.0, []),
        (None, 5, 0.0, [5, 10, 15]),  # steps go on over epochs
        (None, 4, 0.0, [4, 8, 12, 16]),
        (None, 1, 0.0, list(range(1, 17))),
        (None, 17, 0.0, []),
        (None, 0, 5.0, [5, 10, 15]),
        (None, 0, 2.5, [3, 6, 9, 12, 15]),
        (None, 0, 0.1, list(range(1, 17))),
        (2, 3, 0.0, [3, 6, 8, 9, 12, 15, 16]),  # whichever comes
        (2, 0, 5.0, [5, 8, 13, 16]),  # seconds count from the last time, whatever that was for
        (0, 6, 0.0, [6, 12]),
    ],
)
def test_after_which_of_sixteen_steps(epochs, steps, secs, expected):
    assert happens(Cadence.of(epochs, steps, secs, lambda: 0.0), 4, 4) == expected


class Kept(TrainingFolder):
    """Remembers after which steps a state was kept, and writes none."""

    def __init__(self, output: str) -> None:
        super().__init__(output, writes=True)
        self.steps: list[int] = []

    def save(self, state, fingerprint, best):
        self.steps.append(state.steps)


def course(dataset: str, output: str, monkeypatch, **options) -> tuple[dict[str, list[int]], Training, list[Metric]]:
    """Three epochs of five steps, a second each: after which of them what happens."""
    shown: list[int] = []
    write = BoardLogs._write

    def listen(self, part, numbers, row):
        if part == 'training':
            shown.append(row['step'])
        write(self, part, numbers, row)

    monkeypatch.setattr(BoardLogs, '_write', listen)
    job = TrainJob(dataset, output, architecture='dense', epochs=3, batch_size=7, options=TrainOptions(**options))
    heard: list[Metric] = []
    hear = Reporter(lambda event: heard.append(event) if isinstance(event, Metric) else None)
    folder, begun = Kept(output), []

    def clock() -> float:
        return float(begun[0].fitting.steps) if begun else 0.0

    training = Training(job, open_material(job, hear), folder, hear, clock)
    begun.append(training)
    training.judge.choosing = False  # the best weights would be read from a state
    training.fit()
    looked = [row['step'] for row in training.history if 'validation' in row]
    return {'validation': looked, 'checkpoint': folder.steps, 'summary': shown}, training, heard


EVERY = [5, 10, 15]
VALIDATION = {
    'each epoch': ({}, EVERY),
    'steps': ({'validation_steps': 4}, [4, 8, 12, 15]),
    'seconds': ({'validation_secs': 6.5}, [7, 14, 15]),
    'never': ({'validation_epochs': 0}, [15]),
}
CHECKPOINT = {
    'each epoch': ({}, EVERY),
    'steps': ({'save_checkpoint_steps': 6}, [6, 12, 15]),
    'both': ({'save_checkpoint_epochs': 2, 'save_checkpoint_secs': 4.0}, [4, 8, 10, 14, 15]),
}
SUMMARY = {
    'each epoch': ({}, EVERY),
    'steps': ({'save_summary_steps': 7}, [7, 14]),
    'epochs': ({'save_summary_epochs': 2}, [10]),
}


@pytest.mark.parametrize(
    ('validation', 'checkpoint', 'summary'),
    [
        ('each epoch', 'each epoch', 'each epoch'),
        ('steps', 'steps', 'steps'),
        ('seconds', 'both', 'epochs'),
        ('never', 'steps', 'each epoch'),
        ('steps', 'both', 'each epoch'),
    ],
)
def test_none_has_an_influence_on_another_one(dataset, tmp_path, monkeypatch, validation, checkpoint, summary):
    chosen = {
        'validation': VALIDATION[validation],
        'checkpoint': CHECKPOINT[checkpoint],
        'summary': SUMMARY[summary],
    }
    options = {key: value for given, _ in chosen.values() for key, value in given.items()}
    found, training, heard = course(dataset, str(tmp_path / 'a'), monkeypatch, **options)
    assert found == {kind: expected for kind, (_, expected) in chosen.items()}
    # Whatever else happened, there is a row an epoch, and the table has them all.
    rows = [row for row in training.history if 'training' in row]
    assert [(row['epoch'], row['step']) for row in rows] == [(1, 5), (2, 10), (3, 15)]
    table = [line.split(',') for line in history_table(training.history).splitlines()]
    assert [int(line[-1]) for line in table[1:]] == sorted({*EVERY, *found['validation']})
    looked = table[0].index('validation_loss')
    assert [int(line[-1]) for line in table[1:] if line[looked]] == found['validation']
    # One axis for a run: steps where anything is told within an epoch.
    by_steps = training.cadences.by_steps
    assert by_steps == (summary == 'steps' or validation in ('steps', 'seconds'))
    steps = [event.step for event in heard if event.name == 'training/loss']
    assert steps == (EVERY if by_steps else [1, 2, 3])


def test_cadences_of_options():
    found = Cadences.of(TrainOptions(validation_epochs=2, validation_secs=3.0, save_checkpoint_steps=4))
    parts = {name: dataclasses.astuple(getattr(found, name))[:3] for name in ('validation', 'checkpoint', 'summary')}
    assert parts == {'validation': (2, 0, 3.0), 'checkpoint': (0, 4, 0.0), 'summary': (1, 0, 0.0)}
    assert found.by_steps and not Cadences.of(TrainOptions(save_checkpoint_steps=4)).by_steps


@pytest.mark.parametrize('name', ['validation_secs', 'save_checkpoint_secs'])
def test_clocks_of_several_workers_are_not_one(dataset, tmp_path, monkeypatch, name):
    workers = Devices('two workers')
    workers.share = 0, 2
    monkeypatch.setattr(training, 'open_devices', lambda *_: workers)
    job = TrainJob(dataset, str(tmp_path / 'a'), options=TrainOptions(**{name: 5.0}))
    with pytest.raises(InvalidJob, match=f'{name}.*give epochs or steps'):
        Training(job, open_material(job, Reporter()), TrainingFolder(job.output), Reporter())
