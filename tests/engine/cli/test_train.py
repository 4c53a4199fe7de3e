"""Runs that files describe, as people do them."""

from __future__ import annotations

import json
import os
import re
import signal
import sys

import pytest

RUN = """\
extend: base.yaml
data: {dataset: patches}
train: {epochs: 3, patience: "${.epochs}"}
"""


@pytest.fixture
def files(quadrat):
    """A description in two files; where the samples should be there is an empty folder."""
    (quadrat.folder / 'base.yaml').write_text('model: {type: unet}\ntrain:\n  batch_size: 4\n')
    (quadrat.folder / 'run.yaml').write_text(RUN)
    (quadrat.folder / 'patches').mkdir()
    return quadrat


def test_validate(files):
    done = files.run('validate', 'run.yaml')
    assert (done.returncode, done.stdout, done.stderr) == (0, 'run.yaml: ok\n', '')
    assert files.run('validate', 'run').returncode == 0
    assert files.run('validate', 'run', '-d', '..').returncode == 1
    values = json.loads(files.run('validate', 'run', '--json', '-o', 'out').stdout)['values']
    assert values['OUTPUT'] == str(files.folder / 'out')


def test_all_faults_at_once(files):
    wrong = ['-p', 'train.epohcs', '3', '-p', 'train.batch_size=many', '--warm-start', 'nowhere']
    for command in ('validate', 'show', 'train'):
        done = files.run(command, 'run.yaml', *wrong)
        faults = done.stderr.splitlines()
        assert done.returncode == 1 and len(faults) == 3 and not done.stdout
        assert all(fault.startswith('-p train.') for fault in faults)
        assert 'epochs' in done.stderr and 'many' in done.stderr and 'nowhere' in done.stderr
    assert json.loads(files.run('--json', 'validate', 'run.yaml', *wrong).stdout)['faults'] == faults
    assert not (files.folder / 'runs').exists()


def test_show(files):
    done = files.run('show', 'run.yaml', '-p', 'train.epochs=7', '--device', 'cpu')
    assert done.returncode == 0, done.stderr
    lines = {line.strip().partition(':')[0]: line for line in done.stdout.splitlines()}
    assert re.search(r'epochs: 7 +# -p train\.epochs=7', lines['epochs'])
    assert re.search(r'patience: 7 +# run\.yaml:3', lines['patience'])
    assert re.search(r'batch_size: 4 +# base\.yaml:3', lines['batch_size'])
    assert 'cpu' in lines['device'] and lines['learning_rate'].endswith('# default')
    (files.folder / 'resolved.yaml').write_text(done.stdout)
    again = files.run('show', 'resolved.yaml')
    assert again.returncode == 0, again.stderr
    assert [line.partition('#')[0] for line in again.stdout.splitlines() if ':' in line.partition('#')[0]] == [
        line.partition('#')[0] for line in done.stdout.splitlines() if ':' in line.partition('#')[0]
    ]


def test_a_device_that_is_missing_is_an_error(quadrat):
    done = quadrat.run('toy', '--device', 'gpu:98,99')
    assert done.returncode == 1 and 'gpu:98,99' in done.stderr.splitlines()[-1]


def test_the_toy_interrupted_and_done(quadrat):
    """Learn a while, stop, go on, stop, and finish what is left."""
    done = quadrat.run('toy', '-l', 'WARNING')
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert os.path.isfile(os.path.join(values['BEST'], 'item.json'))
    assert all(line.startswith('Warning: ') for line in done.stderr.splitlines())
    train = ['train', 'toy/toy.yaml', '-p', 'train.epochs=1000000', '-o', 'long']
    reached = 0
    for number in (signal.SIGINT, signal.SIGTERM):
        process = quadrat.start(sys.executable, '-m', 'quadrat', *train)
        first = 0
        for line in process.stderr:
            epoch = re.match(r'Epoch (\d+)', line)
            if epoch:
                first = first or int(epoch[1])
                if int(epoch[1]) >= first + 30:
                    break
        assert first > reached
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130 and not out
        assert re.fullmatch(r'Interrupted\. .* the same command goes on .*', err.splitlines()[-1])
        reached = first + 29
