"""Folders of records: written whole or not at all, read whole, by whoever they were written."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine import Dataset, DatasetFromPatchesImages, TFRecords
from quadrat.engine.datasets.records import RecordFile, RecordWriter
from quadrat.engine.errors import DatasetError, EngineError, InputMissing, InvalidJob, NoSamples, OutputRefused

tf = pytest.importorskip('tensorflow')


@pytest.fixture
def rich(numbered):
    """A reader with a key of every kind."""

    class Rich(numbered):
        def get_sample(self, index):
            one = np.asarray(index)
            kinds = ('bool', 'uint8', 'int16', 'uint16', 'uint32', 'uint64', 'int64', 'float16', 'float64')
            return (
                super().get_sample(index)
                | {kind: one.astype(kind) for kind in kinds}
                | {'site': np.asarray(f'É{index}')}
            )

    return Rich


def numbers(batches) -> list[int]:
    return [int(number) for inputs, _ in batches for number in inputs['number'][:, 0]]


def write(path: Path, reader, per_shard: int = 10, **options) -> str:
    Dataset(reader, seed=0).to_tfrecords(str(path), per_shard, drop_remainder=False, **options)
    return str(path)


def write_as_the_peer(path: Path, count: int, per_shard: int, compression: str = 'none') -> str:
    """A folder as OTBTF writes it, the keys of each record in another order."""
    path.mkdir()
    (path / 'output_types.json').write_text('{"image": "float32", "number": "int32"}')
    (path / 'output_shapes.json').write_text('{"image": [2, 2, 3], "number": [1]}')
    for first in range(0, count, per_shard):
        with RecordWriter(str(path / f'{first // per_shard}.records'), compression) as writer:
            for index in range(first, min(first + per_shard, count)):
                tensors = {'number': tf.constant([index]), 'image': tf.fill((2, 2, 3), float(index))}
                parts = b''
                for key in sorted(tensors, reverse=bool(index % 2)):
                    value = tf.train.BytesList(value=[tf.io.serialize_tensor(tensors[key]).numpy()])
                    features = tf.train.Features(feature={key: tf.train.Feature(bytes_list=value)})
                    parts += tf.train.Example(features=features).SerializeToString()
                writer.write(parts)  # messages that follow one another are merged
    return str(path)


@pytest.mark.parametrize('compression', ['none', 'gzip'])
def test_what_was_written_is_read(tmp_path, rich, compression):
    path = write(tmp_path / 'records', rich(23), compression=compression)
    assert sorted(os.listdir(path)) == [
        '0.records',
        '1.records',
        '2.records',
        'output_shapes.json',
        'output_types.json',
        'shards.json',
    ]
    assert json.loads((tmp_path / 'records' / 'output_shapes.json').read_text())['image'] == [2, 2, 3]
    records = TFRecords(path)
    assert records.output_types['site'] == 'string'
    assert records.output_types['uint16'] == 'uint16'
    batches = records.read(5, ['image', 'site'], drop_remainder=False)
    assert len(batches) == 5
    order = numbers(batches)
    assert sorted(order) == list(range(23))
    assert order == [int(sample['number'][0]) for sample in Dataset(rich(23), seed=0).epoch()]
    for inputs, targets in batches:
        assert set(targets) == {'image', 'site'}
        for row, index in enumerate(inputs['number'][:, 0].numpy().tolist()):
            expected = rich(23).get_sample(index)
            assert targets['site'][row].numpy().decode() == str(expected.pop('site'))
            for key, value in expected.items():
                found = (inputs | targets)[key][row].numpy()
                assert found.dtype == value.dtype
                np.testing.assert_array_equal(found, value)
    for shard in json.loads((tmp_path / 'records' / 'shards.json').read_text())['shards']:
        data = (tmp_path / 'records' / shard['path']).read_bytes()
        assert (shard['size'], shard['sha256']) == (len(data), hashlib.sha256(data).hexdigest())
        assert len(RecordFile(os.path.join(path, shard['path']), compression)) == shard['count']
    records.verify()


@pytest.mark.parametrize('compression', ['none', 'gzip'])
def test_what_others_wrote_is_read(tmp_path, compression):
    path = write_as_the_peer(tmp_path / 'theirs', 113, 10, compression)
    batches = TFRecords(path).read(16, ['image'], drop_remainder=False)
    assert numbers(batches) == list(range(113))  # 10.records comes after 9.records
    for inputs, targets in batches:
        np.testing.assert_array_equal(targets['image'][:, 1, 1, 2], inputs['number'][:, 0].numpy())
    inputs, targets = TFRecords(path).parse_tfrecord(RecordFile(f'{path}/3.records', compression).record(4), ['image'])
    assert inputs['number'].numpy().tolist() == [34]
    assert targets['image'].shape == (2, 2, 3)


@pytest.mark.parametrize('turn', range(12))
def test_each_sample_once_an_epoch(tmp_path, numbered, turn):
    rng = np.random.default_rng(turn)
    size, batch, per_shard, buffer = (int(rng.integers(1, most)) for most in (120, 60, 40, 150))
    path = write(tmp_path / 'records', numbered(size), per_shard)
    drop, function = bool(turn % 2), (None, lambda sample: sample)[turn // 2 % 2]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        batches = TFRecords(path).read(batch, ['image'], 1, drop, (None, buffer)[turn // 4 % 2], function)
    told = f'{size} samples fill no batch of {batch}'
    assert [str(one.message).startswith(told) for one in caught] == ([True] if drop and size < batch else [])
    assert all(one.filename == __file__ for one in caught)
    for _ in range(2):
        found = numbers(batches)
        assert len(found) == len(set(found)) == (size // batch * batch if drop else size)


def test_shuffling_reaches_all_files_and_repeats_with_its_seed(tmp_path, numbered):
    path = write(tmp_path / 'records', numbered(100))

    def epochs(seed):
        batches = TFRecords(path).read(10, ['image'], shuffle_buffer_size=20, seed=seed)
        next(iter(batches))  # an epoch left early
        return [numbers(batches) for _ in range(2)]

    first = epochs(4)
    assert first == epochs(4)
    assert first[0] != first[1]
    assert first != epochs(5)
    starts = {
        next(iter(TFRecords(path).read(10, ['image'], shuffle_buffer_size=1)))[0]['number'].numpy().tobytes()
        for _ in range(8)
    }
    assert len(starts) > 1  # the files themselves change places


def test_preprocessing_takes_single_samples_and_further_arguments(tmp_path, numbered):
    path = write(tmp_path / 'records', numbered(20))

    def prepare(sample, factor):
        tf.debugging.assert_rank(sample['image'], 3)
        image = sample['image']
        if sample['number'][0] > 9:
            image = -image
        return {'number': sample['number'], 'target': tf.reduce_max(image) * factor}

    batches = TFRecords(path).read(5, ['target'], preprocessing_fn=prepare, factor=2.0)
    assert [spec['target'].shape.as_list() for spec in batches.element_spec[1:]] == [[5]]
    for inputs, targets in batches:
        index = inputs['number'][:, 0].numpy()
        np.testing.assert_array_equal(targets['target'], np.where(index > 9, -2.0, 2.0) * index)
    record = RecordFile(f'{path}/0.records').record(0)
    inputs, targets = TFRecords(path).parse_tfrecord(record, ['target'], prepare, factor=0.0)
    assert (set(inputs), set(targets)) == ({'number'}, {'target'})
    with pytest.raises(InvalidJob, match=r"No target 'labels' among image, number"):
        TFRecords(path).read(5, ['labels'])


@pytest.mark.parametrize('workers', [1, 2, 3, 4])
@pytest.mark.parametrize('size', [40, 35])
def test_workers_share_all_samples(tmp_path, numbered, workers, size):
    from tensorflow.python.data.experimental.ops.distribute import _AutoShardDataset

    path = write(tmp_path / 'records', numbered(size))
    parts = []
    for worker in range(workers):
        batches = TFRecords(path).read(1, ['image'], n_workers=workers, shuffle_buffer_size=15)
        parts.append(numbers(_AutoShardDataset(batches, workers, worker)))
    assert sorted(itertools.chain(*parts)) == list(range(size))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_new_run_replaces_all_of_the_old_one(tmp_path, numbered):
    path = write(tmp_path / 'records', numbered(50))
    write(tmp_path / 'records', numbered(12))
    assert sorted(name for name in os.listdir(path) if name.endswith('.records')) == ['0.records', '1.records']
    assert sorted(numbers(TFRecords(path).read(4, ['image'], drop_remainder=False))) == list(range(12))

    class Fails(numbered):
        def get_sample(self, index):
            if index == 7:
                raise OSError('disk on fire')
            return super().get_sample(index)

    with pytest.raises(OSError, match='fire'):
        write(tmp_path / 'records', Fails(20))
    assert os.listdir(tmp_path) == ['records']
    assert sorted(numbers(TFRecords(path).read(4, ['image'], drop_remainder=False))) == list(range(12))
    (tmp_path / 'records' / 'thesis.txt').write_text('mine')
    with pytest.raises(OutputRefused, match=r'thesis\.txt'):
        write(tmp_path / 'records', numbered(20))


def test_samples_that_fill_no_file_are_said(tmp_path, numbered):
    with pytest.raises(NoSamples, match='30 samples fill no file of 100'):
        Dataset(numbered(30)).to_tfrecords(str(tmp_path / 'records'))
    assert not (tmp_path / 'records').exists()
    with pytest.warns(UserWarning, match='30 of 230 samples'):
        Dataset(numbered(230)).to_tfrecords(str(tmp_path / 'records'))
    found = numbers(TFRecords(str(tmp_path / 'records')).read(10, ['image']))
    assert len(found) == len(set(found)) == 200
    with pytest.raises(InvalidJob, match='0 samples'):
        TFRecords(str(tmp_path / 'records')).ds2tfrecord(Dataset(numbered(3)), 0)


def damage(path: Path) -> None:
    """Change a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


