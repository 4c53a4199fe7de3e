"""Samples and batches for `tf.data`.

What makes a pipeline fast here (measured): many samples a call of Python, batches before anything else is done, a
fixed number of parallel calls. The automatic tuning of `tf.data` is off: it sometimes stalls the end of an epoch for
seconds.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ...errors import DatasetError, InvalidJob

if TYPE_CHECKING:
    from .dataset import Dataset

READERS = 2  # chunks read at the same time
CALLS = 16  # samples preprocessed at the same time: many, since each takes little
AHEAD = 2  # batches ready before they are asked for

Sample = dict[str, Any]


def samples(dataset: Dataset) -> tf.data.Dataset:
    """The samples of an epoch, one by one."""
    return with_options(_chunks(dataset, dataset.buffer_length).unbatch())


def batches(
    dataset: Dataset,
    batch_size: int,
    count: int,
    drop_remainder: bool,
    preprocessing_fn: Callable[..., Sample] | None,
    targets_keys: Sequence[str] | None,
) -> tf.data.Dataset:
    """The `count` batches of an epoch: see `Dataset.get_tf_dataset`."""
    # Of several whole batches each, so that they can be cut without being copied.
    stream = _chunks(dataset, batch_size * max(1, dataset.buffer_length // batch_size))
    if preprocessing_fn is None:
        stream = stream.rebatch(batch_size, drop_remainder)
    else:
        stream = stream.unbatch().map(preprocessing_fn, CALLS).batch(batch_size, drop_remainder).prefetch(AHEAD)
    if targets_keys:
        stream = with_targets(stream, targets_keys)
    return with_options(stream.apply(tf.data.experimental.assert_cardinality(count)))


def batch_count(size: int, batch_size: int, drop_remainder: bool) -> int:
    """How many batches an epoch has; warns where that is none."""
    if batch_size < 1:
        raise InvalidJob(f'Batches of {batch_size} samples: give 1 or more.')
    if drop_remainder and size < batch_size:
        warnings.warn(
            f'{size} samples fill no batch of {batch_size}, so there is none at all. Give a smaller batch size, or '
            'drop_remainder=False.',
            stacklevel=3,
        )
    return size // batch_size if drop_remainder else -(-size // batch_size)


def with_targets(stream: tf.data.Dataset, targets_keys: Sequence[str]) -> tf.data.Dataset:
    """Pairs (inputs, targets) of a stream of samples or batches; `InvalidJob` where they have no such target."""
    split(stream.element_spec, targets_keys)  # says so here: an error within a map would be of another kind
    return stream.map(lambda sample: split(sample, targets_keys))


def split(sample: Sample, targets_keys: Sequence[str]) -> tuple[Sample, Sample]:
    """(inputs, targets) of a sample or batch.

    Raises:
        InvalidJob: it has no such target.
    """
    for key in targets_keys:
        if key not in sample:
            raise InvalidJob(f'No target {key!r} among {", ".join(sorted(sample))}.')
    inputs = {key: value for key, value in sample.items() if key not in targets_keys}
    return inputs, {key: sample[key] for key in targets_keys}


def with_options(
    stream: tf.data.Dataset,
    policy: tf.data.experimental.AutoShardPolicy = tf.data.experimental.AutoShardPolicy.DATA,
) -> tf.data.Dataset:
    """The same stream without automatic tuning, and with a way to share it between workers."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = policy
    return stream.with_options(options)


def tensor_type(dtype: np.dtype) -> tf.DType:
    """TensorFlow's type for a numpy type."""
    return tf.string if dtype.kind in 'OSU' else tf.as_dtype(dtype)


def _chunks(dataset: Dataset, length: int) -> tf.data.Dataset:
    """An epoch, `length` samples at a time: key -> (samples, …)."""
    order, waited = _weakly(dataset.order), _weakly(dataset.waited)
    read = _weakly(dataset.read)
    like = dataset.samples_like
    types = [tensor_type(value.dtype) for value in like.values()]

    def load(indices: tf.Tensor) -> Sample:
        values = tf.numpy_function(lambda i: [*map(_as_bytes, read(i).values())], [indices], types, stateful=False)
        for value, first in zip(values, like.values()):
            value.set_shape((None, *first.shape))
        return dict(zip(like, values))

    def note(asked: tf.Tensor, chunk: Sample) -> Sample:
        tf.numpy_function(waited, [tf.timestamp() - asked], [])
        return chunk

    epoch = tf.data.Dataset.from_tensors(0).map(lambda _: tf.numpy_function(order, [], tf.int64))
    epoch.samples = dataset  # lives as long as any stream that begins here
    indices = epoch.map(lambda numbers: tf.ensure_shape(numbers, [dataset.size])).unbatch().batch(length)
    chunks = indices.map(load, num_parallel_calls=READERS, deterministic=True)
    clock = tf.data.Dataset.range(-(-dataset.size // length)).map(lambda _: tf.timestamp())
    return tf.data.Dataset.zip((clock, chunks)).map(note)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """Text as TensorFlow takes it; numbers as they are."""
    if values.dtype.kind != 'U':
        return values
    return np.array([text.encode() for text in values.ravel().tolist()], object).reshape(values.shape)


def _weakly(method: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls a method as long as its object lives.

    TensorFlow keeps every Python function that a pipeline calls until the process ends, and with it everything the
    function holds.
    """
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> Any:
        bound = reference()
        if bound is None:
            raise DatasetError('The samples of this pipeline are gone: keep the Dataset that it came from.')
        return bound(*arguments)

    return call
