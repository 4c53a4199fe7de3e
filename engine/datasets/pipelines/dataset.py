"""Samples of a reader, epoch by epoch: one by one, as batches for `tf.data`, or as TFRecords."""

from __future__ import annotations

import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DatasetError, InvalidJob, NoSamples
from .buffer import Buffer
from .iterators import IteratorBase, RandomIterator
from .readers import PatchesReaderBase

if TYPE_CHECKING:
    import tensorflow as tf


class Dataset:
    """Samples of a reader in the order of an iterator, each epoch as many as there are.

    Args:
        patches_reader: gives samples by their numbers.
        buffer_length: samples that are read at once, ahead of those in use.
        iterator_cls: the order: a class of iterators over the reader. The default gives each sample once an epoch.
        max_nb_of_samples: use no more than so many samples, always the same ones.
        seed: which samples these are, and the order where `iterator_cls` takes a seed: that of an epoch is a function
            of the seed and the number of the epoch. None: another order each time. Workers that train together need
            the same seed.

    Attributes:
        size: number of samples an epoch.
        samples_like: the first sample; all have its keys, types and shapes.
        patches_reader, iterator, buffer_length: what it was made of.

    Raises:
        NoSamples: the reader has none.
        InvalidJob: an argument makes no sense.
    """

    def __init__(
        self,
        patches_reader: PatchesReaderBase,
        buffer_length: int = 128,
        iterator_cls: type[IteratorBase] = RandomIterator,
        max_nb_of_samples: int | None = None,
        seed: int | None = None,
    ) -> None:
        if buffer_length < 1 or (max_nb_of_samples is not None and max_nb_of_samples < 1):
            raise InvalidJob('buffer_length and max_nb_of_samples must be 1 or more.')
        if not patches_reader.get_size():
            raise NoSamples('The reader has no sample.')
        self.patches_reader = patches_reader
        self._reader = patches_reader
        if max_nb_of_samples is not None and max_nb_of_samples < patches_reader.get_size():
            self._reader = _Subset(patches_reader, max_nb_of_samples, seed or 0)
        self.size = self._reader.get_size()
        self.buffer_length = min(buffer_length, self.size)
        seeded = {'seed': seed} if 'seed' in inspect.signature(iterator_cls).parameters else {}
        self.iterator = iterator_cls(patches_reader=self._reader, **seeded)
        own = type(patches_reader).get_samples is PatchesReaderBase.get_samples
        # Readers written for one thread get one.
        self._reading = threading.Lock() if own else contextlib.nullcontext()
        self._ordering = threading.Lock()
        self.samples_like = {key: np.asarray(value) for key, value in self._reader.get_sample(0).items()}
        self._lock = threading.Lock()
        self._stream: Iterator[dict[str, np.ndarray]] | None = None
        self._waiting = 0.0

    # -- what is in it -------------------------------------------------------------------------------------------------

    @property
    def output_types(self) -> dict[str, tf.DType]:
        """TensorFlow's type of each key of a sample."""
        from .streams import tensor_type

        return {key: tensor_type(value.dtype) for key, value in self.samples_like.items()}

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each key of a sample."""
        return {key: value.shape for key, value in self.samples_like.items()}

    def get_stats(self) -> dict[str, dict[str, np.ndarray]]:
        """What the reader says of all its samples: see `PatchesReaderBase.get_stats`."""
        return self.patches_reader.get_stats()

    # -- samples one by one --------------------------------------------------------------------------------------------

    def read_one_sample(self) -> dict[str, np.ndarray]:
        """The next sample of an endless stream, epoch after epoch. Threads may share it."""
        with self._lock:
            if self._stream is None:
                self._stream = self._samples(self._endless())
            return next(self._stream)

    def epoch(self) -> Iterator[dict[str, np.ndarray]]:
        """The samples of a new epoch, one by one."""
        return self._samples(iter(self.order().tolist()))

    def get_total_wait_in_seconds(self) -> float:
        """How long samples were waited for in all: near 0 where reading keeps up with what uses them."""
        return self._waiting

    def _endless(self) -> Iterator[int]:
        while True:
            yield from self.order().tolist()

    def _samples(self, indices: Iterator[int]) -> Iterator[dict[str, np.ndarray]]:
        """Samples with these numbers; a thread fills a buffer while another one is used up."""
        ahead = _in_thread(lambda: self._mine(indices))
        while True:
            start = time.perf_counter()
            buffer = ahead.result()
            self.waited(time.perf_counter() - start)
            if not buffer.size():
                return
            ahead = _in_thread(lambda: self._mine(indices))
            yield from buffer.container

    def _mine(self, indices: Iterator[int]) -> Buffer:
        """The samples of the next numbers, as many as the buffer holds."""
        buffer = Buffer(self.buffer_length)
        while not buffer.is_complete():
            index = next(indices, None)
            if index is None:
                break
            with self._reading:
                buffer.add(self._reader.get_sample(index))
        return buffer

    # -- many at once --------------------------------------------------------------------------------------------------

    @property
    def tf_dataset(self) -> tf.data.Dataset:
        """The samples of an epoch, one by one, for `tf.data`."""
        from .streams import samples

        return samples(self)

    def get_tf_dataset(
        self,
        batch_size: int,
        drop_remainder: bool = True,
        preprocessing_fn: Callable[..., dict[str, Any]] | None = None,
        targets_keys: Sequence[str] | None = None,
    ) -> tf.data.Dataset:
        """Batches for `tf.data`. Each pass over it is a new epoch, also where the one before was left early.

        Args:
            batch_size: samples in a batch.
            drop_remainder: leave out the last batch of an epoch where it is not full.
            preprocessing_fn: turns a sample (key -> tensor, without the axis of the batch) into another, with
                TensorFlow's operations.
            targets_keys: keys that are targets. With them elements are pairs (inputs, targets), else all keys
                together.

        Raises:
            InvalidJob: there is no such target, or the batch is smaller than 1.
        """
        from .streams import batch_count, batches

        count = batch_count(self.size, batch_size, drop_remainder)
        return batches(self, batch_size, count, drop_remainder, preprocessing_fn, targets_keys)

    def to_tfrecords(
        self, output_dir: str, n_samples_per_shard: int = 100, drop_remainder: bool = True, compression: str = 'none'
    ) -> None:
        """Write the samples of an epoch as TFRecords: see `TFRecords.ds2tfrecord`."""
        from .tfrecords import TFRecords

        TFRecords(output_dir).ds2tfrecord(self, n_samples_per_shard, drop_remainder, compression)

    def order(self) -> np.ndarray:
        """The numbers of the samples of a new epoch. All are drawn at once: an epoch left early shifts none."""
        with self._ordering:
            return self.iterator.take(self.size)

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Samples by their numbers: key -> array with the samples along the first axis, keys as in `samples_like`.

        Raises:
            DatasetError: they are not like the first sample.
        """
        with self._reading:
            samples = self._reader.get_samples(indices)
        if samples.keys() != self.samples_like.keys():
            raise DatasetError(f'Samples have {sorted(samples)}, the first one has {sorted(self.samples_like)}.')
        for key, first in self.samples_like.items():
            values = samples[key]
            text = values.dtype.kind in 'OSU' and first.dtype.kind in 'OSU'
            if values.shape[1:] != first.shape or not (text or values.dtype == first.dtype):
                raise DatasetError(
                    f'{key}: samples of {values.dtype} and shape {values.shape[1:]}, but the first one is '
                    f'{first.dtype} of shape {first.shape}.'
                )
        return {key: samples[key] for key in self.samples_like}

    def waited(self, seconds: float) -> None:
        """Count a time that was spent waiting for samples."""
        self._waiting += seconds