FAULTS = {
    'missing': lambda path: path.unlink(),
    'cut off': lambda path: path.write_bytes(path.read_bytes()[:-20]),
    'damaged': damage,
    'emptied': lambda path: path.write_bytes(b''),
}


@pytest.mark.parametrize('theirs', [False, True])
@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('function', [None, lambda sample: sample])
def test_a_file_that_is_not_whole_is_named(tmp_path, numbered, theirs, fault, function):
    folder = tmp_path / 'records'
    write_as_the_peer(folder, 50, 10) if theirs else write(folder, numbered(50))
    FAULTS[fault](folder / '3.records')
    if theirs and fault == 'emptied':
        return  # a file without records, for all that anyone knows
    with pytest.raises((EngineError, tf.errors.OpError), match=r'3\.records'):
        for _ in TFRecords(str(folder)).read(8, ['image'], shuffle_buffer_size=30, preprocessing_fn=function):
            pass
    with pytest.raises(DatasetError, match=r'3\.records'):
        TFRecords(str(folder)).verify()


def test_files_of_another_run_are_named(tmp_path, numbered):
    path = write(tmp_path / 'records', numbered(20))
    with RecordWriter(os.path.join(path, '2.records')) as writer:
        writer.write(b'old')
    with pytest.raises(DatasetError, match=r'2\.records: belongs to another'):
        TFRecords(path).read(4, ['image'])


