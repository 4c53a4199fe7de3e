"""Files over files: what is merged, replaced, appended and removed, in which order, and where it comes from."""

from __future__ import annotations

import json
import random

import pytest
from omegaconf import OmegaConf

from quadrat.engine.errors import ConfigurationError, InputMissing
from quadrat.engine.experiments import finding
from quadrat.engine.experiments.tree import BROKEN, load_tree

BASE = """\
model: {type: unet, filters: 16}
train:
  epochs: 10
  freeze: [a, b, c]
  patience: 5
data: folder
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Writes files by name and loads the last one."""
    monkeypatch.chdir(tmp_path)

    def load(*overrides: str, **files: str):
        for name, text in files.items():
            path = tmp_path / f'{name.replace("__", "/")}.yaml'
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return load_tree(f'{list(files)[-1].replace("__", "/")}.yaml', overrides)

    return load


@pytest.mark.parametrize(
    'own, path, value',
    [
        ('model: {filters: 32}', 'model', {'type': 'unet', 'filters': 32}),
        ('model: {}', 'model', {'type': 'unet', 'filters': 16}),
        ('train: {freeze: [d]}', 'train.freeze', ['d']),
        ('train: {freeze: []}', 'train.freeze', []),
        ('train: {+freeze: [d, a]}', 'train.freeze', ['a', 'b', 'c', 'd', 'a']),
        ('train: {+freeze: d}', 'train.freeze', ['a', 'b', 'c', 'd']),
        ('train: {+freeze: [[d]]}', 'train.freeze', ['a', 'b', 'c', ['d']]),
        ('train: {+thaw: [d]}', 'train.thaw', ['d']),
        ('train: {~freeze: [c, a]}', 'train.freeze', ['b']),
        ('train: {~freeze: b}', 'train.freeze', ['a', 'c']),
        ('train: {+freeze: [d], ~freeze: [a]}', 'train.freeze', ['b', 'c', 'd']),
        ('train: {~patience: }', 'train', {'epochs': 10, 'freeze': ['a', 'b', 'c']}),
        ('train: {~patience: null}', 'train', {'epochs': 10, 'freeze': ['a', 'b', 'c']}),
        ('train: {patience: null}', 'train.patience', None),
        ('train: {patience: }', 'train.patience', None),
        ('~train:', 'train', None),
        ('~model:\nmodel: {type: resunet}', 'model', {'type': 'resunet'}),
        ('model: null', 'model', None),
        ('model: resunet', 'model', 'resunet'),
        ('data: {train: here}', 'data', {'train': 'here'}),
        ('data: ???', 'data', '???'),
        ('new: {deep: {key: 1}}', 'new.deep.key', 1),
    ],
)
def test_table_of_merges(load, own, path, value):
    tree = load(base=BASE, run=f'extend: base.yaml\n{own}\n')
    found = tree.values
    for key in path.split('.'):
        found = found.get(key)
    assert (found, tree.faults) == (value, ())
    assert 'extend' not in tree.values


@pytest.mark.parametrize(
    'own, fault',
    [
        ('train: {+epochs: [1]}', 'run.yaml:2: train.epochs: only lists can be added to'),
        ('train: {~epochs: [1]}', 'base.yaml:3 has 10 here'),
        ('train: {+model: {}, model: 1}', 'run.yaml:2: train.model: given with +, and without in run.yaml:2'),
        ('train: {~freeze: [a], freeze: [b]}', 'given with ~, and without'),
        (
            'train: {~patiense: }',
            'run.yaml:2: train.patiense: nothing to remove; this is not given; did you mean patience?',
        ),
        (
            'train: {~freeze: [d]}',
            "run.yaml:2: train.freeze: nothing to take out; the list in base.yaml:4 does not hold 'd'",
        ),
        ('train: {~freeze: [1, true]}', 'does not hold true'),
        ('train:', 'run.yaml:2: train: empty, but base.yaml:2 has a mapping here'),
        ('train: {+: [a]}', '+: a mark without a key'),
        ('list: [{~x: }]', 'list.0.x: nothing to remove'),
    ],
)
def test_table_of_faults(load, own, fault):
    tree = load(base=BASE, run=f'extend: base.yaml\n{own}\n')
    assert any(fault in line for line in tree.faults), tree.faults


