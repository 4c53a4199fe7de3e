"""Files of run configurations: what words mean, where everything stands, and what is refused."""

from __future__ import annotations

import math

import pytest

from quadrat.engine.errors import ConfigurationError, InputMissing
from quadrat.engine.experiments.documents import MAX_BYTES, MAX_DEPTH, read_document
from quadrat.engine.experiments.nodes import plain
from quadrat.engine.experiments.scalars import scalar, spelled


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads a text as a file ``run.yaml`` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def read(text: str | bytes):
        (tmp_path / 'run.yaml').write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_document(str(tmp_path / 'run.yaml'))

    return read


@pytest.fixture
def faults(read):
    """The faults of a text."""

    def faults(text: str | bytes) -> tuple[str, ...]:
        with pytest.raises(ConfigurationError) as caught:
            read(text)
        assert all('\n' not in line for line in caught.value.faults)
        return caught.value.faults

    return faults


NO_TEXT = {
    'true': True, 'False': False, 'TRUE': True, 'null': None, '~': None, '': None, '12': 12, '-3': -3, '+4': 4, '0': 0,
    '0x1F': 31, '0o17': 15, '1.5': 1.5, '1e-3': 1e-3, '2.0E+4': 2e4, '.5': 0.5, '1.': 1.0, '-.inf': -math.inf,
    '1e5': 1e5,
}  # fmt: skip
TEXT = """\
yes no on off Yes y tRUE None nan inf 007 -08 1_000 12:30 2020-01-05 2020-1-5 2001-12-14t21:59:43.10-05:00 100/5 1e 0b11
0o8 0xg . - .. 1.2.3 ??? = + １２
"""
RUN = """\
# a run
train:
  epochs: 10   # in all

  rates: [1e-3,
    1e-2]
  when: 2020-01-05
  note: >
    two
    lines
classes:
  - {value: 1, name: "007"}
  -
    value: 2
  - 12:30
1: one
true: x
none:
"""
TAGS = """\
!!python/object/apply:os.system !!python/object/new:os.system !!python/name:os.system !!python/module:os !!str !!int
!!binary !!set !!omap ! !mine !<tag:yaml.org,2002:python/object/apply:os.system>
"""


@pytest.mark.parametrize('word, value', NO_TEXT.items())
def test_words_that_are_no_text(word, value):
    assert scalar(word) == value and type(scalar(word)) is type(value)


@pytest.mark.parametrize('word', [*TEXT.split(), '1 2', '9' * 5000])
def test_words_that_are_text(word):
    assert scalar(word) == word


def test_spelling_is_the_inverse():
    for value in (True, False, None, 0, -7, 10**30, 1e-7, 1.0, -2.5e300, math.inf, -math.inf, 'words'):
        assert scalar(spelled(value)) == value and type(scalar(spelled(value))) is type(value)
    assert math.isnan(scalar(spelled(math.nan)))


def test_values_and_lines(read):
    root = read(RUN)
    assert plain(root) == {
        'train': {'epochs': 10, 'rates': [1e-3, 1e-2], 'when': '2020-01-05', 'note': 'two lines\n'},
        'classes': [{'value': 1, 'name': '007'}, {'value': 2}, '12:30'],
        '1': 'one',
        'true': 'x',
        'none': None,
    }
    train, classes = root.content['train'], root.content['classes']
    lines = {key: node.origin.line for key, node in train.content.items()}
    assert (train.origin.line, lines) == (2, {'epochs': 3, 'rates': 5, 'when': 7, 'note': 8})
    assert [item.origin.line for item in train.content['rates'].content] == [5, 6]
    assert [item.origin.line for item in classes.content] == [12, 14, 15]
    assert str(train.content['epochs'].origin) == 'run.yaml:3'


def test_texts_of_other_languages_are_texts(read):
    root = read('\ufeffa: "{{ cycler.__init__.__globals__ }}"\nb: $(x)\nc: \'{% raw %}\'\nd: C:\\data\ne: Grüße 🛰\n')
    assert list(plain(root).values()) == [
        '{{ cycler.__init__.__globals__ }}',
        '$(x)',
        '{% raw %}',
        'C:\\data',
        'Grüße 🛰',
    ]


@pytest.mark.parametrize('tag', TAGS.split())
def test_no_tags(faults, tag):
    for text in (
        f'a: 1\nb: {tag} [x]\n',
        f'a: 1\nb: [{tag} x]\n',
        f'a: 1\n? {tag} k\n: 1\n',
        f'a: 1\nb: {{c: {tag} }}\n',
    ):
        found = faults(text)
        assert any(line.startswith('run.yaml:2: !') and 'tags are not allowed' in line for line in found), text


