"""Windows and grids: exact integers, and clear words where grids do not fit."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from quadrat.engine.errors import GridMismatch
from quadrat.engine.grid import Grid, Relation, Window, relate

UTM = (625145.25, 1.5, 0.0, 5808240.75, 0.0, -1.5)


def turned(degrees: float, size: float) -> tuple[float, ...]:
    a = math.radians(degrees)
    return (5e5, size * math.cos(a), size * math.sin(a), 5e6, size * math.sin(a), -size * math.cos(a))


TRANSFORMS = [UTM, (10.0, 0.1, 0.0, 48.0, 0.0, 0.1), (0.0, 1.0, 0.0, 0.0, 0.0, 1.0), turned(30, 0.3), turned(171, 7)]


def test_windows_against_sets_of_pixels():
    rng = random.Random(0)

    def pixels(w):
        return {(c, r) for c in range(w.col, w.right) for r in range(w.row, w.bottom)}

    for _ in range(300):
        a, b = (Window(*(rng.randint(-5, 5) for _ in range(2)), *(rng.randint(1, 8) for _ in range(2))) for _ in 'ab')
        assert pixels(a.intersect(b)) == pixels(a) & pixels(b)
        assert a.intersect(b).empty == (not pixels(a) & pixels(b))
        assert a.contains(b) == (pixels(b) <= pixels(a))
        aligned = a.align(3, 3)
        assert aligned.contains(a) and all(
            v % 3 == 0 for v in (aligned.col, aligned.row, aligned.right, aligned.bottom)
        )
        assert aligned.width <= a.width + 4 and aligned.height <= a.height + 4
        assert a.expand(1, 2, 3, 4).shift(1, 2) == Window(a.col, a.row, a.width + 4, a.height + 6)


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_the_centre_of_each_pixel_and_its_upper_left_corner_belong_to_it(transform):
    grid = Grid('', transform, 7000, 6000)
    for col, row in [(0, 0), (1, 0), (6999, 5999), (3, 4711), (-1, -1), (123456, 7)]:
        assert grid.pixel_at(*grid.centre(col, row)) == (col, row)
        assert grid.pixel_at(*grid.to_map(col, row)) == (col, row)
    part = grid.sub(Window(17, 23, 5, 6))
    assert part.centre(2, 3) == pytest.approx(grid.centre(19, 26), rel=1e-14)


@pytest.mark.parametrize('transform', TRANSFORMS)
@pytest.mark.parametrize(
    'ratio', [Fraction(1), Fraction(4), Fraction(120), Fraction(1, 3), Fraction(1, 120), Fraction(3, 2)]
)
def test_related_grids_cover_the_same_ground(transform, ratio):
    """A grid is cut in pieces and shifted by whole pixels; the relation finds both exactly, either way round."""
    a = Grid('', transform, 600, 480)
    scale = float(ratio)
    shift = -6 * ratio.numerator, 12 * ratio.numerator
    x0, y0 = a.to_map(float(shift[0] / ratio), float(shift[1] / ratio))
    t = transform
    b = Grid('', (x0, t[1] / scale, t[2] / scale, y0, t[4] / scale, t[5] / scale), 1000, 1000)
    assert relate(a, b) == Relation(ratio, ratio, Fraction(-shift[0]), Fraction(-shift[1]))
    back = relate(b, a)
    assert back.x == 1 / ratio and back.col == shift[0] / ratio
    window = Window(36 * ratio.denominator, 24 * ratio.denominator, 12 * ratio.denominator, 6 * ratio.denominator)
    other = relate(a, b).window(window)
    for corner_a, corner_b in (
        ((window.col, window.row), (other.col, other.row)),
        ((window.right, window.bottom), (other.right, other.bottom)),
    ):
        assert b.to_map(*corner_b) == pytest.approx(a.to_map(*corner_a), rel=1e-12)


@pytest.mark.parametrize(
    'transform, words',
    [
        ((UTM[0] + 0.4, *UTM[1:]), 'shifted'),
        ((UTM[0], 1.5001, *UTM[2:]), 'pixel sizes'),
        ((*UTM[:5], 1.5), 'directions'),
        ((UTM[0], 1.5, 1e-5, UTM[3], 1e-5, -1.5), 'turned'),
        ((UTM[0], 1.5, 0.0, UTM[3], 0.5, -1.5), 'directions'),
    ],
)
def test_grids_that_do_not_fit_are_named(transform, words):
    a, b = Grid('', UTM, 1000, 1000), Grid('', transform, 900, 900)
    with pytest.raises(GridMismatch, match=words) as caught:
        relate(a, b, ('image.tif', 'labels.tif'))
    assert 'image.tif' in str(caught.value) and 'labels.tif' in str(caught.value)


def test_noise_below_a_thousandth_of_a_pixel_is_none():
    other = Grid('', (UTM[0] + 1e-4, UTM[1] * (1 + 1e-8), 0.0, UTM[3] - 1e-4, 0.0, UTM[5]), 1000, 1000)
    assert relate(Grid('', UTM, 1000, 1000), other) == Relation(Fraction(1), Fraction(1), Fraction(0), Fraction(0))


def test_a_window_that_is_no_whole_pixels_elsewhere_is_an_error():
    relation = Relation(Fraction(1, 2), Fraction(1, 2), Fraction(0), Fraction(0))
    assert relation.window(Window(2, 4, 6, 8)) == Window(1, 2, 3, 4)
    with pytest.raises(GridMismatch):
        relation.window(Window(1, 4, 6, 8))
