"""Whether a dataset is what its manifest says."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError
from ..events import Reporter
from .files import is_name, sha256
from .folder import known_files
from .manifest import FILE, Shard, is_as_written
from .stores import RecordShard
from .table import SAMPLES

if TYPE_CHECKING:
    from .reader import Dataset

_AT_ONCE = 16 << 20  # bytes of samples read together
_NAMED = 5  # samples that a message names


class Problem(NamedTuple):
    """Something that is not as it should be.

    Attributes:
        path: of the file, relative to the dataset.
        text: what is wrong with it.
        status: the same for programs, one of those of `soundness.FileReport`.
    """

    path: str
    text: str
    status: str = 'faulty'


def quick(dataset: Dataset) -> Iterator[Problem]:
    """What shows without reading the samples."""
    yield from names(dataset)
    yield from classes(dataset)
    yield from files(dataset)
    yield from counts(dataset)


def in_one_line(folder: str, problems: Sequence[Problem]) -> str:
    """All problems of a dataset as a message; of many the first few, and how many there are."""
    if len(problems) == 1:
        return f'{os.path.join(folder, problems[0].path)}: {problems[0].text}'
    named = '; '.join(f'{problem.path}: {problem.text.rstrip(".")}' for problem in problems[:_NAMED])
    more = len(problems) - _NAMED
    return f'{folder}: {len(problems)} problems: {named}{f"; and {more} more" if more > 0 else ""}.'


def names(dataset: Dataset) -> Iterator[Problem]:
    """Files that are named twice, in another order than they were written in, or outside the folder."""
    last: dict[tuple[str, str], tuple[int, str]] = {}
    for path, count in Counter(shard.path for shard in dataset.manifest.shards).items():
        if count > 1:
            yield Problem(FILE, f'names {path} {count} times; it was changed.')
        if not all(map(is_name, path.split('/'))):
            yield Problem(FILE, f'names {path}, which is no file within the folder; it was changed.')
    for shard in dataset.manifest.shards:
        number = _number(shard.path)
        before, other = last.get((shard.key, shard.split), (-1, ''))
        if number is not None and number < before:
            yield Problem(FILE, f'names {other} before {shard.path}; their order was changed, and the samples with it.')
        if number is not None:
            last[shard.key, shard.split] = number, shard.path


def files(dataset: Dataset) -> Iterator[Problem]:
    """Files that are missing, or of another size, shape, type or number of samples."""
    elsewhere = renamed(dataset)
    for shard in dataset.manifest.shards:
        path = dataset.path(shard)
        if not os.path.isfile(path):
            new = elsewhere.get(shard.path)
            hint = f'; {new} holds its bytes: give it its name back' if new else ''
            text = f'this part of the dataset is missing{hint}.'
            yield Problem(shard.path, text, 'renamed' if new else 'missing')
            continue
        size = os.path.getsize(path)
        if size != shard.size:
            text = f'{size} bytes, the manifest says {shard.size}; the file is not whole or was changed.'
            yield Problem(shard.path, text, 'resized')
            continue
        try:
            dataset.shard(shard)
        except DatasetError as error:
            yield Problem(shard.path, str(error).removeprefix(f'{path}: '), 'damaged')


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


def classes(dataset: Dataset) -> Iterator[Problem]:
    """Classes that are not those whose pixels were counted when the samples were written."""
    manifest, labels = dataset.manifest, dataset.manifest.labels
    values = [definition.value for definition in manifest.classes]
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(FILE, f'has class {value} {count} times; the classes were changed.')
    if labels and labels.unlabelled in values:
        yield Problem(FILE, f'class {labels.unlabelled} is the value of pixels without label; one of them was changed.')
    counted = set(dataset.samples.pixels)
    if values and not labels:
        yield Problem(FILE, 'has classes, but no labels; it was changed.')
    for value in sorted(set(values) - counted):
        yield Problem(FILE, f'class {value} has no column of {SAMPLES}; the classes were changed after the samples.')
    for value in sorted(counted - set(values)):
        text = f'{SAMPLES} counts pixels of class {value}, which is none of the classes; they were changed.'
        yield Problem(FILE, text)
    for split, info in manifest.splits.items():
        if set(info.pixels) != set(map(str, values)):
            yield Problem(FILE, f'counts pixels of other classes in split {split!r} than there are; it was changed.')


def sealed(dataset: Dataset) -> Iterator[Problem]:
    """A manifest that was changed since it was written."""
    if not is_as_written(dataset.folder):
        yield Problem(
            FILE,
            'was changed after the dataset was written: its fingerprint does not fit. Make the dataset again; or, if '
            'the change was meant, remove the fingerprint from the file.',
        )


def renamed(dataset: Dataset) -> dict[str, str]:
    """Files that are missing -> files beside them that hold their bytes."""
    lost = [shard for shard in dataset.manifest.shards if not os.path.isfile(dataset.path(shard))]
    sizes = {shard.size for shard in lost}
    found = {}
    if lost and not dataset.foreign:
        for path in _unknown(dataset):
            place = os.path.join(dataset.folder, *path.split('/'))
            if os.path.getsize(place) in sizes:  # only then is it worth reading
                found[sha256(place)] = path
    return {shard.path: found[shard.sha256] for shard in lost if shard.sha256 in found}


def strangers(dataset: Dataset) -> Iterator[Problem]:
    """Files in the folder that the manifest does not know. They are never read; they may be left from another one."""
    old = {new: old for old, new in renamed(dataset).items()}
    for path in _unknown(dataset):
        if path in old:
            text = f'holds the bytes of {old[path]}, which is missing: give it that name back.'
        else:
            text = 'is no part of the dataset, renamed or left over; nothing reads it.'
        yield Problem(path, text, 'unlisted')


def _unknown(dataset: Dataset) -> Iterator[str]:
    """The paths of files in the folder that the manifest does not know."""
    known = known_files(dataset.manifest)
    for top, _, found in os.walk(dataset.folder):
        for name in sorted(found):
            path = os.path.relpath(os.path.join(top, name), dataset.folder).replace(os.sep, '/')
            if path not in known and os.path.isfile(os.path.join(top, name)):
                yield path


def full(dataset: Dataset, damaged: set[str], reporter: Reporter) -> Iterator[Problem]:
    """What shows when everything is read: changed bytes, labels that are no classes, counts that do not fit.

    Args:
        damaged: files that cannot be read, and are passed over.
    """
    yield from _repeated_ids(dataset)
    yield from _wrong_sums(dataset)
    shards = [shard for shard in dataset.manifest.shards if shard.path not in damaged]
    written = {shard.sha256: shard.path for shard in dataset.manifest.shards}
    total, done = max(sum(shard.size for shard in shards), 1), 0
    for shard in shards:
        reporter.progress(done / total, f'Reading {shard.path}')
        done += shard.size
        found = sha256(dataset.path(shard), reporter.check_cancelled)
        if found != shard.sha256:
            other = f'swapped: they are those of {written[found]}' if found in written else 'changed'
            text = f'its bytes are not those that were written (SHA-256); it was {other}.'
            yield Problem(shard.path, text, 'changed')
        try:
            yield from _wrong_values(dataset, shard, reporter)
        except DatasetError as error:
            yield Problem(shard.path, str(error).removeprefix(f'{dataset.path(shard)}: '), 'damaged')


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


def _number(path: str) -> int | None:
    """The number of a file among those of its kind, which ends its name; None where it has none."""
    match = re.search(r'(\d+)\.(?:npy|records)$', path)
    return int(match[1]) if match else None


def _some(values: Sequence[object]) -> str:
    return ', '.join(map(str, values[:_NAMED])) + _more(values)


def _more(values: Sized) -> str:
    return ', …' if len(values) > _NAMED else ''
