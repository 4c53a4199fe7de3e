"""The pipeline: in order, bounded, and any fault stops all of it and is raised as itself."""

from __future__ import annotations

import threading
import time

import pytest

from quadrat.engine.errors import Cancelled
from quadrat.engine.serving.pipeline import AHEAD, BEHIND, stream


class Run:
    """Numbers through the pipeline; counts what is on its way."""

    def __init__(self, count=40, fail='', at=20, **options):
        self.lock = threading.Lock()
        self.fail, self.at = fail, at
        self.read_calls = self.written_calls = self.most = 0
        self.written, self.batches, self.progress = [], [], []
        stream(range(count), self.read, self.compute, self.write, progress=self.report, **options)

    def stage(self, name, item):
        if self.fail == name and item == self.at:
            raise KeyError(name)

    def read(self, item):
        with self.lock:
            self.read_calls += 1
            self.most = max(self.most, self.read_calls - self.written_calls)
        time.sleep(0.002 if item % 3 else 0.0)
        self.stage('read', item)
        return item * 10

    def compute(self, pairs):
        self.batches.append(len(pairs))
        for item, value in pairs:
            assert value == item * 10
            self.stage('compute', item)
        return [value + 1 for _, value in pairs]

    def write(self, item, value):
        time.sleep(0.001)
        self.stage('write', item)
        assert value == item * 10 + 1
        self.written.append(item)
        with self.lock:
            self.written_calls += 1

    def report(self, done):
        self.progress.append(done)
        if self.fail == 'progress' and done == self.at:
            raise Cancelled


def test_everything_is_written_in_order_and_little_is_held():
    run = Run()
    assert run.written == list(range(40))
    assert run.progress == list(range(1, 41))
    assert run.most <= AHEAD + BEHIND + 2


@pytest.mark.parametrize('batch', [3, 7, 100])
def test_batches_are_full_but_for_the_last(batch):
    run = Run(batch=batch)
    assert run.written == list(range(40)) and sum(run.batches) == 40
    assert set(run.batches[:-1]) <= {batch} and run.progress[-1] == 40


def test_what_is_not_wanted_is_left_out():
    run = Run(wanted=lambda item, value: value % 40 == 0, batch=2)
    assert run.written == list(range(0, 40, 4)) and run.progress[-1] == 40


@pytest.mark.parametrize('stage', ['read', 'compute', 'write'])
def test_a_fault_anywhere_is_raised_as_itself_and_ends_the_threads(stage):
    before = threading.active_count()
    with pytest.raises(KeyError, match=stage):
        Run(fail=stage)
    assert threading.active_count() == before


def test_cancelling_stops_within_a_tile():
    with pytest.raises(Cancelled):
        Run(count=10**9, fail='progress', at=5)
