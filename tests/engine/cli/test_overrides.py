"""Words after -p, one or two, never those that come after them."""

from __future__ import annotations

import pytest

from quadrat.engine.cli.overrides import join_overrides


@pytest.mark.parametrize(
    ('arguments', 'joined'),
    [
        (['-p', 'a.b=1', 'toy'], ['--param=a.b=1', 'toy']),
        (['-p', 'a.b', '1', 'toy'], ['--param=a.b=1', 'toy']),
        (['--param', 'a.b', '1', '-p', 'c=2'], ['--param=a.b=1', '--param=c=2']),
        (['-p', 'a', 'x=y'], ['--param=a=x=y']),
        (['-p', '+a', '[1, 2]', 'toy'], ['--param=+a=[1, 2]', 'toy']),
        (['-p', '+a=[1]', 'toy'], ['--param=+a=[1]', 'toy']),
        (['-p', '~a', 'toy'], ['--param=~a', 'toy']),
        (['-p', '~a=[1]', 'toy'], ['--param=~a=[1]', 'toy']),
        (['-p', 'rate', '-1', 'toy'], ['--param=rate=-1', 'toy']),
        (['-p', 'rate', '-.5', 'toy'], ['--param=rate=-.5', 'toy']),
        (['-p', 'a', '', 'toy'], ['--param=a=', 'toy']),
        # Where the value is missing, no option is taken for it.
        (['-p', 'a', '--json'], ['--param=a', '--json']),
        (['-p', 'a', '-l', 'INFO'], ['--param=a', '-l', 'INFO']),
        (['-p', '--json'], ['-p', '--json']),
        (['-p'], ['-p']),
        (['-p', 'a'], ['--param=a']),
        (['--', '-p', 'a', 'b'], ['--', '-p', 'a', 'b']),
        # What a shell makes of a pattern: the rest is left over, which is an error.
        (['-p', 'files', 'x', 'y', 'z', 'toy'], ['--param=files=x', 'y', 'z', 'toy']),
    ],
)
def test_joined(arguments, joined):
    assert join_overrides(arguments) == joined
