"""Whatever the engine's process does, QGIS gets one clear line, lives on, and no process is left."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import textwrap
import threading
import time

import pytest

pytest.importorskip('qgis.core')

from qgis.core import QgsProcessingException
from qgis.PyQt.QtCore import QTimer

from quadrat.engine.jobs import CheckEngineJob
from quadrat.plugin import process, runner

READY = "tell('ready', python='', pid=0)\n"
STARTED = READY + "job = request()['id']\n"


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(process, 'CANCEL_GRACE', 1.0)
    monkeypatch.setattr(process, 'EXIT_GRACE', 1.0)


@pytest.fixture
def run(feedback, monkeypatch):
    """A function that runs a job with an interpreter."""

    def with_python(python):
        monkeypatch.setenv('QUADRAT_PYTHON', python)
        return runner.run(CheckEngineJob(), feedback)

    return with_python


@pytest.fixture
def failure(run, processes):
    """A function that runs a job that must fail: the one line that the user reads."""

    def with_python(python):
        with pytest.raises(QgsProcessingException) as caught:
            run(python)
        message = str(caught.value)
        assert '\n' not in message and len(message) < 700
        assert processes(python) == []
        return message

    return with_python


def test_events_reach_the_feedback(fake, run, feedback, processes):
    python = fake(
        STARTED
        + textwrap.dedent("""
        for i in range(5):
            tell('progress', job, fraction=i / 4, text=f'tile {i}' if i < 3 else 'last things')
        tell('log', job, text='a line', detail=False)
        tell('log', job, text='a detail', detail=True)
        tell('warning', job, text='mind this')
        tell('metric', job, name='loss', value=1.0, step=2)
        tell('preview', job, path='a.png')
        tell('log', 'of another request', text='not for us', detail=False)
        tell('result', job, values={'OUTPUT': 'a', 'N': 3})
        assert request()['type'] == 'shutdown'
        """)
    )
    assert run(python) == {'OUTPUT': 'a', 'N': 3}
    assert feedback.fractions == [25.0, 50.0, 75.0, 100.0]
    assert [text for kind, text in feedback.told if kind == 'text'] == ['tile 0', 'last things']
    assert ('info', 'a line') in feedback.told and ('debug', 'a detail') in feedback.told
    assert ('warning', 'mind this') in feedback.told
    assert 'not for us' not in feedback.text()
    assert processes(python) == []


def test_a_quiet_job_is_left_in_peace(fake, run, monkeypatch):
    monkeypatch.setattr(process, 'START_LIMIT', 2.0)
    python = fake(STARTED + "time.sleep(3); tell('result', job, values={})")
    assert run(python) == {}


def test_a_result_counts_even_if_the_process_does_not_end(fake, run, processes):
    python = fake(STARTED + "tell('result', job, values={}); subprocess.run(['sleep', '1000'])")
    assert run(python) == {}
    assert processes(python) == []


@pytest.mark.parametrize(
    ('body', 'texts'),
    [
        (STARTED + "print('Traceback: bad news', file=sys.stderr); sys.exit(3)", ['status 3', 'bad news']),
        (STARTED + 'sys.exit(0)', ['ended before the job was done']),
        (STARTED + 'os.kill(os.getpid(), signal.SIGSEGV)', ['crashed (SIGSEGV)', 'memory']),
        (STARTED + 'os.abort()', ['crashed (SIGABRT)']),
        (STARTED + 'os.kill(os.getpid(), signal.SIGKILL)', ['killed', 'memory ran out', 'smaller tiles']),
        (STARTED + 'sys.exit(137)', ['killed', 'memory ran out']),
        (STARTED + "print('std::bad_alloc', file=sys.stderr, flush=True); os.abort()", ['Not enough memory']),
        ("print('libfoo.so: cannot open', file=sys.stderr); sys.exit(127)", ['does not start', 'libfoo.so', 'QUADRAT']),
        (READY + "print('Welcome to the cluster!', flush=True); time.sleep(1000)", ['Welcome to the cluster!']),
        ('sys.stdout.buffer.write(bytes(range(256)) * 9999); time.sleep(1000)', ['no message of the engine']),
        (STARTED + "os.write(1, b'x' * 3000000); time.sleep(1000)", ['no message of the engine']),
        ("tell('ready', version=99, python='', pid=0); time.sleep(1000)", ['version 99', 'Restart QGIS']),
        (STARTED + "tell('result', job, version=99, values={}); time.sleep(1000)", ['version 99', 'Restart QGIS']),
        (STARTED + 'os.close(1); time.sleep(1000)', ['stopped answering']),
        (READY + "time.sleep(0.5); subprocess.Popen(['sleep', '1000'], stdout=2); sys.exit(1)", ['status 1']),
        (
            STARTED + "tell('error', job, code='labels', message='No labels: do this.', traceback='')",
            ['No labels: do this.'],
        ),
        (
            STARTED + "tell('error', job, code='engine-missing', message='no tensorflow.', traceback='')",
            ['no tensorflow. Correct the environment variable QUADRAT_PYTHON'],
        ),
    ],
)
def test_every_failure_is_one_clear_line(fake, failure, body, texts):
    start = time.monotonic()
    message = failure(fake(body))
    for text in texts:
        assert text in message
    assert time.monotonic() - start < 15


def test_a_process_that_hangs_at_its_start(fake, failure, monkeypatch):
    monkeypatch.setattr(process, 'START_LIMIT', 2.0)
    message = failure(fake('time.sleep(1000)'))
    assert 'did not start within 2 seconds' in message and 'QUADRAT_PYTHON' in message


def test_details_of_a_failure_are_in_the_log(fake, failure, feedback):
    failure(fake(STARTED + "print('I0000 00:00 noise\\nlast words', file=sys.stderr); sys.exit(1)"))
    assert 'last words' in feedback.text() and 'noise' not in feedback.text()
    failure(fake(STARTED + "tell('error', job, code='internal', message='oh', traceback='line 1\\nline 2')"))
    assert ('debug', 'line 1\nline 2') in feedback.told


@pytest.mark.parametrize(('content', 'text'), [('#!/nowhere/python\n', 'cannot be started'), ('', 'cannot be started')])
def test_interpreters_that_cannot_be_started(tmp_path, failure, content, text):
    python = tmp_path / 'python'
    python.write_text(content)
    python.chmod(0o755)
    message = failure(str(python))
    assert str(python) in message and text in message


@pytest.mark.parametrize(
    ('body', 'seconds'),
    [
        ("assert request()['type'] == 'cancel'; tell('error', job, code='cancelled', message='Cancelled.')", 1.0),
        ("request(); tell('result', job, values={})", 1.0),  # too late to stop
        ("request(); print('rubbish', flush=True); time.sleep(1000)", 4.5),
        ('time.sleep(1000)', 1.5),  # ends with SIGTERM
        ('signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)', 4.5),
    ],
)
def test_cancel_always_works(fake, failure, feedback, body, seconds):
    python = fake(STARTED + "tell('progress', job, fraction=0.1, text='at it')\n" + body)
    watch = threading.Thread(target=lambda: (_until(lambda: 'at it' in feedback.text()), feedback.cancel()))
    start = time.monotonic()
    watch.start()
    assert failure(python) == 'Cancelled.'
    watch.join()
    assert time.monotonic() - start < seconds + 5


def test_cancel_works_while_it_starts(fake, failure, feedback):
    threading.Timer(0.3, feedback.cancel).start()
    assert failure(fake('time.sleep(1000)')) == 'Cancelled.'


def test_ctrl_c_cancels_and_the_handler_is_given_back(fake, failure, feedback):
    """Also one that QGIS has set without Python's knowledge."""
    get = ctypes.pythonapi.PyOS_getsig
    get.restype = ctypes.c_void_p
    before = signal.getsignal(signal.SIGINT), get(signal.SIGINT)
    python = fake(STARTED + "request(); tell('error', job, code='cancelled', message='Cancelled.')")
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert failure(python) == 'Cancelled.'
    assert feedback.isCanceled()
    assert (signal.getsignal(signal.SIGINT), get(signal.SIGINT)) == before


