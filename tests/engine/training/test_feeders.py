"""Training with feeders: TFRecords that TensorFlow wrote, tables, arrays and datasets."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from quadrat import engine
from quadrat.engine import jobs
from quadrat.engine.datasets.feeders.memory import MemorySamplesFeeder
from quadrat.engine.datasets.manifest import read_manifest
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.datasets.statistics import RunningStatistics
from quadrat.engine.errors import DatasetError, EngineError, InvalidJob, LabelError
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import ClassDef, Feeders, FeederSpec, TrainJob, TrainOptions
from quadrat.engine.model_package.package import open_package
from quadrat.engine.training.network import check_network
from quadrat.engine.training.opening import open_material
from quadrat.engine.training.trainer import train_model

UNLABELLED = 255
SMALL = TrainOptions(filters=4, depth=0)
DENSE = TrainOptions(network={'hidden_neurons': 8})


def fixed(shape, dtype='int64') -> dict:
    return {'type': 'FixedLenFeature', 'shape': list(shape), 'dtype': dtype}


def write(path, **columns) -> str:
    """Records with a feature of each column: integers, floating point, or bytes."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for sample in zip(*columns.values()):
            features = {}
            for name, value in zip(columns, sample):
                if isinstance(value, bytes):
                    features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                elif np.asarray(value).dtype.kind == 'f':
                    features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(value)))
                else:
                    features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=np.ravel(value)))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(path)


def records(path, features, labels, **options) -> FeederSpec:
    maps = {'file_patterns': [path], 'features_map': features, 'labels_map': labels}
    return FeederSpec('TFRecordExamplesFeeder', {**maps, **options})


def job_of(train, validation=None, output='', **settings) -> TrainJob:
    settings = {'epochs': 2, 'batch_size': 8, 'options': SMALL, **settings}
    return TrainJob('', str(output), feeders=Feeders(train, validation), **settings)


def fit(job) -> tuple[dict, list]:
    """Train; returns the record and what was said."""
    said: list = []
    train_model(job, Reporter(said.append))
    return json.loads((Path(job.output) / 'training.json').read_text()), said


def weights(folder) -> list[np.ndarray]:
    return keras.models.load_model(Path(folder) / 'model/model.keras', compile=False).get_weights()


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a), weights(b)))


@pytest.fixture(scope='module')
def arrays(make_scene):
    """24 images with labels, some pixels without, and the split of each."""
    images, labels = make_scene(24, 16, 0)
    labels[:, :2, :5] = UNLABELLED
    return images, labels, ['train'] * 16 + ['validation'] * 8


@pytest.fixture(scope='module')
def folder(arrays, make_dataset, tmp_path_factory) -> str:
    """These as a dataset; its statistics are computed as the extraction does."""
    found = make_dataset(tmp_path_factory.mktemp('data') / 'dataset', *arrays)
    manifest, running = read_manifest(found), RunningStatistics(3)
    running.add_many(arrays[0][:16])
    source = dataclasses.replace(manifest.sources[0], statistics=running.result())
    Path(found, 'manifest.json').write_text(dataclasses.replace(manifest, sources=(source,)).to_json())
    return found


@pytest.fixture(scope='module')
def trained(folder, tmp_path_factory) -> Path:
    """Trained with the dataset as it is."""
    output = tmp_path_factory.mktemp('trained') / 'package'
    train_model(TrainJob(folder, str(output), epochs=2, batch_size=8, options=SMALL), Reporter())
    return output


