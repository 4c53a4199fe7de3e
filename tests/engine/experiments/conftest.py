"""What tests of runs share: a folder with what runs name, and their faults line by line."""

from __future__ import annotations

import re
import textwrap

import pytest

from quadrat.engine.errors import ConfigurationError
from quadrat.engine.experiments.configuration import open_configuration


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, with a dataset, files, and code of the user's own."""
    folder = tmp_path / 'place'
    for name in ('samples', 'more', 'package', 'code', 'bundle'):
        (folder / name).mkdir(parents=True)
    for name in ('image.tif', 'labels.tif', 'points.gpkg', 'a.tfrecord', 'weights.h5', 'statistics.xml', 'x.npy'):
        (folder / name).write_text('')
    (folder / 'bundle' / 'ckpt.index').write_text('')
    (folder / 'table.csv').write_text('a,b\n1,2\n')
    (folder / 'classes.csv').write_text('value,name,colour\n11,water,#0000ff\n12,"land, dry",\n')
    (folder / 'code' / 'own.py').write_text(f'open({str(folder / "ran")!r}, "w").close()\n\n\ndef Net():\n    pass\n')
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(place):
    """Writes a file into the place; returns its name."""

    def written(text, name='run.yaml'):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(textwrap.dedent(text), encoding='utf-8')
        return name

    return written


@pytest.fixture
def opened(write):
    """Opens a run from its text."""
    return lambda text, *overrides, **options: open_configuration(write(text), overrides, **options)


@pytest.fixture
def faults(opened):
    """The faults of a run from its text: (line, or the override; key; message)."""

    def found(text, *overrides, **options):
        with pytest.raises(ConfigurationError) as error:
            opened(text, *overrides, **options)
        return [parted(fault) for fault in error.value.faults]

    return found


def parted(fault):
    """The parts of a fault."""
    match = re.fullmatch(r'(?:[\w./-]*\.yaml:(\d+)|-p (.+?)): (?:([a-z]\S*): )?(.*)', fault)
    assert match, fault
    return int(match[1]) if match[1] else match[2], match[3] or '', match[4]