class DatasetFromPatchesImages(Dataset):
    """A `Dataset` of a `PatchesImagesReader`; see both for the arguments."""

    def __init__(
        self,
        filenames_dict: Mapping[str, Sequence[str]],
        use_streaming: bool = False,
        buffer_length: int = 128,
        iterator_cls: type[IteratorBase] = RandomIterator,
        seed: int | None = None,
    ) -> None:
        from .images import PatchesImagesReader  # with GDAL, which other readers do without

        super().__init__(PatchesImagesReader(filenames_dict, use_streaming), buffer_length, iterator_cls, seed=seed)


class _Subset(PatchesReaderBase):
    """Some samples of another reader."""

    def __init__(self, reader: PatchesReaderBase, count: int, seed: int) -> None:
        self._all = reader
        self._indices = np.sort(np.random.default_rng(seed).choice(reader.get_size(), count, replace=False))

    def get_sample(self, index: int) -> dict[str, np.ndarray]:
        return self._all.get_sample(int(self._indices[index]))

    def get_samples(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return self._all.get_samples(self._indices[indices])

    def get_stats(self) -> dict[str, dict[str, np.ndarray]]:
        return self._all.get_stats()

    def get_size(self) -> int:
        return len(self._indices)


def _in_thread(work: Callable[[], Buffer]) -> Future[Buffer]:
    """Do something in a thread of its own, which ends with it."""
    future: Future[Buffer] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
