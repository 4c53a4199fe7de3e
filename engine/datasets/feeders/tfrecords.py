"""Samples of TFRecords that any program wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ...events import Reporter
from ...options import checked_options
from ..manifest import Shard
from .descriptors import descriptors
from .feeder import Feeder
from .options import TFRecordOptions
from .recordcolumns import record_columns
from .recordfiles import RecordFiles
from .recordplaces import record_files
from .source import Source


class TFRecordSource(Source):
    """The records of files, described feature by feature.

    Raises:
        InvalidJob: a descriptor that makes no sense.
        InputMissing: nothing matches a pattern.
        DatasetError: a file that is damaged or no TFRecord file, or records that do not fit the descriptors.
    """

    def __init__(self, options: TFRecordOptions, reporter: Reporter) -> None:
        self.name = ', '.join(options.file_patterns)
        features = descriptors(options.features_map, 'features_map')
        labels = descriptors(options.labels_map, 'labels_map') if options.labels_map else {}
        files = record_files(options.file_patterns, options.auto_generate_meta, reporter)
        self._records = RecordFiles(files, options.compression, options.num_parallel_reads, reporter)
        self.count = self._records.count
        self.features = record_columns(self._records, features, reporter)
        self.labels = record_columns(self._records, labels, reporter)

    def where(self, index: int) -> str:
        return self._records.where(index)

    def shards(self, reporter: Reporter) -> tuple[Shard, ...]:
        return self._records.shards(reporter)


class TFRecordExamplesFeeder(Feeder):
    """Batches of the examples in TFRecords.

    Records are read when they are needed; only lists of unknown length (`VarLenFeature` without ``length``) make it
    read all of them at the start.

    Args:
        file_patterns: a file, a pattern such as ``folder/*.tfrecord``, or several; all files that match any.
        features_map: what a network takes: name -> descriptor, see `descriptors`: a mapping with ``type``, an object
            of that module, or TensorFlow's of the same name.
        labels_map: what it learns; None: batches have no labels.
        max_examples: no more than so many, drawn at random with `seed`; -1: all.
        batch_size: samples in a batch, at most as many as there are.
        drop_remainder: leave out the last batch where it is not full.
        shuffle: another order in each epoch.
        shuffle_buffer_size: as if samples went through a buffer of so many.
        num_parallel_maps: threads that parse records; 0: as many as there are processors.
        num_parallel_reads: files that are opened at the same time.
        prefetch: batches ready before they are asked for; -1: a few.
        auto_generate_meta: make the metadata of a folder that has none.
        compression: one of `options.COMPRESSIONS`; ``auto``: as each file says.
        seed: of what is drawn and of the order: the same seed, the same batches.
        unlabelled: for a training: a value of the labels that stands for none.

    Raises:
        InvalidJob: options that make no sense, or fewer examples than they ask for.
        InputMissing: nothing matches a pattern.
        DatasetError: a file is damaged, no TFRecord file, or not the one that the metadata beside it tell of.
    """

    def __init__(
        self,
        file_patterns: str | Sequence[str],
        features_map: Mapping[str, Any],
        labels_map: Mapping[str, Any] | None = None,
        max_examples: int = -1,
        batch_size: int = 128,
        drop_remainder: bool = False,
        shuffle: bool = True,
        shuffle_buffer_size: int = 10000,
        num_parallel_maps: int = 0,
        num_parallel_reads: int = 32,
        prefetch: int = -1,
        auto_generate_meta: bool = False,
        compression: str = '',
        seed: int = 0,
        unlabelled: int | None = None,
    ) -> None:
        patterns = [file_patterns] if isinstance(file_patterns, (str, os.PathLike)) else file_patterns
        given = {
            'file_patterns': [os.fspath(pattern) for pattern in patterns],
            'features_map': dict(features_map),
            'labels_map': dict(labels_map or {}),
            'max_examples': max_examples,
            'batch_size': batch_size,
            'drop_remainder': drop_remainder,
            'shuffle': shuffle,
            'shuffle_buffer_size': shuffle_buffer_size,
            'num_parallel_maps': num_parallel_maps,
            'num_parallel_reads': num_parallel_reads,
            'prefetch': prefetch,
            'auto_generate_meta': auto_generate_meta,
            'compression': compression,
            'seed': seed,
            'unlabelled': unlabelled,
        }
        options = checked_options(TFRecordOptions, given, type(self).__name__)
        super().__init__(TFRecordSource(options, Reporter()), options, options.threads, options.prefetch)
