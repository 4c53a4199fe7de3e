"""Sweeps: what is tried, kept, told and gone on with. The runs themselves are stand-ins here but for the last tests."""

from __future__ import annotations

import csv
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from quadrat.engine.errors import Cancelled, ConfigurationError, DiskFull, EngineError, InvalidJob, TrainingDiverged
from quadrat.engine.events import Log, Progress, Reporter, Warn
from quadrat.engine.experiments import sweeping
from quadrat.engine.experiments.configuration import Configuration
from quadrat.engine.experiments.running import run_experiment
from quadrat.engine.experiments.scoring import Measure, Score, measure_of, score_of
from quadrat.engine.experiments.sweeping import Sweep
from quadrat.engine.experiments.sweepspec import SweepSpec
from quadrat.engine.experiments.toy import make_toy
from quadrat.engine.gdalio import gdal
from quadrat.engine.jobs import (
    GraphValidation,
    RunExperimentJob,
    ServeJob,
    SourceSpec,
    TrainJob,
    TrainOptions,
    TrainSavedModelJob,
)
from quadrat.engine.serving.serve import serve_model

GRID = SweepSpec('grid', {'train.learning_rate': [0.1, 0.01], 'model.filters': [4, 8]})


class Bench:
    """Sweeps whose runs are done by a function: (learning rate, filters) -> score, or an error to raise."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder, self.done, self.said, self.epochs = folder, [], [], 10
        self.fractions: list[float] = []
        self.score = lambda rate, filters: rate * filters
        folder.mkdir()
        monkeypatch.setattr(sweeping, 'open_configuration', self.open)
        monkeypatch.setattr(sweeping, 'forget_networks', lambda: None)
        monkeypatch.setattr(sweeping, 'score_of', lambda measure, job, values: Score(values['score'], 3, 'validation'))

    def open(self, file, overrides, *, trusted, output) -> Configuration:
        given = dict(item.split('=') for item in overrides[:-1])
        assert overrides[-1] == '~sweep'
        rate, filters = (json.loads(given.get(key, '0')) for key in GRID.parameters)
        if filters < 0:
            raise ConfigurationError(['run.yaml:3: model.filters -1: must be at least 1.'])
        job = TrainJob('', output, epochs=self.epochs, learning_rate=rate, options=TrainOptions(filters=filters))
        return Configuration(file, None, {}, job, output)

    def one(self, configuration, restart, reporter) -> dict:
        job = configuration.job
        self.done.append((Path(job.output).name, restart))
        reporter.progress(0.5)
        reporter.check_cancelled()
        score = self.score(job.learning_rate, job.options.filters)
        if isinstance(score, BaseException):
            raise score
        package = Path(job.output, 'best')
        package.mkdir(parents=True, exist_ok=True)
        (package / 'item.json').write_text(f'{job.epochs} {score}')
        return {'OUTPUT': job.output, 'BEST': str(package), 'score': score}

    def sweep(self, spec=GRID, restart=False, cancelled=None) -> dict:
        self.done, self.said, self.fractions = [], [], []
        job = RunExperimentJob('run.yaml', str(self.folder), restart=restart)
        base = Configuration('run.yaml', None, {}, TrainJob('', str(self.folder)), str(self.folder), 1, spec)
        return Sweep(job, base, spec, self.one, Reporter(self.hear, cancelled)).run()

    def hear(self, event) -> None:
        if isinstance(event, (Log, Warn)):
            self.said.append(event.text)
        elif isinstance(event, Progress):
            self.fractions.append(event.fraction)

    def table(self) -> list[dict]:
        with open(self.folder / 'sweep.csv', newline='') as file:
            return list(csv.DictReader(file))

    def best(self) -> str:
        return (self.folder / 'best/item.json').read_text()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path / 'sweep', monkeypatch)


def test_a_grid_is_done_and_ranked(bench):
    values = bench.sweep()
    assert [name for name, _ in bench.done] == ['001', '002', '003', '004']
    rows = bench.table()
    assert [(row['run'], float(row['train.learning_rate']), row['model.filters']) for row in rows] == [
        ('002', 0.1, '8'),
        ('001', 0.1, '4'),
        ('004', 0.01, '8'),
        ('003', 0.01, '4'),
    ]
    assert [row['rank'] for row in rows] == ['1', '2', '3', '4'] and {row['status'] for row in rows} == {'done'}
    assert float(rows[0]['score']) == values['BEST_SCORE'] == 0.8 and rows[0]['best_epoch'] == '3'
    assert values['BEST'] == str(bench.folder / 'best') and bench.best() == '10 0.8'
    page = Path(values['REPORT']).read_text()
    assert '<b>002 ★</b>' in page and page.count('<circle') == 8 and page.count('<svg') == 2
    assert bench.fractions == sorted(bench.fractions) and bench.fractions[-1] == 1
    assert any('Best is run 002 with mean IoU 0.8000: train.learning_rate = 0.1' in text for text in bench.said)


def test_what_is_done_is_not_done_again(bench):
    bench.sweep()
    first = bench.table()
    bench.sweep()
    assert not bench.done and bench.table() == first and any('4 of them are done' in text for text in bench.said)
    # More to try, in another order: what is known stays.
    values = bench.sweep(SweepSpec('grid', {'model.filters': [16, 8, 4], 'train.learning_rate': [0.1]}))
    assert bench.done == [('005', False)] and values['BEST_SCORE'] == 1.6 and bench.best() == '10 1.6'
    assert any('stay in runs: 003, 004' in text for text in bench.said) and len(bench.table()) == 3
    # Started over, all are; their folders are told to forget.
    bench.sweep(restart=True)
    assert bench.done == [(name, True) for name in ('001', '002', '003', '004')]


def test_changed_settings_are_told_and_runs_brought_up_to_date(bench):
    bench.sweep()
    bench.epochs = 20
    bench.sweep()
    assert len(bench.done) == 4 and bench.best() == '20 0.8'
    told = [text for text in bench.said if 'changed since' in text]
    assert told == ['epochs: changed since runs of this sweep were done; they are brought up to date.']
    # What is not there any more is made again.
    for name in ('runs/003/best', 'best'):
        shutil.rmtree(bench.folder / name)
    bench.sweep()
    assert bench.done == [('003', False)] and bench.best() == '20 0.8'


def test_a_run_that_fails_is_noted_and_the_sweep_goes_on(bench):
    spec = SweepSpec('grid', {'train.learning_rate': [0.1, 9.0], 'model.filters': [4, -1, 8]})
    diverged, trouble = TrainingDiverged('The loss is no number after epoch 2.'), MemoryError()
    bench.score = lambda rate, filters: {9.0: diverged, 0.1: trouble if filters == 8 else 1.0}[rate]
    values = bench.sweep(spec)
    assert values['BEST_SCORE'] == 1.0
    reasons = {row['run']: row['reason'] for row in bench.table() if row['status'] == 'failed'}
    assert sorted(reasons) == ['002', '003', '004', '005', '006']
    assert reasons['002'] == reasons['005'] == 'run.yaml:3: model.filters -1: must be at least 1.'
    assert 'memory' in reasons['003'] and 'after epoch 2' in reasons['004']
    assert 'after epoch 2' in (bench.folder / 'sweep.html').read_text()
    # What would come out the same is not tried again, what may not is.
    bench.score = lambda rate, filters: 2.0
    assert bench.sweep(spec)['BEST_SCORE'] == 2.0 and [name for name, _ in bench.done] == ['003']


def test_a_sweep_without_any_result_fails(bench):
    bench.score = lambda rate, filters: TrainingDiverged('The loss is no number.')
    with pytest.raises(EngineError, match=r'All 4 runs failed, the first one so: The loss is no number\..*sweep\.html'):
        bench.sweep()


def test_cancelled_and_gone_on_with(bench):
    cancelled = threading.Event()
    known = bench.score
    bench.score = lambda rate, filters: cancelled.set() or known(rate, filters)
    with pytest.raises(Cancelled):
        bench.sweep(cancelled=cancelled)
    assert [row['status'] for row in bench.table()] == ['done', 'interrupted', 'waiting', 'waiting']
    assert bench.best() == '10 0.4'
    bench.score = known
    bench.sweep()
    assert [name for name, _ in bench.done] == ['002', '003', '004'] and bench.best() == '10 0.8'


@pytest.mark.parametrize('fault', [KeyboardInterrupt(), DiskFull('Full.')])
def test_what_stops_a_sweep_leaves_it_whole(bench, fault):
    known = bench.score
    bench.score = lambda rate, filters: fault if (rate, filters) == (0.01, 4) else known(rate, filters)
    with pytest.raises(type(fault)):
        bench.sweep()
    assert [row['run'] for row in bench.table() if row['status'] == 'done'] == ['002', '001']
    bench.score = known
    bench.sweep()
    assert [name for name, _ in bench.done] == ['003', '004']


def test_smaller_may_be_better_and_no_score_is_never_the_best(bench, monkeypatch):
    monkeypatch.setattr(sweeping, 'measure_of', lambda job, keys: Measure('loss', False))
    bench.score = lambda rate, filters: None if (rate, filters) == (0.01, 4) else rate * filters
    assert bench.sweep()['BEST_SCORE'] == 0.08
    assert [row['run'] for row in bench.table()] == ['004', '001', '002', '003']


def test_runs_that_were_judged_by_other_samples_are_not_ranked(bench, monkeypatch):
    splits = {0.1: 'validation', 0.01: 'train'}

    def score_of(measure, job, values):
        return Score(1 - values['score'], 3, splits[job.learning_rate])

    monkeypatch.setattr(sweeping, 'score_of', score_of)
    assert bench.sweep()['BEST_SCORE'] == 0.6
    assert [(row['run'], row['rank']) for row in bench.table()] == [
        ('001', '1'),
        ('002', '2'),
        ('003', ''),
        ('004', ''),
    ]
    assert any('Run 003: judged by the split train, the others by validation' in text for text in bench.said)


def test_all_runs_are_scored_alike():
    job = TrainJob('', '', options=TrainOptions(monitor='loss'))
    assert measure_of(job, ['train.learning_rate']) == Measure('loss', False)
    assert measure_of(job, ['train.loss_options.gamma']) == Measure('mean_iou', True)
    assert measure_of(TrainJob('', '', task='regression'), ['model.type']) == Measure('r2', True)
    with pytest.raises(InvalidJob, match='different tasks'):
        measure_of(job, ['model.task'])


def test_a_trained_graph_is_scored_by_its_confusion_matrix(tmp_path):
    job = TrainSavedModelJob('model', '', validation=GraphValidation('class'))
    assert measure_of(job, ['parameters.seed']) == Measure('overall_accuracy')
    path = tmp_path / 'confusion.csv'
    path.write_text('#Reference labels (rows):1,2\n#Produced labels (columns):1,2\n3,1\n0,4\n')
    assert score_of(measure_of(job, []), job, {'CONFUSION': str(path)}) == Score(7 / 8)
    with pytest.raises(InvalidJob, match='set validation'):
        measure_of(TrainSavedModelJob('model', ''), ['parameters.seed'])


# Kills itself when a state has been kept for the n-th time.
CHILD = """
import os, signal, sys
from quadrat.engine import jobs, registry
from quadrat.engine.training.state import StateFolder

