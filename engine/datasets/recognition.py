"""A manifest and a table of samples for a folder that has none, made up from all that lies in it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from ..classes import complete
from ..errors import DatasetError
from ..events import Reporter
from ..jobs import SPLITS, ClassDef
from ..nodata import valid_pixels
from ..raster import unformat_nodata
from .files import sha256
from .foreign import Finding, look
from .integrity import quick
from .labelling import MOST_VALUES, smallest_type
from .legend import raster_legend
from .manifest import LabelInfo, Manifest, SourceInfo, SplitInfo
from .reader import Dataset
from .statistics import RunningStatistics
from .table import SampleTable

NO_LABELS = 'none'  # says that there are none, although the name of a key looks so
_AT_ONCE = 64  # samples read together


def recognise(folder: str, labels: str, reporter: Reporter) -> Dataset:
    """Open a folder of TFRecords or patches-images that has no manifest; everything in it is read once.

    Samples are numbered split by split, file by file. Their ids are these numbers, and their places are unknown.

    Args:
        labels: the key that holds the labels; `NO_LABELS` for none; empty for the one that is called so.

    Raises:
        DatasetError: files that do not fit together, or labels that are no whole numbers.
    """
    finding = look(folder, reporter)
    key = _label_key(folder, [found.name for found in finding.keys], labels)
    raw = _raw(folder, finding)
    for problem in quick(raw):
        raise DatasetError(f'{os.path.join(folder, problem.path)}: {problem.text}')
    survey = _Survey(raw, key, reporter)
    survey.run()
    raster = finding.rasters.get(key, '')
    return survey.dataset(raster_legend(raster) if raster else ())


def _label_key(folder: str, keys: Sequence[str], wanted: str) -> str:
    """The key of the labels, or an empty text where there are none."""
    if wanted == NO_LABELS:
        return ''
    if wanted:
        if wanted not in keys:
            raise DatasetError(f'{folder}: no {wanted!r} for the labels (LABELS); it holds {", ".join(keys)}.')
        return wanted
    alike = [key for key in keys if 'label' in key.lower()]
    for candidates in (
        [key for key in alike if key.lower() in ('label', 'labels')],
        [key for key in alike if key.lower().startswith('label')],
        alike,
    ):
        if len(candidates) == 1:
            return candidates[0]
    if alike:
        raise DatasetError(f'{folder}: which of {", ".join(alike)} are the labels? Say so with LABELS.')
    return ''


def _raw(folder: str, finding: Finding) -> Dataset:
    """The samples as they lie in the files, the labels like one more source."""
    first = [shard for shard in finding.shards if shard.key in ('', finding.keys[0].name)]
    counts = {split: sum(shard.count for shard in first if shard.split == split) for split in ('', *SPLITS)}
    count = sum(counts.values())
    if not count:
        raise DatasetError(f'{folder}: no samples in it.')
    table = SampleTable(
        ids=tuple(map(str, range(count))),
        x=np.full(count, np.nan),
        y=np.full(count, np.nan),
        images=tuple(shard.path for shard in first for _ in range(shard.count)),
        splits=tuple(split or SPLITS[0] for split, number in counts.items() for _ in range(number)),
        pixels={},
    )
    manifest = Manifest(
        count=count,
        sources=tuple(dataclasses.replace(key, rasters=_files(folder, finding, key.name)) for key in finding.keys),
        labels=None,
        classes=(),
        splits={split or SPLITS[0]: SplitInfo(number, {}) for split, number in counts.items() if number},
        shards=finding.shards,
        crs='',
        extent=None,
        layout=finding.layout,
        compression=finding.compression,
        unsplit=bool(counts['']),
    )
    return Dataset(folder, manifest, table, foreign=True)


def _files(folder: str, finding: Finding, key: str) -> tuple[str, ...]:
    """The rasters of a key."""
    paths = [shard.path for shard in finding.shards if shard.key == key]
    return tuple(os.path.join(os.path.abspath(folder), *path.split('/')) for path in paths)


class _Survey:
    """One reading of everything: checksums, statistics, values of the labels."""

    def __init__(self, raw: Dataset, key: str, reporter: Reporter) -> None:
        self._raw, self._key, self._reporter = raw, key, reporter
        self._sources = [source for source in raw.manifest.sources if source.name != key]
        if not self._sources:
            raise DatasetError(f'{raw.folder}: holds nothing but {key!r}, the labels; images are needed beside them.')
        self._statistics = {source.name: RunningStatistics(source.shape[2]) for source in self._sources}
        self._counts: dict[int, np.ndarray] = {}  # value -> pixels in each sample

    def run(self) -> None:
        count, training = self._raw.count, self._raw.indices(SPLITS[0])
        counted = np.zeros(count, bool)
        counted[training if len(training) else slice(None)] = True
        for start in range(0, count, _AT_ONCE):
            self._reporter.check_cancelled()
            self._reporter.progress(start / count, 'Looking at the samples')
            indices = np.arange(start, min(start + _AT_ONCE, count))
            for source in self._sources:
                self._add(source, self._raw.read(source.name, indices), counted[indices])
            if self._key:
                self._count(indices)
        self._shards = tuple(
            dataclasses.replace(shard, sha256=sha256(self._raw.path(shard), self._reporter.check_cancelled))
            for shard in self._raw.manifest.shards
        )

    def _add(self, source: SourceInfo, pixels: np.ndarray, counted: np.ndarray) -> None:
        if not counted.any():
            return
        valid = valid_pixels(pixels, unformat_nodata(source.nodata), source.nodata_policy)
        self._statistics[source.name].add_many(pixels[counted], valid[counted])

    def _count(self, indices: np.ndarray) -> None:
        """Count the values of labels."""
        for number, values in zip(indices.tolist(), self._raw.read(self._key, indices)):
            if values.dtype.kind == 'f':
                values = values[~np.isnan(values)]  # pixels without label
            found, counts = np.unique(values, return_counts=True)
            wrong = [value for value in found.tolist() if value != int(value) or abs(value) >= 2**31]
            if wrong or values.dtype.kind not in 'iufb' or self._raw.forms[self._key].shape[2] != 1:
                what = f'{wrong[0]} is no class value' if wrong else 'several bands, or no numbers'
                raise DatasetError(
                    f'{self._where(number)}: {self._key!r} should be labels, but: {what}. Labels are whole numbers of '
                    f'up to 32 bits in one band; say which key holds them with LABELS, or {NO_LABELS!r}.'
                )
            for value, pixels in zip(map(int, found.tolist()), counts.tolist()):
                if value not in self._counts:
                    if len(self._counts) >= MOST_VALUES:
                        raise DatasetError(
                            f'{self._where(number)}: {self._key!r} has more than {MOST_VALUES} values, so it holds no '
                            f'classes; say which key holds the labels with LABELS, or {NO_LABELS!r}.'
                        )
                    self._counts[value] = np.zeros(self._raw.count, np.int64)
                self._counts[value][number] = pixels

    def _where(self, number: int) -> str:
        """The file of a sample."""
        shard, _, positions = next(self._raw.places.of(self._key, np.array([number])))
        return f'{self._raw.path(shard)}: sample {positions[0]}'

    def dataset(self, legend: Sequence[ClassDef]) -> Dataset:
        """The dataset with all that was found."""
        manifest = self._raw.manifest
        labels = self._labels()
        values = sorted(set(self._counts) - ({labels.unlabelled} if labels else set()))
        pixels = {value: self._counts[value] for value in values}
        splits = {
            split: SplitInfo(
                info.count, {str(value): int(pixels[value][self._raw.indices(split)].sum()) for value in values}
            )
            for split, info in manifest.splits.items()
        }
        found = dataclasses.replace(
            manifest,
            sources=tuple(
                dataclasses.replace(source, statistics=self._statistics[source.name].result())
                for source in self._sources
            ),
            labels=labels,
            classes=complete(values, legend) if labels else (),
            splits=splits,
            shards=self._shards,
        )
        table = dataclasses.replace(self._raw.samples, pixels=pixels)
        return Dataset(self._raw.folder, found, table, foreign=True)

    def _labels(self) -> LabelInfo | None:
        """What the labels are. Pixels of their file's no-data value have no label."""
        if not self._key:
            return None
        info = self._raw.manifest.source(self._key)
        declared = unformat_nodata(info.nodata)[0]
        whole = declared is not None and float(declared).is_integer() and abs(declared) < 2**31
        if whole and declared is not None:
            unlabelled = int(declared)
            dtype, _ = smallest_type([value for value in self._counts if value != unlabelled], unlabelled)
            if unlabelled in self._counts:
                self._reporter.warn(
                    f'{self._key}: {int(self._counts[unlabelled].sum())} pixels have no label: their value '
                    f'{unlabelled} is declared as no-data.'
                )
        else:
            dtype, unlabelled = smallest_type([*self._counts])
        return LabelInfo(self._key, dtype.name, info.shape, unlabelled)
