"""The engine's process ends with QGIS, and Ctrl-C in qgis_process ends both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('qgis.core')

WILLING = """\
while True:
    reporter.check_cancelled()
    time.sleep(0.1)
"""
DEAF = """\
x = tf.random.normal((500, 500))
while True:
    x = tf.linalg.matmul(x, x) / 1000
"""
# What a plugin does, in a process that can be killed without killing the tests.
PARENT = """\
import os, sys
from quadrat.engine.jobs import CheckEngineJob
from quadrat.plugin.process import do_job
do_job(sys.argv[1], dict(os.environ), CheckEngineJob(), print, lambda: False)
"""


@pytest.fixture
def start(busy, processes, wait_for):
    """A function that starts a program whose engine is then busy: (process, a look for the engine's processes)."""
    started = []

    def run(command, variables, call):
        python = busy(call)
        process = subprocess.Popen(
            [python if word is None else word for word in command],
            env={**variables, 'QUADRAT_PYTHON': python},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell's background job would have the signal ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        assert wait_for(lambda: os.path.exists(python + '.busy'), 60)
        assert processes(f'{python} -u')
        return process, lambda: processes(f'{python} -u')

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_no_orphan_when_the_parent_is_killed(start, wait_for, tmp_path):
    """Not even of an engine that is deep in TensorFlow and deaf to everything."""
    (tmp_path / 'quadrat').symlink_to(Path(__file__).resolve().parents[2])
    variables = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    process, engines = start([sys.executable, '-c', PARENT, None], variables, DEAF)
    process.kill()
    assert wait_for(lambda: not engines(), 10)


def test_no_orphan_when_qgis_is_killed(start, qgis_profile, wait_for):
    process, engines = start(['qgis_process.bin', 'run', 'quadrat:checkengine'], qgis_profile, WILLING)
    process.kill()
    assert wait_for(lambda: not engines(), 10)


@pytest.mark.parametrize('options', [(), ('--json',)], ids=['text', 'json'])
def test_ctrl_c_in_qgis_process(start, qgis_profile, options):
    process, engines = start(['qgis_process.bin', *options, 'run', 'quadrat:checkengine'], qgis_profile, WILLING)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert time.monotonic() - begin < 10
    assert process.returncode == 1
    assert 'Cancelled.' in output
    assert engines() == []
