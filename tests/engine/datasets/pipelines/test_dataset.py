"""Each sample once an epoch, whatever the batches; the same again with the same seed; nothing left behind."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import warnings
import weakref

import numpy as np
import pytest

from quadrat.engine import Dataset, DatasetFromPatchesImages, IteratorBase, RandomIterator
from quadrat.engine.errors import InvalidJob, NoSamples

tf = pytest.importorskip('tensorflow')


def numbers(batches) -> list[int]:
    """The numbers of the samples in an epoch, in order."""
    return [int(number) for batch in batches for number in batch['number'][:, 0]]


def shifted(sample: dict) -> dict:
    """A preprocessing that only works on single samples, with a choice that only a graph can make."""
    tf.debugging.assert_rank(sample['image'], 3)
    if sample['number'][0] < 0:
        sample = {'image': sample['image'] * 0.0, 'number': sample['number']}
    return {'image': sample['image'] + 1.0, 'number': sample['number'], 'sum': tf.reduce_sum(sample['image'])}


@pytest.mark.parametrize('turn', range(24))
def test_each_sample_once_an_epoch(numbered, turn):
    rng = np.random.default_rng(turn)
    size, batch, buffer = (int(rng.integers(1, most)) for most in (200, 80, 150))
    drop, function = bool(turn % 2), (None, shifted)[turn // 2 % 2]
    dataset = Dataset(numbered(size), buffer_length=buffer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        batches = dataset.get_tf_dataset(batch, drop, function)
    told = f'{size} samples fill no batch of {batch}, so there is none at all.'
    assert [str(one.message).startswith(told) for one in caught] == ([True] if drop and size < batch else [])
    assert all(one.filename == __file__ for one in caught)
    expected = size // batch * batch if drop else size
    assert len(batches) == (size // batch if drop else -(-size // batch))
    for _ in range(3):
        found = numbers(batches)
        assert len(found) == len(set(found)) == expected
        assert set(found) <= set(range(size))


def test_batches_hold_what_the_reader_gives(numbered):
    for batch in Dataset(numbered(10)).get_tf_dataset(4, False, shifted):
        expected = np.broadcast_to(batch['number'].numpy()[:, None, None], batch['image'].shape)
        np.testing.assert_array_equal(batch['image'] - 1, expected)
        np.testing.assert_array_equal(batch['sum'], batch['number'][:, 0].numpy() * 12)


def test_targets_are_split_off(numbered):
    batches = Dataset(numbered(10)).get_tf_dataset(4, True, shifted, targets_keys=['sum'])
    inputs, targets = batches.element_spec
    assert {key: spec.shape.as_list()[1:] for key, spec in inputs.items()} == {'image': [2, 2, 3], 'number': [1]}
    assert {key: (spec.dtype, spec.shape.as_list()[1:]) for key, spec in targets.items()} == {'sum': (tf.float32, [])}
    with pytest.raises(InvalidJob, match=r"No target 'labels' among image, number"):
        Dataset(numbered(10)).get_tf_dataset(4, targets_keys=['labels'])


def test_the_order_is_a_function_of_seed_and_epoch(numbered):
    def epochs(**options) -> list[list[int]]:
        batches = Dataset(numbered(60), **options).get_tf_dataset(7, False)
        return [numbers(batches) for _ in range(3)]

    first = epochs(seed=5)
    assert first == epochs(seed=5) == epochs(seed=5, buffer_length=9)
    assert first[0] != first[1] != first[2]
    assert first != epochs(seed=6)
    assert epochs() != epochs()
    assert first[1] == RandomIterator(numbered(60), 5).take(120)[60:].tolist()


def test_an_epoch_left_early_shifts_none(numbered):
    dataset = Dataset(numbered(60), seed=5)
    batches, whole = dataset.get_tf_dataset(7, False), Dataset(numbered(60), seed=5).get_tf_dataset(7, False)
    orders = [numbers(whole) for _ in range(4)]
    for epoch, order in enumerate(orders):
        assert numbers(batches.take(2) if epoch % 2 else batches) == order[: 14 if epoch % 2 else 60]
    next(dataset.epoch())
    for _ in range(10):
        dataset.read_one_sample()
    assert sorted(numbers(batches)) == list(range(60))
    assert sorted(int(sample['number'][0]) for sample in dataset.epoch()) == list(range(60))


def test_a_few_samples_are_always_the_same(numbered):
    dataset = Dataset(numbered(100), max_nb_of_samples=30, seed=1)
    batches = dataset.get_tf_dataset(8, False)
    chosen = set(numbers(batches))
    assert dataset.size == len(chosen) == 30
    assert (
        set(numbers(batches))
        == chosen
        == set(numbers(Dataset(numbered(100), 9, RandomIterator, 30, 1).get_tf_dataset(8, False)))
    )
    assert chosen != set(numbers(Dataset(numbered(100), max_nb_of_samples=30, seed=2).get_tf_dataset(8, False)))
    assert Dataset(numbered(10), max_nb_of_samples=30).size == 10
    assert dataset.get_stats()['image']['mean'].tolist() == [49.5] * 3


def test_readers_and_iterators_of_ones_own_train_a_model(numbered):
    class Backwards(IteratorBase):
        def __init__(self, patches_reader):
            super().__init__(patches_reader)
            self.next = 0

        def __next__(self):
            self.next = (self.next or self.patches_reader.get_size()) - 1
            return self.next

    dataset = Dataset(numbered(20), buffer_length=6, iterator_cls=Backwards)
    batches = dataset.get_tf_dataset(8, False)
    assert [numbers(batches) for _ in range(2)] == [list(range(19, -1, -1))] * 2

    def prepare(sample):
        return {'image': sample['image'] / 20, 'target': tf.cast(sample['number'], tf.float32) / 20}

    inputs = tf.keras.Input((None, None, 3), name='image')
    outputs = tf.keras.layers.Dense(1, name='target')(tf.keras.layers.GlobalAveragePooling2D()(inputs))
    model = tf.keras.Model({'image': inputs}, {'target': outputs})
    model.compile(loss='mse', optimizer=tf.keras.optimizers.Adam(0.1))
    train = dataset.get_tf_dataset(5, preprocessing_fn=prepare, targets_keys=['target'])
    losses = model.fit(train, epochs=8, verbose=0).history['loss']
    assert losses[-1] < losses[0] / 2


def test_threads_read_one_sample_each(numbered):
    dataset = Dataset(numbered(50), buffer_length=8)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        samples = list(pool.map(lambda _: dataset.read_one_sample(), range(150)))
    found = [int(sample['number'][0]) for sample in samples]
    assert sorted(found) == sorted([*range(50)] * 3)
    assert dataset.get_total_wait_in_seconds() > 0


def test_readers_of_ones_own_are_called_by_one_thread_at_a_time(numbered):
    inside, most = [], []

    class Careful(numbered):
        def get_sample(self, index):
            inside.append(index)
            most.append(len(inside))
            try:
                return super().get_sample(index)
            finally:
                inside.remove(index)

    dataset = Dataset(Careful(300), buffer_length=10)
    streams = [dataset.get_tf_dataset(10), dataset.get_tf_dataset(10, preprocessing_fn=shifted), dataset.epoch()]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(list, streams))
    assert set(most) == {1}


def test_types_shapes_and_single_samples(numbered):
    class Rich(numbered):
        def get_sample(self, index):
            return super().get_sample(index) | {'site': np.asarray(f'É{index}'), 'on': np.asarray(index > 2)}

    dataset = Dataset(Rich(5))
    assert dataset.output_types == {'image': tf.float32, 'number': tf.int32, 'site': tf.string, 'on': tf.bool}
    assert dataset.output_shapes == {'image': (2, 2, 3), 'number': (1,), 'site': (), 'on': ()}
    assert {key: spec.shape for key, spec in dataset.tf_dataset.element_spec.items()} == dataset.output_shapes
    found = {int(sample['number'][0]): sample['site'].numpy().decode() for sample in dataset.tf_dataset}
    assert found == {index: f'É{index}' for index in range(5)}


def test_what_a_reader_does_wrong_is_said(numbered):
    class Fails(numbered):
        def get_sample(self, index):
            if index == 7:
                raise OSError('disk on fire')
            return super().get_sample(index)

    class Changes(numbered):
        def get_sample(self, index):
            return {'image': np.zeros((2, 2 + index % 2)), 'number': np.zeros(1, np.int64 if index else np.int32)}

    class Forgets(numbered):
        def get_sample(self, index):
            return {'number': np.zeros(1)} | ({'image': np.zeros(1)} if index != 3 else {})

    for reader, match in ((Fails, 'disk on fire'), (Changes, 'shape|int64'), (Forgets, 'image')):
        with pytest.raises(tf.errors.OpError, match=match):
            list(Dataset(reader(10)).get_tf_dataset(2))
    dataset = Dataset(Fails(8))
    with pytest.raises(OSError, match='fire'):
        [dataset.read_one_sample() for _ in range(8)]
    with pytest.raises(NoSamples):
        Dataset(numbered(0))
    for wrong in ({'buffer_length': 0}, {'max_nb_of_samples': 0}):
        with pytest.raises(InvalidJob):
            Dataset(numbered(3), **wrong)
    with pytest.raises(InvalidJob, match='0 samples'):
        Dataset(numbered(3)).get_tf_dataset(0)


def test_memory_and_threads_are_given_back(numbered):
    before = threading.active_count()
    dataset = Dataset(numbered(200), buffer_length=16)
    alive = [weakref.ref(dataset), weakref.ref(dataset.patches_reader)]
    iterator = iter(dataset.get_tf_dataset(8))
    next(iterator)
    dataset.read_one_sample()
    next(dataset.epoch())
    del dataset
    gc.collect()
    next(iterator)  # keeps what it needs
    assert all(reference() is not None for reference in alive)
    del iterator
    gc.collect()
    assert [reference() for reference in alive] == [None, None]
    assert threading.active_count() == before


def test_a_strategy_distributes_each_sample_once(numbered):
    """It builds a pipeline of its own out of ours, and keeps what ours needs."""
    strategy = tf.distribute.MirroredStrategy(['CPU:0'])
    for function in (None, shifted):
        shared = strategy.experimental_distribute_dataset(Dataset(numbered(53)).get_tf_dataset(8, False, function))
        gc.collect()
        for _ in range(2):
            assert sorted(numbers(shared)) == list(range(53))


@pytest.mark.baseline
@pytest.mark.parametrize('batch', [16, 64, 128])
def test_all_of_the_baseline_patches_are_delivered(shared, batch):
    data = shared / 'data' / 'otbtf-suite' / 'data'
    files = {key: [str(data / f'amsterdam_{key}_{zone}.tif') for zone in 'AB'] for key in ('patches', 'labels')}
    one = {key: paths[:1] for key, paths in files.items()}
    for streaming in (False, True):
        for paths, count in ((one, 113), (files, 225)):
            batches = DatasetFromPatchesImages(paths, streaming).get_tf_dataset(batch, drop_remainder=False)
            seen = [patch.tobytes() for batch in batches for patch in batch['patches'].numpy()]
            assert len(seen) == len(set(seen)) == count
