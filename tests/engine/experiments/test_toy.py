"""The toy, and Deephub's own configuration of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from quadrat.engine.datasets.records import RecordFile
from quadrat.engine.datasets.tfmetadata import check_metadata
from quadrat.engine.errors import ConfigurationError, DatasetError, OutputRefused
from quadrat.engine.events import Reporter
from quadrat.engine.experiments.configuration import open_configuration
from quadrat.engine.experiments.running import run_experiment
from quadrat.engine.experiments.toy import make_toy
from quadrat.engine.jobs import RunExperimentJob

DOCUMENT = Path(__file__).resolve().parents[3] / 'docs' / 'deephub.md'
# Deephub's documented toy experiment, with the keys that its users write.
DEEPHUB = """
model:
  type: 'toy:DebugToyModel'
  num_classes: 100
  learning_rate: 0.001
  hidden_neurons: 50
train:
  epochs: 10
  save_checkpoint_steps: 100
  validation_secs: 3600
  save_summary_steps: 1
  train_feeder:
    type: 'TFRecordExamplesFeeder'
    batch_size: 10
    shuffle: False
    file_patterns: ['']
    labels_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
    features_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
  eval_feeder:
    type: 'TFRecordExamplesFeeder'
    batch_size: 10
    shuffle: False
    file_patterns: ['']
    labels_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
    features_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
"""


@pytest.fixture(scope='module')
def toy(tmp_path_factory) -> Path:
    return Path(make_toy(str(tmp_path_factory.mktemp('toy') / 'toy'))).parent


def test_the_files_are_those_of_deephub(toy):
    # The checksums that Deephub keeps of its own.
    for name, md5 in (('train.tfrecord', '3c8c216b'), ('validation.tfrecord', 'fdebe01f')):
        assert hashlib.md5((toy / name).read_bytes()).hexdigest().startswith(md5)
        with RecordFile(str(toy / name)) as file:
            file.verify()
            assert len(file) == 10
    assert check_metadata(str(toy / '*.tfrecord'), full=True).sound
    listed = json.loads((toy / '_tfrecord_metadata.json').read_text())['files']
    assert {item['total_records'] for item in listed.values()} == {10} and len(listed) == 2


def test_made_again_nothing_changes(toy, tmp_path):
    before = {path.name: path.read_bytes() for path in toy.iterdir() if path.is_file()}
    (toy / 'toy.yaml').write_text(before['toy.yaml'].decode() + '# mine\n')
    make_toy(str(toy))
    assert (toy / 'toy.yaml').read_text().endswith('# mine\n')
    (toy / 'toy.yaml').write_bytes(before['toy.yaml'])
    assert {path.name: path.read_bytes() for path in toy.iterdir() if path.is_file()} == before
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(OutputRefused, match='this is a file'):
        make_toy(str(tmp_path / 'file'))
    other = Path(make_toy(str(tmp_path / 'other'))).parent
    (other / 'train.tfrecord').write_bytes(before['validation.tfrecord'] * 2)
    with pytest.raises(DatasetError, match=r'train\.tfrecord.*Remove .* to have the toy made anew'):
        make_toy(str(other))


def test_it_runs_in_seconds_and_learns(tmp_path):
    """As a user does it, TensorFlow's start included."""
    clock = time.monotonic()
    root = Path(__file__).resolve().parents[3]
    (tmp_path / 'quadrat').symlink_to(root)
    done = subprocess.run(
        [sys.executable, '-m', 'quadrat', 'toy'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert time.monotonic() - clock < 30
    values = json.loads(done.stdout)
    assert values['BEST_SCORE'] > 0.9 and values['OUTPUT'] == str(tmp_path / 'toy/run')
    assert (tmp_path / 'toy/run/best/item.json').is_file()


def changed(document: dict, rows: list[tuple[str, str]]) -> dict:
    """A configuration after the changes of a table: keys that move, and values that are given."""
    for old, new in rows:
        value = None
        if old:
            *way, last = old.partition(': ')[0].split('.')
            value = at(document, way).pop(last)
        key, given, text = new.partition(': ')
        *way, last = key.split('.')
        at(document, way)[last] = yaml.safe_load(text) if given else value
    return document


def at(document: dict, way: list[str]) -> dict:
    for key in way:
        document = document.setdefault(key, {})
    return document


def test_deephubs_configuration_runs_after_the_changes_that_the_document_lists(toy, tmp_path):
    section = DOCUMENT.read_text(encoding='utf-8').partition('## The toy')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| *(?:`([^`]+)`)? *\| *`([^`]+)` *\|$', section, re.M)
    assert len(rows) == 6
    document = changed(yaml.safe_load(DEEPHUB), rows)
    # Whose data they are is the user's to say.
    for split in ('train', 'validation'):
        document['data'][split]['file_patterns'] = [str(toy / f'{split}.tfrecord')]
    file = tmp_path / 'mine.yaml'
    file.write_text(yaml.safe_dump(document))
    configuration = open_configuration(str(file))
    job = configuration.job
    assert (job.architecture, job.epochs, job.batch_size, job.learning_rate) == ('dense', 10, 10, 0.001)
    assert len(job.classes) == 100 and not job.options.shuffle and configuration.values['model']['hidden_neurons'] == 50
    values = run_experiment(RunExperimentJob(str(file), str(tmp_path / 'run')), Reporter())
    history = (tmp_path / 'run/history.csv').read_text().splitlines()
    assert len(history) == 11 and Path(values['BEST'], 'item.json').is_file()
    # As it was, it is refused, and the faults say what to change.
    (tmp_path / 'old.yaml').write_text(DEEPHUB)
    with pytest.raises(ConfigurationError) as fault:
        open_configuration(str(tmp_path / 'old.yaml'), ['model.type=dense'])
    for old, new in rows:
        if old and ': ' not in new:
            assert any(f'{old}: ' in text and f'write it as {new}' in text for text in fault.value.faults)