def test_a_fault_spares_the_rest(load):
    tree = load(base=BASE, run='extend: base.yaml\ntrain: {+epochs: [1], ~nothing: , patience: 9}\nmodel: {~nothing: }')
    assert len(tree.faults) == 3
    assert tree.values['train'] == {'epochs': BROKEN, 'freeze': ['a', 'b', 'c'], 'patience': 9}


def test_places_follow_the_merge(load):
    tree = load(base=BASE, run='extend: base.yaml\ntrain:\n  +freeze: [d]\n  epochs: 3\nmodel: {extra: {x: 1}}\n')
    places = {'.'.join(map(str, path)): str(origin) for path, origin in tree.origins.items()}
    assert places == {
        'model': 'run.yaml:5',
        'model.type': 'base.yaml:1',
        'model.filters': 'base.yaml:1',
        'model.extra': 'run.yaml:5',
        'model.extra.x': 'run.yaml:5',
        'train': 'run.yaml:2',
        'train.epochs': 'run.yaml:4',
        'train.freeze': 'run.yaml:3',
        'train.freeze.0': 'base.yaml:4',
        'train.freeze.1': 'base.yaml:4',
        'train.freeze.2': 'base.yaml:4',
        'train.freeze.3': 'run.yaml:3',
        'train.patience': 'base.yaml:5',
        'data': 'base.yaml:6',
    }
    assert str(tree.origin(('model', 'extra', 'x', 'y'))) == 'run.yaml:5'
    assert str(tree.origin(('nothing', 'here'))) == 'run.yaml:1'


def test_order_of_files(load):
    tree = load(
        sub__deep='a: deep\nb: deep\nc: deep\nd: deep\ne: deep\nlog: [deep]',
        sub__first='extend: deep.yaml\nb: first\nc: first\nd: first\n+log: [first]',
        second='extend: [sub/deep.yaml]\nc: second\nd: second\n+log: [second]',
        run='extend: [sub/first.yaml, ./second.yaml, sub/../second.yaml]\nd: run\n+log: [run]',
    )
    # What both extend is read once, before the first of them: it does not undo what that says.
    assert tree.values == {'a': 'deep', 'b': 'first', 'c': 'second', 'd': 'run', 'e': 'deep'} | {
        'log': ['deep', 'first', 'second', 'run']
    }
    assert tree.origin(('a',)).folder == tree.origin(('d',)).folder + '/sub'


def test_a_preset_can_be_extended_by_name(load, tmp_path, monkeypatch):
    (tmp_path / 'presets').mkdir()
    (tmp_path / 'presets' / 'landcover.yaml').write_text('a: preset\nb: preset\n')
    monkeypatch.setattr(finding, '_PRESETS', str(tmp_path / 'presets'))
    for name in ('landcover', 'landcover.yaml'):
        assert load(run=f'extend: {name}\nb: own').values == {'a': 'preset', 'b': 'own'}
    # What lies beside the file goes before it, and a path is no name.
    assert load(landcover='a: beside', run='extend: landcover.yaml').values == {'a': 'beside'}
    with pytest.raises(ConfigurationError, match='no such file'):
        load(run='extend: ./landcover')


