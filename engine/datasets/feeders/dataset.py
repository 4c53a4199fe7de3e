"""Samples of a dataset of any layout."""

from __future__ import annotations

import numpy as np

from ...errors import InvalidJob
from ...events import Reporter
from ...options import checked_options
from ..manifest import Shard
from ..reader import Dataset
from .feeder import Feeder
from .options import DatasetOptions
from .source import Column, Source


class DatasetSource(Source):
    """The samples of a split of a dataset, or all of them.

    Attributes:
        dataset: it.
        indices: numbers in it of the samples, ascending.

    Raises:
        InputMissing, DatasetError: see `reader.Dataset.open`.
        InvalidJob: it has no such split.
    """

    def __init__(self, options: DatasetOptions, reporter: Reporter) -> None:
        self.name = options.folder
        self.dataset = Dataset.open(options.folder, options.labels, reporter)
        if options.split and options.split not in self.dataset.splits:
            raise InvalidJob(
                f'{options.folder}: no split {options.split!r}; there are {", ".join(self.dataset.splits)}.'
            )
        self.indices = self.dataset.indices(options.split) if options.split else np.arange(self.dataset.count)
        self.count = len(self.indices)
        labels = self.dataset.manifest.labels
        columns = {key: _Column(self, key) for key in self.dataset.keys}
        self.labels = {labels.name: columns.pop(labels.name)} if labels else {}
        self.features = columns

    def where(self, index: int) -> str:
        return f'{self.name}: sample {self.indices[index]}'

    def shards(self, reporter: Reporter) -> tuple[Shard, ...]:
        return self.dataset.manifest.shards


class DatasetFeeder(Feeder):
    """Batches of the samples of a dataset.

    Args:
        folder: a dataset of any layout, ours or not.
        split: whose samples; empty: all.
        labels: of a folder without manifest: what holds the labels; ``none``: nothing does; empty: what is called so.
        max_examples: no more than so many, drawn at random with `seed`; -1: all.
        batch_size: samples in a batch, at most as many as there are.
        drop_remainder: leave out the last batch where it is not full.
        shuffle: another order in each epoch.
        shuffle_buffer_size: as if samples went through a buffer of so many.
        seed: of what is drawn and of the order: the same seed, the same batches.

    Raises:
        InputMissing, DatasetError: the folder is no dataset, or a file of it is missing or damaged.
        InvalidJob: there is no such split, or options make no sense.
    """

    def __init__(
        self,
        folder: str,
        split: str = '',
        labels: str = '',
        max_examples: int = -1,
        batch_size: int = 128,
        drop_remainder: bool = False,
        shuffle: bool = True,
        shuffle_buffer_size: int = 10000,
        seed: int = 0,
    ) -> None:
        given = {
            'folder': folder,
            'split': split,
            'labels': labels,
            'max_examples': max_examples,
            'batch_size': batch_size,
            'drop_remainder': drop_remainder,
            'shuffle': shuffle,
            'shuffle_buffer_size': shuffle_buffer_size,
            'seed': seed,
        }
        options = checked_options(DatasetOptions, given, type(self).__name__)
        super().__init__(DatasetSource(options, Reporter()), options)


class _Column(Column):
    """A source or the labels of a dataset."""

    def __init__(self, source: DatasetSource, key: str) -> None:
        form = source.dataset.forms[key]
        self._source, self._key = source, key
        self.shape, self.dtype = form.shape, form.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self._source.dataset.read(self._key, self._source.indices[indices])
