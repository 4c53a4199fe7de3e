"""The card: exactly what was written comes back, and what is written is valid STAC."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from quadrat.engine.errors import InputMissing, ModelError
from quadrat.engine.model_package.card import ModelCard, ReceptiveField, read_card

ASSETS = {
    'savedmodel': {
        'href': './model/savedmodel/',
        'roles': ['mlm:model'],
        'mlm:artifact_type': 'tf.keras.Model.export',
    }
}


def variants(card):
    source = card.inputs[0]
    yield card
    yield dataclasses.replace(
        card, geometry=None, description='', hyperparameters={}, name='7', framework_version='2.21.0'
    )
    yield dataclasses.replace(card, inputs=(dataclasses.replace(source, field=None, bands=('B1', 'B1'), mean=()),))
    yield dataclasses.replace(card, framework_version='2.22.0-rc1', parameters=10**9, name='a model, of mine!')


def test_a_card_comes_back_exactly(card):
    for one in variants(card):
        assert ModelCard.from_item(json.loads(json.dumps(one.to_item(ASSETS)))) == one


def test_the_width_of_a_receptive_field():
    assert ReceptiveField(94, 10, 93, 12).width == 188 and ReceptiveField(0, 1, 0, 2).width == 4


@pytest.mark.baseline
def test_items_are_valid_stac(card, shared, stac_errors):
    assert not stac_errors(json.loads((shared / 'spec/mlm_example_item.json').read_text()))
    for one in variants(card):
        assert not stac_errors(one.to_item(ASSETS))
    assert stac_errors({**card.to_item(ASSETS), 'stac_version': '2'}) and stac_errors(card.to_item({}))


def test_reading_from_the_folder_and_from_the_file(card, tmp_path):
    (tmp_path / 'item.json').write_text(json.dumps(card.to_item(ASSETS)), encoding='utf-8')
    assert read_card(str(tmp_path)) == read_card(str(tmp_path / 'item.json')) == card


def test_what_is_no_package_is_said_in_one_line(card, tmp_path):
    item = card.to_item(ASSETS)
    with pytest.raises(InputMissing, match='nowhere'):
        read_card(str(tmp_path / 'nowhere'))
    with pytest.raises(ModelError, match=r'no item\.json'):
        read_card(str(tmp_path))
    (tmp_path / 'x.txt').write_text('x')
    with pytest.raises(ModelError, match='neither a folder nor'):
        read_card(str(tmp_path / 'x.txt'))
    file = tmp_path / 'item.json'
    without = {**item, 'properties': {**item['properties']}}
    del without['properties']['quadrat:inputs']
    newer = {**item, 'properties': {**item['properties'], 'quadrat:version': 2}}
    typed = {
        **item,
        'properties': {
            **item['properties'],
            'quadrat:model': {**item['properties']['quadrat:model'], 'parameters': 'x'},
        },
    }
    for content, words in (
        ('{', 'cannot be read'),
        ('[]', 'not the item'),
        ('{"properties": {}}', 'not the item'),
        (json.dumps(without), 'damaged'),
        (json.dumps(newer), 'version 2'),
        (json.dumps(typed), 'parameters'),
    ):
        file.write_text(content)
        with pytest.raises(ModelError, match=words) as caught:
            read_card(str(tmp_path))
        assert str(tmp_path) in str(caught.value) and '\n' not in str(caught.value)


def test_reading_a_card_takes_the_standard_library_alone():
    code = (
        'import sys; before = set(sys.modules); import quadrat.engine.model_package.card;'
        'new = {name.split(".")[0] for name in set(sys.modules) - before};'
        'sys.exit(", ".join(new - set(sys.stdlib_module_names) - {"quadrat"}) or 0)'
    )
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
