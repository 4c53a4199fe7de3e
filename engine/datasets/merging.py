"""Several datasets joined into one."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidJob, write_error
from ..events import Reporter
from ..jobs import SPLITS, MergeDatasetsJob
from ..nodata import valid_pixels
from ..raster import unformat_nodata
from ..vector import reproject, transformation
from .agreement import common_classes, common_crs, common_extent, common_labels, common_sources
from .conversion import describe, require_apart
from .folder import DatasetFolder
from .layouts import check_options, write
from .manifest import Manifest, SourceInfo, SplitInfo
from .reader import Dataset
from .statistics import RunningStatistics
from .stores import forms
from .table import SampleTable, write_table

_AT_ONCE = 64  # samples read together


def merge_datasets(job: MergeDatasetsJob, reporter: Reporter) -> dict[str, Any]:
    """Join datasets: all samples of the first, then all of the second, and so on, in their order and their splits.

    Numbers get the type that holds those of all datasets. Classes are those of all datasets. Where an id of a dataset
    occurs in one before it, all ids of that dataset get its number in front: 17 becomes 2-17.

    Returns:
        ``OUTPUT`` the folder, ``COUNT`` of samples.

    Raises:
        DatasetError: datasets that cannot be one; the message names two and how they differ.
        OutputRefused, DiskFull: the output cannot be written.
    """
    check_options(job.layout)
    _check(job)
    datasets = []
    for number, path in enumerate(job.datasets):
        reporter.stage(0.2 * number / len(job.datasets), 0.2 * (number + 1) / len(job.datasets))
        datasets.append(Dataset.open(path, reporter=reporter))
        if datasets[-1].foreign:
            describe(datasets[-1], reporter)
    merged = Merged(datasets, reporter)
    reporter.stage(0.2, 0.5)
    merged.measure(reporter)
    reporter.stage(0.5, 1.0)
    folder = DatasetFolder(job.output)
    with folder:
        try:
            manifest = write(merged, folder.part, job.layout, reporter)
            write_table(folder.part, merged.samples)
            folder.finish_with(manifest)
        except OSError as error:
            raise write_error(job.output, error) from error
    for split, info in manifest.splits.items():
        reporter.log(f'{split}: {info.count} samples')
    return {'OUTPUT': job.output, 'COUNT': manifest.count}


def _check(job: MergeDatasetsJob) -> None:
    """Raise `InvalidJob` or `OutputRefused` for folders that make no sense together."""
    if len(job.datasets) < 2:
        raise InvalidJob('Two or more datasets are needed to make one of them.')
    twice = [str(path) for path, count in Counter(Path(path).resolve() for path in job.datasets).items() if count > 1]
    if twice:
        raise InvalidJob(f'{twice[0]}: given twice; each dataset can be there once.')
    require_apart(job.output, *job.datasets)


class Merged:
    """Several datasets, read as if they were one.

    Attributes:
        manifest: of all samples, but for files.
        samples: the table of all samples.
        splits: split -> numbers of its samples, ascending.

    Raises:
        DatasetError: they cannot be one.
    """

    def __init__(self, datasets: Sequence[Dataset], reporter: Reporter) -> None:
        self._datasets = datasets
        self._starts = np.cumsum([0] + [dataset.count for dataset in datasets])
        sources = common_sources(datasets, reporter)
        classes = common_classes(datasets, reporter)
        labels, self._recodings = common_labels(datasets, classes, reporter)
        crs = common_crs(datasets, reporter)
        self.samples = _join(datasets, [item.value for item in classes], crs, reporter)
        names = np.asarray(self.samples.splits)
        self.splits = {split: np.flatnonzero(names == split) for split in SPLITS if split in self.samples.splits}
        self.manifest = Manifest(
            count=int(self._starts[-1]),
            sources=sources,
            labels=labels,
            classes=classes,
            splits={
                split: SplitInfo(
                    len(indices),
                    {str(value): int(column[indices].sum()) for value, column in self.samples.pixels.items()},
                )
                for split, indices in self.splits.items()
            },
            shards=(),
            crs=crs,
            extent=common_extent(datasets, crs),
            unsplit=all(dataset.manifest.unsplit for dataset in datasets),
        )
        self._forms = forms(self.manifest)
        _warn_of_repetitions(self.samples, reporter)

    def read(self, key: str, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Samples in the order asked for; see `Dataset.read`."""
        index, form = np.asarray(indices, np.int64), self._forms[key]
        out = np.empty((len(index), *form.shape), form.dtype)
        owners = np.searchsorted(self._starts, index, side='right') - 1
        for owner in np.unique(owners).tolist():
            dataset, chosen = self._datasets[owner], np.flatnonzero(owners == owner)
            local = index[chosen] - self._starts[owner]
            own = dataset.manifest.labels
            if own is not None and self.manifest.labels is not None and key == self.manifest.labels.name:
                out[chosen] = self._recodings[owner].apply(dataset.read(own.name, local), form.dtype)
            else:
                out[chosen] = dataset.read(key, local)
        return out

    def measure(self, reporter: Reporter) -> None:
        """Read all training samples for the statistics of the sources; all samples where none is for training."""
        chosen = self.splits.get(SPLITS[0], np.arange(self.manifest.count))
        if SPLITS[0] not in self.splits:
            reporter.warn(f'No sample is in the split {SPLITS[0]!r}: statistics are of all samples.')
        sources = []
        for number, source in enumerate(self.manifest.sources):
            statistics = RunningStatistics(source.shape[2])
            for start in range(0, len(chosen), _AT_ONCE):
                reporter.check_cancelled()
                reporter.progress((number + start / len(chosen)) / len(self.manifest.sources), 'Statistics')
                self._add(source, chosen[start : start + _AT_ONCE], statistics)
            sources.append(dataclasses.replace(source, statistics=statistics.result()))
        self.manifest = dataclasses.replace(self.manifest, sources=tuple(sources))

    def _add(self, source: SourceInfo, indices: np.ndarray, statistics: RunningStatistics) -> None:
        pixels = self.read(source.name, indices)
        valid = valid_pixels(pixels, unformat_nodata(source.nodata), source.nodata_policy)
        statistics.add_many(pixels, valid)