def test_records_give_the_weights_that_the_dataset_gives(arrays, trained, tmp_path):
    images, labels, _ = arrays
    paths = [
        write(tmp_path / f'{name}.tfrecord', source1=images[part].astype(int), **{'the/labels': labels[part]})
        for name, part in (('train', slice(16)), ('validation', slice(16, 24)))
    ]
    maps = {'source1': fixed((16, 16, 3))}, {'the/labels': fixed((16, 16))}
    specs = [records(path, *maps, unlabelled=UNLABELLED) for path in paths]
    record, _ = fit(job_of(*specs, output=tmp_path / 'package'))
    assert same(tmp_path / 'package', trained)
    with open_package(str(tmp_path / 'package')) as package:
        assert package.card.inputs[0].pixel_size == (0, 0)  # so that no map is said to have other pixels
    assert [item['value'] for item in record['classes']] == [3, 7, 9]
    assert {name: split['samples'] for name, split in record['dataset']['splits'].items()} == {
        'train': 16,
        'validation': 8,
    }


@pytest.mark.parametrize('layout', ['numpy', 'tfrecords', 'patchesimages'])
def test_datasets_of_any_layout_give_the_same_weights(folder, trained, tmp_path, layout):
    place = folder
    if layout != 'numpy':
        place = str(tmp_path / layout)
        engine.run(jobs.ConvertDatasetJob(folder, place, jobs.LayoutOptions(layout)))
    specs = [FeederSpec('Dataset', {'folder': place, 'split': split}) for split in ('train', 'validation')]
    fit(job_of(*specs, output=tmp_path / 'package'))
    assert same(tmp_path / 'package', trained)


def test_a_part_of_a_dataset_has_statistics_of_its_own(folder, arrays):
    def material(**options):
        return open_material(job_of(FeederSpec('Dataset', {'folder': folder, **options})), Reporter())

    whole, part = material(), material(split='train', max_examples=5, seed=1)
    everything = RunningStatistics(3)
    everything.add_many(arrays[0])
    assert whole.sources[0].statistics == everything.result()
    assert part.sources[0].statistics != Dataset.open(folder).manifest.sources[0].statistics
    assert part.splits['train'].count == 5 and [*part.splits] == ['train']
    assert part.manifest.fingerprint() != material(split='train', max_examples=5, seed=2).manifest.fingerprint()
    assert len(set(part.samples.samples.ids) - set(map(str, range(16)))) == 0


def test_numbers_as_classes(tmp_path):
    path = write(tmp_path / 'numbers.tfrecord', number=range(10))
    number = {'number': fixed([1])}
    spec = records(path, number, number, batch_size=10, shuffle=False)
    options = dataclasses.replace(DENSE, shuffle=False)
    classes = tuple(ClassDef(value) for value in range(100))
    job = job_of(spec, spec, tmp_path / 'package', task='classification', architecture='dense', batch_size=10)
    job = dataclasses.replace(job, classes=classes, options=options)
    record, said = fit(job)
    missing = [event.text for event in said if isinstance(event, Warn) and 'class' in event.text]
    assert len(missing) == 1 and '90 of 100 classes' in missing[0]
    assert len(record['classes']) == 100 and record['dataset']['bands'] == ['number']
    with pytest.raises(InvalidJob, match=r'feeders\.train\.batch_size is 10, and batch_size of the training 5'):
        open_material(dataclasses.replace(job, batch_size=5), Reporter())


def test_values_of_samples_are_learnt(tmp_path):
    images = np.random.default_rng(0).normal(size=(20, 8, 8, 2)).astype(np.float32)
    path = write(tmp_path / 'a.tfrecord', image=images, values=images.mean((1, 2, 3)), other=np.ones(20))
    features = {'image': fixed((8, 8, 2), 'float32'), 'values': fixed((), 'float32')}
    labels = {'values': fixed((), 'float32'), 'other': fixed([1], 'float32')}
    settings = {'task': 'regression', 'architecture': 'patchcnn'}
    with pytest.raises(InvalidJob, match='labels values, other'):
        open_material(job_of(records(path, features, labels), **settings), Reporter())
    options = dataclasses.replace(SMALL, target='values', sources=('image',))
    spec = records(path, features, labels)
    record, _ = fit(job_of(spec, spec, tmp_path / 'package', **{**settings, 'options': options}))
    spread = record['dataset']['splits']['train']['values']
    assert spread['mean'] == pytest.approx(images.mean(), abs=1e-6) and spread['stddev'] > 0
    assert record['results']['validation']['rmse'] is not None


