"""The buffer holds what it is given, and no more than it may."""

from __future__ import annotations

import pytest

from quadrat.engine import Buffer


def test_a_buffer_fills_up():
    buffer = Buffer(2)
    assert (buffer.size(), buffer.is_complete()) == (0, False)
    buffer.add('a')
    buffer.add('b')
    assert (buffer.size(), buffer.is_complete(), buffer.container) == (2, True, ['a', 'b'])
    with pytest.raises(OverflowError, match='2'):
        buffer.add('c')
