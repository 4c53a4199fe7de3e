"""The command line as a process of its own, with real jobs or with a stand-in for them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_STAND_IN = """
import os, sys, time
from quadrat.engine import registry
from quadrat.engine.cli import main

def work(job, reporter):
{work}

registry.function_for = lambda job: work
sys.exit(main(sys.argv[1:]))
"""


@dataclasses.dataclass
class CommandLine:
    """Starts ``quadrat …``.

    Attributes:
        folder: where it runs.
        environment: with the checkout importable as `quadrat`.
    """

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return self._done([sys.executable, '-m', 'quadrat', *arguments], options)

    def stand_in(self, work: str, *arguments: str, **options) -> subprocess.CompletedProcess:
        """The same, where the job does nothing but some lines of Python."""
        return self._done(self.command(work, *arguments), options)

    def start(self, *command: str, **options) -> subprocess.Popen:
        """A process that can be sent signals to."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True, **options
        )

    def command(self, work: str, *arguments: str) -> list[str]:
        lines = '\n'.join(f'    {line}' for line in work.splitlines())
        return [sys.executable, '-c', _STAND_IN.format(work=lines), *arguments]

    def _done(self, command: list[str], options: dict) -> subprocess.CompletedProcess:
        settings = {'capture_output': True, 'text': True, 'cwd': self.folder, 'env': self.environment, **options}
        return subprocess.run(command, check=False, timeout=120, **settings)


@pytest.fixture
def quadrat(tmp_path) -> CommandLine:
    """The command line in an empty folder."""
    site = tmp_path / 'site'
    site.mkdir()
    (site / 'quadrat').symlink_to(ROOT)
    folder = tmp_path / 'work'
    folder.mkdir()
    hidden = ('COLUMNS', 'QUADRAT_TRUSTED')
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    return CommandLine(folder, {**environment, 'PYTHONPATH': str(site)})


@pytest.fixture
def job_file(quadrat) -> str:
    """A job that takes any stand-in."""
    (quadrat.folder / 'job.json').write_text('{"job": "demoscene", "output": "scene"}')
    return 'job.json'