def _join(datasets: Sequence[Dataset], classes: Sequence[int], crs: str, reporter: Reporter) -> SampleTable:
    """One table of all samples."""
    ids: list[str] = []
    places = []
    taken: set[str] = set()
    for number, dataset in enumerate(datasets, 1):
        own = _free_ids(dataset.samples.ids, taken, number)
        if own is not dataset.samples.ids:
            reporter.log(f'{dataset.folder}: ids occur in other datasets too and are {own[0]}, … here')
        ids.extend(own)
        taken.update(own)
        own_places = np.stack([dataset.samples.x, dataset.samples.y], 1)
        places.append(reproject(own_places, transformation(dataset.manifest.crs, crs)))
    x, y = np.concatenate(places).T
    return SampleTable(
        ids=tuple(ids),
        x=x,
        y=y,
        images=tuple(image for dataset in datasets for image in dataset.samples.images),
        splits=tuple(split for dataset in datasets for split in dataset.samples.splits),
        pixels={
            value: np.concatenate(
                [dataset.samples.pixels.get(value, np.zeros(dataset.count, np.int64)) for dataset in datasets]
            )
            for value in classes
        },
    )


def _free_ids(ids: tuple[str, ...], taken: set[str], number: int) -> tuple[str, ...]:
    """The ids of a dataset, or others where some are taken."""
    while not taken.isdisjoint(ids):
        ids = tuple(f'{number}-{identifier}' for identifier in ids)
    return ids


def _warn_of_repetitions(table: SampleTable, reporter: Reporter) -> None:
    """Warn of samples that were cut at the same place of the same image."""
    splits: dict[tuple[float, float, str], set[str]] = {}
    counts: Counter[tuple[float, float, str]] = Counter()
    for x, y, image, split in zip(table.x.tolist(), table.y.tolist(), table.images, table.splits):
        if x == x:  # the place is known
            splits.setdefault((x, y, image), set()).add(split)
            counts[x, y, image] += 1
    repeated = sum(count > 1 for count in counts.values())
    mixed = sum(len(found) > 1 for found in splits.values())
    if repeated:
        reporter.warn(f'At {repeated} places there are several samples of the same image.')
    if mixed:
        reporter.warn(
            f'At {mixed} places samples of the same image are in different splits, so scores on validation and test '
            'will be too good.'
        )