def test_tables_are_learnt_as_classes_and_as_values(tmp_path):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 30))
    path = tmp_path / 'table.csv'
    rows = [f'{x},{y},{11 if x > y else 12},{x - y}' for x, y in zip(a, b)]
    path.write_text('a,b,class,difference\n' + '\n'.join(['', *rows]) + '\n,3,,\n')
    for task, label in (('classification', 'class'), ('regression', 'difference')):
        spec = FeederSpec('MemorySamplesFeeder', {'csv': str(path), 'features': ['a', 'b'], 'labels': [label]})
        job = job_of(spec, spec, tmp_path / task, task=task, architecture='dense', options=DENSE, epochs=3)
        record, _ = fit(job)
        assert record['dataset']['bands'] == ['a', 'b'] and record['dataset']['splits']['train']['samples'] == 30
        losses = [item['training']['loss'] for item in record['history']]
        assert losses[-1] < losses[0]
        if task == 'classification':
            assert [item['value'] for item in record['classes']] == [11, 12]
    apart = FeederSpec('MemorySamplesFeeder', {'csv': str(path), 'labels': ['class'], 'feed_as_dict': True})
    job = job_of(apart, task='classification', architecture='dense', options=DENSE)
    material = open_material(job, Reporter())
    check_network(job, material)
    assert [source.name for source in material.sources] == ['a', 'b', 'difference']


