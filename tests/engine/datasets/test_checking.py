"""Checking a dataset against its manifest: everything that is wrong, at once, in every layout."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from quadrat.engine.datasets.checking import dataset_report
from quadrat.engine.datasets.conversion import convert_dataset
from quadrat.engine.datasets.manifest import read_manifest
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.datasets.tfmetadata import check_metadata, create_metadata
from quadrat.engine.errors import DatasetError, InputMissing
from quadrat.engine.events import Reporter
from quadrat.engine.jobs import ConvertDatasetJob, LayoutOptions

LAYOUTS = ('numpy', 'tfrecords', 'patchesimages')
FILE = 'manifest.json'


@pytest.fixture(scope='module', params=LAYOUTS)
def whole(request, arrays, tmp_path_factory):
    """A dataset as Quadrat writes it, of several files of one kind where the layout has such."""
    folder = tmp_path_factory.mktemp(request.param)
    splits = ('train', 'train', 'test')
    arrays(count=40, forms=(('a', (8, 8, 2), 'int16'), ('b', (4, 4, 1), 'int16')), splits=splits).save(folder / 'raw')
    options = LayoutOptions(request.param, 8)
    convert_dataset(ConvertDatasetJob(str(folder / 'raw'), str(folder / 'whole'), options), Reporter())
    return folder / 'whole'


@pytest.fixture
def dataset(whole, tmp_path):
    """A copy of it that may be damaged."""
    copy = tmp_path / 'd'
    copy.mkdir()
    for path in sorted(whole.rglob('*')):
        place = copy / path.relative_to(whole)
        place.mkdir() if path.is_dir() else place.write_bytes(path.read_bytes())
    return copy


def wrong(folder, full=False):
    """The files that are named: what is wrong; and all lines."""
    report = dataset_report(str(folder), full)
    lines = [*map(str, report.files)]
    assert report.sound == (not report.problems) and all('\n' not in line for line in lines)
    return {file.name: file.status for file in report.problems}, '\n'.join(lines)


def change(folder, edit):
    """Edit the manifest as one does by hand."""
    data = json.loads((folder / FILE).read_text())
    edit(data)
    (folder / FILE).write_text(json.dumps(data, indent=1, ensure_ascii=False))


def shards(folder, key='', split='test'):
    """Paths of the files of one kind."""
    found = read_manifest(str(folder)).shards
    return [shard.path for shard in found if shard.key in ('', key) and shard.split in ('', split)]


def swap(folder, one, other):
    for old, new in ((one, 'x'), (other, one), ('x', other)):
        os.rename(folder / old, folder / new)


@pytest.mark.parametrize('full', [False, True])
def test_a_whole_dataset(dataset, full):
    found, text = wrong(dataset, full)
    assert not found and text.splitlines()[:2] == [f'{FILE}: ok', 'samples.csv: ok']
    report = dataset_report(str(dataset / FILE), full)
    assert report.records == 40 and len(report.files) == 2 + len(read_manifest(str(dataset)).shards)
    data = json.loads((dataset / FILE).read_text())
    assert data['fingerprint'] == read_manifest(str(dataset)).fingerprint()


def test_files_that_are_missing_changed_renamed_or_extra(dataset):
    paths = shards(dataset, 'a')
    gone = paths[0]
    renamed = shards(dataset, 'a', 'train')[-1]
    new = str(Path(renamed).with_suffix('.bak'))
    data = bytearray((dataset / gone).read_bytes())
    os.rename(dataset / renamed, dataset / new)
    (dataset / 'extra.npy').write_bytes(b'mine')
    (dataset / gone).unlink()
    found, text = wrong(dataset)
    assert found == {gone: 'missing', renamed: 'renamed', new: 'unlisted', 'extra.npy': 'unlisted'}
    assert f'{renamed}: this part of the dataset is missing; {new} holds its bytes' in text
    with pytest.raises(DatasetError) as caught:
        Dataset.open(str(dataset))
    assert str(caught.value).startswith(f'{dataset}: 2 problems: ') and gone in str(caught.value)
    assert f'{new} holds its bytes' in str(caught.value) and '\n' not in str(caught.value)
    os.rename(dataset / new, dataset / renamed)
    (dataset / 'extra.npy').unlink()
    data[-9] ^= 1
    (dataset / gone).write_bytes(data)
    assert not wrong(dataset)[0] and set(wrong(dataset, True)[0]) == {gone}
    (dataset / gone).write_bytes(data[:-1])
    assert wrong(dataset)[0] == {gone: 'resized'}


def test_many_problems_are_counted(arrays, tmp_path):
    arrays(count=60).save(tmp_path / 'd', per_shard=3)
    for path in shards(tmp_path / 'd', 'source1'):
        (tmp_path / 'd' / path).unlink()
    with pytest.raises(DatasetError, match=r'20 problems: source1-00000\.npy: .*; and 15 more\. Make') as caught:
        Dataset.open(str(tmp_path / 'd'))
    assert len(str(caught.value)) < 600
    assert len(wrong(tmp_path / 'd')[0]) == 20


def test_swapped_files(dataset):
    if 'image' in read_manifest(str(dataset)).layout:  # one file of a kind in each split: swapped over the splits
        one, other = shards(dataset, 'a')[0], shards(dataset, 'a', 'train')[0]
        swap(dataset, one, other)
        assert wrong(dataset)[0] == {one: 'resized', other: 'resized'}
        return
    one, other = sorted(shards(dataset, 'a', 'train'))[:2]
    swap(dataset, one, other)
    assert not wrong(dataset)[0]
    found, text = wrong(dataset, True)
    assert found == {one: 'changed', other: 'changed'} and f'swapped: they are those of {other}' in text


def test_files_in_another_order(dataset):
    def turn(data):
        data['shards'].reverse()

    change(dataset, turn)
    found, text = wrong(dataset)
    assert found == {FILE: 'faulty'}
    if 'image' in read_manifest(str(dataset)).layout:  # one file of a kind in each split
        assert 'its fingerprint does not fit' in text
    else:
        assert 'their order was changed, and the samples with it' in text
        with pytest.raises(DatasetError, match='their order was changed'):
            Dataset.open(str(dataset))


def other_class(data):
    data['classes'][0]['value'] = 77


def one_class_fewer(data):
    del data['classes'][0]


def class_twice(data):
    data['classes'][0]['value'] = data['classes'][1]['value']


def class_as_unlabelled(data):
    data['labels']['unlabelled'] = 11


def no_labels(data):
    data['labels'] = None


def other_counts(data):
    del data['splits']['train']['pixels']['12']


@pytest.mark.parametrize(
    'edit, words',
    [
        (other_class, 'class 77 has no column of samples.csv'),
        (one_class_fewer, 'samples.csv counts pixels of class 11, which is none of the classes'),
        (class_twice, 'has class 12 2 times'),
        (class_as_unlabelled, 'class 11 is the value of pixels without label'),
        (no_labels, 'has classes, but no labels'),
        (other_counts, "counts pixels of other classes in split 'train'"),
    ],
)
def test_classes_that_were_changed_are_found_before_each_run(dataset, edit, words):
    change(dataset, edit)
    found, text = wrong(dataset)
    assert found[FILE] == 'faulty' and words in text and 'its fingerprint does not fit' in text
    with pytest.raises(DatasetError, match=words):
        Dataset.open(str(dataset))


def test_classes_changed_in_all_places_do_not_fit_the_labels(dataset):
    (dataset / FILE).write_text(
        (dataset / FILE).read_text().replace('"11"', '"77"').replace('"value": 11', '"value": 77')
    )
    table = dataset / 'samples.csv'
    table.write_text(table.read_text().replace('class_11', 'class_77'))
    assert wrong(dataset)[0] == {FILE: 'faulty'} and Dataset.open(str(dataset)).count == 40
    found, text = wrong(dataset, True)
    assert 'labels that are no class: 11 (' in text and len(found) > 1


@pytest.mark.parametrize(
    'edit',
    [
        lambda data: data['classes'][0].update(name='water'),
        lambda data: data['sources'][0].update(rasters=['/elsewhere.tif']),
        lambda data: data['sources'][0].update(bands=['band 1', 'band 0']),
        lambda data: data['sources'][0]['statistics'].update(mean=[0.0, 0.0]),
    ],
)
def test_what_only_the_fingerprint_tells(dataset, edit):
    """Names of classes, provenance, bands, statistics."""
    before = read_manifest(str(dataset)).fingerprint()
    change(dataset, edit)
    assert read_manifest(str(dataset)).fingerprint() != before
    found, text = wrong(dataset)
    assert found == {FILE: 'faulty'} and 'was changed after the dataset was written' in text
    assert Dataset.open(str(dataset)).count == 40  # people may
    change(dataset, lambda data: data.pop('fingerprint'))
    assert not wrong(dataset)[0]


@pytest.mark.parametrize(
    'edit, words',
    [
        (lambda data: data['sources'][0].update(dtype='uint16'), r'manifest says uint16|bands of uint16|be uint16'),
        (lambda data: data['sources'][0].update(dtype='int17'), "unknown type 'int17'"),
        (lambda data: data['sources'][0].update(shape=[8, 8, 3]), r'of shape \((8, )+3\)|of 3 bands of int16'),
        (lambda data: data['shards'][0].update(path='../d/x'), 'names ../d/x, which is no file within the folder'),
        (lambda data: data['shards'][0].update(key='c'), "holds 'c', which the manifest knows neither|names [0-9]+ of"),
        (lambda data: data['shards'][1].update(path=data['shards'][0]['path']), 'names .* 2 times; it was changed'),
        (lambda data: data['shards'].pop(0), 'names [0-9]+ of [0-9]+ samples of'),
        (lambda data: data['splits']['train'].update(count=3), "samples of split 'train', the manifest says 3"),
        (lambda data: data.update(count='many'), 'count: expected int'),
    ],
)
def test_manifests_that_do_not_fit(dataset, edit, words):
    change(dataset, edit)
    found, text = wrong(dataset, full=True)  # the form of what stands in records shows when they are read
    assert found and re.search(words, text), text


def test_folders_without_a_dataset(dataset, arrays, tmp_path):
    (dataset / FILE).write_text('{')
    found, text = wrong(dataset)
    assert found == {FILE: 'faulty'} and 'cannot be read' in text
    (dataset / FILE).unlink()
    found, text = wrong(dataset)
    assert found in ({FILE: 'missing'}, {FILE: 'faulty'}) and ('not of Quadrat' in text or 'no manifest.json' in text)
    with pytest.raises(InputMissing):
        dataset_report(str(tmp_path / 'nowhere'))


def test_both_kinds_of_metadata_live_together(arrays, tmp_path):
    arrays(count=20, splits=None).save(tmp_path / 'd', 'tfrecords', 4)
    assert create_metadata(str(tmp_path / 'd/*')).records == 20
    assert not wrong(tmp_path / 'd', True)[0] and check_metadata(str(tmp_path / 'd'), full=True).sound
    convert_dataset(ConvertDatasetJob(str(tmp_path / 'd'), str(tmp_path / 'e')), Reporter())
    convert_dataset(ConvertDatasetJob(str(tmp_path / 'e'), str(tmp_path / 'd'), LayoutOptions('tfrecords')), Reporter())
    assert not wrong(tmp_path / 'd', True)[0]


def test_a_damaged_table_hides_nothing_else(dataset):
    (dataset / 'samples.csv').write_text('nonsense')
    gone = shards(dataset, 'a')[0]
    (dataset / gone).unlink()
    with pytest.raises(DatasetError) as caught:
        Dataset.open(str(dataset))
    message = str(caught.value)
    assert 'samples.csv' in message and gone in message and '2 problems' in message and '\n' not in message
    found, _ = wrong(dataset, True)
    assert {'samples.csv', gone} <= set(found)
