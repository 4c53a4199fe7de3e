"""Orders of samples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quadrat.engine import IteratorBase, RandomIterator
from quadrat.engine.errors import InvalidJob, NoSamples


def test_each_pass_has_each_sample_once_in_another_order(numbered):
    iterator = RandomIterator(numbered(50), seed=3)
    passes = [list(itertools.islice(iterator, 50)) for _ in range(3)]
    assert all(sorted(order) == list(range(50)) for order in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]


def test_the_order_is_a_function_of_seed_and_pass(numbered):
    one, other = RandomIterator(numbered(40), seed=7), RandomIterator(numbered(40), 7)
    expected = [one.take(40) for _ in range(3)]
    singly = [[next(other) for _ in range(40)] for _ in range(3)]
    np.testing.assert_array_equal(expected, singly)
    in_parts = RandomIterator(numbered(40), 7)
    parts = np.concatenate([in_parts.take(count) for count in (1, 50, 0, 69)])
    np.testing.assert_array_equal(parts, np.concatenate(expected))
    assert RandomIterator(numbered(40), 8).take(40).tolist() != expected[0].tolist()
    assert RandomIterator(numbered(40)).take(40).tolist() != RandomIterator(numbered(40)).take(40).tolist()


def test_iterators_of_ones_own_may_end_or_not(numbered):
    class Backwards(IteratorBase):
        """Ends after a pass; each `iter()` begins a new one."""

        def __iter__(self):
            return iter(range(self.patches_reader.get_size() - 1, -1, -1))

        def __next__(self):
            raise NotImplementedError

    class Even(IteratorBase):
        """Goes on for ever, and knows nothing of the base class."""

        def __init__(self, patches_reader):
            self.count = -2

        def __next__(self):
            self.count += 2
            return self.count % 6

    class Empty(Backwards):
        def __iter__(self):
            return iter(())

    assert Backwards(numbered(3)).take(7).tolist() == [2, 1, 0, 2, 1, 0, 2]
    even = Even(numbered(6))
    assert [*even.take(4), *even.take(2)] == [0, 2, 4, 0, 2, 4]
    with pytest.raises(InvalidJob, match='Empty'):
        Empty(numbered(3)).take(1)
    with pytest.raises(NoSamples):
        RandomIterator(numbered(0))
