"""Augmentation: the same whatever the batches, labels alike, sources alike, and as strong as it says."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from quadrat.engine.errors import InvalidJob
from quadrat.engine.training.augmentation import AugmentationSpec, augment, check_augmentation, turned

NOTHING = AugmentationSpec(flips=False, rotations=False)
ALL = AugmentationSpec(gain=0.2, offset=0.3, noise=0.1, band_drop=0.3, crop=8)


class Statistics(NamedTuple):
    mean: tuple[float, ...]
    stddev: tuple[float, ...]


STATISTICS = (Statistics((100.0, 5.0, 0.0), (20.0, 0.0, 1.0)), Statistics((7.0,), (2.0,)))


def batch(count=6, rows=16, cols=16):
    """Images at resolutions one and four whose pixels know where they are, and labels that say the same."""
    number, row, col = np.indices((count, rows, cols))
    place = (number * 1000 + row * cols + col).astype(np.float32)
    fine = place.repeat(4, 1).repeat(4, 2)[..., None]
    return [np.repeat(place[..., None], 3, -1), fine], place.astype(np.int32), place % 3 > 0


def run(spec, images, labels, counted, seed=1, epoch=2, positions=None, statistics=STATISTICS):
    positions = np.arange(len(labels)) if positions is None else positions
    return augment(images, labels, counted, spec, statistics, seed=seed, epoch=epoch, positions=positions)


def test_a_sample_depends_on_seed_epoch_and_position_alone():
    images, labels, counted = batch(40)
    whole = run(ALL, images, labels, counted)
    order = np.random.default_rng(0).permutation(40)
    for start in range(0, 40, 7):
        part = order[start : start + 7]
        found = run(ALL, [image[part] for image in images], labels[part], counted[part], positions=part)
        for one, other in zip((*found[0], *found[1:]), (*whole[0], *whole[1:])):
            assert np.array_equal(one, other[part])
    again = run(ALL, images, labels, counted)
    assert all(np.array_equal(a, b) for a, b in zip(again[0], whole[0]))
    for other in (run(ALL, images, labels, counted, seed=2), run(ALL, images, labels, counted, epoch=3)):
        same = [np.array_equal(a, b) for a, b in zip(other[0][0], whole[0][0])]
        assert not any(same)
    alike = run(ALL, [image[:1].repeat(40, 0) for image in images], labels[:1].repeat(40, 0), counted[:1].repeat(40, 0))
    assert len({item.tobytes() for item in alike[0][0]}) == 40


def test_nothing_is_done_unasked_and_nothing_to_what_was_given():
    images, labels, counted = batch()
    copies = [image.copy() for image in images]
    found, said, where = run(NOTHING, images, labels, counted)
    assert all(a is b for a, b in zip(found, images)) and said is labels and where is counted
    run(ALL, images, labels, counted)
    assert all(np.array_equal(a, b) for a, b in zip(copies, images))


@pytest.mark.parametrize('size', [(16, 16), (8, 16)])
def test_labels_and_all_sources_are_laid_down_alike(size):
    images, labels, counted = batch(200, *size)
    spec = dataclasses.replace(NOTHING, flips=True, rotations=True, crop=4)
    (coarse, fine), said, where = run(spec, images, labels, counted)
    assert coarse.shape == (200, 4, 4, 3) and fine.shape == (200, 16, 16, 1) and said.dtype == np.int32
    assert np.array_equal(coarse[..., 0], said) and np.array_equal(where, said % 3 > 0)
    assert np.array_equal(fine[:, ::4, ::4, 0], said) and np.array_equal(fine[:, 3::4, 3::4, 0], said)
    starts = said.reshape(200, -1).min(1) % 1000
    rows, cols = starts // size[1], starts % size[1]
    assert set(rows) == set(range(size[0] - 3)) and set(cols) == set(range(size[1] - 3))


def test_the_ways_that_are_allowed():
    images, labels, counted = batch(300)
    square = np.arange(256).reshape(16, 16)
    for flips, rotations, ways, long in (
        (True, True, range(8), {0, 2, 4, 6}),
        (True, False, (0, 2, 4, 6), {0, 2, 4, 6}),
        (False, True, range(4), {0, 2}),
        (False, False, (0,), {0}),
    ):
        spec = AugmentationSpec(flips, rotations)
        known = {turned(square[None], np.array([way]))[0].tobytes(): way for way in range(8)}
        found = run(spec, images, labels, counted)[1] % 1000
        numbers = [known[item.astype(square.dtype).tobytes()] for item in found]
        assert set(numbers) == set(ways)
        assert np.bincount(numbers).max() < 1.6 * 300 / len(ways)
        tall = np.arange(128).reshape(8, 16)
        known = {turned(tall[None], np.array([way]))[0].tobytes(): way for way in (0, 2, 4, 6)}
        found = run(spec, *batch(300, 8, 16))[1] % 1000
        assert {known[item.astype(tall.dtype).tobytes()] for item in found} == long


def test_labels_of_whole_patches_stay():
    images, _, _ = batch()
    for shape in ((6,), (6, 1, 1)):
        labels, counted = np.arange(6).reshape(shape), np.ones(shape, bool)
        found, said, where = run(dataclasses.replace(NOTHING, flips=True, crop=8), images, labels, counted)
        assert said is labels and where is counted and found[0].shape == (6, 8, 8, 3)


def test_values_with_several_channels_are_turned_too():
    images, labels, counted = batch()
    values = np.stack([labels, -labels], -1).astype(np.float32)
    found, said, _ = run(AugmentationSpec(crop=8), images, values, counted)
    assert np.array_equal(said[..., 0], found[0][..., 0]) and np.array_equal(said[..., 1], -said[..., 0])


def radiometry(**options):
    """Changed images of a constant that is a standard deviation above the mean, 2000 samples."""
    images = [np.tile(np.float32([120, 5, 1]), (2000, 2, 2, 1)), np.full((2000, 2, 2, 1), 9, np.float32)]
    found, *_ = run(dataclasses.replace(NOTHING, **options), images, np.zeros((2000, 2, 2)), np.ones((2000, 2, 2)))
    assert found[0].dtype == np.float32
    return found


def test_gain_and_offset_are_even_within_their_bounds_and_of_a_band():
    for options, middle in (({'gain': 0.5}, 1.0), ({'offset': 0.5}, 1.0)):
        found, other = radiometry(**options)
        assert np.ptp(found, (1, 2)).max() == 0
        bands = [(found[:, 0, 0, 0] - 100) / 20, found[:, 0, 0, 2], (other[:, 0, 0, 0] - 7) / 2]
        for values in bands:
            assert 0.5 - 1e-5 <= values.min() < 0.52 and 1.48 < values.max() <= 1.5 + 1e-5
            assert values.mean() == pytest.approx(middle, abs=0.02)
            assert values.std() == pytest.approx(1 / np.sqrt(12), abs=0.02)
        assert np.abs(np.corrcoef(bands) - np.eye(3)).max() < 0.08
        assert (found[..., 1] == 5).all()  # a constant band stays what it is


def test_noise_is_of_each_pixel():
    found, other = radiometry(noise=0.25)
    for values in ((found[..., 0] - 120) / 20, found[..., 2] - 1, (other[..., 0] - 9) / 2):
        assert values.std() == pytest.approx(0.25, rel=0.05) and values.mean() == pytest.approx(0, abs=0.01)
        assert np.abs(np.corrcoef(values.reshape(2000, -1).T) - np.eye(4)).max() < 0.08
    assert (found[..., 1] == 5).all()


def test_dropped_bands_hold_their_mean_and_one_always_stays():
    found, other = radiometry(band_drop=0.5, noise=0.01)
    dropped = np.stack([(found[..., 0] == 100).all((1, 2)), (found[..., 2] == 0).all((1, 2))], -1)
    # Half of them, less the cases in which all three would be and one is brought back: 1/2 - 1/8 * 1/3.
    assert dropped.mean(0) == pytest.approx([0.4583, 0.4583], abs=0.04)
    assert not (other == 7).any()
    most, _ = radiometry(band_drop=0.999)
    stay = np.stack([most[:, 0, 0, 0] != 100, most[:, 0, 0, 2] != 0], -1)
    assert stay.sum(1).max() == 1 and stay.mean(0) == pytest.approx([1 / 3, 1 / 3], abs=0.05)


@pytest.mark.parametrize(
    ('message', 'options'),
    [
        ('gain -0.1', {'gain': -0.1}),
        ('noise nan', {'noise': float('nan')}),
        ('band_drop 1', {'band_drop': 1.0}),
        ('crop 17: must be 1 to 16, as patches are 20 x 16', {'crop': 17}),
        ('crop 6: must be a multiple of 4', {'crop': 6}),
        ('crop -4', {'crop': -4}),
    ],
)
def test_what_cannot_be_done(message, options):
    with pytest.raises(InvalidJob, match=message):
        check_augmentation(AugmentationSpec(**options), [(16, 20, 3), (4, 5, 1)])


def test_what_can_be_done():
    check_augmentation(AugmentationSpec(crop=8, gain=3.0), [(16, 20, 3), (4, 5, 1)])
    check_augmentation(AugmentationSpec(crop=7), [(16, 20, 3), (64, 80, 1)])
    (first, second), *_ = run(
        AugmentationSpec(crop=8),
        [np.zeros((3, 16, 16, 3), np.float32), np.zeros((3, 4, 4, 1), np.float32)],
        np.zeros((3, 16, 16)),
        np.ones((3, 16, 16)),
    )
    assert first.shape == (3, 8, 8, 3) and second.shape == (3, 2, 2, 1)
