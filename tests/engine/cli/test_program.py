"""The command line as a process: streams, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from quadrat.engine.jobs import DemoSceneJob, dumps

WAIT = """
reporter.log('ready')
while True:
    reporter.check_cancelled()
    time.sleep(0.01)
"""
DEAF = "reporter.log('ready')\ntime.sleep(60)"
CHATTER = """
print('chatter of Python')
os.write(1, b'chatter of C++\\n')
reporter.progress(0.5, 'half')
return {'OUTPUT': job.output}
"""
posix = pytest.mark.skipif(os.name != 'posix', reason='signals and descriptors of POSIX')


def ready(process: subprocess.Popen, stream) -> None:
    """Wait until the job runs."""
    for line in stream:
        if 'ready' in line:
            return
    raise AssertionError(process.communicate())


def test_the_answer_alone_is_on_the_standard_output(quadrat, job_file):
    done = quadrat.stand_in(CHATTER, 'run', job_file)
    assert done.returncode == 0 and json.loads(done.stdout) == {'OUTPUT': 'scene'}
    assert 'chatter of Python' in done.stderr and 'chatter of C++' in done.stderr
    done = quadrat.stand_in(CHATTER, 'run', job_file, '--json')
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events == [
        {'type': 'progress', 'fraction': 0.5, 'text': 'half'},
        {'type': 'result', 'values': {'OUTPUT': 'scene'}},
    ]


def test_exit_codes(quadrat, job_file):
    def check(code, words, *arguments, work='return {}'):
        done = quadrat.stand_in(work, *arguments)
        assert done.returncode == code and not done.stdout
        assert words in done.stderr.splitlines()[-1]
        done = quadrat.stand_in(work, '--json', *arguments)
        last = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == code and last['type'] == 'error' and words in last['message']
        return last['code']

    assert check(2, 'COMMAND') == 'usage'
    assert check(2, '--jobs', 'run', '--jobs', job_file) == 'usage'
    assert check(1, 'none.json: no such file', 'run', 'none.json') == 'input-missing'
    oops = 'raise ValueError("oops")'
    assert check(1, 'oops', 'run', job_file, work=oops) == 'internal'
    assert 'Traceback' in quadrat.stand_in(oops, 'run', job_file).stderr
    cancelled = 'reporter.cancelled.set()\nreporter.check_cancelled()'
    assert check(130, 'Cancelled', 'run', job_file, work=cancelled) == 'cancelled'


def test_a_job_that_is_faulty_is_one_line(quadrat):
    (quadrat.folder / 'job.json').write_text(dumps(DemoSceneJob('nowhere/scene', 64)))
    (quadrat.folder / 'nowhere').write_text('a file')
    done = quadrat.run('run', 'job.json')
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and 'nowhere' in done.stderr


@posix
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels(quadrat, job_file, number):
    process = quadrat.start(*quadrat.command(WAIT, 'run', job_file))
    ready(process, process.stderr)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and out == '' and err.splitlines()[-1] == 'Cancelled.'


@posix
def test_the_second_interrupt_ends_at_once(quadrat, job_file):
    process = quadrat.start(*quadrat.command(DEAF, 'run', job_file, '--json'))
    ready(process, process.stdout)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)  # not that one
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130 and time.monotonic() - start < 5
    process.communicate()


@posix
def test_readers_that_go_away(quadrat, job_file):
    """``| head -1`` ends the job, and nothing is said about it; neither of help."""
    process = quadrat.start(*quadrat.command(WAIT, 'run', job_file, '--json'))
    ready(process, process.stdout)
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    err = process.stderr.read()
    assert process.wait(20) in (1, 130) and 'Traceback' not in err and 'BrokenPipe' not in err
    process.stderr.close()

    many = 'for i in range(10 ** 6):\n    reporter.log("line")\n    reporter.check_cancelled()'
    command = subprocess.list2cmdline([sys.executable, '-m', 'quadrat', 'serve', '--help'])
    for script in (f'{command} | true', f'{command} >&-', f'{command} 2>&1 >/dev/null | true'):
        done = quadrat._done(['bash', '-c', f'set -o pipefail; {script}'], {})
        assert done.returncode in (0, 1) and done.stderr == ''
    for end in ('stdout', 'stderr'):
        flag = ['--json'] if end == 'stdout' else []
        process = quadrat.start(*quadrat.command(many, 'run', job_file, *flag))
        getattr(process, end).readline()
        getattr(process, end).close()
        other = (process.stdout if end == 'stderr' else process.stderr).read()
        assert process.wait(20) == 1 and 'Traceback' not in other


def test_settings_of_tensorflow_apply(quadrat, job_file):
    show = (
        'return {key: os.environ.get(key) for key in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES")}'
    )
    for name in ('TF_CPP_MIN_LOG_LEVEL', 'CUDA_VISIBLE_DEVICES'):
        quadrat.environment.pop(name, None)
    values = json.loads(quadrat.stand_in(show, 'run', job_file, '--device', 'cpu').stdout)
    assert values == {'KERAS_BACKEND': 'tensorflow', 'TF_CPP_MIN_LOG_LEVEL': '2', 'CUDA_VISIBLE_DEVICES': '-1'}


def test_code_that_ends_the_process_has_not_done_its_work(quadrat, job_file):
    done = quadrat.stand_in('raise SystemExit(0)', 'run', job_file, '--json')
    assert done.returncode == 1 and json.loads(done.stdout.splitlines()[-1])['type'] == 'error'
    assert 'SystemExit' in done.stderr
