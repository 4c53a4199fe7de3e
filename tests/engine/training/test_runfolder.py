"""The folder of a run: it goes on from any moment at which it was killed, and is never shared, mixed up or lost."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from quadrat.engine import jobs
from quadrat.engine.errors import Cancelled, DiskFull, InvalidJob, OutputRefused, TrainingDiverged
from quadrat.engine.events import Log, Progress, Reporter, Warn
from quadrat.engine.jobs import TrainJob, TrainOptions
from quadrat.engine.model_package.package import open_package
from quadrat.engine.training import trainer
from quadrat.engine.training.lock import FolderLock
from quadrat.engine.training.runfolder import RunFolder
from quadrat.engine.training.trainer import train_in

OPTIONS = TrainOptions(
    network={'hidden_neurons': 8},
    dropout=0.3,
    schedule='constant',
    warm_up=0.0,
    validation_steps=4,
    save_checkpoint_steps=1,
)
# Says each event, so that the one who listens can kill it at a certain moment.
CHILD = """
import json, sys
from quadrat.engine import jobs
from quadrat.engine.events import Reporter
from quadrat.engine.training.runfolder import RunFolder
from quadrat.engine.training.trainer import train_in

job = jobs.job_from_dict(json.loads(sys.argv[1]))
reporter = Reporter(lambda event: print(event.type, getattr(event, 'text', ''), flush=True))
reporter.INTERVAL = 0.0
train_in(job, RunFolder(job.output, keep_best=2), reporter)
"""


@pytest.fixture
def job(dataset, tmp_path) -> TrainJob:
    """Three epochs of five steps."""
    return TrainJob(
        dataset, str(tmp_path / 'run'), architecture='dense', epochs=3, batch_size=7, seed=1, options=OPTIONS
    )


@pytest.fixture
def light(monkeypatch):
    """Packages without the SavedModel, whose making takes the most time."""

    def fill(package, model, card, training, report):
        os.makedirs(os.path.join(package.part, 'model'))
        model.save(os.path.join(package.part, 'model/model.keras'))
        for name, text in (('item.json', json.dumps(card.to_item({}))), ('report.html', report)):
            Path(package.part, name).write_text(text)

    monkeypatch.setattr(trainer, 'fill_package', fill)


def run(job: TrainJob, on_text=lambda text: None, **options) -> tuple[dict, list[str]]:
    """What came out, and what was said."""
    said: list[str] = []

    def hear(event):
        if isinstance(event, (Log, Warn)):
            said.append(event.text)
        if isinstance(event, (Log, Progress)):
            on_text(event.text)

    reporter = Reporter(hear)
    reporter.INTERVAL = 0.0
    return train_in(job, RunFolder(job.output, **options), reporter), said


def record(job: TrainJob) -> dict:
    return json.loads((Path(job.output) / 'run.json').read_text())


def weights(job: TrainJob, name: str) -> list[np.ndarray]:
    return keras.models.load_model(Path(job.output) / name / 'model/model.keras', compile=False).get_weights()


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def table(job: TrainJob) -> list[list[str]]:
    """The history without the seconds, which are in the second column."""
    lines = (Path(job.output) / 'history.csv').read_text().splitlines()
    return [[cell for number, cell in enumerate(line.split(',')) if number != 1] for line in lines]


def names(folder: str) -> list[str]:
    return sorted(os.listdir(folder))


WHOLE = ['best', 'best-2', 'checkpoint', 'final', 'history.csv', 'logs', 'report.html', 'run.json', 'run.lock']


def test_all_that_comes_out(job):
    values, said = run(job, keep_best=2)
    folder = Path(job.output)
    assert names(job.output) == WHOLE and values['OUTPUT'] == job.output and values['BEST'] == str(folder / 'best')
    rows = table(job)
    head = rows[0]
    assert [int(row[-1]) for row in rows[1:]] == [4, 5, 8, 10, 12, 15]
    looked = {int(row[-1]): float(row[head.index('validation_mean_iou')] or 'nan') for row in rows[1:]}
    assert [step for step, value in looked.items() if value == value] == [4, 8, 12, 15]
    ranked = sorted((step for step in looked if looked[step] == looked[step]), key=lambda step: -looked[step])
    found = record(job)
    assert [entry['step'] for entry in found['best']] == ranked[:2] and values['BEST_SCORE'] == looked[ranked[0]]
    assert found['finished'] and found['epochs'] == {'asked': 3, 'done': 3} and found['seed'] == 1
    assert found['versions']['tensorflow'] and found['host'] and found['samples'] and not found['resumed']
    # Each package is whole, and says of its own weights what they are worth.
    for name, step in (('best', ranked[0]), ('best-2', ranked[1]), ('final', 15)):
        with open_package(str(folder / name)) as package:
            told = package.training
        assert told['best']['step'] == step and told['best']['chosen'] == (name != 'final')
        assert told['results']['validation']['mean_iou'] == looked[step]
        assert (folder / name / 'model/savedmodel/saved_model.pb').is_file()
    assert (folder / 'report.html').read_text() == (folder / 'best/report.html').read_text()
    assert sorted(path.name for path in (folder / 'checkpoint').iterdir()) == sorted(
        ['state.npz', *(f'best-{step}.npz' for step in ranked[:2])]
    )

    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*') if path.name != 'run.lock'}
    clock = time.monotonic()
    again, said = run(dataclasses.replace(job, report=str(folder.parent / 'copy.html')), keep_best=2)
    assert again == {**values, 'REPORT': str(folder.parent / 'copy.html')} and time.monotonic() - clock < 2
    assert len(said) == 1 and 'done before' in said[0]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*') if path.name != 'run.lock'} == before
    assert (folder.parent / 'copy.html').read_text() == (folder / 'report.html').read_text()


def test_killed_at_any_moment_the_same(job, tmp_path):
    whole = dataclasses.replace(job, output=str(tmp_path / 'whole'))
    expected, _ = run(whole, keep_best=2)
    chance = np.random.default_rng(int.from_bytes(os.urandom(4), 'little'))
    moments = []
    # In a moment of the first or second epoch, in one of the third, and while packages are written.
    for text, count in (('Epoch', int(chance.integers(1, 9))), ('Epoch 3', 2), ('Writing', 2)):
        moments.append((text, count, float(chance.uniform(0, 0.4))))
        child = subprocess.Popen([sys.executable, '-c', CHILD, jobs.dumps(job)], stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            count -= f' {text}' in line
            if not count:
                time.sleep(moments[-1][2])
                break
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        assert child.returncode in (-signal.SIGKILL, 0), moments
    values, said = run(job, keep_best=2)
    assert any('Resumed after epoch' in text or 'done before' in text for text in said), moments
    assert table(job) == table(whole), moments
    assert {**values, 'OUTPUT': '', 'BEST': ''} == {**expected, 'OUTPUT': '', 'BEST': ''}
    assert names(job.output) == WHOLE
    for name in ('best', 'best-2', 'final'):
        assert same(weights(job, name), weights(whole, name)), moments
    resumed = record(job)['resumed']
    assert resumed and all(place['step'] <= 15 for place in resumed)


def test_epochs_are_a_total(job, tmp_path, light):
    whole = dataclasses.replace(job, output=str(tmp_path / 'whole'))
    run(whole)
    short = dataclasses.replace(job, epochs=2)
    run(short)
    assert record(short)['epochs'] == {'asked': 2, 'done': 2}
    last = weights(job, 'final')
    _, said = run(job)
    assert any(text.startswith('Resumed after epoch 2 of 3,') for text in said)
    assert record(job)['resumed'] == [{'epoch': 2, 'step': 10}] and not same(last, weights(job, 'final'))
    assert same(weights(job, 'final'), weights(whole, 'final'))
    assert 'epoch 2 (step 10)' in (Path(job.output) / 'report.html').read_text()
    _, said = run(short)  # there are more already
    assert 'done before' in said[0] and same(weights(job, 'final'), weights(whole, 'final'))
    cosine = dataclasses.replace(job, epochs=1, options=dataclasses.replace(OPTIONS, schedule='cosine'))
    _, said = run(cosine)
    assert any('differs in option schedule; this one starts over' in text for text in said)
    _, said = run(dataclasses.replace(cosine, epochs=2))
    assert any('With schedule cosine that is not the same' in text for text in said)


def test_a_training_that_stopped_early_goes_on_with_more_patience(job, light):
    def with_(patience: int) -> TrainJob:
        return dataclasses.replace(
            job, epochs=6, options=dataclasses.replace(OPTIONS, validation_steps=0, **hasty, patience=patience)
        )

    hasty = {'min_delta': 1.0}  # nothing is so much better
    run(with_(2))
    assert record(job)['epochs']['done'] == 3 and record(job)['stopped']['reason'] == 'patience'
    assert 'done before' in run(with_(2))[1][0]
    run(with_(4))
    assert record(job)['epochs']['done'] == 5 and record(job)['resumed'] == [{'epoch': 3, 'step': 15}]


def test_other_settings_start_over_and_old_packages_stay_until_then(job, light):
    run(job, keep_best=3)
    old = weights(job, 'best')
    other = dataclasses.replace(job, seed=2, options=dataclasses.replace(OPTIONS, save_summary_steps=2))

    def stop(text):
        if text.startswith('Epoch 2 of'):
            raise Cancelled

    with pytest.raises(Cancelled):
        run(other, stop, keep_best=2)
    assert same(weights(job, 'best'), old) and (Path(job.output) / 'best-3').is_dir()
    assert not record(job)['finished'] and record(job)['seed'] == 2
    _, said = run(other, keep_best=2)
    assert any(text.startswith('Resumed after epoch 1') for text in said)
    assert names(job.output) == WHOLE and not same(weights(job, 'best'), old)
    # How often numbers are told or kept is no matter of the weights.
    told = dataclasses.replace(other, options=dataclasses.replace(OPTIONS, save_checkpoint_steps=0))
    assert 'done before' in run(told, keep_best=2)[1][0]
    assert 'done before' not in run(told, restart=True, keep_best=2)[1][0]
    assert not record(job)['resumed']
    run(job)
    assert names(job.output) == [name for name in WHOLE if name != 'best-2']


def test_a_damaged_state_starts_over(job, light):
    run(dataclasses.replace(job, epochs=1))
    state = Path(job.output) / 'checkpoint/state.npz'

    def damaged(words: str) -> None:
        longer = dataclasses.replace(job, epochs=record(job)['epochs']['done'] + 1)
        _, said = run(longer)
        assert any(words in text and 'starts over' in text for text in said)
        assert record(job)['finished'] and not record(job)['resumed']

    state.write_bytes(b'')
    damaged('damaged, or of')
    state.write_bytes(state.read_bytes()[:900])
    damaged('damaged, or of')
    for path in state.parent.glob('best-*.npz'):
        path.unlink()
    damaged('is missing')


def test_nobody_else_works_there_meanwhile(job, light):
    refused = []

    def second(text):
        if text.startswith('Epoch 2 of') and not refused:
            with pytest.raises(OutputRefused) as caught:
                run(job)
            refused.append(str(caught.value))

    run(job, second)
    assert refused[0].startswith(f'{job.output}: process {os.getpid()} on ') and '\n' not in refused[0]
    # A lock goes with its process, however it ends.
    path = Path(job.output) / 'run.lock'
    code = 'import os, sys, signal\nfrom quadrat.engine.training.lock import FolderLock\n'
    code += 'FolderLock(sys.argv[1]).__enter__()\nos.kill(os.getpid(), signal.SIGKILL)'
    subprocess.run([sys.executable, '-c', code, str(path)], check=False)
    assert str(os.getpid()) not in path.read_text()
    with FolderLock(str(path)):
        assert path.read_text().startswith(f'process {os.getpid()} on ')


def test_what_is_not_ours_is_refused_and_stays(job, tmp_path):
    def refused(words: str) -> None:
        before = sorted(tmp_path.rglob('*'))
        with pytest.raises(OutputRefused, match=words) as caught:
            run(job)
        assert '\n' not in str(caught.value) and sorted(tmp_path.rglob('*')) == before

    folder = Path(job.output)
    folder.write_text('a file')
    refused('this is a file')
    folder.unlink()
    folder.mkdir()
    (folder / 'report.html').write_text('my own')
    refused('holds no run')
    (folder / 'run.lock').touch()
    for name in ('thesis.txt', 'checkpoint/thesis.txt', 'logs/thesis/1.txt', 'best/thesis.txt', 'best-x/thesis.txt'):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text('all of it')
        refused('thesis|best')
        path.unlink()
        for parent in path.parents:
            if parent == folder:
                break
            parent.rmdir()
    with pytest.raises(InvalidJob, match='keep_best 0'):
        RunFolder(job.output, keep_best=0)


def test_a_full_disk_while_packages_are_written(job, monkeypatch):
    def full(*args, **kwargs):
        raise DiskFull('the disk is full')

    with monkeypatch.context() as patch:
        patch.setattr(trainer, 'fill_package', full)
        with pytest.raises(DiskFull):
            run(job)
    assert names(job.output) == [name for name in WHOLE if not name.startswith(('best', 'final', 'report'))]
    _, said = run(job)
    assert any(text.startswith('Resumed after epoch 3 of 3,') for text in said)
    assert names(job.output) == [name for name in WHOLE if name != 'best-2']


def test_a_full_disk_while_it_trains(dataset, small_disk):
    """The state has more than the four megabytes that there are."""
    options = TrainOptions(filters=32, depth=2, save_checkpoint_steps=1)
    job = TrainJob(dataset, str(small_disk / 'run'), epochs=1, options=options)
    with pytest.raises(DiskFull, match='the disk is full') as caught:
        run(job)
    assert '\n' not in str(caught.value) and not list(small_disk.rglob('*.new'))
    run(dataclasses.replace(job, architecture='dense', options=OPTIONS))


def test_a_loss_that_is_no_number_leaves_what_was_there(job, light):
    run(job)
    old = weights(job, 'best')
    wild = dataclasses.replace(job, learning_rate=1e38)
    with pytest.raises(TrainingDiverged):
        run(wild)
    assert same(weights(job, 'best'), old)
