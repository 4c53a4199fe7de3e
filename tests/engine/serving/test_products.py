"""The most probable class is what numpy says it is."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.serving.products import largest


@pytest.mark.parametrize('bands', [1, 2, 5, 24, 25])
def test_the_largest_is_the_first_of_equals(bands):
    rng = np.random.default_rng(bands)
    for values in (rng.random((70, 33, bands)), rng.integers(-2, 3, (70, 33, bands)), np.zeros((3, 4, bands))):
        part = values.astype('float32')[1:, :-1]  # with gaps in memory, as tiles have
        assert np.array_equal(largest(part), part.argmax(-1))
