"""How maps lie over their sources: worked examples of the OTBTF geometry, and windows that hold what they need."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from quadrat.engine.errors import GridMismatch, InvalidJob
from quadrat.engine.grid import Grid, Window, relate
from quadrat.engine.model_package.card import ReceptiveField
from quadrat.engine.runtimes.geometry import InputGeometry
from quadrat.engine.serving.frame import native_frame, otbtf_frame

XS = Grid('', (493938.0, 6.0, 0.0, 6444426.0, 0.0, -6.0), 32, 32)
PAN = Grid('', (493939.5, 1.5, 0.0, 6444423.0, 0.0, -1.5), 128, 128)


def square(side, pixel=1.5):
    return Grid('', (1000.0, pixel, 0.0, 5000.0, 0.0, -pixel), side, side)


def otbtf(grids, fields, expression=1, scale=1, fully_convolutional=True):
    relations = [relate(grids[0], grid) for grid in grids]
    pairs = [(field, field) for field in fields]
    return otbtf_frame(grids, relations, pairs, (expression,) * 2, Fraction(scale), fully_convolutional)


def inputs(*fields):
    return [InputGeometry(field, stride) for field, stride in fields]


def spans(frame, first, last):
    """Inclusive columns of each source for inclusive columns of the map."""
    return [(w.col, w.right - 1) for w in frame.windows(Window(first, first, last + 1 - first, last + 1 - first))]


@pytest.mark.parametrize(
    ('side', 'field', 'expression', 'scale', 'size', 'offset', 'windows'),
    [
        (128, 16, 1, 1, 113, 8, {(0, 15): (0, 30), (112, 112): (112, 127)}),
        (131, 64, 32, 1, 96, 16, {(0, 31): (0, 63), (32, 63): (32, 95), (64, 95): (64, 127)}),
        (1024, 64, 32, 1, 992, 16, {}),
        (1000, 80, 16, 1, 928, 32, {(0, 15): (0, 79)}),
        (4096, 16, 1, 4, 1020, 6.5, {(0, 0): (0, 15), (5, 5): (20, 35)}),
        (4096, 128, 512, Fraction(1, 4), 16384, 0.375, {(0, 511): (0, 127), (512, 1023): (128, 255)}),
        (32, 4, 4, 1, 32, 0, {(4, 7): (4, 7)}),
    ],
)
def test_worked_examples(side, field, expression, scale, size, offset, windows):
    frame = otbtf([square(side)], [field], expression, scale)
    assert (frame.grid.width, frame.grid.height) == (size, size)
    assert frame.grid.transform[0] == 1000 + 1.5 * offset and frame.grid.transform[3] == 5000 - 1.5 * offset
    assert frame.grid.transform[1] == 1.5 * scale and frame.grid.transform[5] == -1.5 * scale
    for given, read in windows.items():
        assert spans(frame, *given) == [read]


def test_patches_of_two_resolutions():
    frame = otbtf([XS, PAN], [8, 32], fully_convolutional=False)
    assert (frame.grid.width, frame.grid.height) == (24, 24)
    assert frame.grid.transform == (493963.5, 6.0, 0.0, 6444399.0, 0.0, -6.0)
    assert spans(frame, 0, 0) == [(0, 7), (2, 33)]
    coarser = otbtf([XS, PAN], [8, 32], scale=4, fully_convolutional=False)
    assert (coarser.grid.width, coarser.grid.height) == (6, 6)
    assert coarser.grid.transform == (493954.5, 24.0, 0.0, 6444408.0, 0.0, -24.0)


def test_two_resolutions_fully_convolutional():
    frame = otbtf([XS, PAN], [8, 32])
    assert (frame.grid.width, frame.grid.height) == (23, 23)
    assert frame.grid.transform[0] == 493968.0 and frame.grid.transform[3] == 6444396.0
    (xs, pan) = spans(frame, 0, 15)
    assert xs == (1, 23) and pan == (3, 94)  # 16 whole steps of the finer source


def test_blocks_lie_at_even_steps_wherever_the_window_starts():
    for field, expression, scale in ((16, 1, 4), (64, 32, 1), (33, 1, 2), (128, 512, Fraction(1, 4)), (20, 4, 3)):
        frame = otbtf([square(700)], [field], expression, scale)
        one = spans(frame, 0, expression - 1)[0]
        step = expression * Fraction(scale)
        for number in range(1, frame.grid.width // expression):
            first, last = spans(frame, number * expression, (number + 1) * expression - 1)[0]
            assert (first, last) == (one[0] + number * step, one[1] + number * step)
            assert first >= 0 and last < 700


@pytest.mark.parametrize('pixel', [0.3, 0.6, 1.2, 1e-4 / 3])
def test_no_spacing_breaks_the_arithmetic(pixel):
    frame = otbtf([square(700, pixel)], [64], 32)
    assert frame.grid.width == (700 - 64 + 32) // 32 * 32 and spans(frame, 0, 31) == [(0, 63)]


def test_fields_that_cannot_be():
    with pytest.raises(InvalidJob, match='no pixel'):
        otbtf([square(60)], [64], 32)
    with pytest.raises(InvalidJob, match='smaller than the expression field'):
        otbtf([square(600)], [16], 32)


def test_windows_of_networks_that_keep_the_size():
    fine = Grid('', (1000.0 - 4 * 1.5, 1.5, 0.0, 5000.0, 0.0, -1.5), 900, 900)
    coarse = Grid('', (1000.0, 6.0, 0.0, 5000.0, 0.0, -6.0), 200, 200)
    fields = [ReceptiveField(3, 3, 4, 4), ReceptiveField(50, 50, 53, 53)]
    frame = native_frame(coarse, [relate(coarse, coarse), relate(coarse, fine)], inputs((fields[0], 1), (fields[1], 8)))
    assert frame.unit == (2, 2) and frame.halo == (14, 14, 14, 14)
    for first in (0, 2, 86):
        low, high = spans(frame, first - 14, first + 2 + 14 - 1)
        assert low == (first - 14, first + 15)
        assert high == (4 + 4 * (first - 14), 4 + 4 * (first + 16) - 1) and not (high[0] - 4) % 8
    with pytest.raises(GridMismatch, match='Source 2: its columns are shifted'):
        shifted = Grid('', (997.0, 6.0, 0.0, 5000.0, 0.0, -6.0), 100, 100)
        native_frame(fine, [relate(fine, fine), relate(fine, shifted)], inputs((fields[0], 1), (fields[1], 1)))


def test_odd_shapes_of_pixels_keep_their_orientation():
    south_up = Grid('', (0.0, 0.25, 0.0, 10.0, 0.0, 0.25), 100, 60)
    frame = otbtf([south_up], [16])
    assert frame.grid.transform == (2.0, 0.25, 0.0, 12.0, 0.0, 0.25)
    assert (frame.grid.width, frame.grid.height) == (85, 45)
    assert np.isclose(frame.grid.pixel_size, (0.25, 0.25)).all()
