"""Feeders of samples in memory and of datasets."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.datasets.feeders.dataset import DatasetFeeder
from quadrat.engine.datasets.feeders.making import make_feeder
from quadrat.engine.datasets.feeders.memory import MemorySamplesFeeder
from quadrat.engine.errors import DatasetError, InputMissing, InvalidJob
from quadrat.engine.events import Reporter
from quadrat.engine.jobs import FeederSpec


class Frame:
    """As much of a data frame as a feeder needs."""

    def __init__(self, **columns):
        self._data = columns
        self.columns = [*columns]

    def __getitem__(self, name):
        return self._data[name]

    def to_numpy(self):
        return np.stack([*self._data.values()], -1)


def all_of(feeder):
    """All samples, in their order."""
    ((features, labels),) = feeder.batches()
    return features, labels


def test_arrays_lists_columns_and_frames():
    order = {'batch_size': 4, 'shuffle': False}
    features, labels = all_of(MemorySamplesFeeder(np.eye(4), [1, 2, 3, 4], **order))
    assert np.array_equal(features['x'], np.eye(4)) and labels['y'].tolist() == [1, 2, 3, 4]
    features, labels = all_of(MemorySamplesFeeder({'a': [1, 2, 3, 4], 'b': np.zeros((4, 2, 2))}, **order))
    assert features['a'].tolist() == [1, 2, 3, 4] and features['b'].shape == (4, 2, 2) and labels is None
    frame = Frame(a=np.arange(4), b=np.arange(4) * 2)
    features, labels = all_of(MemorySamplesFeeder(frame, Frame(c=np.arange(4)), **order))
    assert features['b'].tolist() == [0, 2, 4, 6] and [*features] == ['a', 'b'] and [*labels] == ['c']
    features, _ = all_of(MemorySamplesFeeder(frame, feed_as_dict=False, **order))
    assert features['x'].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6]]


def test_batches_order_and_number():
    def batches(**options):
        feeder = MemorySamplesFeeder(np.arange(8), np.arange(8), **options)
        found = [(x['x'].tolist(), y['y'].tolist()) for x, y in feeder.batches(2)]
        assert len(found) == feeder.total_steps(2) and all(x == y for x, y in found)
        assert [x['x'].numpy().tolist() for x, _ in feeder.get_input_fn(2)()] == [x for x, _ in found]
        return [x for x, _ in found]

    assert batches(batch_size=6, shuffle=False) == [[0, 1, 2, 3, 4, 5], [6, 7, 0, 1, 2, 3], [4, 5, 6, 7]]
    assert [len(batch) for batch in batches(batch_size=3, drop_remainder=True)] == [3] * 5
    assert batches(batch_size=6, seed=3) == batches(batch_size=6, seed=3) != batches(batch_size=6, seed=4)
    assert {number for batch in batches(batch_size=3, max_examples=3) for number in batch} < set(range(8))


def test_what_does_not_fit_is_refused():
    def refused(match, *data, **options):
        with pytest.raises(InvalidJob, match=match):
            MemorySamplesFeeder(*data, **{'batch_size': 1, **options})

    refused('y has 3 samples, and x 4', np.zeros(4), np.zeros(3))
    refused('b has 3 samples, and a 4', {'a': np.zeros(4), 'b': np.zeros(3)})
    refused('feed_as_dict', {'a': np.zeros(4)}, feed_as_dict=False)
    refused('different shapes', [[1, 2], [3]])
    refused('no samples', [])
    refused('batch_size 5, and there are 4', np.zeros(4), batch_size=5)
    refused('batch_size 0', np.zeros(4), batch_size=0)


def made(kind='MemorySamplesFeeder', **options):
    return make_feeder(FeederSpec(kind, options), 'feeders.train', Reporter())


def test_tables_and_arrays_in_files(tmp_path):
    table, arrays, x = (str(tmp_path / name) for name in ('t.csv', 'a.npz', 'x.npy'))
    with open(table, 'w', encoding='utf-8-sig') as file:
        file.write('a,b,class\n1,0.5,3\n2,,4\n\n3,1e-3,3\n')
    np.savez(arrays, a=np.arange(3), b=np.ones((3, 2)), c=np.arange(3))
    np.save(x, np.arange(6).reshape(3, 2))
    feeder = made(csv=table, labels='class')
    assert feeder.options.batch_size == 3
    assert feeder.source.features['x'].bands == ('a', 'b')
    features, labels = feeder.source.features['x'].values, feeder.source.labels['class'].values
    assert np.array_equal(features, [[1, 0.5], [2, np.nan], [3, 1e-3]], equal_nan=True)
    assert labels.tolist() == [3, 4, 3] and labels.dtype == np.int64
    assert [*made(csv=table, labels='class', feed_as_dict=True).source.features] == ['a', 'b']
    assert [*made(npz=arrays, features=['b'], labels=['c']).source.features] == ['b']
    assert made(x=x, y=x).source.labels['y'].values.tolist() == [[0, 1], [2, 3], [4, 5]]

    def refused(error, match, **options):
        with pytest.raises(error, match=match):
            made(**options)

    (tmp_path / 'bad.csv').write_text('a,b\n1,2\n1,two\n')
    refused(DatasetError, r"bad\.csv: line 3: b is 'two'", csv=str(tmp_path / 'bad.csv'))
    (tmp_path / 'bad.csv').write_text('a,b\n1,2\n1\n')
    refused(DatasetError, 'line 3: 1 cells, and 2 columns', csv=str(tmp_path / 'bad.csv'))
    for text, match in (
        ('a;b\n1;0,5\n', r"line 2: 2 cells, and 1 columns. Is its delimiter ';'"),
        ('a;b\n1;5\n', r"'1;5', which is no number. Is its delimiter ';'"),
        ('a,b\n1,"0,5"\n', r"b is '0,5', which is no number. Decimals are written with a point"),
        ('a,b\n1,1_000\n', r"b is '1_000', which is no number"),
    ):
        (tmp_path / 'bad.csv').write_text(text)
        refused(DatasetError, match, csv=str(tmp_path / 'bad.csv'))
    refused(InvalidJob, "no column 'clas'. Did you mean 'class'", csv=table, labels='clas')
    refused(InvalidJob, 'no column is left', csv=table, labels=['a', 'b', 'class'])
    refused(InputMissing, 'no such file', csv=table + '2')
    refused(InvalidJob, 'csv and npz', csv=table, npz=arrays)
    refused(InvalidJob, 'feeders.train: .*none is given')
    refused(DatasetError, 'cannot be read as .npy', x=arrays)
    refused(DatasetError, 'cannot be read as .npz', npz=x)
    refused(InvalidJob, "no feeder 'Memory'", kind='Memory')
    np.savez(arrays, a=np.float64(1))
    refused(InvalidJob, 'a: has no samples', npz=arrays)
    np.savez(arrays, a=np.array([{}], object))
    refused(DatasetError, 'cannot be read as .npz', npz=arrays)


@pytest.mark.parametrize('layout', ['numpy', 'tfrecords', 'patchesimages'])
def test_datasets_of_any_layout(arrays, tmp_path, layout):
    made_up = arrays()
    folder = made_up.save(tmp_path / 'data', layout).folder
    train = made_up.splits['train']
    features, labels = all_of(DatasetFeeder(folder, 'train', batch_size=len(train), shuffle=False))
    assert np.array_equal(features['source1'], made_up.arrays['source1'][train])
    assert np.array_equal(labels['labels'], made_up.arrays['labels'][train])
    assert DatasetFeeder(folder, batch_size=7, max_examples=7).count == 7
    feeder = made('Dataset', folder=folder)
    assert feeder.count == feeder.options.batch_size == len(made_up.samples)
    with pytest.raises(InvalidJob, match=r"split 'trian'.*Did you mean 'train'"):
        DatasetFeeder(folder, 'trian')


def test_folders_of_other_programs(arrays, tmp_path):
    made_up = arrays(splits=())
    folder = made_up.save(tmp_path / 'data', 'tfrecords').folder
    (tmp_path / 'data' / 'manifest.json').unlink()
    features, labels = all_of(DatasetFeeder(folder, batch_size=40, shuffle=False))
    assert np.array_equal(features['source1'], made_up.arrays['source1']) and labels['labels'].shape == (40, 8, 8, 1)
    _, labels = all_of(DatasetFeeder(folder, labels='none', batch_size=40))
    assert labels is None
