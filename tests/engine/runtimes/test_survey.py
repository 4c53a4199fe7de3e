"""What was measured of a model is kept, and read without TensorFlow."""

from __future__ import annotations

import os
from fractions import Fraction

import keras
import pytest
from keras import layers

from quadrat.engine.errors import ModelError
from quadrat.engine.events import Log, Reporter
from quadrat.engine.model_package.card import ReceptiveField
from quadrat.engine.runtimes import survey as module
from quadrat.engine.runtimes import tensorflow
from quadrat.engine.runtimes.spec import ModelSpec
from quadrat.engine.runtimes.survey import survey


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'cache'))
    inputs = keras.Input((None, None, 2), name='image')
    x = layers.Conv2D(2, 3, padding='same', name='inner')(inputs)
    keras.Model(inputs, {'out': layers.Conv2D(3, 5, padding='same')(x)}).save(str(tmp_path / 'm.keras'))
    return str(tmp_path / 'm.keras')


def test_measured_once(model, tmp_path, monkeypatch):
    found = survey(ModelSpec(model))
    assert list(found) == ['out'] and found['out'].inputs['image'].field == ReceptiveField(3, 3, 3, 3)
    assert survey(ModelSpec(model, outputs=('inner',)))['inner'].inputs['image'].field == ReceptiveField(1, 1, 1, 1)
    (place,) = [
        item for item in (tmp_path / 'cache/geometry').iterdir() if '"out"' in (item / 'geometry.json').read_text()
    ]

    with monkeypatch.context() as patch:
        patch.setattr(tensorflow, 'TensorFlowRuntime', None)
        assert survey(ModelSpec(model)) == found
        with pytest.raises(TypeError):  # for other relations of the inputs it is measured again
            survey(ModelSpec(model), {'image': Fraction(1)})
    (place / 'geometry.json').write_text('{"out": {}}')
    heard = []
    assert survey(ModelSpec(model), reporter=Reporter(heard.append)) == found
    assert any('damaged' in event.text for event in heard if isinstance(event, Log))


def test_memory_is_kept_to(model, monkeypatch):
    monkeypatch.setattr(module, 'LIMIT', 1)
    with pytest.raises(ModelError, match='too much memory'):
        survey(ModelSpec(model))


def test_where_nothing_can_be_kept(model, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('QUADRAT_CACHE', str(tmp_path / 'file'))
    heard = []
    assert survey(ModelSpec(model), reporter=Reporter(heard.append))['out'].bands == {'out': 3}
    assert any('cannot be kept' in event.text for event in heard if isinstance(event, Log))
    assert os.path.isfile(tmp_path / 'file')