def test_cancel_works_where_qgis_runs_the_job_in_the_thread_of_its_window(fake, failure, feedback, monkeypatch):
    """As in batch dialogs of QGIS 3.22: the click on Cancel is an event that waits in that very thread."""
    monkeypatch.setattr('qgis.utils.iface', object())
    QTimer.singleShot(300, feedback.cancel)
    python = fake(STARTED + "request(); tell('error', job, code='cancelled', message='Cancelled.')")
    assert failure(python) == 'Cancelled.'


def test_jobs_run_in_any_thread(fake, run):
    python = fake(STARTED + "tell('result', job, values={'A': 1})")
    results = []
    thread = threading.Thread(target=lambda: results.append(run(python)))
    thread.start()
    thread.join()
    assert results == [{'A': 1}]


def test_the_child_environment_is_clean(fake, run, monkeypatch):
    for name in ('PYTHONPATH', 'PYTHONHOME', 'PYTHONEXECUTABLE', 'PIP_TARGET', 'LD_LIBRARY_PATH', 'QGIS_PREFIX_PATH'):
        monkeypatch.setenv(name, '/wrong')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
    python = fake(STARTED + "tell('result', job, values=dict(os.environ))")
    # The script's own interpreter would stumble over PYTHONHOME, too, were it not taken out.
    inherited = run(python)
    assert not [name for name, value in inherited.items() if value == '/wrong']
    assert inherited['CUDA_VISIBLE_DEVICES'] == '0' and inherited['PYTHONNOUSERSITE'] == '1'


def test_killed_inside_tensorflow(busy, failure, processes, feedback):
    python = busy('x = tf.random.normal((3000, 3000))\nwhile True: x = tf.linalg.matmul(x, x) / 1000')

    def kill():
        _until(lambda: 'busy' in feedback.text())
        time.sleep(1)
        for pid in processes(python):
            os.kill(pid, signal.SIGKILL)

    watch = threading.Thread(target=kill)
    watch.start()
    message = failure(python)
    watch.join()
    assert re.search(r'killed, probably because memory ran out\. Use smaller', message)


def test_memory_runs_out_inside_tensorflow(busy, failure):
    message = failure(busy('tf.random.normal((64, 1024, 1024, 64))', limit=6 << 30))
    assert 'Not enough memory for this job. Use smaller tiles' in message


def _until(condition):
    while not condition():
        time.sleep(0.05)
