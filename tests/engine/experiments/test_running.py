"""Runs that a file describes: their folder, what they return, and what they refuse."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from quadrat.engine.errors import Cancelled, ConfigurationError, InvalidJob, LabelError, OutputRefused
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.experiments.configuration import open_configuration
from quadrat.engine.experiments.running import run_experiment
from quadrat.engine.experiments.toy import make_toy
from quadrat.engine.experiments.workfolder import WorkFolder
from quadrat.engine.jobs import RunExperimentJob
from quadrat.engine.training.lock import FolderLock


def run(file, output='', *overrides: str, restart=False) -> tuple[dict, list[str]]:
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
    return run_experiment(RunExperimentJob(str(file), str(output), overrides, (), restart), hear), said


@pytest.fixture(scope='module')
def toy(tmp_path_factory) -> Path:
    """A short run of the toy, as a file."""
    folder = Path(make_toy(str(tmp_path_factory.mktemp('runs') / 'toy'))).parent
    (folder / 'short.yaml').write_text('extend: toy.yaml\ntrain: {epochs: 2, save_checkpoint_epochs: 1}\n~output:\n')
    return folder / 'short.yaml'


@pytest.fixture(scope='module')
def done(toy) -> Path:
    """The folder of such a run."""
    run(toy, toy.parent / 'done')
    return toy.parent / 'done'


def test_the_run_folder_holds_all_of_it(toy, tmp_path):
    values, _ = run(toy, tmp_path / 'run', 'train.seed=7')
    files = ('config.yaml', 'history.csv', 'log.txt', 'report.html', 'run.json', 'run.lock')
    names = {path.name for path in (tmp_path / 'run').iterdir()}
    assert names == {'best', 'checkpoint', 'final', 'logs', *files}
    paths = {
        name: Path(values[name]).relative_to(tmp_path).as_posix() for name in ('OUTPUT', 'BEST', 'REPORT', 'HISTORY')
    }
    assert paths == {'OUTPUT': 'run', 'BEST': 'run/best', 'REPORT': 'run/report.html', 'HISTORY': 'run/history.csv'}
    assert values['BEST_EPOCH'] in (1, 2) and 0 <= values['BEST_SCORE'] <= 1
    # The configuration is plain data, and the same run.
    text = (tmp_path / 'run/config.yaml').read_text()
    assert yaml.safe_load(text)['train']['seed'] == 7 and '# -p train.seed=7' in text
    again = open_configuration(str(tmp_path / 'run/config.yaml'))
    assert again.job == open_configuration(str(toy), ['train.seed=7'], output='x').job
    assert again.output == str(tmp_path / 'run')


def test_the_same_command_again_goes_on(done, toy):
    before = (done / 'history.csv').read_text()
    (done / '.~lock.history.csv#').touch()  # somebody looks at it
    values, said = run(toy, done)
    assert (done / 'history.csv').read_text() == before and not any(text.startswith('Epoch 1/') for text in said)
    _, said = run(toy, done, 'train.epochs=3', 'train.schedule=constant')
    assert any(text.startswith('Epoch 3/3') for text in said)
    _, said = run(toy, done, restart=True)
    assert any(text.startswith('Epoch 1/2') for text in said)
    assert values['BEST'] == str(done / 'best')
    log = (done / 'log.txt').read_text()
    assert all(f' {text}' in log for text in said) and log.count('Epoch 2/2') == 2 and 'nothing to do' in log


def test_the_log_tells_of_interruptions(toy, tmp_path):
    cancelled = threading.Event()
    stop = Reporter(
        lambda event: cancelled.set() if getattr(event, 'text', '').startswith('Epoch 1/') else None, cancelled
    )
    with pytest.raises(Cancelled):
        run_experiment(RunExperimentJob(str(toy), str(tmp_path / 'run')), stop)
    run(toy, tmp_path / 'run')
    log = (tmp_path / 'run/log.txt').read_text()
    parts = [log.index(text) for text in ('Epoch 1/2', 'Interrupted.', 'Resumed after epoch 1', 'Epoch 2/2')]
    assert parts == sorted(parts) and log.count('Epoch 1/2') == 1


def test_one_run_a_folder(toy, done, tmp_path):
    before = (done / 'config.yaml').read_bytes()
    with FolderLock(str(done / 'run.lock')), pytest.raises(OutputRefused, match=r'process \d+ on .* is at work there'):
        run(toy, done, 'train.seed=3')
    assert (done / 'config.yaml').read_bytes() == before
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/thesis.txt').write_text('all of it')
    sweep = 'sweep={method: grid, parameters: {train.seed: [1, 2]}}'
    for overrides in ((), (sweep,)):
        with pytest.raises(OutputRefused, match=r'holds (no run of Quadrat|thesis\.txt)'):
            run(toy, tmp_path / 'mine', *overrides)
    assert [path.name for path in (tmp_path / 'mine').iterdir()] == ['thesis.txt']
    with pytest.raises(OutputRefused, match='is of no sweep'):
        run(toy, done, sweep)


def test_what_desktops_leave_is_in_nobodys_way(tmp_path):
    folder = tmp_path / 'sweep'
    with WorkFolder(str(folder), ('sweep.csv',), 'sweep'):
        pass
    for name in ('.~lock.sweep.csv#', '~$sweep.csv', '.DS_Store', 'desktop.ini', 'Thumbs.db'):
        (folder / name).touch()
    with WorkFolder(str(folder), ('sweep.csv',), 'sweep'):
        pass
    assert (folder / '.DS_Store').exists()
    (folder / 'thesis.txt').touch()
    with pytest.raises(OutputRefused, match=r'holds thesis\.txt'), WorkFolder(str(folder), ('sweep.csv',), 'sweep'):
        pass


def test_without_a_folder_or_with_faults_nothing_starts(toy, tmp_path):
    with pytest.raises(InvalidJob, match='Give a run folder'):
        run(toy)
    with pytest.raises(ConfigurationError, match=r'train\.epohcs'):
        run(toy, tmp_path / 'run', 'train.epohcs=3')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'override, said',
    [
        ('data.sources=[nowhere]', "-p data.sources=[nowhere]: data.sources: no source 'nowhere'; the dataset has"),
        ('train.class_weights={999: 2}', '-p train.class_weights={999: 2}: train.class_weights: 999 is no class'),
        ('data.classes=3', r'outside the named classes: .* Add them to data\.classes'),
    ],
)
def test_what_the_samples_show_is_told_in_the_words_of_a_file(toy, tmp_path, override, said):
    with pytest.raises((InvalidJob, LabelError)) as error:
        run(toy, tmp_path / 'run', override)
    assert re.search(said if '.*' in said else re.escape(said), str(error.value)), error.value
    assert str(error.value).endswith('.') and not str(error.value).endswith('..')


@pytest.fixture(scope='module')
def table(tmp_path_factory) -> Path:
    """Points whose class follows from two values."""
    values = np.random.default_rng(0).normal(0, 1, (60, 2))
    features = [
        {
            'type': 'Feature',
            'geometry': {'type': 'Point', 'coordinates': [i, 0]},
            'properties': {'class': 1 + int(a > b), 'value_0': a, 'value_1': b},
        }
        for i, (a, b) in enumerate(values.tolist())
    ]
    path = tmp_path_factory.mktemp('table') / 'points.geojson'
    path.write_text(json.dumps({'type': 'FeatureCollection', 'features': features}))
    return path


def test_other_algorithms_have_runs_and_sweeps_too(table, tmp_path):
    (tmp_path / 'forest.yaml').write_text(
        'algorithm: trainvectorclassifier\n'
        f'parameters: {{vector: {{path: {table}}}, field: class, options: {{n_estimators: 5}}}}\n'
        'output: forest\n'
    )
    values, _ = run(tmp_path / 'forest.yaml')
    folder = tmp_path / 'forest'
    assert values['BEST'] == str(folder / 'classifier.skops') and values['BEST_SCORE'] > 0.8
    assert {'config.yaml', 'run.json', 'run.lock', 'report.html'} < {path.name for path in folder.iterdir()}
    before = (folder / 'classifier.skops').stat().st_mtime_ns
    again, said = run(tmp_path / 'forest.yaml')
    assert again == values and 'done already' in said[-1]
    _, said = run(tmp_path / 'forest.yaml', '', 'parameters.seed=1')
    assert any('done before with other seed' in text for text in said)
    assert (folder / 'classifier.skops').stat().st_mtime_ns > before
    grid = 'sweep={method: grid, parameters: {parameters.classifier: [rf, bayes], parameters.seed: [0]}}'
    values, _ = run(tmp_path / 'forest.yaml', tmp_path / 'many', '~parameters.options', grid)
    assert (tmp_path / 'many/best/classifier.skops').is_file() and values['BEST_SCORE'] > 0.8
