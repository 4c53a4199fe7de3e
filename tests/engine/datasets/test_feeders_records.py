"""Feeders of TFRecords that TensorFlow wrote: batches, samples, descriptors, and what is said of faults."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from quadrat.engine.datasets.feeders.examples import features_of, values_of
from quadrat.engine.datasets.feeders.tfrecords import TFRecordExamplesFeeder
from quadrat.engine.datasets.tfmetadata import create_metadata
from quadrat.engine.errors import DatasetError, InputMissing, InvalidJob

NUMBER = {'number': {'type': 'FixedLenFeature', 'shape': [1], 'dtype': 'int64'}}


def feature(values) -> tf.train.Feature:
    if isinstance(values[0] if len(values) else 0, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values, np.ndarray) and values.dtype.kind == 'f':
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features) -> bytes:
    found = {name: feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()


def write(path, records, compression='') -> str:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return str(path)


@pytest.fixture
def eight(tmp_path) -> str:
    """The pattern of two files of four records each; their numbers are 0 to 7."""
    for number in range(2):
        write(tmp_path / f'{number}.tfrecord', [example(number=[n]) for n in range(4 * number, 4 * number + 4)])
    return str(tmp_path / '*.tfrecord')


def numbers(feeder, epochs=1) -> list[list[int]]:
    return [features['number'][:, 0].tolist() for features, _ in feeder.batches(epochs)]


@pytest.mark.parametrize('shuffle', [False, True])
@pytest.mark.parametrize(
    ('size', 'drop', 'epochs', 'expected'),
    [
        (6, False, 1, [6, 2]),
        (6, False, 2, [6, 6, 4]),
        (6, False, 5, [6, 6, 6, 6, 6, 6, 4]),
        (3, True, 1, [3, 3]),
        (8, True, 2, [8, 8]),
    ],
)
def test_batches_go_on_over_the_end_of_an_epoch(eight, size, drop, epochs, expected, shuffle):
    feeder = TFRecordExamplesFeeder(eight, NUMBER, NUMBER, batch_size=size, drop_remainder=drop, shuffle=shuffle)
    found = numbers(feeder, epochs)
    assert [len(batch) for batch in found] == expected
    assert feeder.total_steps(epochs) == len(expected)
    stream = feeder.get_input_fn(epochs)()
    assert stream.cardinality().numpy() == len(expected)
    streamed = [(x['number'].numpy()[:, 0].tolist(), y['number'].numpy()[:, 0].tolist()) for x, y in stream]
    assert streamed == [(batch, batch) for batch in found]
    flat = list(itertools.chain(*found))
    if not shuffle:
        assert flat == (list(range(8)) * epochs)[: len(flat)]
    elif not drop:
        assert all(sorted(flat[8 * epoch : 8 * epoch + 8]) == list(range(8)) for epoch in range(epochs))


def test_without_end_and_without_labels(eight):
    feeder = TFRecordExamplesFeeder(eight, NUMBER, batch_size=5)
    assert feeder.total_steps(None) is None
    batches = feeder.batches(None)
    found = [next(batches) for _ in range(20)]
    assert all(len(features['number']) == 5 and labels is None for features, labels in found)
    assert set(feeder.get_input_fn(None)().element_spec) == {'number'}
    assert len(list(feeder.get_input_fn(None)().take(7))) == 7
    with pytest.raises(InvalidJob, match='0 epochs'):
        feeder.batches(0)


def test_the_order_follows_from_the_seed(tmp_path):
    path = write(tmp_path / 'a.tfrecord', [example(number=[n]) for n in range(60)])

    def order(**options):
        options = {'batch_size': 60, **options}
        return numbers(TFRecordExamplesFeeder(path, NUMBER, **options), 2)

    assert order(seed=1) == order(seed=1, num_parallel_maps=1, prefetch=0) != order(seed=2)
    assert order()[0] != order()[1]
    assert order(shuffle_buffer_size=1) == [list(range(60))] * 2
    buffered = order(shuffle_buffer_size=7)
    assert buffered == order(shuffle_buffer_size=7) and sorted(buffered[0]) == list(range(60))
    # What comes out is never more than the buffer ahead of what went in.
    assert all(number <= place + 6 for place, number in enumerate(buffered[0]))


def test_a_part_of_the_examples_is_drawn_at_random(tmp_path):
    path = write(tmp_path / 'a.tfrecord', [example(number=[n]) for n in range(100)])

    def drawn(seed, **options):
        feeder = TFRecordExamplesFeeder(path, NUMBER, max_examples=30, batch_size=30, seed=seed, **options)
        assert feeder.count == 30 and feeder.total_steps(2) == 2
        return numbers(feeder)[0]

    plain = drawn(1, shuffle=False)
    assert plain == sorted(plain) == sorted(drawn(1)) != sorted(drawn(2))
    assert len(set(plain)) == 30 and max(plain) > 50
    with pytest.raises(InvalidJob, match='max_examples 101, and there are 100'):
        TFRecordExamplesFeeder(path, NUMBER, max_examples=101)


def test_every_kind_of_feature_is_what_tensorflow_parses(tmp_path):
    random = np.random.default_rng(0)
    records = []
    for n in range(7):
        features = {
            'number': [-n],
            'far': [2**62 - n, -(2**63), 300 * n],
            'image': random.normal(size=12).astype(np.float32),
            'text': [b'text %d' % n],
            'list': list(range(n % 4)),
            'pairs': np.arange(2.0 * (n % 3)),
        }
        if n % 2:
            features['rare'] = [5, 6]
        records.append(example(**features))
    path = write(tmp_path / 'a.gz', records, 'GZIP')
    theirs = {
        'number': tf.io.FixedLenFeature([], tf.int64),
        'far': tf.io.FixedLenFeature([3], tf.int64),
        'image': tf.io.FixedLenFeature([2, 3, 2], tf.float32),
        'text': tf.io.FixedLenFeature([], tf.string),
        'rare': tf.io.FixedLenFeature([2], tf.int64, [1, 2]),
        'list': tf.io.VarLenFeature(tf.int64),
        'pairs': tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True),
    }
    ours = {
        'number': {'type': 'FixedLenFeature', 'shape': [], 'dtype': 'int64'},
        'far': {'type': 'FixedLenFeature', 'shape': [3], 'dtype': 'int64'},
        'image': {'type': 'FixedLenFeature', 'shape': [2, 3, 2], 'dtype': 'float32'},
        'text': {'type': 'FixedLenFeature', 'shape': [], 'dtype': 'string'},
        'rare': {'type': 'FixedLenFeature', 'shape': [2], 'dtype': 'int64', 'default_value': [1, 2]},
        'list': {'type': 'VarLenFeature', 'dtype': 'int64'},
        'pairs': {'type': 'FixedLenSequenceFeature', 'shape': [2], 'dtype': 'float32'},
    }
    expected = tf.io.parse_example(records, theirs)
    expected['list'] = tf.sparse.to_dense(expected['list'])
    for described in (ours, theirs):
        for compression in ('GZIP', 'auto'):
            options = {'shuffle': False, 'batch_size': 7, 'compression': compression}
            feeder = TFRecordExamplesFeeder(path, described, **options)
            ((found, _),) = feeder.batches()
            ((streamed),) = feeder.get_input_fn()()
            for name, values in expected.items():
                assert np.array_equal(found[name], values.numpy()), name
                assert found[name].dtype == values.numpy().dtype
                assert np.array_equal(streamed[name].numpy(), values.numpy()), name
    longer = {'list': {'type': 'VarLenFeature', 'dtype': 'int64', 'length': 5}}
    ((found, _),) = TFRecordExamplesFeeder(path, longer, batch_size=7, shuffle=False, compression='auto').batches()
    assert found['list'].tolist()[3] == [0, 1, 2, 0, 0]


def test_whole_numbers_of_any_length_and_unpacked_lists():
    values = [0, 1, 127, 128, 2**14 - 1, 2**14, 2**31, 2**63 - 1, -1, -(2**63)]
    kind, found = values_of(features_of(example(a=values))['a'])
    assert kind == 'int64' and found.tolist() == values
    # Feature{int64_list: {value: 3, value: 300}} and {float_list: {value: 1.5}}, one by one
    assert values_of(memoryview(bytes([0x1A, 5, 0x08, 3, 0x08, 0xAC, 0x02])))[1].tolist() == [3, 300]
    assert values_of(memoryview(bytes([0x12, 5, 0x0D, 0, 0, 0xC0, 0x3F])))[1].tolist() == [1.5]
    with pytest.raises(ValueError, match='does not end'):
        values_of(memoryview(bytes([0x1A, 3, 0x0A, 1, 0x80])))


def test_pictures_in_records(tmp_path):
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (6, 8, 3), dtype=np.uint8) for _ in range(3)]

    def png(array):
        out = io.BytesIO()
        Image.fromarray(array).save(out, 'PNG')
        return out.getvalue()

    path = write(tmp_path / 'a.tfrecord', [example(image=[png(array)]) for array in arrays])
    described = {'image': {'type': 'ImageFeature', 'enforced_dtype': 'uint8'}}
    ((found, _),) = TFRecordExamplesFeeder(path, described, batch_size=3, shuffle=False).batches()
    assert np.array_equal(found['image'], arrays)
    two = write(tmp_path / 'b.tfrecord', [example(image=[png(arrays[0])]), example(image=[png(arrays[0][:5])])])
    with pytest.raises(DatasetError, match=r"b\.tfrecord: record 1: 'image' is of 8 x 5 pixels .* of 8 x 6"):
        list(TFRecordExamplesFeeder(two, described, batch_size=2).batches())
    sized = {'image': {'type': 'ImageFeature', 'resize_height': 4, 'resize_width': 4}}
    ((found, _),) = TFRecordExamplesFeeder(two, sized, batch_size=2).batches()
    assert found['image'].shape == (2, 4, 4, 3)


def test_records_that_do_not_fit_are_named(tmp_path):
    records = [example(a=[1, 2], f=np.array([1.0])), example(a=[1], f=np.array([1.0])), example(f=np.array([1.0]))]
    path = write(tmp_path / 'some.tfrecord', records)

    def fault(records=None, **described):
        place = path if records is None else write(tmp_path / 'other.tfrecord', records)
        feeder = TFRecordExamplesFeeder(place, described, batch_size=1, shuffle=False)
        with pytest.raises(DatasetError) as caught:
            list(feeder.batches())
        return str(caught.value)

    two = {'type': 'FixedLenFeature', 'shape': [2], 'dtype': 'int64'}
    assert fault(a=two).endswith("some.tfrecord: record 1: 'a' has 1 values, and the shape [2] 2.")
    assert "record 0: 'b' is missing; a default_value" in fault(b=two)
    assert "record 0: 'f' holds float32, and int64 is expected." in fault(f=two)
    assert 'more than the length 1' in fault(a={'type': 'VarLenFeature', 'dtype': 'int64', 'length': 1})
    missing = {'type': 'FixedLenSequenceFeature', 'shape': [1], 'dtype': 'int64', 'length': 2, 'allow_missing': False}
    assert "record 2: 'a' is missing" in fault(a=missing)
    assert 'record 0: is no tf.train.Example' in fault([b'\x0a\xff'], a=two)


def test_options_that_make_no_sense_are_refused(eight, tmp_path):
    def refused(error, match, patterns=eight, described=NUMBER, **options):
        with pytest.raises(error, match=match) as caught:
            TFRecordExamplesFeeder(patterns, described, **{'batch_size': 2, **options})
        assert '\n' not in str(caught.value)

    def feature_refused(match, **descriptor):
        refused(InvalidJob, match, described={'a': descriptor})

    refused(InputMissing, r'nothing-\*', patterns=[eight, str(tmp_path / 'nothing-*')])
    refused(InvalidJob, 'batch_size 0', batch_size=0)
    refused(InvalidJob, 'batch_size 9, and there are 8', batch_size=9)
    refused(InvalidJob, 'batch_size 5, and there are 4', batch_size=5, max_examples=4)
    refused(InvalidJob, "compression 'gzp'", compression='gzp')
    refused(InvalidJob, 'features_map', described={})
    refused(DatasetError, 'is compressed with gzip. Say so', patterns=write(tmp_path / 'x', [example(a=[1])], 'GZIP'))
    feature_refused("type 'FixedLen' is unknown", type='FixedLen')
    feature_refused('type None', shape=[1], dtype='int64')
    feature_refused("dtype 'int32': unknown. Did you mean 'int64'", type='FixedLenFeature', shape=[1], dtype='int32')
    feature_refused('shape -1', type='FixedLenFeature', shape=[-1], dtype='int64')
    feature_refused('shape: expected a list', type='FixedLenFeature', shape=1, dtype='int64')
    feature_refused('dtype: missing', type='FixedLenFeature', shape=[1])
    feature_refused('default_value', type='FixedLenFeature', shape=[3], dtype='int64', default_value=[1, 2])
    feature_refused("'post_op'.* no such option", type='ImageFeature', post_op='os.system')
    feature_refused('resize_height and resize_width', type='ImageFeature', resize_height=3)
    feature_refused("decode_format 'tiff'", type='ImageFeature', decode_format='tiff')
    feature_refused('channels 2', type='ImageFeature', channels=2)
    feature_refused('uint8', type='ImageFeature', enforced_dtype='uint8', standard_scaling=True)


def test_metadata_are_made_and_hold_the_files_to_what_they_say(eight, tmp_path):
    options = {'batch_size': 2, 'shuffle': False}
    listing = tmp_path / '_tfrecord_metadata.json'
    everything = str(tmp_path / '*')
    TFRecordExamplesFeeder(eight, NUMBER, **options)
    assert not listing.exists()
    assert TFRecordExamplesFeeder(everything, NUMBER, auto_generate_meta=True, **options).count == 8
    made = json.loads(listing.read_text())
    assert [entry['total_records'] for entry in made['files'].values()] == [4, 4]
    assert TFRecordExamplesFeeder(everything, NUMBER, **options).count == 8  # the metadata match, and are no records
    write(tmp_path / '2.tfrecord', [example(number=[8])])
    with pytest.raises(DatasetError, match=r'2\.tfrecord: not listed'):
        TFRecordExamplesFeeder(eight, NUMBER, **options)
    assert TFRecordExamplesFeeder(eight, NUMBER, auto_generate_meta=True, **options).count == 9
    write(tmp_path / '1.tfrecord', [example(number=[1])])
    for automatic in (False, True):
        with pytest.raises(DatasetError, match=r'1\.tfrecord: .* bytes, the metadata say'):
            TFRecordExamplesFeeder(eight, NUMBER, auto_generate_meta=automatic, **options)
    assert create_metadata(eight, force=True).sound
    os.remove(tmp_path / '0.tfrecord')
    with pytest.raises(DatasetError, match=r'0\.tfrecord: missing'):
        TFRecordExamplesFeeder(eight, NUMBER, **options)


def test_more_files_than_may_be_open(tmp_path, monkeypatch):
    from quadrat.engine.datasets.feeders import recordfiles

    monkeypatch.setattr(recordfiles, '_OPEN', 3)
    for number in range(10):
        write(tmp_path / f'{number}.tfrecord', [example(number=[number * 2 + n]) for n in range(2)])
    feeder = TFRecordExamplesFeeder(str(tmp_path / '*.tfrecord'), NUMBER, batch_size=4, num_parallel_reads=2)
    assert sorted(itertools.chain(*numbers(feeder))) == list(range(20))


def test_reading_needs_no_tensorflow(eight):
    import subprocess

    code = (
        'import sys; from quadrat.engine.datasets.feeders.tfrecords import TFRecordExamplesFeeder as Feeder\n'
        f'feeder = Feeder({eight!r}, {NUMBER!r}, batch_size=8)\n'
        'print(len(list(feeder.batches(3))), [name for name in ("tensorflow", "osgeo") if name in sys.modules])'
    )
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout.split(maxsplit=1) == ['3', '[]\n']
