"""Batches of a feeder for `tf.data`."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from ..feeders.feeder import Feeder, FeederBatch
from ..feeders.source import Column
from .streams import tensor_type, with_options


def stream(feeder: Feeder, epochs: int | None) -> tf.data.Dataset:
    """The batches of so many epochs: pairs (features, labels), or features alone where there are no labels."""
    features, labels = _specs(feeder, feeder.source.features), _specs(feeder, feeder.source.labels)
    # TensorFlow keeps every Python function until the process ends, and would keep the samples with it.
    reference = weakref.ref(feeder)

    def batches() -> Iterator[Any]:
        found = reference()
        return (_element(batch) for batch in found.batches(epochs)) if found is not None else iter(())

    out = tf.data.Dataset.from_generator(batches, output_signature=(features, labels) if labels else features)
    out.feeder = feeder  # lives as long as any stream that begins here
    steps = feeder.total_steps(epochs)
    count = tf.data.INFINITE_CARDINALITY if steps is None else steps
    return with_options(out.apply(tf.data.experimental.assert_cardinality(count)))


def _element(batch: FeederBatch) -> Any:
    features, labels = batch
    return features if labels is None else (features, labels)


def _specs(feeder: Feeder, columns: Mapping[str, Column]) -> dict[str, tf.TensorSpec]:
    """What TensorFlow must know of the columns of a batch."""
    options = feeder.options
    rows = options.batch_size if options.drop_remainder else None
    return {name: tf.TensorSpec((rows, *column.shape), tensor_type(column.dtype)) for name, column in columns.items()}