def test_feeders_of_a_program_and_pictures_as_labels(arrays, tmp_path):
    images, labels, _ = arrays

    def png(array):
        out = io.BytesIO()
        Image.fromarray(array).save(out, 'PNG')
        return out.getvalue()

    brief = {'batch_size': 4, 'unlabelled': UNLABELLED}
    feeder = MemorySamplesFeeder(images, labels, **brief)
    job = TrainJob('', '', options=SMALL)
    material = open_material(job, Reporter(), {'train': feeder, 'test': MemorySamplesFeeder(images, labels, **brief)})
    assert [*material.splits] == ['train', 'test'] and material.per_pixel
    package = str(tmp_path / 'package')
    done = train_model(dataclasses.replace(job, output=package, epochs=1), Reporter(), {'train': feeder})
    assert done['OUTPUT'] == package and (tmp_path / 'package' / 'item.json').is_file()
    with pytest.raises(InvalidJob, match='from feeders; give one of them'):
        train_model(dataclasses.replace(job, dataset='a'), Reporter(), {'train': feeder})
    pictures = [png((image // 32).astype(np.uint8)) for image in images]
    path = write(tmp_path / 'a.tfrecord', image=pictures, mask=[png(label[..., 0]) for label in labels])
    mask = {'mask': {'type': 'ImageFeature', 'channels': 1, 'enforced_dtype': 'uint8'}}
    spec = records(path, {'image': {'type': 'ImageFeature'}}, mask, unlabelled=UNLABELLED)
    found = open_material(job_of(spec), Reporter())
    assert np.array_equal(found.splits['train'].pixels, material.splits['train'].pixels)
    assert found.sources[0].statistics.maximum <= (1.0,) * 3


def test_what_no_network_learns_is_refused(arrays, tmp_path):
    images = arrays[0].astype(int)
    labels = arrays[1].astype(int)
    text = [b'a'] * 24
    path = write(
        tmp_path / 'a.tfrecord',
        image=images,
        labels=labels,
        text=text,
        half=np.arange(24) / 2,
        far=np.arange(24) + 2**40,
        low=np.full(24, -(2**63)),
        constant=np.ones(24, int),
    )
    image, mask = {'image': fixed((16, 16, 3))}, {'labels': fixed((16, 16, 1))}

    def refused(error, match, features=image, labels=mask, validation=None, **settings):
        job = job_of(records(path, features, labels), validation, **settings)
        with pytest.raises(EngineError, match=match) as caught:
            open_material(job, Reporter())
        assert isinstance(caught.value, error) and '\n' not in str(caught.value)

    classification = {'task': 'classification'}
    refused(InvalidJob, "'text' is text", {'text': fixed([], 'string')})
    refused(InvalidJob, r"'image' is of the shape \[2, 8, 16, 3\]", {'image': fixed((2, 8, 16, 3))})
    refused(InvalidJob, 'nothing to learn', labels={})
    refused(InvalidJob, 'one is learnt; leave one', labels={**mask, 'constant': fixed([])})
    refused(InvalidJob, r"'labels' is of the shape \[256\]", labels={'labels': fixed([256])})
    refused(LabelError, 'record 1: the label 0.5 is no class', labels={'half': fixed([], 'float32')}, **classification)
    refused(LabelError, 'record 0: the label .* is no class', labels={'far': fixed([])}, **classification)
    refused(LabelError, 'record 0: the label .* is no class', labels={'low': fixed([])}, **classification)
    refused(LabelError, 'only class 1', labels={'constant': fixed([])}, **classification)
    refused(DatasetError, 'labels each pixel|segmentation labels', labels={'constant': fixed([])})
    refused(InvalidJob, "'a/b' and 'a_b' would both", {'a/b': fixed([], 'int64'), 'a_b': fixed([])})
    np.savez(tmp_path / 'a.npz', x=np.ones((4, 2), complex), y=np.arange(4))
    spec = FeederSpec('MemorySamplesFeeder', {'npz': str(tmp_path / 'a.npz'), 'labels': ['y']})
    with pytest.raises(InvalidJob, match="'x' has complex numbers"):
        open_material(job_of(spec, **classification), Reporter())
    other = write(tmp_path / 'b.tfrecord', image=images[:, ::2], labels=labels[:, ::2])
    smaller = records(other, {'image': fixed((8, 16, 3))}, {'labels': fixed((8, 16))})
    refused(DatasetError, r'b\.tfrecord: patches of image are of 16 x 8', validation=smaller)
    lists = write(tmp_path / 'l.tfrecord', list=images[:, 0, :7, 0], class_=range(24))
    short = write(tmp_path / 's.tfrecord', list=images[:, 0, :5, 0], class_=range(24))
    maps = {'list': {'type': 'VarLenFeature', 'dtype': 'int64'}}, {'class_': fixed([])}
    with pytest.raises(DatasetError, match=r'5 bands there and .* 7 bands .*"length"'):
        open_material(job_of(records(lists, *maps), records(short, *maps), **classification), Reporter())
    strange = write(tmp_path / 'c.tfrecord', image=images, labels=labels + 100)
    refused(LabelError, 'outside the named classes: 103', validation=records(strange, image, mask))
    many = write(tmp_path / 'd.tfrecord', image=range(1200), labels=range(1200))
    spec = records(many, {'image': fixed([])}, {'labels': fixed([])})
    with pytest.raises(LabelError, match='more than 1000 different'):
        open_material(job_of(spec, **classification), Reporter())


def test_a_damaged_record_is_named(arrays, tmp_path):
    path = Path(write(tmp_path / 'a.tfrecord', image=arrays[0].astype(int), labels=arrays[1]))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    spec = records(str(path), {'image': fixed((16, 16, 3))}, {'labels': fixed((16, 16))})
    with pytest.raises(DatasetError, match=r'a\.tfrecord: record \d+'):
        open_material(job_of(spec), Reporter())


def test_what_is_said_is_brief(folder):
    said = []
    open_material(job_of(FeederSpec('Dataset', {'folder': folder})), Reporter(said.append))
    assert len([event for event in said if isinstance(event, (Log, Warn))]) == 1
