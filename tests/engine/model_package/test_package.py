"""Packages on disk: whole or not at all, the same graph in both forms, nothing unpacked that is not safe."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import zipfile

import numpy as np
import pytest

from quadrat.engine.errors import DiskFull, ModelError, OutputRefused
from quadrat.engine.model_package import package as module
from quadrat.engine.model_package.card import read_card
from quadrat.engine.model_package.package import open_package, write_package


@pytest.fixture(scope='module')
def written(tmp_path_factory, model, card):
    folder = tmp_path_factory.mktemp('packages') / 'wald'
    return folder, write_package(str(folder), model, card, {'epochs': 3}, '<p>report</p>')


def zipped(folder, target, top=''):
    with zipfile.ZipFile(target, 'w') as archive:
        for path in sorted(folder.rglob('*')):
            archive.write(path, top + path.relative_to(folder).as_posix())
    return str(target)


def test_the_files_and_what_the_item_says_of_them(written, card):
    folder, said = written
    assert {path.name for path in folder.iterdir()} == {'model', 'item.json', 'training.json', 'report.html'}
    assert said.parameters > 0 and said.framework_version and read_card(str(folder)) == said
    assets = json.loads((folder / 'item.json').read_text())['assets']
    for asset in assets.values():
        path = folder / asset['href']
        assert path.exists()
        assert asset.get('file:size', path.stat().st_size) == path.stat().st_size
    assert not [name for name in os.listdir(folder.parent) if name != folder.name]


@pytest.mark.baseline
def test_the_item_on_disk_is_valid_stac(written, stac_errors):
    assert not stac_errors(json.loads((written[0] / 'item.json').read_text()))


def test_both_forms_of_the_model_give_what_the_model_gives(written, model):
    import keras
    import tensorflow as tf

    images = np.random.default_rng(0).normal(100, 10, (2, 6, 10, 2)).astype(np.float32)
    expected = model(images)['probabilities'].numpy()
    with open_package(str(written[0])) as package:
        loaded = keras.models.load_model(package.keras, compile=False, safe_mode=True)
        signature = tf.saved_model.load(package.savedmodel).signatures['serving_default']
        assert package.training == {'epochs': 3}
    assert np.abs(loaded(images)['probabilities'] - expected).max() <= 1e-6
    assert set(signature.structured_input_signature[1]) == {'image'}
    assert np.abs(signature(image=tf.constant(images))['probabilities'] - expected).max() <= 1e-6


@pytest.mark.parametrize('top', ['', 'some name/'])
def test_a_zip_is_opened_and_cleaned_up(written, tmp_path, monkeypatch, top):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    path = zipped(written[0], tmp_path / 'p.zip', top)
    assert read_card(path) == written[1]
    with open_package(path) as package:
        assert package.card == written[1]
        assert os.path.isfile(os.path.join(package.savedmodel, 'saved_model.pb')) and os.path.isfile(package.keras)
    assert os.listdir(tmp_path) == ['p.zip']


@pytest.mark.parametrize('name', ['../evil', '/evil', 'a/../../evil', '..\\evil', 'C:\\evil', 'link'])
def test_an_unsafe_zip_is_refused_and_leaves_nothing(written, tmp_path, monkeypatch, name):
    (tmp_path / 'in').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'in'))
    path = zipped(written[0], tmp_path / 'p.zip')
    with zipfile.ZipFile(path, 'a') as archive:
        entry = zipfile.ZipInfo(name)
        if name == 'link':
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, '/etc/passwd')
    with pytest.raises(ModelError, match='not safe'):
        open_package(path)
    assert sorted(os.listdir(tmp_path)) == ['in', 'p.zip'] and not os.listdir(tmp_path / 'in')


def test_damaged_packages(written, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(written[0], copy)
    (copy / 'model/savedmodel/saved_model.pb').unlink()
    with pytest.raises(ModelError, match=r'saved_model\.pb is missing'):
        open_package(str(copy))
    path = tmp_path / 'p.zip'
    zipped(written[0], path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ModelError, match=r'p\.zip'):
        open_package(str(path))


def test_a_package_is_replaced_and_other_things_are_left_alone(written, model, card, tmp_path):
    target = tmp_path / 'mine'
    target.mkdir()  # an empty folder is fine
    write_package(str(target), model, card)
    assert not (target / 'training.json').exists()
    write_package(str(target), model, card, {'again': True})
    assert (target / 'training.json').exists() and os.listdir(tmp_path) == ['mine']
    (target / 'map.tif').write_text('x')
    with pytest.raises(OutputRefused, match=r'map\.tif'):
        write_package(str(target), model, card)
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'thesis/chapter.txt').write_text('x')
    for name in ('file', 'thesis', 'file/inside'):
        with pytest.raises(OutputRefused, match=name):
            write_package(str(tmp_path / name), model, card)
    assert sorted(os.listdir(tmp_path)) == ['file', 'mine', 'thesis']


def test_a_failure_leaves_the_old_package_and_nothing_else(model, card, tmp_path, monkeypatch):
    target = tmp_path / 'mine'
    before = write_package(str(target), model, card)

    def full(*args, **options):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(module, 'write_text', full)
    with pytest.raises(DiskFull, match='mine'):
        write_package(str(target), model, card)
    assert os.listdir(tmp_path) == ['mine'] and read_card(str(target)) == before


def test_an_export_that_differs_from_the_model_is_not_written(model, card, tmp_path):
    import dataclasses

    other = dataclasses.replace(card, outputs=(dataclasses.replace(card.outputs[0], name='logits'),))
    with pytest.raises(ModelError, match='probabilities'):
        write_package(str(tmp_path / 'x'), model, other)
    assert not os.listdir(tmp_path)
