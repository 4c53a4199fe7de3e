"""The worker as a process: what it answers on its pipe, and that it ends with whoever started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from quadrat.engine import worker
from quadrat.engine.errors import EngineError
from quadrat.engine.events import PROTOCOL

BOOTSTRAP = Path(worker.__file__).with_name('bootstrap.py')

# The real worker with one job that does as its output's name says, instead of making a scene.
ODD_JOBS = f"""
import importlib.util, os, subprocess, sys, time
spec = importlib.util.spec_from_file_location('bootstrap', {str(BOOTSTRAP)!r})
bootstrap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bootstrap)
bootstrap.register()
from quadrat.engine import registry, worker

def odd_job(job, reporter):
    reporter.progress(0.5, 'half')
    if 'print' in job.output:
        print('{{"v": 1}} from Python')
        os.write(1, b'from C\\n')
        subprocess.run(['echo', 'from a child'])
    if 'wait' in job.output:
        while True:
            reporter.check_cancelled()
            time.sleep(0.01)
    if 'hang' in job.output:
        time.sleep(1000)
    if 'memory' in job.output:
        try:
            raise MemoryError()
        except MemoryError as error:
            raise RuntimeError('wrapped') from error
    if 'import' in job.output:
        import tensorflaw
    if 'fault' in job.output:
        raise ValueError('two\\nlines')
    return {{'OUTPUT': job.output}}

registry.function_for = lambda job: odd_job
worker.GRACE = 1.0
sys.exit(worker.main())
"""


class Process:
    """A worker and its two pipes."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def send(self, kind, request_id='', version=PROTOCOL, **more):
        self.write(json.dumps({'v': version, 'id': request_id, 'type': kind, **more}) + '\n')

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def run(self, request_id, output):
        self.send('run', request_id, job={'job': 'demoscene', 'output': output})

    def next(self, kind):
        """The next event of a kind; every line must be an event."""
        while True:
            event = json.loads(self.process.stdout.readline())
            assert event['v'] == PROTOCOL
            if event['type'] == kind:
                return event


@pytest.fixture
def odd(tmp_path):
    started = Process([sys.executable, '-u', '-c', ODD_JOBS])
    yield started
    started.process.kill()
    started.process.communicate()


def test_requests_are_done_in_turn(odd, tmp_path):
    ready = odd.next('ready')
    assert ready['python'] == sys.executable and ready['pid'] == odd.process.pid
    paths = [str(tmp_path / name) for name in 'ab']
    for request_id, path in zip('12', paths):
        odd.run(request_id, path)
    for request_id, path in zip('12', paths):
        assert odd.next('progress')['fraction'] == 0.5
        result = odd.next('result')
        assert result['id'] == request_id and result['values'] == {'OUTPUT': path}
    odd.send('shutdown')
    assert odd.process.wait(10) == 0


def test_nothing_that_is_printed_reaches_the_events(odd, tmp_path):
    odd.run('1', str(tmp_path / 'print'))
    odd.next('result')
    odd.send('shutdown')
    rest, errors = odd.process.communicate(timeout=10)
    assert rest == ''
    for text in ('from Python', 'from C', 'from a child'):
        assert text in errors


def test_cancel_stops_the_job_but_not_the_worker(odd, tmp_path):
    odd.run('1', str(tmp_path / 'wait'))
    odd.run('2', str(tmp_path / 'wait too'))
    odd.run('3', str(tmp_path / 'fine'))
    odd.next('progress')
    odd.send('cancel', '2')  # before its turn
    odd.send('cancel', 'never heard of')
    odd.send('cancel', '1')
    for request_id in '12':
        error = odd.next('error')
        assert (error['id'], error['code']) == (request_id, 'cancelled')
    assert odd.next('result')['id'] == '3'


@pytest.mark.parametrize('job', ['wait', 'hang'])
def test_it_ends_with_its_input(odd, tmp_path, job):
    odd.run('1', str(tmp_path / job))
    odd.next('progress')
    start = time.monotonic()
    odd.process.stdin.close()
    status = odd.process.wait(10)
    assert time.monotonic() - start < 4
    assert status == (0 if job == 'wait' else 1)
    odd.process.stdin = None  # closed already


@pytest.mark.parametrize(
    ('output', 'code', 'text', 'traced'),
    [
        ('memory', 'out-of-memory', 'Not enough memory', True),
        ('import', 'engine-missing', 'tensorflaw', False),
        ('fault', 'internal', 'ValueError: two lines', True),
    ],
)
def test_errors_are_one_line_with_a_code(odd, tmp_path, output, code, text, traced):
    odd.run('1', str(tmp_path / output))
    error = odd.next('error')
    assert error['code'] == code and text in error['message'] and '\n' not in error['message']
    assert ('Traceback' in error['traceback']) is traced


def test_bad_requests(odd):
    odd.send('run', 'x', version=PROTOCOL + 1, job={})
    error = odd.next('error')
    assert (error['id'], error['code']) == ('x', 'protocol')
    assert f'version {PROTOCOL + 1}' in error['message'] and 'Restart QGIS' in error['message']
    for line in ('no json\n', '{"v": 1}\n', '[]\n', '{"v": 1, "id": "y", "type": "dance"}\n'):
        odd.write(line)
        assert odd.next('error')['code'] == 'protocol'
    odd.send('run', 'z', job={'job': 'nothing'})
    error = odd.next('error')
    assert (error['id'], error['code']) == ('z', 'invalid-job')


def test_library_errors_of_memory_are_recognised():
    class ResourceExhaustedError(Exception):
        """As TensorFlow's."""

    assert worker.failure(ResourceExhaustedError('OOM when allocating')).code == 'out-of-memory'
    assert worker.failure(RuntimeError('INTERNAL: RESOURCE_EXHAUSTED: Out of memory')).code == 'out-of-memory'
    assert worker.failure(OSError(28, 'No space left on device', '/data/map.tif')).code == 'disk-full'
    assert worker.failure(ImportError('broken', name='quadrat.engine.grid')).code == 'internal'
    assert worker.failure(EngineError('mine')).traceback == ''


def test_bootstrap_adds_nothing_to_the_path(tmp_path):
    """Started from anywhere, `quadrat` is the tree of the file, and its modules have no bare names."""
    code = textwrap.dedent(f"""
        import json, runpy, sys
        sys.argv = [{str(BOOTSTRAP)!r}]
        sys.path.insert(0, {str(BOOTSTRAP.parent)!r})  # as Python does for a script
        before = list(sys.path)
        runpy.run_path({str(BOOTSTRAP)!r})['register']()
        import quadrat.engine.events
        print(json.dumps([[entry for entry in before if entry not in sys.path],
                          [entry for entry in sys.path if entry not in before], quadrat.engine.events.__file__]))
    """)
    done = subprocess.run([sys.executable, '-I', '-c', code], cwd=tmp_path, capture_output=True, text=True, check=True)
    removed, added, file = json.loads(done.stdout)
    assert removed == [str(BOOTSTRAP.parent)] and added == []
    assert os.path.samefile(file, BOOTSTRAP.with_name('events.py'))