def test_a_folder_that_is_none_is_named(tmp_path):
    for name in ('nowhere', '.'):
        with pytest.raises(InputMissing, match=r'no output_types\.json'):
            TFRecords(str(tmp_path / name)).read(4, ['image'])
    assert not (tmp_path / 'nowhere').exists()
    TFRecords.save({'image': [2, 2]}, str(tmp_path / 'output_shapes.json'))
    assert TFRecords.load(str(tmp_path / 'output_shapes.json')) == {'image': [2, 2]}
    TFRecords.save({'image': 'float33'}, str(tmp_path / 'output_types.json'))
    with pytest.raises(DatasetError, match='float33'):
        TFRecords(str(tmp_path)).read(4, ['image'])
    TFRecords.save({'image': 'float32'}, str(tmp_path / 'output_types.json'))
    with pytest.raises(DatasetError, match='no file of records'):
        TFRecords(str(tmp_path)).read(4, ['image'])
    (tmp_path / 'output_types.json').write_text('nonsense')
    with pytest.raises(DatasetError, match=r'output_types\.json: cannot be read'):
        TFRecords(str(tmp_path))
    with pytest.raises(InputMissing, match='nowhere'):
        TFRecords.load(str(tmp_path / 'nowhere'))


def test_records_elsewhere_are_read(tmp_path, numbered):
    """TensorFlow's file system in memory stands for an object store."""
    for count, names in ((3, {'shards.json'}), (None, set())):
        for name in os.listdir(write(tmp_path / 'records', numbered(25))):
            if not name.startswith('shards') or names:
                tf.io.gfile.copy(str(tmp_path / 'records' / name), f'ram://{len(names)}/{name}', overwrite=True)
        batches = TFRecords(f'ram://{len(names)}').read(10, ['image'], drop_remainder=False, shuffle_buffer_size=9)
        assert sorted(numbers(batches)) == list(range(25))
        assert batches.cardinality() == (count or tf.data.UNKNOWN_CARDINALITY)


