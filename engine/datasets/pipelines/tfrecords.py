"""Samples in files of records, in the layout of OTBTF's class of the same name.

A folder holds ``output_types.json`` (key -> name of the type), ``output_shapes.json`` (key -> shape) and the files
``0.records``, ``1.records``, …, each record a sample (see `datasets.example`). Ours adds ``shards.json``: count, size
and SHA-256 of each file.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ...errors import DatasetError, InputMissing, InvalidJob, NoSamples
from ...folder import OutputFolder, write_whole
from ..example import encode
from ..files import SHAPES, TYPES, sha256
from ..manifest import Shard
from ..records import RecordWriter
from .dataset import Dataset
from .parsing import Form, Parser, parse_any, parser
from .recordfolder import SHARDS, RecordFolder
from .streams import AHEAD, CALLS, READERS, batch_count, split, with_options, with_targets

_OURS = re.compile(r'\d+\.records$')
_TOGETHER = 64  # samples parsed by a call, at least: each takes its time, whatever the batch
_AUTO = tf.data.AUTOTUNE
_POLICY = tf.data.experimental.AutoShardPolicy


class TFRecords:
    """A folder of samples in files of records.

    Args:
        path: the folder. It need not exist before something is written. What is read may lie anywhere that TensorFlow
            reads from, such as ``gs://…``.

    Attributes:
        path: the folder.
        output_types, output_shapes: key -> name of the type, and shape, of what is in the folder; None where there is
            nothing yet.
    """

    def __init__(self, path: str) -> None:
        self.path = os.fspath(path)
        self.output_types: dict[str, str] | None = None
        self.output_shapes: dict[str, list[int]] | None = None
        self._load_forms()

    # -- writing -------------------------------------------------------------------------------------------------------

    def ds2tfrecord(
        self,
        dataset: Dataset,
        n_samples_per_shard: int = 100,
        drop_remainder: bool = True,
        compression: str = 'none',
    ) -> None:
        """Write the samples of an epoch, each once. What an earlier run wrote is replaced, at the end and as a whole.

        Args:
            dataset: gives the samples, and their order.
            n_samples_per_shard: samples in a file.
            drop_remainder: leave out the last samples where they do not fill a file.
            compression: one of `jobs.COMPRESSIONS`.

        Raises:
            NoSamples: no file would be full.
            OutputRefused, DiskFull: the folder holds something else, or cannot be written.
        """
        if n_samples_per_shard < 1:
            raise InvalidJob(f'{n_samples_per_shard} samples in a file: give 1 or more.')
        rest = dataset.size % n_samples_per_shard if drop_remainder else 0
        if rest == dataset.size:
            raise NoSamples(
                f'{dataset.size} samples fill no file of {n_samples_per_shard}. Ask for fewer in a file, or for '
                'drop_remainder=False.'
            )
        if rest:
            warnings.warn(f'{rest} of {dataset.size} samples fill no file and are left out.', stacklevel=2)
        types = {key: dtype.name for key, dtype in dataset.output_types.items()}
        shapes = {key: list(shape) for key, shape in dataset.output_shapes.items()}
        with OutputFolder(self.path, 'set of TFRecords', _belongs) as folder:
            shards = _write(folder.part, dataset, dataset.size - rest, n_samples_per_shard, compression)
            self.save(types, os.path.join(folder.part, TYPES))
            self.save(shapes, os.path.join(folder.part, SHAPES))
            self.save({'shards': [dataclasses.asdict(shard) for shard in shards]}, os.path.join(folder.part, SHARDS))
            folder.finish()
        self._load_forms()

    @staticmethod
    def save(data: dict[str, Any], filepath: str) -> None:
        """Write a dictionary as JSON."""
        write_whole(filepath, json.dumps(data, indent=1) + '\n')

    @staticmethod
    def load(filepath: str) -> dict[str, Any]:
        """Read a dictionary from JSON.

        Raises:
            InputMissing, DatasetError: naming the file.
        """
        try:
            with tf.io.gfile.GFile(filepath) as file:
                data = json.loads(file.read())
        except tf.errors.NotFoundError:
            raise InputMissing(f'{filepath}: no such file.') from None
        except (ValueError, tf.errors.OpError) as error:
            raise DatasetError(f'{filepath}: cannot be read ({error}).') from error
        if not isinstance(data, dict):
            raise DatasetError(f'{filepath}: holds no JSON object.')
        return data

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(
        self,
        batch_size: int,
        target_keys: Sequence[str],
        n_workers: int = 1,
        drop_remainder: bool = True,
        shuffle_buffer_size: int | None = None,
        preprocessing_fn: Callable[..., dict[str, Any]] | None = None,
        shard_policy: tf.data.experimental.AutoShardPolicy = _POLICY.AUTO,
        prefetch_buffer_size: int = _AUTO,
        num_parallel_calls: int = _AUTO,
        seed: int | None = None,
        **kwargs: Any,
    ) -> tf.data.Dataset:
        """Batches of (inputs, targets). Each pass over them is an epoch with each sample once.

        Args:
            batch_size: samples in a batch.
            target_keys: keys that are targets.
            n_workers: processes that train together. No file is left out, whatever their number: automatic sharding
                gives workers files of their own only where all get as many samples.
            drop_remainder: leave out the last batch of an epoch where it is not full.
            shuffle_buffer_size: shuffle, anew in each epoch: the files, and samples within a buffer of so many. None:
                the order in the files.
            preprocessing_fn: turns a sample (key -> tensor, without the axis of the batch) into another, with
                TensorFlow's operations.
            shard_policy: how workers share the samples.
            prefetch_buffer_size: batches ready before they are asked for.
            num_parallel_calls: batches parsed, or samples preprocessed, at the same time.
            seed: of the order. None: another order each time, but the same one in all workers if there are several.
            **kwargs: passed to `preprocessing_fn`.

        Raises:
            InputMissing, DatasetError: the folder, or a file of it, is missing or damaged; the message names it.
                Damage within samples is found while they are read, in an error of TensorFlow that names the file.
        """
        if n_workers < 1:
            raise InvalidJob(f'{n_workers} workers: give 1 or more.')
        if n_workers > 1 and seed is None:
            seed = 0
        forms = self._forms()
        folder = RecordFolder(self.path)
        parse = _find_parser(folder, forms)
        records = folder.records(shuffle_buffer_size, seed)
        if preprocessing_fn is None:
            split(forms, target_keys)  # says so here where there is no such target
            calls = READERS if num_parallel_calls == _AUTO else num_parallel_calls
            together = max(1, _TOGETHER // batch_size)
            stream = records.batch(batch_size * together, drop_remainder and together == 1)
            stream = stream.map(lambda batch: split(parse(batch), target_keys), calls)
            if together > 1:
                stream = stream.rebatch(batch_size, drop_remainder)
        else:
            calls = CALLS if num_parallel_calls == _AUTO else num_parallel_calls

            def prepare(record: tf.Tensor) -> dict[str, Any]:
                return preprocessing_fn(_one(parse, record), **kwargs)

            stream = with_targets(records.map(prepare, calls).batch(batch_size, drop_remainder), target_keys)
        if prefetch_buffer_size != _AUTO:
            stream = stream.prefetch(prefetch_buffer_size)
        elif preprocessing_fn is not None:
            stream = stream.prefetch(AHEAD)  # else each parallel call has a batch ready
        if folder.count is not None:
            count = batch_count(folder.count, batch_size, drop_remainder)
            stream = stream.apply(tf.data.experimental.assert_cardinality(count))
        if shard_policy == _POLICY.AUTO:
            shard_policy = _POLICY.FILE if folder.fair(n_workers) else _POLICY.DATA
        return with_options(stream, shard_policy)

    def parse_tfrecord(
        self,
        example: tf.Tensor,
        target_keys: Sequence[str],
        preprocessing_fn: Callable[..., dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(inputs, targets) of one record, written by Quadrat or not.

        Args:
            example: the record.
            target_keys, preprocessing_fn, **kwargs: see `read`.
        """
        forms = self._forms()
        sample = _one(lambda records: parse_any(records, forms), example)
        return split(preprocessing_fn(sample, **kwargs) if preprocessing_fn else sample, target_keys)

    def verify(self) -> None:
        """Read everything and compare it with its checksums.

        Raises:
            InputMissing, DatasetError: naming the first file that is missing or damaged.
        """
        RecordFolder(self.path).verify()

    def _forms(self) -> dict[str, Form]:
        """The form of each key."""
        if self.output_types is None or self.output_shapes is None:
            self._load_forms()
        if self.output_types is None or self.output_shapes is None:
            inside = [name for name in _list(self.path) if tf.io.gfile.exists(tf.io.gfile.join(self.path, name, TYPES))]
            hint = f' Give the folder of a split: {", ".join(inside)}.' if inside else ''
            raise InputMissing(f'{self.path}: no {TYPES} and {SHAPES} in it, so it is no folder of TFRecords.{hint}')
        try:
            types, shapes = self.output_types, self.output_shapes
            return {key: Form(tf.as_dtype(types[key]), tuple(map(int, shapes[key]))) for key in {**types, **shapes}}
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f'{self.path}: {TYPES} and {SHAPES} make no sense ({error}).') from error

    def _load_forms(self) -> None:
        types, shapes = (tf.io.gfile.join(self.path, name) for name in (TYPES, SHAPES))
        if tf.io.gfile.exists(types) and tf.io.gfile.exists(shapes):
            self.output_types, self.output_shapes = self.load(types), self.load(shapes)


