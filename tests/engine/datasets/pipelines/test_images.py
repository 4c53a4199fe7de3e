"""Samples from images of patches: the same streamed and in memory, and errors that name files."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine import PatchesImagesReader
from quadrat.engine.errors import DatasetError, EngineError, InputMissing, InvalidJob

RNG = np.random.default_rng(0)
COUNTS = (7, 1, 12)
IMAGES = [RNG.integers(-30000, -100, (count, 6, 6, 3), dtype=np.int16) for count in COUNTS]
LABELS = [RNG.integers(0, 255, (count, 3, 3, 1), dtype=np.uint8) for count in COUNTS]
WAYS = {
    'mapped': ('INTERLEAVE=PIXEL',),
    'by bands': ('INTERLEAVE=BAND',),
    'deflated': ('COMPRESS=DEFLATE', 'PREDICTOR=2'),
    'tiled': ('TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=16'),
}


@pytest.fixture(params=WAYS)
def files(request, write_patches):
    """Three files of two sources."""
    options = WAYS[request.param]
    return {
        'image': [write_patches(f'image{i}.tif', array, *options) for i, array in enumerate(IMAGES)],
        'labels': [write_patches(f'labels{i}.tif', array, *options) for i, array in enumerate(LABELS)],
    }


@pytest.mark.parametrize('streaming', [False, True])
def test_samples_are_those_of_the_files_in_any_order(files, streaming):
    scalars = {'month': [3, 7, 11], 'site': ['A', 'Bc', 'D'], 'place': [(1.5, 2.0), (3.0, 4.0), (5.0, 6.0)]}
    reader = PatchesImagesReader(files, use_streaming=streaming, scalar_dict=scalars)
    images, labels = np.concatenate(IMAGES), np.concatenate(LABELS)
    file_of = np.repeat(range(3), COUNTS)
    assert reader.get_size() == len(images)
    indices = RNG.permutation(np.repeat(range(len(images)), 2))
    many = reader.get_samples(indices)
    np.testing.assert_array_equal(many['image'], images[indices])
    np.testing.assert_array_equal(many['labels'], labels[indices])
    for index in indices.tolist():
        sample = reader.get_sample(index)
        assert {key: (value.dtype.kind, value.shape) for key, value in sample.items()} == {
            'image': ('i', (6, 6, 3)),
            'labels': ('u', (3, 3, 1)),
            'month': ('i', ()),
            'site': ('U', ()),
            'place': ('f', (2,)),
        }
        assert isinstance(sample['month'], np.ndarray)
        np.testing.assert_array_equal(sample['image'], images[index])
        number = file_of[index]
        assert sample['month'] == scalars['month'][number]
        assert str(sample['site']) == scalars['site'][number]
        assert tuple(sample['place']) == scalars['place'][number]
    for index in (-1, len(images)):
        with pytest.raises(IndexError):
            reader.get_sample(index)


def test_statistics_are_right_and_the_same_streamed(files):
    scalars = {'month': [3, 7, 11]}
    stats = [PatchesImagesReader(files, way, scalars).get_stats() for way in (False, True)]
    assert stats[0].keys() == stats[1].keys() == {'image', 'labels'}
    for key, arrays in (('image', IMAGES), ('labels', LABELS)):
        pixels = np.concatenate([array.reshape(-1, array.shape[-1]) for array in arrays]).astype(np.float64)
        for name, expected in (('min', pixels.min(0)), ('max', pixels.max(0))):
            np.testing.assert_array_equal(stats[0][key][name], expected)
        np.testing.assert_allclose(stats[0][key]['mean'], pixels.mean(0), rtol=1e-12)
        np.testing.assert_allclose(stats[0][key]['std'], pixels.std(0), rtol=1e-12)
        for name, values in stats[0][key].items():
            np.testing.assert_array_equal(values, stats[1][key][name])


def test_threads_may_share_a_reader(files):
    reader = PatchesImagesReader(files, use_streaming=True)
    images = np.concatenate(IMAGES)

    def read(seed: int) -> bool:
        indices = np.random.default_rng(seed).permutation(len(images))
        return bool((reader.get_samples(indices)['image'] == images[indices]).all())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(40)))


def test_files_of_different_types_give_one_that_holds_both(write_patches):
    small, large = np.full((2, 4, 4, 1), 200, np.uint8), np.full((3, 4, 4, 1), -5, np.int16)
    files = {'a': [write_patches('small.tif', small), write_patches('large.tif', large)]}
    for streaming in (False, True):
        values = PatchesImagesReader(files, streaming).get_samples(np.arange(5))['a']
        assert values.dtype == np.int16
        np.testing.assert_array_equal(values[:, 0, 0, 0], [200, 200, -5, -5, -5])


def test_files_that_do_not_go_together_are_both_named(write_patches):
    def make(name, *shape):
        return write_patches(name, np.zeros(shape, np.uint8))

    a3, b4, c5, d4 = (
        make(f'{name}.tif', count, 4, 4, 1) for name, count in (('a3', 3), ('b4', 4), ('c5', 5), ('d4', 4))
    )
    # The totals agree, the files do not.
    with pytest.raises(DatasetError, match=r'b4\.tif holds 4 patches.*a3\.tif.* 3'):
        PatchesImagesReader({'x': [a3, c5], 'y': [b4, d4]})
    with pytest.raises(DatasetError, match=r'x: patches of different shapes: .*a3\.tif.*two\.tif has 4 x 4 .* 2 bands'):
        PatchesImagesReader({'x': [a3, make('two.tif', 3, 4, 4, 2)]})
    with pytest.raises(EngineError, match=r'oblong\.tif: 4 x 15'):
        PatchesImagesReader({'x': [make('oblong.tif', 3, 5, 4, 1)]})
    with pytest.raises(InputMissing, match=r'nowhere\.tif'):
        PatchesImagesReader({'x': ['nowhere.tif']})
    for wrong, match in (
        ({}, 'no source'),
        ({'x': []}, 'x: a list'),
        ({'x': a3}, 'x: a list'),
        ({'x': [a3], 'y': [a3, a3]}, 'y: 2 given, but 1 files of x'),
    ):
        with pytest.raises(InvalidJob, match=match):
            PatchesImagesReader(wrong)
    for scalars, match in (({'s': [1, 2]}, 's: 2 given'), ({'x': [1]}, 'x: names both'), ({'s': 'a'}, 's: a list')):
        with pytest.raises(InvalidJob, match=match):
            PatchesImagesReader({'x': [a3]}, scalar_dict=scalars)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('streaming', [False, True])
def test_a_truncated_file_is_named(tmp_path, write_patches, way, streaming):
    noise = RNG.integers(0, 60000, (40, 16, 16, 2), dtype=np.uint16)
    whole = Path(write_patches('whole.tif', noise, *WAYS[way])).read_bytes()
    path = tmp_path / 'short.tif'
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineError, match=r'short\.tif'):
        PatchesImagesReader({'x': [str(path)]}, streaming).get_samples(np.arange(40))
