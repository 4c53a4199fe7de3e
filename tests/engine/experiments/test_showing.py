"""A run with all its settings: where they come from, and that the text is the same run."""

from __future__ import annotations

import re

import pytest
import yaml

from quadrat.engine.experiments.configuration import open_configuration
from quadrat.engine.experiments.schema import run_record
from quadrat.engine.experiments.showing import resolved_text

RUN = """\
extend: base.yaml
model: {type: unet, filters: 8}
data:
  dataset: samples
  classes:
    - {value: 11, name: water}
    - {value: 12, name: "a name that is far too long to stand on one line together with all the others of its kind"}
  augment: {gain: 0.1}
train:
  freeze: [a]
output: {keep_best: 2}
"""
OVERRIDES = ['train.epochs=7', '+train.freeze=[b]']


@pytest.fixture
def run(write):
    write('train: {epochs: 3, seed: 1}\n', 'base.yaml')
    return open_configuration(write(RUN), OVERRIDES, output='out')


def again(text, place, name='shown.yaml'):
    """The run of a text."""
    (place / name).write_text(text, encoding='utf-8')
    return open_configuration(name)


def test_every_line_tells_where_it_comes_from(run, place):
    lines = resolved_text(run).splitlines()
    assert lines[0].startswith('# run.yaml with all its settings, as Quadrat ')
    told = {}
    for line in lines[1:]:
        match = re.fullmatch(r' *(?:- )?([\w.{]+:? .*?) *  # (.*)', line)
        assert match or not line or line.endswith(':'), line
        if match:
            told[match[1]] = match[2]
    expected = {
        'type: unet': 'run.yaml:2',
        'task: segmentation': 'default',
        'depth: 4': 'default',
        f'dataset: {place}/samples': 'run.yaml:4',
        "{value: 11, name: water, colour: ''}": 'run.yaml:6, default',
        'value: 12': 'run.yaml:7',
        'gain: 0.1': 'run.yaml:8',
        'flips: true': 'default',
        'epochs: 7': '-p train.epochs=7',
        'seed: 1': 'base.yaml:1',
        'freeze: [a, b]': 'run.yaml:10, -p +train.freeze=[b]',
        f'folder: {place}/out': '-p output.folder=out',
        'keep_best: 2': 'run.yaml:11',
    }
    assert {line: told.get(line) for line in expected} == expected


def test_all_settings_are_there_in_the_order_of_the_schema(run, place):
    shown = yaml.safe_load(resolved_text(run))
    assert shown == run.values
    assert list(shown) == ['algorithm', 'model', 'data', 'train', 'output']
    assert list(shown['train']) == list(run_record({}).keys['train'].kind.keys)
    found = again(resolved_text(run), place)
    assert (found.job, found.values, found.output, found.keep_best) == (run.job, run.values, run.output, 2)
    assert resolved_text(found).splitlines()[1:] != resolved_text(run).splitlines()[1:]  # it comes from elsewhere now


TEXTS = [
    'true', 'yes', 'off', 'null', '~', 'y', '1e-3', '007', '12', '0x1f', '.inf', '2020-01-05', '12:30', '1_000', '',
    ' ', ' a ', 'a b', 'a: b', 'a #b', '#a', '- a', '-a', '?', '? a', ': a', '{a}', '[a]', 'a, b', 'a]', '!tag', '&a',
    '*a', '%a', '@a', '`a', '<<', '=', "it's", '"', "'", '\\', 'C:\\data\\new', '${x}', '\\${x}', '\\\\${x}',
    'a${b.c}d', '$x', '${', '{{ a }}', 'Forêt', '森林', '🌲', 'a\nb', '\n', 'a\n\n  b\n', '\t', 'a\tb', '\r', '\x07',
    '\x7f', '\u2028', '\x85', '\ufeff', '???a', '+a', '~a', '---', '...', 'a' * 200, '/a/b.c', '|', '>', '.', '..',
]  # fmt: skip


def test_texts_survive(write, place):
    """Whatever a text is, it is the same after it was shown and read."""
    rows = ''.join(f'    - {{value: {number}, name: x}}\n' for number in range(len(TEXTS)))
    own = 'model: {type: "own:Net", folder: code, odd: {}}\n'
    run = open_configuration(write(own + 'data:\n  dataset: samples\n  classes:\n' + rows), trusted=['code'])
    for number, text in enumerate(TEXTS):
        run.values['data']['classes'][number]['name'] = text
    run.values['model']['odd'] = {'list': TEXTS, 'nested': [{'a': TEXTS, 'b': [[text] for text in TEXTS]}]}
    (place / 'shown.yaml').write_text(resolved_text(run), encoding='utf-8')
    found = open_configuration('shown.yaml', trusted=['code'])
    assert found.values == run.values
    assert [definition.name for definition in found.job.classes] == TEXTS
    # Other readers of YAML see the same, but for the references in it.
    plain = yaml.safe_load(resolved_text(run))['model']['odd']['list']
    assert all(a == b for a, b in zip(plain, TEXTS) if '${' not in b)


NUMBERS = [0, -1, 10**20, 0.1, 1e-300, 1e300, 1e22, -2.5, 3.0, float('inf'), float('-inf'), True, False, None, [], {}]


def test_numbers_survive(write, place):
    own = 'model: {type: "own:Net", folder: code, odd: {}}\ndata: {dataset: samples}\n'
    run = open_configuration(write(own), trusted=['code'])
    run.values['model']['odd'] = {
        'list': NUMBERS,
        'keys': {f'k{number}': value for number, value in enumerate(NUMBERS)},
    }
    (place / 'shown.yaml').write_text(resolved_text(run), encoding='utf-8')
    found = open_configuration('shown.yaml', trusted=['code']).values['model']['odd']
    assert repr(found) == repr(run.values['model']['odd'])


@pytest.mark.parametrize(
    'text',
    [
        'data: {train: {type: MemorySamplesFeeder, csv: table.csv, shuffle: false}, classes: 3}\n',
        'data: {rasters: {sources: [image.tif, {rasters: labels.tif, name: b}], points: points.gpkg}, classes: [1]}\n',
        'model: {type: encoder}\ndata: {dataset: samples, augment: false}\ntrain: {loss: focal, class_weights: {1: 2}}',
        'algorithm: trainvectorclassifier\nparameters: {vector: points.gpkg, classifier: ann}\n',
        'algorithm: trainsavedmodel\nparameters: {model: package, sources: [image.tif], validation: {mode: rmse}}\n',
        'algorithm: traindeepfeatures\nparameters:\n'
        '  {serving: {model: package, sources: [{rasters: [image.tif], bands: [1]}]}, vector: points.gpkg, field: a}\n',
        'data: {dataset: samples}\nsweep: {parameters: {model.filters: [4, 8], train.warm_start: [package]}}\n',
        'data: {dataset: samples}\nsweep:\n'
        '  {method: random, count: 2, parameters: {train.epochs: {minimum: 1, maximum: 3}}}\n',
    ],
)
def test_the_text_is_the_same_run(text, opened, place):
    run = opened(text)
    found = again(resolved_text(run), place)
    assert (found.job, found.values, found.sweep) == (run.job, run.values, run.sweep)
    # And so is what is said of an older run when defaults have changed: nothing is left to them.
    assert 'default' not in {str(found.origin(path)) for path in leaves(found.values)}


def leaves(values, path=()):
    """The paths of single values."""
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [leaf for key, value in children for leaf in leaves(value, (*path, key))] or [path]