def _find_parser(folder: RecordFolder, forms: dict[str, Form]) -> Parser:
    """How the records of a folder are parsed: the first one shows it."""
    try:
        return parser(next(iter(folder.records())).numpy(), forms, folder.ours)
    except (DatasetError, tf.errors.OpError) as error:
        raise DatasetError(f'{folder.path}: the first record cannot be read: {error}') from error


def _one(parse: Parser, record: tf.Tensor) -> dict[str, tf.Tensor]:
    """The sample in one record."""
    return {key: tf.squeeze(values, 0) for key, values in parse(tf.reshape(record, [1])).items()}


def _list(path: str) -> list[str]:
    """The names in a folder, if it exists."""
    return sorted(name.rstrip('/') for name in tf.io.gfile.listdir(path)) if tf.io.gfile.isdir(path) else []


def _belongs(name: str) -> bool:
    """Whether a file is one that `ds2tfrecord` writes."""
    return name in (TYPES, SHAPES, SHARDS) or bool(_OURS.match(name))


def _write(folder: str, dataset: Dataset, count: int, per_shard: int, compression: str) -> list[Shard]:
    """Write the first `count` samples of an epoch."""
    samples = dataset.epoch()
    shards = []
    for number, first in enumerate(range(0, count, per_shard)):
        path = os.path.join(folder, f'{number}.records')
        with RecordWriter(path, compression) as writer:
            for sample in itertools.islice(samples, min(per_shard, count - first)):
                writer.write(encode(sample))
        shards.append(Shard('', os.path.basename(path), writer.count, os.path.getsize(path), sha256(path)))
    return shards