@pytest.mark.parametrize(
    'text, fault',
    [
        ('a: 1\nb: 2\na: 3\n', 'run.yaml:3: a: given twice, first in run.yaml:1'),
        ('m: {true: 1, "true": 2}\n', 'run.yaml:1: m: true: given twice'),
        ('a: 1\n---\nb: 2\n', 'run.yaml:2: a second document'),
        ('- a\n- b\n', 'run.yaml:1: expected keys and values, such as "train:", found a list'),
        ('', 'found nothing'),
        ('# only words\n', 'found nothing'),
        ('just text', "found 'just text'"),
        ('a: [1, 2\nb: 3\n', 'run.yaml:2: not valid YAML'),
        ('a:\n\tb: 1\n', 'run.yaml:2: not valid YAML: a tab; indent with spaces'),
        ('a: b: c\n', 'run.yaml:1: not valid YAML: a colon'),
        ('a:\n  b: 1\n c: 2\n', 'run.yaml:3: not valid YAML: indented unlike the lines above'),
        ('a: {b: ???}\n', 'run.yaml:1: not valid YAML: a question mark; within { } and [ ] put "???" in quotes'),
        ('a: "C:\\Users\\me"\n', 'run.yaml:1: not valid YAML: a backslash in double quotes'),
        ('a: "D:\\dir"\n', 'run.yaml:1: not valid YAML: a backslash in double quotes'),
        ('a:\n  - "C:\\0"\n', r'run.yaml:2: a.0: the character \0; within double quotes a backslash is \\'),
        ('a: "open\n', 'not valid YAML'),
        ('a: [${b}]\n', 'run.yaml:1: not valid YAML: a brace; within { } and [ ] put ${…} in quotes'),
        ('a: *nobody\n', 'run.yaml:1: not valid YAML: found undefined alias'),
        ('a: &x [*x]\n', 'run.yaml:1: a.0: an alias (*name) that holds itself'),
        ('a: &x {b: {c: *x}}\n', 'a.b.c: an alias (*name) that holds itself'),
        ('base: &b {x: 1}\na:\n  <<: *b\n', 'run.yaml:3: a: <<: is no part of YAML 1.2'),
        ('a:\n  [x, y]: 1\n', 'run.yaml:2: a: a key that is a list or mapping'),
        ('a: {"": 1}\n', 'run.yaml:1: a: a key without a name'),
        (b'a: gr\xfc\xdfe\n', 'run.yaml:1: not text in UTF-8'),
        (b'\xff\xfea\x00:\x00', 'run.yaml:1: not text in UTF-8'),
        (b'a: 1\nPK\x03\x04\x00', 'run.yaml:2: the character U+0003'),
        ('a: ' + '[' * 2000, f'nested deeper than {MAX_DEPTH} levels'),
        ('a: ' + '{b: ' * 2000, f'nested deeper than {MAX_DEPTH} levels'),
        ('\n'.join(f'{" " * i}- ' for i in range(500)), f'nested deeper than {MAX_DEPTH} levels'),
        ('a: [' + '1, ' * 20010 + ']', 'more than 10000 values'),
        (b'a' * (MAX_BYTES + 1), 'larger than 1 MB'),
    ],
)
def test_what_is_refused(faults, text, fault):
    assert any(fault in line for line in faults(text))


def test_all_faults_of_a_file_at_once(faults):
    found = faults('a: !x 1\na: 2\nb: !!python/name:os.system\nc: {d: 1, d: 2}\nd: [\n')
    assert [line.split(': ')[0] for line in found if 'tags' in line] == ['run.yaml:1', 'run.yaml:3']
    found = faults('a: !x 1\na: 2\nc: {d: 1, d: 2}\n---\n- 2\n')
    assert len(found) == 4


def test_aliases_are_copies_of_bounded_number(read, faults):
    root = read('a: &a {x: [1]}\nb: *a\nc: [*a, *a]\n')
    assert plain(root) == {'a': {'x': [1]}, 'b': {'x': [1]}, 'c': [{'x': [1]}] * 2}
    assert plain(root)['a'] is not plain(root)['b']
    bomb = 'l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n'
    bomb += ''.join(f'l{i}: &l{i} [{", ".join([f"*l{i - 1}"] * 10)}]\n' for i in range(1, 15))
    assert 'more than 10000 values' in faults(bomb)[-1]


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputMissing, match='no such file'):
        read_document(str(tmp_path / 'none.yaml'))
    with pytest.raises(ConfigurationError, match='this is a folder'):
        read_document(str(tmp_path))
    with pytest.raises(ConfigurationError, match='cannot be read'):
        read_document(str(tmp_path / ('x' * 500)))
