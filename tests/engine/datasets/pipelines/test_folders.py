"""Samples from datasets of Quadrat, of any layout, for `tf.data`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import Dataset, PatchesDatasetReader, TFRecords
from quadrat.engine.errors import DatasetError, InputMissing, InvalidJob
from quadrat.engine.jobs import LAYOUTS, ConvertDatasetJob, LayoutOptions

pytest.importorskip('tensorflow')

COUNTS = {'train': 11, 'validation': 5}
TOTAL = sum(COUNTS.values())


@pytest.fixture
def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60000, (TOTAL, 4, 4, 2), dtype=np.uint16)
    image[:, 0, 0, 0] = range(TOTAL)
    return {'source1': image, 'labels': rng.integers(1, 4, (TOTAL, 4, 4, 1), dtype=np.uint8)}


@pytest.fixture(params=LAYOUTS)
def folder(request, tmp_path, samples, write_patches) -> str:
    """A dataset made from images of patches in folders of splits."""
    first = 0
    for split, count in COUNTS.items():
        os.makedirs(tmp_path / 'images' / split)
        for key, array in samples.items():
            write_patches(f'images/{split}/{key}.tif', array[first : first + count])
        first += count
    output = str(tmp_path / 'dataset')
    engine.run(ConvertDatasetJob(str(tmp_path / 'images'), output, LayoutOptions(request.param, samples_per_shard=3)))
    return output


def test_any_layout_is_read(folder, samples):
    reader = PatchesDatasetReader(folder)
    assert reader.get_size() == TOTAL
    numbers = []
    for batch in Dataset(reader, seed=1).get_tf_dataset(5, drop_remainder=False):
        found = batch['source1'].numpy()
        numbers += found[:, 0, 0, 0].tolist()
        for key, array in samples.items():
            np.testing.assert_array_equal(batch[key].numpy(), array[found[:, 0, 0, 0]])
    assert sorted(numbers) == list(range(TOTAL))
    assert numbers != sorted(numbers)
    mean = reader.get_stats()['source1']['mean']
    np.testing.assert_allclose(mean, samples['source1'].mean((0, 1, 2)))


def test_a_split_alone_is_read(folder):
    for split, numbers in (('train', range(11)), ('validation', range(11, 16))):
        reader = PatchesDatasetReader(folder, split)
        assert reader.get_size() == len(numbers)
        found = [int(reader.get_sample(index)['source1'][0, 0, 0]) for index in range(len(numbers))]
        assert found == list(numbers)
        for index in (-1, len(numbers)):
            with pytest.raises(IndexError):
                reader.get_sample(index)
    with pytest.raises(InvalidJob, match=r"no split 'testing'; there are train, validation"):
        PatchesDatasetReader(folder, 'testing')


@pytest.mark.parametrize('folder', ['tfrecords'], indirect=True)
def test_the_records_of_a_split_are_read_as_tfrecords(folder):
    batches = TFRecords(os.path.join(folder, 'train')).read(4, ['labels'], drop_remainder=False)
    found = [int(number) for inputs, _ in batches for number in inputs['source1'][:, 0, 0, 0]]
    assert found == list(range(11))
    with pytest.raises(InputMissing, match=r'train, validation'):
        TFRecords(folder).read(4, ['labels'])
    os.remove(os.path.join(folder, 'train', '3.records'))
    with pytest.raises(DatasetError, match=r'3\.records.*missing'):
        TFRecords(os.path.join(folder, 'train')).read(4, ['labels'])
