"""Statistics of samples: exact, and the same however samples come in parts."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.datasets.statistics import RunningStatistics


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'int32', 'float32', 'float64'])
@pytest.mark.parametrize('shape', [(6, 5, 3), (1, 1, 1), (40, 40, 4), (3, 1, 2)])
def test_any_parts_give_the_same_to_the_last_bit(dtype, shape):
    rng = np.random.default_rng(0)
    pixels = (rng.normal(100, 20, (700, *shape)) + (1e6 if dtype == 'int32' else 0)).clip(0).astype(dtype)
    valid = rng.random((700, *shape[:2])) < 0.98
    valid[rng.random(700) < 0.5] = True
    for mask in (valid, None):
        results = []
        for seed in range(4):
            cuts = np.random.default_rng(seed).integers(0, 700, 3 * seed**3)
            running = RunningStatistics(shape[2])
            for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 700]):
                part = slice(start, stop)
                if stop > start:
                    running.add_many(pixels[part], None if mask is None else mask[part])
            results.append(running.result())
        assert results.count(results[0]) == 4
        chosen = pixels[valid if mask is not None else np.ones_like(valid)].astype(np.float64)
        assert results[0].count == (len(chosen),) * shape[2]
        assert results[0].mean == pytest.approx(chosen.mean(0), rel=1e-12)
        assert results[0].stddev == pytest.approx(chosen.std(0), rel=1e-9)
        assert results[0].minimum == tuple(chosen.min(0)) and results[0].maximum == tuple(chosen.max(0))


def test_samples_one_by_one_and_nothing_at_all():
    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 1, (300, 4, 4, 2))
    one, all_at_once = RunningStatistics(2), RunningStatistics(2)
    for sample in pixels:
        one.add(sample, np.ones((4, 4), bool))
    all_at_once.add_many(pixels)
    assert one.result() == all_at_once.result()
    nothing = RunningStatistics(2)
    nothing.add(pixels[0], np.zeros((4, 4), bool))
    assert nothing.result().count == (0, 0) and nothing.result().mean == (0.0, 0.0)
