"""The settings of the runs of a sweep."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quadrat.engine.experiments.search import combinations, override, words
from quadrat.engine.experiments.sweepspec import Range, SweepSpec

RATE, DEPTH = 'train.learning_rate', 'model.depth'


def drawn(count: int, seed: int = 0, **ranges) -> list[dict]:
    return combinations(SweepSpec('random', ranges, count, seed))


def test_a_grid_is_every_combination_in_the_listed_order():
    spec = SweepSpec('grid', {RATE: [0.1, 0.01], DEPTH: [1, 2, 2]})
    assert combinations(spec) == [
        {RATE: 0.1, DEPTH: 1},
        {RATE: 0.1, DEPTH: 2},
        {RATE: 0.01, DEPTH: 1},
        {RATE: 0.01, DEPTH: 2},
    ]


def test_what_is_drawn_follows_from_the_seed_and_a_longer_sweep_goes_on():
    ranges = {'a': Range(0.0, 1.0), 'b': ['x', 'y', None]}
    assert drawn(8, 3, **ranges) == drawn(8, 3, **ranges) == drawn(20, 3, **ranges)[:8]
    assert drawn(8, 3, **ranges) != drawn(8, 4, **ranges)


def test_ranges_are_even_on_their_scale_and_whole_numbers_stay_whole():
    found = drawn(
        3000, a=Range(1e-4, 1e-1, 'log'), b=Range(-2.0, 2.0), c=Range(3, 6), d=Range(1, 64, 'log'), e=Range(0.0, 1.0)
    )
    a, b, c, d = (np.array([run[key] for run in found]) for key in 'abcd')
    assert a.min() >= 1e-4 and a.max() <= 1e-1 and b.min() >= -2 and b.max() <= 2
    assert 0.45 < (a < math.sqrt(1e-5)).mean() < 0.55 and 0.45 < (b < 0).mean() < 0.55
    assert all(type(run[key]) is int for run in found for key in 'cd')
    assert set(c) == {3, 4, 5, 6} and min(np.bincount(c)[3:]) > 650
    assert d.min() == 1 and d.max() == 64 and 0.4 < (d <= 8).mean() < 0.65
    assert all(float(f'{run["b"]:.6g}') == run['b'] for run in found)


@pytest.mark.parametrize('count', [4, 9])
def test_no_combination_is_drawn_twice(count):
    found = drawn(count, a=[1, 2], b=[True, False])
    assert len(found) == 4 == len({(run['a'], run['b']) for run in found})
    assert len(drawn(count, a=Range(1, 3))) == 3


def test_settings_as_overrides_and_as_words():
    settings = {'a.b': [1, 'x y'], 'c': None, 'd': 1e-05, 'e': 'true', 'f': True}
    assert [override(*item) for item in settings.items()] == [
        'a.b=[1, "x y"]',
        'c=null',
        'd=1e-05',
        'e="true"',
        'f=true',
    ]
    assert words(settings) == 'a.b = [1, "x y"], c = null, d = 1e-05, e = true, f = true'
