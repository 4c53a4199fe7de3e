"""What is kept between runs: whole, found again by what it follows from, and not without end."""

from __future__ import annotations

import os

import pytest

from quadrat.engine.errors import ModelError
from quadrat.engine.runtimes import cache as module
from quadrat.engine.runtimes.cache import Cache, cache_folder, key_of
from quadrat.engine.runtimes.spec import ModelSpec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def writer(text):
    def write(place):
        with open(os.path.join(place, 'a.txt'), 'w') as file:
            file.write(text)

    return write


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.delenv('QUADRAT_CACHE', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr('sys.platform', 'linux')
    assert cache_folder() == str(tmp_path / 'quadrat')
    monkeypatch.setattr('sys.platform', 'win32')
    monkeypatch.setenv('LOCALAPPDATA', str(tmp_path))
    assert cache_folder().startswith(str(tmp_path / 'Quadrat'))
    monkeypatch.setenv('QUADRAT_CACHE', '/somewhere')
    assert cache_folder() == '/somewhere'


def test_kept_and_found(folder):
    cache = Cache('kind')
    assert cache.find('k') is None
    place = cache.keep('k', writer('1'))
    assert cache.find('k') == place and os.listdir(folder / 'kind') == ['k']
    cache.keep('k', writer('2'))
    assert (folder / 'kind/k/a.txt').read_text() == '2'
    cache.drop('k')
    assert cache.find('k') is None


def test_nothing_half_written(folder):
    def fail(place):
        writer('x')(place)
        raise OSError(28, 'No space left on device')

    with pytest.raises(OSError, match='No space'):
        Cache('kind').keep('k', fail)
    assert os.listdir(folder / 'kind') == []


def test_the_least_used_go(folder, monkeypatch):
    monkeypatch.setattr(module, '_MOST', 3)
    cache = Cache('kind')
    for number in range(4):
        place = cache.keep(f'k{number}', writer('x'))
        os.utime(place, (number + 1, number + 1))
        if number == 2:
            cache.find('k0')  # used now
    assert sorted(os.listdir(folder / 'kind')) == ['k0', 'k2', 'k3']


def test_names_follow_from_all_that_matters(tmp_path):
    model = tmp_path / 'model'
    (model / 'variables').mkdir(parents=True)
    (model / 'saved_model.pb').write_bytes(b'1')
    spec = ModelSpec(str(model))
    keys = [key_of(spec), key_of(spec, 1), key_of(ModelSpec(str(model), outputs=('a',)))]
    keys += [key_of(ModelSpec(str(model), inputs=('a',))), key_of(ModelSpec(str(model), tags=('x',)))]
    (model / 'variables/v').write_bytes(b'')
    keys.append(key_of(spec))
    (model / 'variables/v').write_bytes(b'2')
    keys.append(key_of(spec))
    assert len(set(keys)) == len(keys)
    copy = tmp_path / 'copy'
    (copy / 'variables').mkdir(parents=True)
    (copy / 'saved_model.pb').write_bytes(b'1')
    (copy / 'variables/v').write_bytes(b'2')
    assert key_of(ModelSpec(str(copy))) == keys[-1]
    os.remove(model / 'variables/v')
    os.symlink('nowhere', model / 'variables/v')
    with pytest.raises(ModelError, match='cannot be read'):
        key_of(spec)
