"""A training that is killed goes on as if nothing had happened: the same weights, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from quadrat.engine import jobs
from quadrat.engine.errors import Cancelled, DiskFull, OutputRefused
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import TrainJob, TrainOptions
from quadrat.engine.training import state
from quadrat.engine.training.opening import open_material
from quadrat.engine.training.trainer import train_model
from quadrat.engine.training.training import Training

OPTIONS = TrainOptions(filters=4, depth=1, dropout=0.4, augment={'noise': 0.1}, schedule='plateau', clip_norm=0.5)
# Kills itself: at the n-th time that a function is called, before or after it does its work.
CHILD = """
import os, signal, sys
from quadrat.engine import jobs, registry
from quadrat.engine.training import devices, state

job, where, name, count, when = sys.argv[1:]
owner = {'devices': devices.Devices, 'state': state.os, 'folder': state.TrainingFolder}[where]
known, calls = getattr(owner, name), []

def deadly(*args, **kwargs):
    calls.append(1)
    if len(calls) == int(count) and when == 'before':
        os.kill(os.getpid(), signal.SIGKILL)
    done = known(*args, **kwargs)
    if len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return done

setattr(owner, name, deadly)
registry.run(jobs.job_from_dict(__import__('json').loads(job)))
"""


def killed(job: TrainJob, *where: str) -> None:
    """Do a job in another process, until it kills itself."""
    done = subprocess.run([sys.executable, '-c', CHILD, jobs.dumps(job), *where], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


def run(job: TrainJob) -> tuple[dict, list[str]]:
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
    return train_model(job, hear), said


def weights(folder: Path) -> list[np.ndarray]:
    return keras.models.load_model(folder / 'model/model.keras', compile=False).get_weights()


def test_killed_anywhere_the_same_weights(dataset, tmp_path):
    def job(name: str) -> TrainJob:
        return TrainJob(dataset, str(tmp_path / name), epochs=5, batch_size=8, seed=3, options=OPTIONS)

    whole, _ = run(job('whole'))
    # In the middle of the second epoch; when a state is about to take its name; when the package has its name, and the
    # state is still there.
    for where in (
        ('devices', 'call', '10', 'after'),
        ('state', 'replace', '3', 'before'),
        ('folder', 'finish', '1', 'after'),
    ):
        killed(job('broken'), *where)
        assert (tmp_path / 'broken.part/checkpoint/state.npz').is_file()
    assert (tmp_path / 'broken/item.json').is_file()
    values, said = run(job('broken'))
    assert (
        any(text.startswith('Resumed after epoch 5 of 5') for text in said) and not (tmp_path / 'broken.part').exists()
    )
    assert (values['BEST_EPOCH'], values['BEST_SCORE']) == (whole['BEST_EPOCH'], whole['BEST_SCORE'])
    assert all(np.array_equal(a, b) for a, b in zip(weights(tmp_path / 'whole'), weights(tmp_path / 'broken')))
    records = [json.loads((tmp_path / name / 'training.json').read_text()) for name in ('whole', 'broken')]
    numbers = [[{**epoch, 'seconds': 0} for epoch in record['history']] for record in records]
    assert numbers[0] == numbers[1] and records[0]['results'] == records[1]['results']


def fitted(job: TrainJob, at: int = 0, kill: bool = False) -> tuple[Training | None, float]:
    """Train without a package; with `at`, only until so many steps of any kind have been begun, and then cancelled or
    as if killed. Returns also the seconds that the cancel took."""
    stop, count = threading.Event(), []
    hear = Reporter(cancelled=stop)
    training = Training(job, open_material(job, hear), state.TrainingFolder(job.output), hear)
    call, asked = training.devices.call, [0.0]

    def counted(*args):
        count.append(1)
        if len(count) == at and kill:
            raise KeyboardInterrupt
        if len(count) == at:
            stop.set()
            asked[0] = time.monotonic()
        return call(*args)

    training.devices.call = counted
    try:
        training.fit()
    except (Cancelled, KeyboardInterrupt) as error:
        assert at and isinstance(error, KeyboardInterrupt) == kill
        return None, 0.0 if kill else time.monotonic() - asked[0]
    return training, 0.0


def course(training: Training) -> tuple:
    """What is to be the same: the history but for the time, what TensorBoard shows, all weights, all random states."""
    logs = {part: shown(Path(training._folder.logs) / part) for part in ('training', 'validation')}
    history = [{**row, 'seconds': 0} for row in training.history]
    return history, training.judge.ranking.entries, logs, training.results[training.judge.split].record()


def shown(folder: Path) -> list[tuple]:
    from tensorflow.python.summary.summary_iterator import summary_iterator

    (path,) = folder.glob('events*')
    return [
        (event.step, item.tag, item.simple_value)
        for event in summary_iterator(str(path))
        for item in event.summary.value
    ]


@pytest.mark.parametrize('kill', [False, True], ids=['cancelled', 'killed'])
def test_interrupted_after_any_step_the_same_to_the_last_bit(dataset, tmp_path, kill):
    """Two epochs of three steps, judged after each two of them; and the best of them is examined."""
    options = TrainOptions(
        network={'hidden_neurons': 8},
        dropout=0.4,
        augment={'noise': 0.1},
        schedule='plateau',
        plateau_patience=1,
        validation_steps=2,
        save_checkpoint_steps=2,
        save_summary_steps=1,
        shuffle_buffer=9,
    )
    job = TrainJob(dataset, str(tmp_path / 'whole'), architecture='dense', epochs=2, batch_size=12, seed=3)
    whole, _ = fitted(dataclasses.replace(job, options=options))
    steps = [row['step'] for row in whole.history]
    assert steps == [2, 3, 4, 6] and [('validation' in row) for row in whole.history] == [True, False, True, True]
    assert [item[:2] for item in course(whole)[2]['training'] if item[1] == 'loss'] == [
        (n, 'loss') for n in range(1, 7)
    ]
    for at in range(2, 10) if not kill else (2, 5, 8):  # six steps, three validations
        again = dataclasses.replace(job, output=str(tmp_path / f'{at}'), options=options)
        gone, seconds = fitted(again, at, kill)
        assert gone is None and seconds < 2
        done, _ = fitted(again)
        assert bool(done.state.resumed) == (at > 2 or not kill)
        assert course(done) == course(whole)
        for mine, theirs in ((done.fitting.arrays(), whole.fitting.arrays()), (done._last, whole._last)):
            assert mine.keys() == theirs.keys() and all(np.array_equal(mine[key], theirs[key]) for key in mine)


def test_a_cancel_is_quick(dataset, tmp_path):
    """Some megabytes of weights and of what the optimiser keeps."""
    options = TrainOptions(filters=32, depth=2)
    job = TrainJob(dataset, str(tmp_path / 'a'), epochs=1, batch_size=8, options=options)
    gone, seconds = fitted(job, 2)
    assert gone is None and seconds < 2
    assert (tmp_path / 'a.part/checkpoint/state.npz').stat().st_size > 4e6


def interrupted(job: TrainJob, epochs: int, monkeypatch) -> None:
    """Do a job until so many epochs are kept."""
    known, count = state.TrainingFolder.save, []

    def save(*args):
        known(*args)
        count.append(1)
        if len(count) == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state.TrainingFolder, 'save', save)
        with pytest.raises(KeyboardInterrupt):
            run(job)


def begun(job: TrainJob) -> tuple[int, list[str]]:
    """The epochs that a training has behind it when it begins, and what it says then."""
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
    training = Training(job, open_material(job, hear), state.TrainingFolder(job.output), hear)
    return len(training.history), said


def test_another_job_starts_over_and_says_why(dataset, tmp_path, monkeypatch):
    small = TrainOptions(filters=2, depth=1)
    job = TrainJob(dataset, str(tmp_path / 'a'), epochs=3, batch_size=16, options=small)
    interrupted(job, 2, monkeypatch)
    assert begun(job)[0] == begun(dataclasses.replace(job, report=str(tmp_path / 'r.html')))[0] == 2
    other = dataclasses.replace(job, options=dataclasses.replace(small, dropout=0.1), seed=1)
    epochs, said = begun(other)
    assert not epochs and any('differs in seed, option dropout; this one starts over' in text for text in said)
    epochs, said = begun(dataclasses.replace(job, resume=False))
    assert not epochs and not any('Resumed' in text or 'differs' in text for text in said)
    path = tmp_path / 'a.part/checkpoint/state.npz'
    path.write_bytes(path.read_bytes()[:1000])
    epochs, said = begun(job)
    assert not epochs and any('damaged, or of' in text for text in said)


def test_a_full_disk_and_what_is_not_ours(dataset, tmp_path, monkeypatch):
    job = TrainJob(dataset, str(tmp_path / 'a'), epochs=3, batch_size=16, options=TrainOptions(filters=2, depth=1))
    known, kept = np.lib.format.write_array, tmp_path / 'a.part/checkpoint/state.npz'

    def full(file, array, **options):
        if kept.exists():
            raise OSError(28, 'No space left on device')
        known(file, array, **options)

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, 'write_array', full)
        with pytest.raises(DiskFull, match='the disk is full'):
            run(job)
    assert not list(tmp_path.rglob('*.new'))
    _, said = run(job)
    assert any(text.startswith('Resumed after epoch') for text in said)
    (tmp_path / 'a.part').mkdir()
    (tmp_path / 'a.part/thesis.txt').write_text('all of it')
    with pytest.raises(OutputRefused, match=r'thesis\.txt'):
        run(job)
    assert (tmp_path / 'a.part/thesis.txt').exists()
