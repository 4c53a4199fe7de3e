"""Samples in memory: arrays, lists, dictionaries of columns, data frames, or files that are read whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import InvalidJob
from ...events import Reporter
from ...options import checked_options
from ..manifest import Shard
from .feeder import Feeder
from .options import MemoryOptions
from .source import ArrayColumn, Source
from .tables import pick, read_csv, read_npy, read_npz

_X, _Y = 'x', 'y'  # columns that have no name


class MemorySource(Source):
    """Columns in memory.

    Args:
        features, labels: the columns by name.
        name: what messages call them.

    Raises:
        InvalidJob: they have different numbers of samples.
    """

    features: dict[str, ArrayColumn]
    labels: dict[str, ArrayColumn]

    def __init__(self, features: dict[str, ArrayColumn], labels: dict[str, ArrayColumn], name: str) -> None:
        self.features, self.labels, self.name = features, labels, name
        counts = {key: len(column.values) for columns in (features, labels) for key, column in columns.items()}
        self.count = next(iter(counts.values()))
        for key, count in counts.items():
            if count != self.count:
                raise InvalidJob(f'{name}: {key} has {count} samples, and {next(iter(counts))} {self.count}.')

    def shards(self, reporter: Reporter) -> tuple[Shard, ...]:
        found = []
        for part, columns in (('features', self.features), ('labels', self.labels)):
            for name, column in columns.items():
                reporter.check_cancelled()
                values = np.ascontiguousarray(column.values)
                digest = hashlib.sha256(f'{values.dtype} {values.shape}'.encode())
                text = values.dtype == object
                digest.update(repr(values.tolist()).encode() if text else values.reshape(-1).view(np.uint8).data)
                found.append(Shard(name, part, len(values), values.nbytes, digest.hexdigest()))
        return tuple(found)


class MemorySamplesFeeder(Feeder):
    """Batches of samples in memory.

    Args:
        x: what a network takes: an array or a list with the samples along its first axis, a dictionary of such
            columns, or a data frame.
        y: what it learns, in the same ways; None: batches have no labels.
        batch_size: samples in a batch, at most as many as there are.
        drop_remainder: leave out the last batch where it is not full.
        shuffle: another order in each epoch.
        seed: of what is drawn and of the order: the same seed, the same batches.
        feed_as_dict: each column of a data frame is a feature; else they are the last axis of one. What has no name is
            called ``x`` and ``y``.
        max_examples: no more than so many, drawn at random with `seed`; -1: all.
        shuffle_buffer_size: as if samples went through a buffer of so many.
        unlabelled: for a training: a value of the labels that stands for none.

    Raises:
        InvalidJob: x and y have different numbers of samples, or options make no sense.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 128,
        drop_remainder: bool = False,
        shuffle: bool = True,
        seed: int = 0,
        feed_as_dict: bool = True,
        max_examples: int = -1,
        shuffle_buffer_size: int = 10000,
        unlabelled: int | None = None,
    ) -> None:
        given = {
            'max_examples': max_examples,
            'batch_size': batch_size,
            'drop_remainder': drop_remainder,
            'shuffle': shuffle,
            'shuffle_buffer_size': shuffle_buffer_size,
            'seed': seed,
            'unlabelled': unlabelled,
        }
        options = checked_options(MemoryOptions, given, type(self).__name__)
        labels = {} if y is None else _columns(y, _Y, feed_as_dict)
        source = MemorySource(_columns(x, _X, feed_as_dict), labels, 'samples in memory')
        super().__init__(source, options, prefetch=0)


def memory_source(options: MemoryOptions) -> MemorySource:
    """The columns of the files that options name.

    Raises:
        InputMissing, DatasetError: a file cannot be read.
        InvalidJob: it has no such column.
    """
    if options.x:
        learnt = _columns(read_npy(options.y), _Y, True) if options.y else {}
        return MemorySource(_columns(read_npy(options.x), _X, True), learnt, options.x)
    path = options.csv or options.npz
    found = read_csv(path, options.delimiter) if options.csv else read_npz(path)
    features, labels = pick(found, options.features, options.labels, path)
    if options.csv and not options.feed_as_dict:
        taken = {_X: ArrayColumn(np.stack([*features.values()], -1), [*features])}
    else:
        taken = _columns(features, _X, True)
    return MemorySource(taken, _columns(labels, _Y, True) if labels else {}, path)


def _columns(given: Any, name: str, feed_as_dict: bool) -> dict[str, ArrayColumn]:
    """What a caller gave, as columns by name."""
    if isinstance(given, Mapping):
        if not feed_as_dict:
            raise InvalidJob(f'{name} is a dictionary, and feed_as_dict is false; give an array or a data frame.')
        if not given:
            raise InvalidJob(f'{name} is a dictionary of no columns.')
        return {str(key): ArrayColumn(_array(values, str(key))) for key, values in given.items()}
    if hasattr(given, 'columns') and hasattr(given, 'to_numpy'):  # a data frame, of whatever library
        names = [str(column) for column in given.columns]
        if feed_as_dict:
            return {key: ArrayColumn(_array(given[column], key)) for key, column in zip(names, given.columns)}
        return {name: ArrayColumn(_array(given.to_numpy(), name), names)}
    return {name: ArrayColumn(_array(given, name))}


def _array(given: Any, name: str) -> np.ndarray:
    try:
        values = np.asarray(given)
    except ValueError as error:
        raise InvalidJob(f'{name}: the samples are of different shapes ({error}).') from None
    if not values.ndim or not len(values):
        raise InvalidJob(f'{name}: has no samples; the first axis is that of the samples.')
    return values
