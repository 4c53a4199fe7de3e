"""Commands that only look at files import no library that takes seconds to load."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ('tensorflow', 'keras', 'osgeo')
WITHOUT_NUMPY = (*HEAVY, 'numpy', 'PIL', 'openvino', 'sklearn')
# Names what was tried to import at the end, as a library may do without what it cannot import.
_CODE = """
import runpy, sys
class Refused:
    tried = set()
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {heavy}:
            self.tried.add(name)
            raise ImportError(f'{{name}} is refused')
sys.meta_path.insert(0, Refused())
try:
    runpy.run_module('quadrat', run_name='__main__', alter_sys=True)
except SystemExit as end:
    sys.exit(f'imported {{Refused.tried}}' if Refused.tried else end.code)
"""


@pytest.fixture
def files(quadrat):
    (quadrat.folder / 'base.yaml').write_text('model: {type: unet}\n')
    (quadrat.folder / 'run.yaml').write_text('extend: base.yaml\ndata: {dataset: .}\ntrain: {epochs: 3}\n')
    return quadrat


def light(quadrat, heavy, *arguments) -> subprocess.CompletedProcess:
    code = _CODE.format(heavy=heavy)
    return quadrat._done([sys.executable, '-c', code, *arguments], {})


@pytest.mark.parametrize(
    'arguments',
    [
        *(['--help'], ['--version'], ['run', 'none.json']),
        *([name, '--help'] for name in ('train', 'show', 'validate', 'serve', 'evaluate', 'manifest', 'run', 'toy')),
    ],
)
def test_what_needs_not_even_numpy(quadrat, arguments):
    done = light(quadrat, WITHOUT_NUMPY, *arguments)
    assert done.returncode == (1 if 'none.json' in arguments else 0), done.stderr
    assert 'imported' not in done.stderr


@pytest.mark.parametrize('command', ['validate', 'show'])
def test_descriptions_of_runs(files, command):
    done = light(files, HEAVY, command, 'run.yaml', '-p', 'train.batch_size=2')
    assert done.returncode == 0, done.stderr
    done = light(files, HEAVY, command, 'run.yaml', '-p', 'train.epohcs=2')
    assert done.returncode == 1 and 'epochs' in done.stderr and 'imported' not in done.stderr


@pytest.mark.parametrize('action', [['count'], ['create'], ['check'], ['check', '--full']])
def test_manifests(quadrat, action):
    # One record without content: its length, that of nothing, and the checksums of both.
    (quadrat.folder / 'x.tfrecord').write_bytes(bytes(8) + b'\x29\x03\x98\x07' + b'\xd8\xea\x82\xa2')
    if action[0] == 'check':
        light(quadrat, (), 'manifest', 'create', 'x.tfrecord')
    done = light(quadrat, HEAVY, 'manifest', *action, 'x.tfrecord')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('x.tfrecord: ')
