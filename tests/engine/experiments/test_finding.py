"""Run configurations by name."""

from __future__ import annotations

import os

import pytest

from quadrat.engine.errors import InputMissing
from quadrat.engine.experiments import finding
from quadrat.engine.experiments.finding import find_configuration


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with variants, and presets of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finding, '_PRESETS', str(tmp_path / 'resources'))
    for path in (
        'here.yaml',
        'variants/toy.yaml',
        'variants/other.yml',
        'elsewhere/toy.yml',
        'resources/landcover.yaml',
        'resources/toy.yaml',
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def test_files_variants_presets(folder):
    assert find_configuration('here.yaml') == 'here.yaml'
    assert find_configuration(str(folder / 'elsewhere/toy.yml')) == str(folder / 'elsewhere/toy.yml')
    assert find_configuration('toy') == os.path.join('variants', 'toy.yaml')
    assert find_configuration('other') == os.path.join('variants', 'other.yml')
    assert find_configuration('toy', 'elsewhere') == os.path.join('elsewhere', 'toy.yml')
    assert find_configuration('landcover') == str(folder / 'resources' / 'landcover.yaml')
    os.rename('variants', 'moved')
    assert find_configuration('here') == 'here.yaml'
    assert find_configuration('toy') == str(folder / 'resources' / 'toy.yaml')


def test_what_is_not_there(folder):
    with pytest.raises(InputMissing, match=r'landcovr: no file.*known are landcover, '):
        find_configuration('landcovr')
    with pytest.raises(InputMissing, match='variants: this is a folder; give the file of a run; known are '):
        find_configuration('variants')
    with pytest.raises(InputMissing, match='nowhere: no such folder'):
        find_configuration('toy', 'nowhere')
    with pytest.raises(InputMissing, match=r'gone\.yaml: no such file, nor in variants; known are'):
        find_configuration('gone.yaml')
    with pytest.raises(InputMissing, match="'': no file"):
        find_configuration('')