file, output, count = sys.argv[1:]
known, calls = StateFolder.save, []

def deadly(*args):
    known(*args)
    calls.append(1)
    if len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)

StateFolder.save = deadly
registry.run(jobs.RunExperimentJob(file, output))
"""


@pytest.fixture(scope='module')
def grid(tmp_path_factory) -> Path:
    """A sweep of four short runs of the toy, and the same as a sweep of six that are drawn."""
    folder = Path(make_toy(str(tmp_path_factory.mktemp('sweep') / 'toy'))).parent
    short = 'extend: toy.yaml\n~output:\ntrain: {epochs: 3, save_checkpoint_epochs: 1}\n'
    keys = 'parameters: {train.learning_rate: [0.1, 0.01], model.hidden_neurons: [20, 40]}'
    (folder / 'grid.yaml').write_text(f'{short}sweep: {{method: grid, {keys}}}\n')
    drawn = 'parameters: {train.learning_rate: {minimum: 0.01, maximum: 0.1, scale: log}}'
    (folder / 'drawn.yaml').write_text(f'{short}sweep: {{method: random, count: 6, {drawn}}}\n')
    return folder


def real(file: Path, output: Path) -> tuple[dict, list[str]]:
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
    return run_experiment(RunExperimentJob(str(file), str(output)), hear), said


def results(folder: Path) -> tuple[list[dict], list[str], list[bytes]]:
    """The table without the times, the weights of the best package, and the histories without theirs."""
    with open(folder / 'sweep.csv', newline='') as file:
        table = [{key: value for key, value in row.items() if key != 'seconds'} for row in csv.DictReader(file)]
    histories = [
        [{**row, 'seconds': 0} for row in csv.DictReader((run / 'history.csv').read_text().splitlines())]
        for run in sorted((folder / 'runs').iterdir())
    ]
    import keras

    weights = keras.models.load_model(folder / 'best/model/model.keras', compile=False).get_weights()
    return table, histories, [array.tobytes() for array in weights]


def test_killed_in_a_run_and_done_again_the_table_is_the_same(grid, tmp_path):
    whole, _ = real(grid / 'grid.yaml', tmp_path / 'whole')
    command = [sys.executable, '-c', CHILD, str(grid / 'grid.yaml'), str(tmp_path / 'broken'), '5']
    done = subprocess.run(command, capture_output=True, env={**os.environ, 'KERAS_BACKEND': 'tensorflow'}, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    state = json.loads((tmp_path / 'broken/sweep.json').read_text())
    assert [run['status'] for run in state['runs']] == ['done', 'running', 'waiting', 'waiting']
    values, said = real(grid / 'grid.yaml', tmp_path / 'broken')
    assert [text[:7] for text in said if text.startswith('Run 0') and ' = ' in text] == [
        'Run 002',
        'Run 003',
        'Run 004',
    ]
    assert any(text.startswith('Resumed after epoch 2 of 3') for text in said)
    assert results(tmp_path / 'whole') == results(tmp_path / 'broken')
    assert whole['BEST_SCORE'] == values['BEST_SCORE'] and whole['BEST_EPOCH'] == values['BEST_EPOCH']
    # Each run is one that can be done by itself.
    third = yaml.safe_load((tmp_path / 'whole/runs/003/config.yaml').read_text())
    assert third['train']['learning_rate'] == 0.01 and not third.get('sweep')
    # What is called the best can be served as it is.
    image = gdal.GetDriverByName('GTiff').Create(str(tmp_path / 'numbers.tif'), 10, 1, 1, gdal.GDT_Byte)
    image.WriteRaster(0, 0, 10, 1, bytes(range(10)))
    image = None
    source = SourceSpec((str(tmp_path / 'numbers.tif'),))
    serve_model(ServeJob(values['BEST'], (source,), output=str(tmp_path / 'map.tif')), Reporter())
    assert gdal.Open(str(tmp_path / 'map.tif')).RasterXSize == 10


def test_memory_does_not_grow_from_run_to_run(grid, tmp_path, monkeypatch):
    alive = []
    known = sweeping.forget_networks

    def forget():
        known()
        # What a training leaves behind, if it does: graphs, and all objects.
        graphs = sum(type(item).__name__ == 'FuncGraph' for item in gc.get_objects())
        alive.append((graphs, len(gc.get_objects())))

    monkeypatch.setattr(sweeping, 'forget_networks', forget)
    real(grid / 'drawn.yaml', tmp_path / 'drawn')
    assert len(alive) == 6 and len({graphs for graphs, _ in alive[1:]}) == 1
    assert alive[-1][1] - alive[2][1] < 2000, alive
