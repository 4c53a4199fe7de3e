"""References: what they stand for, and no way from them to anything but values of the configuration."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest
from omegaconf import OmegaConf

from quadrat.engine.experiments.references import escaped
from quadrat.engine.experiments.tree import BROKEN, load_tree

RUN = """\
a: {b: 1, t: text, f: 1.0e-3, n: null, y: true, deep: {list: [x, {k: 7}]}}
name: b
dashed-key: {x_1: 5}
missing: ???
"""
CODE = r"""
${oc.env:HOME}
${oc.env:HOME,x}
${oc.decode:1}
${oc.select:a.b}
${oc.create:{}}
${env:HOME}
${spoil:}
${spoil:1}
${ spoil : 1}
${spoil:,}
${spoil:'x'}
${spoil:{a: b}}
${spoil:${a.b}}
${spoil:[${spoil:1}]}
x${spoil:1}y
\\${spoil:1}
${${name}:1}
${:1}
${a.${spoil:1}}
${a[${spoil:1}]}
${__import__('os').system('x')}
${__import__:os}
${__class__}
${a.__class__.__mro__}
${a[__class__]}
${.__class__}
${a.keys}
${a.t.upper}
${a.t.__len__}
${a.b.real}
${a.deep.list.append}
${_metadata}
${a._content}
""".strip()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads the run with more lines."""
    monkeypatch.chdir(tmp_path)

    def load(more: str, *overrides: str):
        (tmp_path / 'run.yaml').write_text(RUN + more)
        return load_tree('run.yaml', overrides)

    return load


@pytest.mark.parametrize(
    'text, value',
    [
        ('${a.b}', 1),
        ('${ a.b }', 1),
        ('${a[b]}', 1),
        ('${a.n}', None),
        ('${a.y}', True),
        ('${a.f}', 0.001),
        ('x${a.b}y', 'x1y'),
        ('${a.t}/${a.b}', 'text/1'),
        ('0${a.b}', '01'),
        ('${a.y}${a.n}${a.f}', 'truenull0.001'),
        ('${a.deep.list}', ['x', {'k': 7}]),
        ('${a.deep.list.0}', 'x'),
        ('${a.deep.list[1].k}', 7),
        ('${a.deep}', {'list': ['x', {'k': 7}]}),
        ('${a.${name}}', 1),
        ('${a[${name}]}', 1),
        ('${dashed-key.x_1}', 5),
        ('${.b}', 1),
        ('${..name}', 'b'),
        ('${missing}', '???'),
        ('x${missing}', '???'),
        (r'\${a.b}', '${a.b}'),
        (r'\\${a.b}', '\\1'),
        (r'C:\data\x', r'C:\data\x'),
        ('$a $(a.b) {a.b} {{ a.b }} %(a)s $${a.b}', '$a $(a.b) {a.b} {{ a.b }} %(a)s $1'),
    ],
)
def test_table_of_references(load, text, value):
    tree = load('', f"a.new='{text}'")
    assert tree.faults == () and tree.values['a']['new'] == value
    assert type(tree.values['a']['new']) is type(value)


def test_references_go_on(load):
    tree = load(
        'first: ${second}\nsecond: ${third.x}\nthird: ${a}\nlist: [1, "${.0}", "${..name}"]\nbelow: {up: "${..a.b}"}\n'
        'copy: ${a.deep}\nown: {x: "${own.y}", y: 2}\n',
        'a.x=9',
    )
    assert tree.faults == ()
    values = tree.values
    assert (values['first'], values['list'], values['below'], values['own']) == (
        9,
        [1, 1, 'b'],
        {'up': 1},
        {'x': 2, 'y': 2},
    )
    assert values['copy'] == values['a']['deep'] and values['copy'] is not values['a']['deep']
    assert values['copy']['list'] is not values['a']['deep']['list']
    assert str(tree.origin(('copy', 'list', 1, 'k'))) == 'run.yaml:1'
    assert str(tree.origin(('copy',))) == 'run.yaml:10'


