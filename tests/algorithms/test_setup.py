"""The algorithms of the set-up group through Processing, and the metadata of the plugin."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from urllib.request import urlopen

import pytest

pytest.importorskip('qgis.core')

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingException, QgsProcessingFeedback

ROOT = Path(__file__).resolve().parents[2]


def run(provider, name, parameters):
    algorithm = provider.algorithm(name).create()
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback(False)
    assert algorithm.checkParameterValues(parameters, context)[0]
    results, fine = algorithm.run(parameters, context, feedback, {}, False)
    assert fine
    return results, feedback.textLog()


def test_the_engine_is_checked_for_real(provider, engine_python, monkeypatch, tmp_path):
    monkeypatch.setenv('QUADRAT_PYTHON', engine_python)
    report = tmp_path / 'report.html'
    results, log = run(provider, 'checkengine', {'REPORT': str(report)})
    assert results == {'PYTHON': engine_python, 'REPORT': str(report)}
    page = report.read_text('utf-8')
    for text in (engine_python, 'tensorflow', 'keras', 'numpy', 'gdal', Qgis.QGIS_VERSION, 'CPU: ', str(ROOT)):
        assert text in page
    assert 'Versions: ' in log and 'The engine works.' in log


def test_a_missing_engine_is_told_with_the_remedy(provider, monkeypatch, tmp_path):
    monkeypatch.setenv('QUADRAT_PYTHON', str(tmp_path / 'none'))
    with pytest.raises(QgsProcessingException, match=r'does not exist.*QUADRAT_PYTHON'):
        run(provider, 'checkengine', {})


def test_a_report_that_cannot_be_written(provider, engine_python, monkeypatch, tmp_path):
    monkeypatch.setenv('QUADRAT_PYTHON', engine_python)
    (tmp_path / 'file').write_text('')
    with pytest.raises(QgsProcessingException, match='cannot be written'):
        run(provider, 'checkengine', {'REPORT': str(tmp_path / 'file' / 'report.html')})


def test_an_installation_says_which_engine_is_used(provider, monkeypatch, tmp_path):
    from quadrat.algorithms.setup import installengine

    class Installed:
        def __init__(self, *arguments):
            self.arguments = arguments

        def install(self):
            assert self.arguments[1].cache == str(tmp_path) and not self.arguments[1].gpu
            return {'PYTHON': '/managed/python'}

    monkeypatch.setattr(installengine, 'Installer', Installed)
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\n')
    python.chmod(0o755)
    for chosen, text in ((python, f'uses another one: {python}'), (tmp_path / 'none', 'does not exist')):
        monkeypatch.setenv('QUADRAT_PYTHON', str(chosen))
        results, log = run(provider, 'installengine', {'CACHE': str(tmp_path)})
        assert results == {'PYTHON': '/managed/python'}
        assert text in log


def test_metadata():
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'metadata.txt', 'utf-8')
    metadata = parser['general']
    for key in ('name', 'description', 'author', 'email', 'about', 'tracker', 'repository', 'homepage'):
        assert metadata[key].strip(), key
    assert metadata['hasProcessingProvider'] == 'yes'
    assert metadata['qgisMinimumVersion'] == '3.22' and metadata['qgisMaximumVersion'] == '4.99'
    assert (ROOT / metadata['icon']).is_file()
    assert 'TensorFlow' in metadata['about']
    version = re.search(r"__version__ = '(.+)'", (ROOT / '__init__.py').read_text('utf-8'))
    assert metadata['version'] == version[1]
    assert metadata['changelog'].startswith(version[1])


def test_the_setting_of_the_options_page(provider, monkeypatch):
    from processing.core.ProcessingConfig import ProcessingConfig

    setting = ProcessingConfig.settings['QUADRAT_PYTHON']
    assert setting.group == 'Quadrat' and setting.value == ''
    with pytest.raises(ValueError, match='not exist'):
        setting.setValue('/nowhere/python')


def test_tensorboard_shows_a_folder_and_ends(provider, engine_python, monkeypatch, tmp_path):
    monkeypatch.setenv('QUADRAT_PYTHON', engine_python)
    from quadrat.plugin import board

    results, log = run(provider, 'opentensorboard', {'FOLDER': str(tmp_path)})
    url = results['URL']
    assert url.startswith('http://127.0.0.1:') and url in log
    with urlopen(url + 'data/logdir') as answer:
        assert str(tmp_path) in answer.read().decode()
    board.stop_all()
    with pytest.raises(OSError, match='refused'):
        urlopen(url)
