"""Batches: every sample once, labels as indices, no-data left out."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.datasets.manifest import LabelInfo
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.errors import DatasetError
from quadrat.engine.jobs import TrainOptions
from quadrat.engine.training.pipeline import SampleReader, batch_count, batches, epoch_order, shuffled
from quadrat.engine.training.targets import ClassTarget, LabelCodes


def reader_of(folder, values=(3, 7, 9)):
    dataset = Dataset.open(folder)
    manifest = dataset.manifest
    target = ClassTarget(manifest.labels, LabelCodes(values, manifest.labels))
    return SampleReader(dataset, manifest.sources, target)


def test_label_values_become_indices_and_back():
    values = (-5, 0, 255, 70000)
    codes = LabelCodes(values, LabelInfo('labels', 'int32', (1, 1, 1), 254, 0))
    labels = np.array([[-5, 0, 255], [70000, 254, 13]], np.int32)
    index, known = codes.encode(labels)
    assert index.dtype == np.int32 and codes.ignored == (254,)  # 0 is no-data, but named as a class
    assert known.tolist() == [[True, True, True], [True, False, False]]
    assert np.array_equal(np.array(values)[index][known], labels[known]) and not index[~known].any()


def test_every_sample_comes_once_whatever_the_batch_size(dataset):
    reader = reader_of(dataset)
    order = shuffled(np.arange(33), 5, 2)
    expected = reader.read(order)
    for size in (1, 4, 16, 32, 33, 100):
        found = list(batches(reader, order, size))
        sizes = [len(batch.labels) for batch in found]
        assert len(found) == batch_count(33, size) and max(sizes) <= size and max(sizes) - min(sizes) <= 1
        assert np.array_equal(np.concatenate([batch.images[0] for batch in found]), expected.images[0])
        for got, want in zip(list(zip(*found))[1:], expected[1:]):
            assert np.array_equal(np.concatenate(got), want)
    shares = [list(batches(reader, order, 16, share=(number, 2))) for number in range(2)]
    for one, two, both in zip(*shares, batches(reader, order, 16)):
        assert np.array_equal(np.concatenate([one.labels, two.labels]), both.labels)


def test_the_order_follows_from_seed_and_epoch_alone():
    indices = np.arange(100, 200)
    assert np.array_equal(shuffled(indices, 1, 3), shuffled(indices, 1, 3))
    assert sorted(shuffled(indices, 1, 3)) == indices.tolist()
    assert len({tuple(shuffled(indices, seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


def test_no_data_is_filled_with_the_mean_and_does_not_count(make_scene, make_dataset, tmp_path):
    images, labels = make_scene(4, 8, 1)
    images[:, 0, 0, 1] = 65535
    labels[:, 1, 1] = 255
    reader = reader_of(make_dataset(tmp_path / 'd', images, labels, ['train'] * 4, nodata='65535'))
    batch = reader.read(np.arange(4))
    mean = np.float32(reader.sources[0].statistics.mean)
    assert (batch.images[0][:, 0, 0] == mean).all() and batch.images[0].dtype == np.float32
    counted = np.ones((4, 8, 8), bool)
    counted[:, 0, 0] = counted[:, 1, 1] = False
    assert np.array_equal(batch.counted, counted)
    assert np.array_equal(batch.images[0][counted], images[counted].astype(np.float32))


def test_a_damaged_shard_is_named_and_reading_can_be_left_early(make_scene, make_dataset, tmp_path):
    images, labels = make_scene(40, 8, 1)
    reader = reader_of(make_dataset(tmp_path / 'd', images, labels, ['train'] * 40))
    running = batches(reader, np.arange(40), 4)
    next(running)
    running.close()
    reader.samples._maps.clear()
    (tmp_path / 'd/labels-00000.npy').unlink()
    with pytest.raises(DatasetError, match='labels-00000'):
        list(batches(reader, np.arange(40), 4))


def test_orders_of_an_epoch():
    indices = np.arange(100, 133)
    assert np.array_equal(epoch_order(indices, TrainOptions(), 8, 5, 2), shuffled(indices, 5, 2))
    whole = epoch_order(indices, TrainOptions(shuffle=False, drop_remainder=True), 8, 5, 2)
    assert np.array_equal(whole, indices[:32])
    assert len(epoch_order(indices, TrainOptions(drop_remainder=True), 34, 5, 2)) == 0
    options = TrainOptions(shuffle_buffer=4)
    order = epoch_order(indices, options, 8, 5, 2)
    assert sorted(order) == indices.tolist() and np.array_equal(order, epoch_order(indices, options, 8, 5, 2))
    assert not np.array_equal(order, epoch_order(indices, options, 8, 5, 3))
    assert (order - indices <= 3).all() and (
        order[:10] != indices[:10]
    ).any()  # nothing comes before it is in the buffer
    assert sorted(epoch_order(indices, TrainOptions(shuffle_buffer=99), 8, 5, 2)) == indices.tolist()