@pytest.mark.parametrize(
    'files, fault',
    [
        ({'run': 'a: 1\nextend: run.yaml'}, 'run.yaml:2: extend: goes round in a circle: run.yaml -> run.yaml'),
        (
            {'a': 'extend: b.yaml', 'b': 'x: 1\nextend: [a.yaml]', 'run': 'extend: a.yaml'},
            'b.yaml:2: extend: goes round in a circle: a.yaml -> b.yaml -> a.yaml',
        ),
        (
            {'base': '', 'run': 'extend:\n - bsae.yaml'},
            'run.yaml:2: extend: bsae.yaml: no such file in .; did you mean base.yaml?',
        ),
        ({'base': '', 'run': 'extend: "*.yaml"'}, 'names with * or ? are not expanded'),
        ({'run': 'extend: no/base.yaml'}, 'there is no folder no'),
        ({'base': '', 'run': 'extend: base'}, 'run.yaml:1: extend: base: no such file in .; did you mean base.yaml?'),
        ({'run': 'extend: landcover'}, 'extend: landcover: no such file in ., and no such preset'),
        ({'run': 'extend: 3'}, 'run.yaml:1: extend: expected the name of a file, found 3'),
        ({'run': 'extend: {a: b}'}, 'found a mapping'),
        ({'run': 'a: b.yaml\nextend: "${a}"'}, 'files are read before references'),
        ({'run': '+extend: [a.yaml]'}, 'run.yaml:1: +extend: cannot be marked'),
        ({'run': 'extend: .'}, 'this is a folder'),
    ],
)
def test_faults_of_extend(load, files, fault):
    with pytest.raises(ConfigurationError) as caught:
        load(**files)
    assert any(fault in line for line in caught.value.faults), caught.value.faults


def test_all_files_are_read_before_giving_up(load):
    with pytest.raises(ConfigurationError) as caught:
        load(
            'x',
            base='a: !x 1\n',
            other='extend: none.yaml\nb: [',
            run='extend: [base.yaml, other.yaml, gone.yaml]\na: 1\na: 2\n',
        )
    assert len(caught.value.faults) == 2  # those of the file that was asked for, and the override
    with pytest.raises(ConfigurationError) as caught:
        load(
            'x',
            base='a: !x 1\n',
            other='extend: none.yaml\n',
            run='extend: [base.yaml, other.yaml, gone.yaml, base.yaml]\n',
        )
    assert [line.split(': ')[0] for line in caught.value.faults] == [
        'base.yaml:1',
        'other.yaml:1',
        'run.yaml:1',
        '-p x',
    ]


def test_the_file_itself_is_missing(tmp_path):
    with pytest.raises(InputMissing):
        load_tree(str(tmp_path / 'none.yaml'))


def test_without_marks_it_is_the_merge_of_omegaconf(load):
    chance = random.Random(0)

    def value(depth: int):
        if depth and chance.random() < 0.7:
            return {key: value(depth - 1) for key in chance.sample('abcdef', chance.randint(0, 4))}
        return chance.choice([1, 2.5, True, None, 'x'])  # it refuses lists over mappings; here they replace them

    for _ in range(50):
        base, own = {key: value(3) for key in 'xyz'}, {key: value(3) for key in 'wzx'}
        base['list'], own['list'] = [1, {'a': 2}], [chance.random(), {'b': []}]
        tree = load(base=json.dumps(base), run=json.dumps({'extend': 'base.yaml', **own}))
        expected = OmegaConf.to_container(OmegaConf.merge(base, own))
        assert (json.dumps(tree.values), tree.faults) == (json.dumps(expected), ())


def test_texts_do_not_get_to_the_merge(load):
    """OmegaConf follows references while it merges, also those to functions."""
    called = []
    OmegaConf.register_new_resolver('spoil', lambda *given: called.append(given) or {'x': 1})
    try:
        tree = load(base='a: ${spoil:1}\nb: ???\n', run='extend: base.yaml\na: {y: 1}\nb: {z: 1}\n')
    finally:
        OmegaConf.clear_resolver('spoil')
    assert (tree.values, tree.faults, called) == ({'a': {'y': 1}, 'b': {'z': 1}}, (), [])
