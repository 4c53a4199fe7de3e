"""Whether a dataset is what its manifest says."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError
from ..events import Reporter
from .files import sha256
from .folder import known_files
from .manifest import FILE, Shard
from .stores import RecordShard
from .table import SAMPLES

if TYPE_CHECKING:
    from .reader import Dataset

_AT_ONCE = 16 << 20  # bytes of samples read together
_NAMED = 5  # samples that a message names


class Problem(NamedTuple):
    """Something that is not as it should be: the file, relative to the dataset, and what is wrong with it."""

    path: str
    text: str


def quick(dataset: Dataset) -> Iterator[Problem]:
    """What shows without reading the samples."""
    yield from files(dataset)
    yield from counts(dataset)


def files(dataset: Dataset) -> Iterator[Problem]:
    """Files that are missing, or of another size, shape, type or number of samples."""
    for shard in dataset.manifest.shards:
        path = dataset.path(shard)
        if not os.path.isfile(path):
            yield Problem(shard.path, 'this part of the dataset is missing.')
            continue
        size = os.path.getsize(path)
        if size != shard.size:
            text = f'{size} bytes, the manifest says {shard.size}; the file is not whole or was changed.'
            yield Problem(shard.path, text)
            continue
        try:
            dataset.shard(shard)
        except DatasetError as error:
            yield Problem(shard.path, str(error).removeprefix(f'{path}: '))


def counts(dataset: Dataset) -> Iterator[Problem]:
    """Numbers of samples that do not fit together."""
    for key in dataset.keys:
        for split, (found, expected) in dataset.places.counts(key).items():
            if found != expected:
                where = f' of split {split!r}' if split else ''
                yield Problem(FILE, f'names {found} of {expected} samples of {key!r}{where}.')
    for split, info in dataset.manifest.splits.items():
        found = len(dataset.indices(split))
        if found != info.count:
            yield Problem(SAMPLES, f'{found} samples of split {split!r}, the manifest says {info.count}.')


def strangers(dataset: Dataset) -> Iterator[Problem]:
    """Files in the folder that the manifest does not know. They are never read; they may be left from another one."""
    known = known_files(dataset.manifest)
    for top, _, names in os.walk(dataset.folder):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(top, name), dataset.folder).replace(os.sep, '/')
            if path not in known:
                yield Problem(path, 'is no part of the dataset; nothing reads it. Was it renamed, or left over?')


def full(dataset: Dataset, damaged: set[str], reporter: Reporter) -> Iterator[Problem]:
    """What shows when everything is read: changed bytes, labels that are no classes, counts that do not fit.

    Args:
        damaged: files that cannot be read, and are passed over.
    """
    yield from _repeated_ids(dataset)
    yield from _wrong_sums(dataset)
    shards = [shard for shard in dataset.manifest.shards if shard.path not in damaged]
    total, done = max(sum(shard.size for shard in shards), 1), 0
    for shard in shards:
        reporter.progress(done / total, f'Reading {shard.path}')
        done += shard.size
        if sha256(dataset.path(shard), reporter.check_cancelled) != shard.sha256:
            yield Problem(shard.path, 'its bytes are not those that were written (SHA-256); it was changed or swapped.')
        try:
            yield from _wrong_values(dataset, shard, reporter)
        except DatasetError as error:
            yield Problem(shard.path, str(error).removeprefix(f'{dataset.path(shard)}: '))


def _repeated_ids(dataset: Dataset) -> Iterator[Problem]:
    repeated = [identifier for identifier, count in Counter(dataset.samples.ids).items() if count > 1]
    if repeated:
        yield Problem(SAMPLES, f'{len(repeated)} ids occur more than once, such as {_some(repeated)}.')


def _wrong_sums(dataset: Dataset) -> Iterator[Problem]:
    """Numbers of pixels in the manifest that are not the sums of the table."""
    for split, info in dataset.manifest.splits.items():
        chosen = dataset.indices(split)
        for value, pixels in info.pixels.items():
            column = dataset.samples.pixels.get(int(value))
            found = 'no column of it' if column is None else f'{int(column[chosen].sum())} pixels'
            if found != f'{pixels} pixels':
                yield Problem(SAMPLES, f'class {value} in split {split!r}: {found}; the manifest says {pixels}.')


def _wrong_values(dataset: Dataset, shard: Shard, reporter: Reporter) -> Iterator[Problem]:
    """Samples of a file that hold what they should not."""
    opened = dataset.shard(shard)
    if isinstance(opened, RecordShard):
        opened.verify()
    manifest, labels = dataset.manifest, dataset.manifest.labels
    indices = dataset.places.samples(shard)
    for key in (shard.key,) if shard.key else dataset.keys:
        form = dataset.forms[key]
        step = max(1, _AT_ONCE // (math.prod(form.shape) * form.dtype.itemsize))
        strange: Counter[int] = Counter()
        miscounted: list[int] = []
        infinite: list[int] = []
        for start in range(0, len(indices), step):
            reporter.check_cancelled()
            part = indices[start : start + step]
            samples = dataset.read(key, part)
            if labels and key == labels.name:
                strange.update(_strange(dataset, samples))
                miscounted += _miscounted(dataset, part, samples)
            elif form.dtype.kind == 'f' and manifest.source(key).nodata_policy == 'any':
                infinite += part[~np.isfinite(samples).all((1, 2, 3))].tolist()
        if strange:
            values = ', '.join(f'{value} ({count} pixels)' for value, count in sorted(strange.items())[:_NAMED])
            yield Problem(shard.path, f'labels that are no class: {values}{_more(strange)}.')
        if miscounted:
            what = f'pixels of classes are not those of {SAMPLES} in'
            yield Problem(shard.path, f'{what} {len(miscounted)} samples: {_some(miscounted)}.')
        if infinite:
            what = 'pixels that are no numbers, although such patches were rejected, in'
            yield Problem(shard.path, f'{key}: {what} {len(infinite)} samples: {_some(infinite)}.')


def _strange(dataset: Dataset, labels: np.ndarray) -> dict[int, int]:
    """Values that are neither classes nor stand for "no label", and how often they occur."""
    info = dataset.manifest.labels
    known: set[int | None] = {definition.value for definition in dataset.manifest.classes}
    known |= {info.unlabelled, info.nodata} if info else set()
    values, counts = np.unique(labels, return_counts=True)
    return {value: count for value, count in zip(values.tolist(), counts.tolist()) if value not in known}


def _miscounted(dataset: Dataset, indices: np.ndarray, labels: np.ndarray) -> list[int]:
    """Samples whose pixels of some class are not as many as the table says."""
    wrong = np.zeros(len(indices), bool)
    for value, column in dataset.samples.pixels.items():
        wrong |= (labels == value).sum((1, 2, 3)) != column[indices]
    return indices[wrong].tolist()


def _some(values: Sequence[object]) -> str:
    return ', '.join(map(str, values[:_NAMED])) + _more(values)


def _more(values: Sized) -> str:
    return ', …' if len(values) > _NAMED else ''