def test_records_are_read_without_gdal(tmp_path, numbered):
    path = write(tmp_path / 'records', numbered(25))
    code = (
        f'import sys\nfrom quadrat.engine import TFRecords\nlist(TFRecords({path!r}).read(5, ["image"]))\n'
        'print("osgeo" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False'


@pytest.mark.baseline
def test_the_steps_of_the_tutorial(tmp_path, shared):
    """Datasets from the baseline patches, TFRecords of them, batches of both: as in the peer's published tutorial."""
    data = shared / 'data' / 'otbtf-suite' / 'data'
    files = {
        'input_xs_patches': [str(data / 'amsterdam_patches_A.tif')],
        'labels_patches': [str(data / 'amsterdam_labels_A.tif')],
    }

    def dataset_preprocessing_fn(examples: dict):
        labels = tf.squeeze(tf.cast(examples['labels_patches'], tf.int32), axis=-1)
        return {'input_xs': examples['input_xs_patches'], 'predictions': tf.one_hot(labels, depth=2)}

    train = DatasetFromPatchesImages(filenames_dict=files)
    options = {'preprocessing_fn': dataset_preprocessing_fn}
    batches = train.get_tf_dataset(batch_size=8, targets_keys=['predictions'], **options)
    train.to_tfrecords(output_dir=str(tmp_path / 'tfrecords'), drop_remainder=False)
    records = TFRecords(str(tmp_path / 'tfrecords')).read(
        batch_size=8, target_keys=['predictions'], shuffle_buffer_size=1000, **options
    )
    assert records.element_spec == batches.element_spec
    assert {key: spec.shape[1:] for key, spec in records.element_spec[0].items()} == {'input_xs': (64, 64, 4)}
    assert {key: spec.shape[1:] for key, spec in records.element_spec[1].items()} == {'predictions': (64, 64, 2)}
    patches = {sample['input_xs_patches'].tobytes(): sample['labels_patches'] for sample in train.epoch()}
    assert len(patches) == 113
    for stream in (batches, records):
        seen = set()
        for inputs, targets in stream:
            for image, target in zip(inputs['input_xs'].numpy(), targets['predictions'].numpy()):
                seen.add(image.tobytes())
                np.testing.assert_array_equal(target.argmax(-1), patches[image.tobytes()][..., 0])
        assert len(seen) == 112
