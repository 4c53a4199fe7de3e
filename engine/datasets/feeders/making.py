"""Feeders as runs describe them."""

from __future__ import annotations

import dataclasses

from ...events import Reporter
from ...jobs import FeederSpec
from .feeder import Feeder
from .options import BatchOptions, DatasetOptions, MemoryOptions, TFRecordOptions, options_of
from .source import Source

_NO_LABELS = 'none'


def make_feeder(spec: FeederSpec, where: str, reporter: Reporter, values: bool = False) -> Feeder:
    """The feeder that a run describes. Where it names no size of batches, these hold all samples if they are few.

    Args:
        where: what messages call it, such as ``feeders.train``.
        reporter: hears how far reading is, and can stop it.
        values: values are to be learnt, not classes.

    Raises:
        InvalidJob: options that make no sense, or fewer samples than they ask for.
        InputMissing, DatasetError: what it names is missing or damaged.
    """
    options = options_of(spec, where)
    source = _source(options, reporter, values)
    if 'batch_size' not in spec.options:
        few = source.count if options.max_examples < 0 else options.max_examples
        options = dataclasses.replace(options, batch_size=min(options.batch_size, few))
    if isinstance(options, TFRecordOptions):
        return Feeder(source, options, options.threads, options.prefetch)
    return Feeder(source, options)


def _source(options: BatchOptions, reporter: Reporter, values: bool) -> Source:
    if isinstance(options, TFRecordOptions):
        from .tfrecords import TFRecordSource

        return TFRecordSource(options, reporter)
    if isinstance(options, MemoryOptions):
        from .memory import memory_source

        return memory_source(options)
    from ..foreign import is_foreign
    from .dataset import DatasetSource  # with GDAL, which the others do without

    if not isinstance(options, DatasetOptions):
        raise TypeError(f'no feeder has {type(options).__name__}')
    if values and not options.labels and is_foreign(options.folder):
        options = dataclasses.replace(options, labels=_NO_LABELS)  # what is called so is one more source
    return DatasetSource(options, reporter)
