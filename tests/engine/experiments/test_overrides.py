"""Overrides: what they may say, what their values mean, and what does not fit."""

from __future__ import annotations

import pytest

from quadrat.engine.experiments.tree import load_tree

RUN = """\
model: {type: unet}
train:
  epochs: 10
  freeze: [a, b]
  patience: 5
  none:
data:
  classes:
    - {value: 1, name: water}
    - {value: 2, name: land}
  same: ${model}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads the run with overrides."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'run.yaml').write_text(RUN)
    return lambda *overrides: load_tree('run.yaml', overrides)


def at(values, path):
    for key in path.split('.'):
        values = values[int(key)] if isinstance(values, list) else values[key]
    return values


VALUES = {
    'true': True, 'false': False, 'null': None, '~': None, '': '', '3': 3, ' 3 ': 3, '1e-3': 1e-3, '-2.5': -2.5,
    "'12'": '12', '"true"': 'true', "'it''s'": "it's", r'"a\tb"': 'a\tb', "''": '', "'[a]'": '[a]',
    "['a','b']": ['a', 'b'], '[a, 1, 1e-2, true, null, 007]': ['a', 1, 0.01, True, None, '007'], '[]': [],
    r'[C:\data, /x]': [r'C:\data', '/x'], '[[1], {a: 2}]': [[1], {'a': 2}], '{a: {b: 1}}': {'a': {'b': 1}},
}  # fmt: skip
AS_THEY_STAND = [
    '2020-01-05', '2020-1-5', '100/5', 'yes', '007', '/a/path', '~/data', r'C:\data\x', 'a b', 'type', 'max', 'train',
    'a=b', 'a: b', 'x # y', '*.tif', '&a', '!!python/name:os.system', '- a', '%d', '@a', '`a`', '>', 'a, b', '???',
    "__import__('os').system('x')",
]  # fmt: skip


@pytest.mark.parametrize('text, value', [*VALUES.items(), *zip(AS_THEY_STAND, AS_THEY_STAND)])
def test_values(load, text, value):
    tree = load(f'new.key={text}')
    assert tree.faults == ()
    assert tree.values['new']['key'] == value and type(tree.values['new']['key']) is type(value)
    assert str(tree.origin(('new', 'key'))) == f'-p new.key={text}'.strip()


@pytest.mark.parametrize(
    'overrides, path, value',
    [
        (['train.epochs=3'], 'train', {'epochs': 3, 'freeze': ['a', 'b'], 'patience': 5, 'none': None}),
        ([' train.epochs = 3'], 'train.epochs', 3),
        (['train.epochs=3', 'train.epochs=4'], 'train.epochs', 4),
        (['train.epohcs=3'], 'train.epohcs', 3),  # for the checks, which know the keys
        (['+train.freeze=[c]'], 'train.freeze', ['a', 'b', 'c']),
        (['+train.freeze=c', '+train.freeze=d'], 'train.freeze', ['a', 'b', 'c', 'd']),
        (['+train.thaw=[c]'], 'train.thaw', ['c']),
        (['~train.freeze=[a]'], 'train.freeze', ['b']),
        (['~train.freeze', '~train.none', '~train.patience'], 'train', {'epochs': 10}),
        (
            ['train={epochs: 3, +freeze: [c], ~patience: }'],
            'train',
            {'epochs': 3, 'freeze': ['a', 'b', 'c'], 'none': None},
        ),
        (['~model', 'model={filters: 8}'], 'model', {'filters': 8}),
        (['model=unet'], 'model', 'unet'),
        (['train.none.deep=1'], 'train.none', {'deep': 1}),
        (['a.b.c=1', 'a.b.d=2'], 'a', {'b': {'c': 1, 'd': 2}}),
        (['data.classes.1.name=earth'], 'data.classes.1', {'value': 2, 'name': 'earth'}),
        (['data.classes[0].value=7'], 'data.classes.0.value', 7),
        (['~data.classes.0'], 'data.classes', [{'value': 2, 'name': 'land'}]),
        (['~data.classes.0.name'], 'data.classes.0', {'value': 1}),
        (['+data.classes={value: 3}'], 'data.classes.2', {'value': 3}),
        (['~data.classes=[{value: 1, name: water}]'], 'data.classes', [{'value': 2, 'name': 'land'}]),
        (['sweep.parameters[train.epochs]=[1, 2]'], 'sweep.parameters', {'train.epochs': [1, 2]}),
        (['model.type=resunet'], 'data.same', {'type': 'resunet'}),  # references see overrides
        (['train.epochs=${train.patience}'], 'train.epochs', 5),
    ],
)
def test_table_of_overrides(load, overrides, path, value):
    tree = load(*overrides)
    assert (at(tree.values, path), tree.faults) == (value, ())


def test_nobody_gave_a_mapping_that_is_made_on_the_way(load):
    tree = load('new.inner.a=1', 'new.inner.b=2')
    assert str(tree.origin(('new', 'inner', 'b'))) == '-p new.inner.b=2'
    assert str(tree.origin(('new', 'inner', 'c'))) == 'run.yaml:1'


@pytest.mark.parametrize(
    'override, fault',
    [
        ('train.epochs', '-p train.epochs: expected key=value, +key=value or ~key'),
        ('', 'expected key=value'),
        ('=3', "'' is no name like train.epochs"),
        ('train.=3', "-p train.=3: 'train.' is no name"),
        ('.train=3', 'is no name'),
        ('train..epochs=3', 'is no name'),
        ('a[b=3', 'is no name'),
        ('++train.epochs=3', '-p ++train.epochs=3: one mark, + or ~, stands in front'),
        ('train.epochs.x=3', '-p train.epochs.x=3: train.epochs is 10 (run.yaml:3), no mapping'),
        ('data.same.x=3', "data.same is '${model}' (run.yaml:11), no mapping"),
        ('data.classes.2.name=x', 'data.classes (run.yaml:8) is a list of 2, numbered from 0; there is no item 2'),
        ('data.classes.name=x', 'there is no item name'),
        ('data.classes.-1=x', 'there is no item -1'),
        ('~train.patiense', 'train.patiense: nothing to remove; this is not given; did you mean patience?'),
        ('~trian.epochs', 'nothing to remove; trian is not given; did you mean train?'),
        ('~train.freeze=[c]', "the list in run.yaml:4 does not hold 'c'"),
        ('+train.epochs=[1]', 'only lists can be added to'),
        ('a=[b', '-p a=[b: not valid YAML'),
        ("a='b", 'not valid YAML'),
        ('a="b" c', 'not valid YAML'),
        ('a={{ x }}', 'a key that is a list or mapping'),
        ('a={b: 1, b: 2}', '-p a={b: 1, b: 2}: b: given twice'),
        ('a=[!!python/name:os.system x]', 'tags are not allowed'),
        ('a=[x, &x [*x]]', 'an alias (*name) that holds itself'),
        ('a=' + '[' * 3000, 'nested deeper'),
        ('.'.join('a' * 3000) + '=1', 'deeper than'),
        ('a.+b=1', 'one mark, + or ~, stands in front'),
        ('extend=other.yaml', 'files can be extended only in files'),
        ('a=["x\x00"]', 'U+0000'),
    ],
)
def test_table_of_faults(load, override, fault):
    tree = load(override, 'train.epochs=4')
    assert len(tree.faults) == 1 and fault in tree.faults[0] and '\n' not in tree.faults[0], tree.faults
    assert tree.values['train']['epochs'] == 4 and tree.values['model'] == {'type': 'unet'}


def test_all_faults_at_once(load):
    assert len(load('x', 'train.epochs.x=1', '~y', 'train.patience=${z}').faults) == 4
