"""Describing a package: what the card says, and what can be read from the graph where it says nothing."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings

import pytest

from quadrat.engine.errors import ModelError, OutputRefused
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import DescribeJob
from quadrat.engine.model_package.describe import describe_model
from quadrat.engine.model_package.package import write_package


@pytest.fixture(scope='module')
def folder(tmp_path_factory, model, card):
    """A package whose card does not know the receptive field."""
    source = dataclasses.replace(card.inputs[0], field=None, stride=1)
    path = tmp_path_factory.mktemp('packages') / 'wald'
    write_package(str(path), model, dataclasses.replace(card, inputs=(source,)))
    return path


def describe(job):
    events = []
    return describe_model(job, Reporter(events.append)), events


def test_what_the_graph_says(folder, tmp_path):
    report, file = tmp_path / 'r.html', tmp_path / 'd.json'
    values, events = describe(DescribeJob(str(folder), str(report), str(file)))
    assert values == {'RECEPTIVE_FIELD': 17, 'STRIDE': 2, 'REPORT': str(report), 'JSON': str(file)}
    description = json.loads(file.read_text())
    assert description['inputs'][0]['receptive_field'] == {'left': 8, 'top': 8, 'right': 8, 'bottom': 8}
    assert sum(layer['parameters'] for layer in description['layers']) == description['parameters']
    said = [event.text for event in events if isinstance(event, Log)]
    assert any('2 bands (blue, near infrared)' in text for text in said)
    assert any('-3 Büro & Läden, 11, 70000 c' in text for text in said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['d.json', 'r.html']


def test_without_the_keras_file_only_the_card_is_known(folder, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    (copy / 'model/model.keras').unlink()
    values, events = describe(DescribeJob(str(copy)))
    assert values == {'RECEPTIVE_FIELD': 0, 'STRIDE': 1} and any(isinstance(event, Warn) for event in events)


def test_a_damaged_model_and_a_place_where_nothing_can_be_written(folder, tmp_path):
    with pytest.raises(OutputRefused, match='nowhere'):
        describe(DescribeJob(str(folder), str(tmp_path / 'nowhere/r.html')))
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    (copy / 'model/model.keras').write_bytes(b'PK')
    with warnings.catch_warnings(), pytest.raises(ModelError, match=r'model\.keras'):
        warnings.simplefilter('ignore')
        describe(DescribeJob(str(copy)))
