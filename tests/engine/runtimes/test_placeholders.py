"""Constants for a model: everything the peer's grammar takes, more than that, and errors in one line."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.errors import InvalidJob
from quadrat.engine.runtimes.placeholders import constant, parse

# What the peer's unit tests give its parser, and what comes out there: always a vector.
PEER = [
    ('0.1234', 'float32', [0.1234]),
    ('-0.1234', 'float32', [-0.1234]),
    ('1234', 'int32', [1234]),
    ('-1234', 'int32', [-1234]),
    ('true', 'bool', [True]),
    ('True', 'bool', [True]),
    ('False', 'bool', [False]),
    ('false', 'bool', [False]),
    ('(0.1234, -1,-20,2.56 ,3.5)', 'float32', [0.1234, -1, -20, 2.56, 3.5]),
    ('(1234, -1,-20,256 ,35)', 'int32', [1234, -1, -20, 256, 35]),
    ('(true, false,True, False)', 'bool', [True, False, True, False]),
]


@pytest.mark.parametrize(('text', 'dtype', 'values'), PEER)
def test_what_the_peer_takes(text, dtype, values):
    found = constant('a', text, dtype, (None,))
    assert found.dtype == dtype and found.shape == (len(values),)
    assert np.array_equal(found, np.array(values, dtype))


@pytest.mark.parametrize(
    ('text', 'dtype', 'shape', 'value'),
    [
        ('1e-3', 'float32', (), 1e-3),
        ('+.5E+2', 'float64', (1,), [50.0]),
        ('-inf', 'float16', (), -np.inf),
        ('3', 'float32', (), 3.0),  # the peer feeds an integer, and the model refuses it
        ('1e3', 'int64', (), 1000),
        (str(2**64 - 1), 'uint64', (), 2**64 - 1),
        ('1', 'bool', (), True),
        ('(7)', 'uint8', (), 7),
        ('(1, 2, 3, 4)', 'int16', (2, None), [[1, 2], [3, 4]]),
        ('5', 'float32', (1, 1), [[5.0]]),
        ('5', 'float32', None, 5.0),
        ('(5)', 'float32', None, [5.0]),
    ],
)
def test_the_model_says_what_a_value_is(text, dtype, shape, value):
    found = constant('a', text, dtype, shape)
    assert found.dtype == dtype and found.shape == np.shape(value)
    assert np.array_equal(found, np.array(value, dtype))


def test_text():
    assert constant('a', 'two words', 'string', ()).item() == b'two words'
    assert constant('a', "(x, 'y, (z)')", 'string', (2,)).tolist() == [b'x', b'y, (z)']


def test_several_constants():
    assert parse('lr=1e-3;  w=(1, 2;3) ;mode="a;b=c"\nx=y=z;;') == {
        'lr': '1e-3',
        'w': '(1, 2;3)',
        'mode': '"a;b=c"',
        'x': 'y=z',
    }
    assert parse('  ') == {}


@pytest.mark.parametrize(
    ('text', 'words'),
    [('lr', 'no value'), ('=1', 'no value'), ('a=', 'no value'), ('a=1;a=2', 'twice'), ('a="b', 'left open')],
)
def test_what_cannot_be_parsed(text, words):
    with pytest.raises(InvalidJob, match=words):
        parse(text)


@pytest.mark.parametrize(
    ('text', 'dtype', 'shape', 'words'),
    [
        ('abc', 'float32', (), 'no number; the model wants float32'),
        ('0x10', 'int32', (), 'no number'),
        ('1_0', 'int32', (), 'no number'),
        ('nan', 'int32', (), 'no number'),
        ('1.5', 'int32', (), 'no whole number'),
        ('300', 'uint8', (), 'outside 0 to 255'),
        ('1e40', 'float32', (), 'too large'),
        ('yes', 'bool', (), 'neither true nor false'),
        ('(1, 2', 'float32', (2,), 'parenthesis'),
        ('(1, , 2)', 'float32', (3,), "'' is no number"),
        ('(1, 2)', 'float32', (), '2 values are given, but the model wants a single value'),
        ('(1, 2)', 'float32', (3,), r'wants the shape \[3\]'),
        ('(1, 2, 3)', 'float32', (2, None), r'wants the shape \[2, any\]'),
    ],
)
def test_what_is_no_such_value(text, dtype, shape, words):
    with pytest.raises(InvalidJob, match=words) as caught:
        constant('a', text, dtype, shape)
    assert 'a=' in str(caught.value) and '\n' not in str(caught.value)
