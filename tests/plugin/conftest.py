"""Workers that misbehave in every way, and feedback that remembers."""

# ruff: noqa: N802  (names that the QGIS API prescribes)

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

# Speaks the protocol with nothing but the standard library; the body does as the test says.
FAKE = """\
#!{python}
import json, os, signal, subprocess, sys, time
assert 'engine/bootstrap.py' in sys.argv[2]

def tell(kind, request='', version=1, **more):
    print(json.dumps({{'v': version, 'id': request, 'type': kind, **more}}), flush=True)

def request():
    return json.loads(sys.stdin.readline())

"""

# The real worker, whose job `checkengine` never ends by itself.
BUSY = """\
#!{python}
import importlib.util, resource, sys, time
spec = importlib.util.spec_from_file_location('bootstrap', sys.argv[2])
bootstrap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bootstrap)
bootstrap.register()
from quadrat.engine import check, worker

def busy(job, reporter):
    if 'tf.' in {call!r}:
        import tensorflow as tf
    if {limit}:
        resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
    open(__file__ + '.busy', 'w').close()
    reporter.progress(0.5, 'busy')
    exec({call!r})
    return {{}}

check.check_engine = busy
sys.exit(worker.main())
"""


def script(path: Path, text: str) -> str:
    """An interpreter for the engine that is a script."""
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def fake(tmp_path):
    """A function: code of a worker -> its interpreter."""
    return lambda body: script(tmp_path / 'fake', FAKE.format(python=sys.executable) + textwrap.dedent(body))


@pytest.fixture
def busy(tmp_path, engine_python):
    """A function: what to do, a limit of memory in bytes -> the interpreter of a real worker that does it."""
    return lambda call, limit=0: script(tmp_path / 'busy', BUSY.format(python=engine_python, call=call, limit=limit))


@pytest.fixture
def feedback(provider):
    """Feedback that remembers what it was told."""
    from qgis.core import QgsProcessingFeedback

    class Memory(QgsProcessingFeedback):
        def __init__(self):
            super().__init__(False)
            self.told = []
            self.fractions = []
            self.progressChanged.connect(self.fractions.append)

        def setProgressText(self, text):
            self.told.append(('text', text))

        def pushInfo(self, text):
            self.told.append(('info', text))

        def pushDebugInfo(self, text):
            self.told.append(('debug', text))

        def pushWarning(self, text):
            self.told.append(('warning', text))

        def text(self):
            return '\n'.join(text for _, text in self.told)

    return Memory()


@pytest.fixture
def processes():
    """A function: text -> the running processes whose command line contains it."""

    def find(text: str) -> list[int]:
        found = []
        for entry in Path('/proc').iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode('utf-8', 'replace')
                state = (entry / 'stat').read_text().rpartition(')')[2].split()[0]
            except OSError:
                continue
            if text in line and state != 'Z':
                found.append(int(entry.name))
        return found

    return find


@pytest.fixture
def wait_for():
    """A function: the first true value of a condition within some seconds, or its last one."""

    def wait(condition, seconds: float):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        return condition()

    return wait
