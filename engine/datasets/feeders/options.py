"""The options of the feeders, as a run says them (no numpy and no TensorFlow here).

`OPTIONS` names a dataclass for each of `jobs.FEEDERS`; its fields have metadata: ``least``, ``among``, ``path`` (a
file, folder or pattern, relative to where it is said) and ``descriptors`` (name -> descriptor, see `descriptors`). In
place of a list of texts one text will do.

Of a training itself batches and order are those of the run: what its feeder of training samples says of them says it
for the run, see `OF_THE_RUN`.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Dict, Optional, Tuple

from ...errors import InvalidJob
from ...jobs import FEEDERS, SPLITS, FeederSpec
from ...options import bounded, checked_options
from .descriptors import descriptors

COMPRESSIONS = ('', 'GZIP', 'auto')
# Options of a feeder of training samples -> the fields of `TrainJob` or `TrainOptions` that they are given for.
OF_THE_RUN = {
    'batch_size': 'batch_size',
    'drop_remainder': 'drop_remainder',
    'shuffle': 'shuffle',
    'shuffle_buffer_size': 'shuffle_buffer',
}


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """What all feeders have: which samples, in which order, how many at a time.

    Attributes:
        max_examples: no more than so many, drawn at random with `seed`; -1: all.
        batch_size: samples in a batch, at most as many as there are.
        drop_remainder: leave out the last batch where it is not full.
        shuffle: another order in each epoch.
        shuffle_buffer_size: as if they went through a buffer of so many; from their number on all orders are alike.
        seed: of what is drawn and of the order.
    """

    max_examples: int = bounded(-1, least=-1)
    batch_size: int = bounded(128, least=1)
    drop_remainder: bool = False
    shuffle: bool = True
    shuffle_buffer_size: int = bounded(10000, least=1)
    seed: int = bounded(0, least=0)


@dataclasses.dataclass(frozen=True)
class ColumnOptions(BatchOptions):
    """Of feeders of samples that say nothing of themselves.

    Attributes:
        unlabelled: a value of labels that stands for none; None: there is no such value.
    """

    unlabelled: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class _RecordFiles:
    """What a feeder of TFRecords must be told."""

    file_patterns: Tuple[str, ...] = dataclasses.field(metadata={'path': True})
    features_map: Dict[str, Any] = dataclasses.field(metadata={'descriptors': True})


@dataclasses.dataclass(frozen=True)
class TFRecordOptions(ColumnOptions, _RecordFiles):
    """Of `TFRecordExamplesFeeder`.

    Attributes:
        file_patterns: files, or patterns such as ``folder/*.tfrecord``.
        features_map: what the network takes: name -> descriptor.
        labels_map: what it learns; empty: nothing.
        num_parallel_maps: threads that parse records; 0: as many as there are processors.
        num_parallel_reads: files that are opened at the same time.
        prefetch: batches ready before they are asked for; -1: a few.
        auto_generate_meta: make the metadata of a folder that has none.
        compression: of the files, one of `COMPRESSIONS`; ``auto``: as each file says.
    """

    labels_map: Dict[str, Any] = dataclasses.field(default_factory=dict, metadata={'descriptors': True})
    num_parallel_maps: int = bounded(0, least=0)
    num_parallel_reads: int = bounded(32, least=1)
    prefetch: int = bounded(-1, least=-1)
    auto_generate_meta: bool = False
    compression: str = bounded('', among=COMPRESSIONS)

    @property
    def threads(self) -> int:
        """That parse records."""
        return self.num_parallel_maps or os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class MemoryOptions(ColumnOptions):
    """Of `MemorySamplesFeeder`, from one of: a table as CSV, arrays in an .npz, arrays in .npy files.

    Attributes:
        csv: table with a line of names first.
        delimiter: between its columns.
        npz: arrays by name, samples along their first axis.
        x, y: what the network takes and what it learns, as an .npy each.
        features: columns of the table, or arrays of the .npz, that the network takes; none: all but the labels.
        labels: those that it learns.
        feed_as_dict: each column of the table is a feature of its own; else they are the bands of one, called ``x``.
    """

    csv: str = bounded('', path=True)
    delimiter: str = ','
    npz: str = bounded('', path=True)
    x: str = bounded('', path=True)
    y: str = bounded('', path=True)
    features: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    feed_as_dict: bool = False


@dataclasses.dataclass(frozen=True)
class _DatasetFolder:
    """What a feeder of a dataset must be told."""

    folder: str = dataclasses.field(metadata={'path': True})


@dataclasses.dataclass(frozen=True)
class DatasetOptions(BatchOptions, _DatasetFolder):
    """Of `DatasetFeeder`.

    Attributes:
        folder: a dataset of any layout, ours or not.
        split: whose samples; empty: all.
        labels: of a folder without manifest: what holds the labels; ``none``: nothing does.
    """

    split: str = bounded('', among=('', *SPLITS))
    labels: str = ''


OPTIONS: Dict[str, Any] = dict(zip(FEEDERS, (DatasetOptions, TFRecordOptions, MemoryOptions)))


def options_of(spec: FeederSpec, where: str) -> Any:
    """The options of a feeder as its dataclass.

    Args:
        where: what messages call it, such as ``data.train``.

    Raises:
        InvalidJob: an unknown feeder or option, or a value that makes no sense.
    """
    if spec.type not in OPTIONS:
        raise InvalidJob(f'{where}: no feeder {spec.type!r}; known are {", ".join(OPTIONS)}.')
    found = checked_options(OPTIONS[spec.type], spec.options, where, f'{where}.')
    for field in dataclasses.fields(found):
        if field.metadata.get('descriptors') and getattr(found, field.name):
            descriptors(getattr(found, field.name), f'{where}.{field.name}')
    fault = fault_of(found)
    if fault:
        raise InvalidJob(f'{where}: {fault}')
    return found


def fault_of(options: Any) -> str:
    """What is wrong with options whose fields are sound one by one; empty where nothing is."""
    if options.max_examples == 0:
        return 'max_examples 0: give the number of samples, or -1 for all.'
    if isinstance(options, TFRecordOptions) and not options.features_map:
        return 'features_map names no feature.'
    if isinstance(options, MemoryOptions):
        given = [name for name in ('csv', 'npz', 'x') if getattr(options, name)]
        if len(given) != 1:
            return f'give one of csv, npz and x; {" and ".join(given) or "none"} is given.'
        if options.y and given != ['x']:
            return f'y goes with x, not with {given[0]}; name the labels with "labels".'
        if given == ['x'] and (options.features or options.labels):
            return 'features and labels name columns of a csv or arrays of an npz; with x they are x and y.'
        if options.feed_as_dict and given != ['csv']:
            return 'feed_as_dict is about the columns of a csv.'
        if len(options.delimiter) != 1:
            return f'delimiter {options.delimiter!r}: give one character.'
    return ''