@pytest.mark.parametrize(
    'more, fault',
    [
        ('x: ${a.c}', "run.yaml:5: x: '${a.c}': a.c is not given"),
        ('x: ${train.epochs}\ntrain: {epohcs: 1}', 'train.epochs is not given; did you mean train.epohcs?'),
        ('x: ${epochs}\ntrain: {epochs: 1}', 'did you mean train.epochs?'),
        ('x: ${a.b.c}', 'a.b.c is not given'),
        ('x: ${a.deep.list.2}', 'a.deep.list.2 is not given'),
        ('x: ${a.deep.list.-1}', 'a.deep.list.-1 is not given'),
        ('x: ${..a}', 'leads above the top'),
        ('x: in ${a}', 'a is a mapping, which cannot be part of a text'),
        ('x: in ${a.deep.list}', 'a.deep.list is a list'),
        ('x: ${x}', 'goes round in a circle: x -> x'),
        ('x: ${y}\ny: "${z} "\nz: ${x}', "run.yaml:7: z: '${x}': goes round in a circle: x -> y -> z -> x"),
        ('x: {y: {z: "${x}"}}', 'goes round in a circle: x -> x.y -> x.y.z -> x'),
        ('x: ${x.y}', 'goes round in a circle'),
        ('x: {y: "${z}"}\nz: {w: "${x}"}', 'goes round in a circle'),
        ('x: ${', 'no reference like ${a.b}'),
        ('x: ${}', 'no reference'),
        ('x: ${a b}', 'no reference'),
        ('x: ${{ github.token }}', 'no reference'),
        ('x: "' + '${' * 25 + '"', 'no reference'),
        ('x: "' + '${a.b}' * 31 + '"', '30 references in one text'),
    ],
)
def test_table_of_faults(load, more, fault):
    tree = load(more)
    assert len(tree.faults) == 1 and fault in tree.faults[0], tree.faults


def test_what_refers_to_a_fault_is_one_with_it(load):
    tree = load('x: ${nothing}\ny: ${x}\nz: in ${y}\nw: ${y.deeper}\nlist: [1, "${z}"]\n')
    assert len(tree.faults) == 1
    assert [tree.values[key] for key in 'xyzw'] == [BROKEN] * 4 and tree.values['list'] == [1, BROKEN]


def test_paths_start_where_they_were_said(load, tmp_path):
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'base.yaml').write_text('root: data\nown: ${root}/x\n')
    (tmp_path / 'sub' / 'run.yaml').write_text('extend: ../sub/base.yaml\n')
    tree = load(
        'extend: sub/base.yaml\nlone: ${root}\ntrain: ${root}/train\nafter: ./${root}\nagain: ${train}\n',
        'p=${root}',
        'q=.',
    )
    folders = {key: os.path.relpath(tree.origin((key,)).folder, tmp_path) for key in tree.values}
    assert {key for key, folder in folders.items() if folder == 'sub'} == {'root', 'own', 'lone', 'train', 'again', 'p'}


@pytest.mark.parametrize('text', [*CODE.split('\n'), '${spoil:' + '[' * 4000 + '}'])
def test_no_way_to_code(load, text):
    """Functions are refused whatever is registered, and names are keys, never attributes."""
    called = []
    OmegaConf.register_new_resolver('spoil', lambda *given: called.append(given) or 'b')
    OmegaConf.register_new_resolver('b', lambda *given: called.append(given) or 'b')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            tree = load('', f'x={text}')
    finally:
        assert OmegaConf.has_resolver('spoil') and OmegaConf.has_resolver('oc.env')
        OmegaConf.clear_resolver('spoil')
        OmegaConf.clear_resolver('b')
    assert called == []
    assert tree.values['x'] is BROKEN and len(tree.faults) == 1


def test_few_lines_cannot_ask_for_much(load):
    tens = [f't{i}: ' + f'${{t{i - 1}}}' * 10 for i in range(1, 15)]
    assert any('more than 10000 characters when filled in' in line for line in load('\n'.join(['t0: x', *tens])).faults)
    copies = [f'm{i}:' + f'\n - ${{m{i - 1}}}' * 10 for i in range(1, 15)]
    assert any('copy too much' in line for line in load('\n'.join(['m0: {a: 1}', *copies])).faults)
    deep = ''.join(f'd{i}: {{k: "${{d{i - 1}}}"}}\n' for i in range(1, 100))
    assert any('nested deeper than 64 levels' in line for line in load('d0: {a: 1}\n' + deep).faults)
    chain = ''.join(f'c{i}: ${{c{i + 1}}}\n' for i in range(100))
    assert any('behind one another' in line for line in load(chain + 'c100: 1\n').faults)


def test_escaped_text_stands_for_itself(load):
    for text in (
        '',
        'plain',
        '${a.b}',
        r'\${a.b}',
        r'\\${a.b}',
        '$${a}',
        r'C:\${x}\y',
        '${oc.env:HOME}',
        '${',
        '}${{',
        '\\',
        "it's ${",
    ):
        quoted = escaped(text).replace("'", "''")
        tree = load('', f"x='{quoted}'")
        assert (tree.values['x'], tree.faults) == (text, ())


def test_nothing_heavy_is_imported(load, tmp_path):
    load('x: ${a}\n')
    code = (
        'import sys\nfrom quadrat.engine.experiments.tree import load_tree\nload_tree(sys.argv[1], ["a.b=2"])\n'
        'print(sorted({name.split(".")[0] for name in sys.modules} & {"numpy", "tensorflow", "keras", "osgeo", "PIL"}))'
    )
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path / 'run.yaml')], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ('[]', 0), done.stderr
