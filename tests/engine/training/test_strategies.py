"""Several devices and several processes give the weights of one, and only the first process writes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from quadrat.engine import jobs
from quadrat.engine.errors import InvalidJob
from quadrat.engine.events import Reporter
from quadrat.engine.jobs import TrainJob, TrainOptions
from quadrat.engine.training import training
from quadrat.engine.training.devices import Devices
from quadrat.engine.training.trainer import train_model

CHILD = """
import json, sys
job, devices = sys.argv[1:]
if int(devices) > 1:
    import tensorflow as tf
    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], [one] * int(devices))
from quadrat.engine import jobs, registry
print('values', json.dumps(registry.run(jobs.job_from_dict(json.loads(job)))))
"""


def start(job: TrainJob, devices: int = 1, **environment: str) -> subprocess.Popen:
    command = [sys.executable, '-c', CHILD, jobs.dumps(job), str(devices)]
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)


def end(process: subprocess.Popen) -> dict:
    """What a job gave."""
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, err[-2000:]
    return json.loads(next(line for line in out.splitlines() if line.startswith('values'))[7:])


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(('127.0.0.1', 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def test_two_devices_and_two_workers_train_as_one(dataset, tmp_path):
    def job(name: str, strategy: str) -> TrainJob:
        options = TrainOptions(filters=4, depth=1, strategy=strategy, optimizer='sgd', clip_norm=1.0)
        return TrainJob(
            dataset, str(tmp_path / name), epochs=1, batch_size=11, learning_rate=0.05, seed=2, options=options
        )

    cluster = {'worker': [f'127.0.0.1:{port}' for port in free_ports(2)]}
    running = [start(job('mirrored', 'mirrored'), 2)]
    for index in range(2):
        where = json.dumps({'cluster': cluster, 'task': {'type': 'worker', 'index': index}})
        running.append(start(job('workers', 'workers'), TF_CONFIG=where))
    whole = train_model(job('one', 'one'), Reporter())
    mirrored, chief, other = map(end, running)
    assert other == {} and chief['BEST_EPOCH'] == mirrored['BEST_EPOCH'] == whole['BEST_EPOCH']
    weights = {
        name: keras.models.load_model(tmp_path / name / 'model/model.keras', compile=False).get_weights()
        for name in ('one', 'mirrored', 'workers')
    }
    for name in ('mirrored', 'workers'):
        for mine, theirs in zip(weights[name], weights['one']):
            assert np.abs(mine - theirs).max() < 1e-6 * max(1, np.abs(theirs).max())
    records = {name: json.loads((tmp_path / name / 'training.json').read_text()) for name in weights}
    for name in ('mirrored', 'workers'):
        for mine, theirs in zip(records[name]['history'], records['one']['history']):
            assert mine['validation'] == pytest.approx(theirs['validation'], abs=1e-5)
        assert np.sum(records[name]['results']['test']['confusion']) == np.sum(
            records['one']['results']['test']['confusion']
        )
    assert records['workers']['device'].endswith('each of several workers')
    assert sorted(os.listdir(tmp_path)) == sorted(
        ['one', *(f'{name}{end}' for name in ('mirrored', 'workers') for end in ('', '.json', '.log'))]
    )


def test_too_few_samples_for_the_devices(dataset, tmp_path, monkeypatch):
    job = TrainJob(dataset, str(tmp_path / 'a'), batch_size=1, options=TrainOptions(strategy='mirrored'))
    two = Devices('two devices')
    two.replicas = 2
    monkeypatch.setattr(training, 'open_devices', lambda *_: two)
    with pytest.raises(InvalidJob, match='BATCH_SIZE 1: batches of 1 samples cannot be shared by 2 devices'):
        train_model(job, Reporter())
    monkeypatch.undo()
    with pytest.raises(InvalidJob, match='TF_CONFIG'):
        train_model(TrainJob(dataset, str(tmp_path / 'a'), options=TrainOptions(strategy='workers')), Reporter())
