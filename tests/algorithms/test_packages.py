"""Models without a package, described as Processing runs it."""

from __future__ import annotations

import json
import zipfile

import pytest

pytest.importorskip('qgis.core')

from qgis.core import QgsProcessingException


@pytest.mark.baseline
def test_a_bare_savedmodel(run, shared, tmp_path, monkeypatch):
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'cache'))
    model, file = shared / 'data/otbtf-suite/models/model1', tmp_path / 'd.json'
    for path in (model, model / 'saved_model.pb'):
        results, said = run('describemodel', {'MODEL': str(path), 'JSON': str(file)})
        assert (results['RECEPTIVE_FIELD'], results['STRIDE']) == (16, 4)
        assert 'Input x: 4 bands (B1, B2, B3, B4), float32; receptive field 16 pixels' in said
        assert 'Output features: 32 bands' in said and json.loads(file.read_text())['name'] == 'model1'


def test_what_is_no_model_is_said_in_one_line(run, tmp_path):
    with zipfile.ZipFile(tmp_path / 'x.keras', 'w') as archive:
        archive.writestr('config.json', '{"class_name": "Functional"}')
    for path, words in ((tmp_path / 'x.keras', 'no functional or sequential'), (tmp_path, r'no item\.json')):
        with pytest.raises(QgsProcessingException, match=words):
            run('describemodel', {'MODEL': str(path)})
