"""Several datasets as one, compared with their arrays laid end to end."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat.engine.datasets.merging import merge_datasets
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.datasets.statistics import RunningStatistics
from quadrat.engine.errors import DatasetError, InvalidJob, OutputRefused
from quadrat.engine.events import Reporter
from quadrat.engine.jobs import LayoutOptions, MergeDatasetsJob
from quadrat.engine.vector import spatial_reference, transformation


@pytest.fixture
def merge(tmp_path, listening, said):
    """A function that merges folders: ``(folders, layout) -> (dataset, what was said, warnings)``."""

    def run(folders, layout='numpy', output='merged'):
        reporter, events = listening()
        job = MergeDatasetsJob(tuple(map(str, folders)), str(tmp_path / output), LayoutOptions(layout, 7))
        values = merge_datasets(job, reporter)
        dataset = Dataset.open(values['OUTPUT'])
        assert values['COUNT'] == dataset.count
        return dataset, said(events, 'log'), said(events, 'warning')

    return run


def joined(key, *parts):
    return np.concatenate([part.arrays[key] for part in parts])


@pytest.mark.parametrize('layout', ['numpy', 'tfrecords', 'patchesimages'])
def test_samples_follow_one_another(arrays, merge, tmp_path, layout):
    a, b, c = (arrays(seed=seed, count=count, first=100 * seed) for seed, count in ((0, 30), (1, 20), (2, 11)))
    folders = [tmp_path / name for name in 'abc']
    for part, folder, kind in zip((a, b, c), folders, ('numpy', 'tfrecords', 'patchesimages')):
        part.save(folder, kind)
    dataset, _, warnings = merge(folders, layout)
    assert warnings == '' and dataset.manifest.layout == layout
    order = np.random.default_rng(0).permutation(61)
    for key in ('source1', 'labels'):
        np.testing.assert_array_equal(dataset.read(key, order), joined(key, a, b, c)[order])
    assert dataset.samples.ids == a.samples.ids + b.samples.ids + c.samples.ids
    assert dataset.samples.splits == a.samples.splits + b.samples.splits + c.samples.splits
    np.testing.assert_array_equal(dataset.samples.x, np.concatenate([part.samples.x for part in (a, b, c)]))
    running = RunningStatistics(3)
    train = joined('source1', a, b, c)[dataset.indices('train')]
    running.add_many(train, np.ones(train.shape[:3], bool))
    assert dataset.manifest.sources[0].statistics == running.result()
    assert dataset.manifest.classes == a.manifest.classes
    for split, info in dataset.manifest.splits.items():
        found = dataset.read('labels', dataset.indices(split))
        assert info.count == len(found)
        assert info.pixels == {str(value): int((found == value).sum()) for value in (11, 12, 41)}
    assert dataset.manifest.extent == (600000.0, 5799990.0, 600000.0 + 16 * 211, 5800010.0)


def test_types_classes_and_missing_labels_are_reconciled(arrays, merge, tmp_path):
    """Class 255 of one dataset is "no label" in the other; a no-data value of one is a class in the other."""
    a = arrays(count=20, values=(1, 2, 0), names={0: 'ground', 1: 'roof', 2: '2'})
    b = arrays(
        seed=1, count=15, first=50, forms=(('source1', (8, 8, 3), 'float32'),), values=(1, 2, 255, 300),
        unlabelled=7, nodata=0, dtype='int16', names={1: 'Dach', 2: 'road', 255: 'sea', 300: 'tree'},
    )  # fmt: skip
    a.save(tmp_path / 'a')
    b.save(tmp_path / 'b', 'patchesimages')
    dataset, _, warnings = merge([tmp_path / 'a', tmp_path / 'b'])
    labels = dataset.manifest.labels
    names = {item.value: item.name for item in dataset.manifest.classes}
    assert names == {0: 'ground', 1: 'roof', 2: 'road', 255: 'sea', 300: 'tree'}
    assert f"Class 1 is 'roof' in {tmp_path / 'a'} and 'Dach' in {tmp_path / 'b'}; the first name is kept" in warnings
    assert dataset.read('source1', [0]).dtype == 'float32' and labels.dtype == 'uint16'
    np.testing.assert_array_equal(dataset.read('source1', range(35)), joined('source1', a, b))
    values = {*names, labels.unlabelled, labels.nodata}
    assert len(values) == 7 and labels.nodata is not None
    found, expected = dataset.read('labels', range(35)), joined('labels', a, b).astype(int)
    expected[:20][a.arrays['labels'] == 255] = labels.unlabelled
    expected[20:][b.arrays['labels'] == 7] = labels.unlabelled
    expected[20:][b.arrays['labels'] == 0] = labels.nodata
    np.testing.assert_array_equal(found, expected)
    for old, new in ((255, labels.unlabelled), (7, labels.unlabelled), (0, labels.nodata)):
        assert f'pixels without label have the value {old} there and {new} here' in warnings
    np.testing.assert_array_equal(dataset.samples.pixels[255], (found == 255).sum((1, 2, 3)))


def test_ids_that_clash_get_the_number_of_their_dataset(arrays, merge, tmp_path):
    for seed, name in enumerate('abc'):
        arrays(seed=seed, count=5, first=3 * (name == 'c')).save(tmp_path / name)
    dataset, said_, warnings = merge([tmp_path / name for name in 'abc'])
    assert dataset.samples.ids[:7] == ('0', '1', '2', '3', '4', '2-0', '2-1') and dataset.samples.ids[-1] == '3-7'
    assert len(set(dataset.samples.ids)) == 15
    assert 'ids occur in other datasets too and are 2-0' in said_
    assert 'At 5 places there are several samples of the same image' in warnings
    assert 'samples of the same image are in different splits' in warnings
    again, _, _ = merge([tmp_path / 'merged', tmp_path / 'b'], output='again')
    assert len(set(again.samples.ids)) == 20


def test_another_crs_moves_the_places(arrays, merge, tmp_path):
    a, b = arrays(count=6), arrays(count=7, seed=1, first=20, epsg=32632)
    a.save(tmp_path / 'a')
    b.save(tmp_path / 'b')
    dataset, _, warnings = merge([tmp_path / 'a', tmp_path / 'b'])
    to_first = transformation(b.manifest.crs, a.manifest.crs)
    expected = np.array(to_first.TransformPoints(np.stack([b.samples.x, b.samples.y], 1).tolist()))
    np.testing.assert_allclose(dataset.samples.x[6:], expected[:, 0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(dataset.samples.y[6:], expected[:, 1], rtol=0, atol=1e-6)
    assert dataset.manifest.crs == a.manifest.crs and 'is in EPSG:32632' in warnings
    west, south, east, north = dataset.manifest.extent
    assert west <= dataset.samples.x.min() and dataset.samples.x.max() <= east
    assert south <= dataset.samples.y.min() and dataset.samples.y.max() <= north


def test_places_far_apart_are_in_degrees(arrays, merge, tmp_path):
    """Atlanta has no place in zone 31."""
    arrays(count=3).save(tmp_path / 'a')
    arrays(count=2, first=20, epsg=32616).save(tmp_path / 'b')
    dataset, _, warnings = merge([tmp_path / 'a', tmp_path / 'b'])
    np.testing.assert_allclose(dataset.samples.x, [4.46] * 3 + [-85.53] * 2, atol=0.02)
    np.testing.assert_allclose(dataset.samples.y, [52.34] * 5, atol=0.02)
    assert (
        spatial_reference(dataset.manifest.crs).GetAuthorityCode(None) == '4326' and warnings.count('is in EPSG') == 2
    )
    assert dataset.manifest.extent[0] < -85 and dataset.manifest.extent[2] > 4


def test_unsplit_datasets_and_folders_of_others(arrays, merge, tmp_path):
    a, b = arrays(count=9, splits=None), arrays(count=5, seed=1, first=50, splits=None)
    a.save(tmp_path / 'a', 'patchesimages')
    b.save(tmp_path / 'b', 'patchesimages')
    os.remove(tmp_path / 'b/manifest.json')
    dataset, text, _ = merge([tmp_path / 'a', tmp_path / 'b'], 'patchesimages')
    assert dataset.manifest.unsplit and os.path.isfile(tmp_path / 'merged/labels.tif')
    assert f'{tmp_path / "b"} has no manifest. Found in it: patchesimages, 5 samples' in text
    np.testing.assert_array_equal(dataset.read('labels', range(14)), joined('labels', a, b))
    assert np.isnan(dataset.samples.x[9:]).all() and dataset.manifest.extent == a.manifest.extent
    with_splits = arrays(count=4, seed=2, first=90, splits=('test',)).save(tmp_path / 'c')
    dataset, _, _ = merge([with_splits.folder, with_splits.folder.replace('/c', '/a')], output='d')
    assert {split: info.count for split, info in dataset.manifest.splits.items()} == {'train': 9, 'test': 4}


@pytest.mark.parametrize(
    'policies, nodatas, expected',
    [
        (('any', 'any'), ('0', '0'), ('0', 'any')),
        (('any', 'all'), ('0', '0'), ('0', 'all')),
        (('any', 'any'), ('0', '5'), ('', 'any')),
        (('any', 'ignore'), ('0', '5'), ('5', 'ignore')),
        (('all', 'ignore'), ('0', '0'), ('0', 'all')),
        (('all', 'all'), ('0', '5'), None),
    ],
)
def test_no_data_of_two_datasets(arrays, merge, tmp_path, policies, nodatas, expected):
    for number, (policy, nodata) in enumerate(zip(policies, nodatas)):
        arrays(count=4, first=10 * number, policy=policy, source_nodata=nodata).save(tmp_path / str(number))
    folders = [tmp_path / '0', tmp_path / '1']
    if expected is None:
        with pytest.raises(DatasetError, match=f'no-data is 0 in {folders[0]} and 5 in {folders[1]}'):
            merge(folders)
        return
    dataset, _, warnings = merge(folders)
    source = dataset.manifest.sources[0]
    assert (source.nodata[0], source.nodata_policy) == expected
    assert bool(warnings) == (nodatas[0] != nodatas[1] or set(policies) == {'all', 'ignore'})


def test_datasets_that_cannot_be_one(arrays, merge, tmp_path):
    cases = {
        'a': {},
        'name': {'forms': (('other', (8, 8, 3), 'int16'),)},
        'size': {'forms': (('source1', (4, 4, 3), 'int16'),)},
        'labels': {'labels': (1, 1, 1)},
        'none': {'labels': None},
    }
    for number, (name, changes) in enumerate(cases.items()):
        arrays(count=4, first=10 * number, **changes).save(tmp_path / name)
    for name, words in (
        ('name', 'has the sources source1 and {} has other'),
        ('size', 'source1: patches are of 8 x 8 pixels and 3 bands in {a} and of 4 x 4 pixels and 3 bands in {}'),
        ('labels', 'Labels are of 8 x 8 pixels and 1 bands in {a} and of 1 x 1 pixels and 1 bands in {}'),
        ('none', '{a} has labels and {} has none'),
    ):
        with pytest.raises(DatasetError) as caught:
            merge([tmp_path / 'a', tmp_path / name])
        assert words.format(tmp_path / name, a=tmp_path / 'a') in str(caught.value)
        assert '\n' not in str(caught.value) and not (tmp_path / 'merged').exists()
    with pytest.raises(InvalidJob, match='Two or more'):
        merge([tmp_path / 'a'])
    with pytest.raises(InvalidJob, match='given twice'):
        merge([tmp_path / 'a', tmp_path / 'name/../a'])
    with pytest.raises(OutputRefused, match='this is the dataset that is read'):
        merge([tmp_path / 'a', tmp_path / 'name'], output='name')
    (tmp_path / 'a/samples.csv').unlink()
    with pytest.raises(DatasetError, match=r'a/samples\.csv: cannot be read'):
        merge([tmp_path / 'a', tmp_path / 'name'])


def test_no_training_samples(arrays, merge, tmp_path):
    for number, name in enumerate('ab'):
        arrays(count=4, first=10 * number, splits=('test',)).save(tmp_path / name)
    dataset, _, warnings = merge([tmp_path / 'a', tmp_path / 'b'])
    assert dataset.manifest.sources[0].statistics.count == (8 * 64,) * 3
    assert "No sample is in the split 'train'" in warnings


def test_cancelling_and_a_damaged_dataset_leave_nothing(arrays, tmp_path):
    a, b = (arrays(count=4, first=10 * i).save(tmp_path / 'in' / name) for i, name in enumerate('ab'))
    path = b.path(b.manifest.shards[0])
    os.truncate(path, os.path.getsize(path) - 1)
    with pytest.raises(DatasetError, match=path):
        merge_datasets(MergeDatasetsJob((a.folder, b.folder), str(tmp_path / 'out')), Reporter())
    assert os.listdir(tmp_path) == ['in']
