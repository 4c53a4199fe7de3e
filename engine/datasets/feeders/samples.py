"""The samples of a feeder as a training reads those of a dataset."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...classes import complete
from ...events import Reporter
from ...jobs import SPLITS
from ..manifest import Manifest, SplitInfo
from ..table import SampleTable
from .columnreader import ColumnReader
from .dataset import DatasetSource
from .feeder import Feeder
from .survey import Read, survey
from .wanted import Wanted

TRAIN = SPLITS[0]


class FeederSamples:
    """The samples of a feeder, all of them for training. Threads may share it.

    Args:
        folder: what messages call it.
        manifest: what that of a dataset would say.
        samples: the table of the samples.
        read: gives them.

    Attributes:
        count: their number; the others are the arguments.
    """

    def __init__(self, folder: str, manifest: Manifest, samples: SampleTable, read: Read) -> None:
        self.folder, self.manifest, self.samples, self._read = folder, manifest, samples, read
        self.count = manifest.count

    def indices(self, split: str) -> np.ndarray:
        """Numbers of the samples of a split, ascending."""
        return np.arange(self.count if split == TRAIN else 0)

    def read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """(len(indices), rows, columns, bands) of a source or of the labels, in the order asked for."""
        return self._read(key, indices)


def samples_of(feeder: Feeder, wanted: Wanted, reporter: Reporter) -> FeederSamples:
    """The samples of a feeder. They are read once for what is wanted of them and nobody says.

    Raises:
        InvalidJob: features or labels that no network takes or learns, or that have to be chosen from.
        LabelError: labels that are no classes.
        DatasetError: a sample cannot be read.
    """
    if isinstance(feeder.source, DatasetSource):
        return _of_dataset(feeder, feeder.source, wanted, reporter)
    reader, count = ColumnReader(feeder, wanted), feeder.count
    sources, values = survey(
        reader.read,
        count,
        reader.sources if wanted.statistics else (),
        reader.labels if wanted.classes else None,
        reporter,
    )
    manifest = Manifest(
        count=count,
        sources=sources or tuple(reader.sources),
        labels=reader.labels,
        classes=complete(values, ()),
        splits={TRAIN: SplitInfo(count, {})},
        shards=feeder.source.shards(reporter),
        crs='',
        extent=None,
        unsplit=True,
    )
    ids, nowhere = tuple(map(str, feeder.chosen.tolist())), np.full(count, np.nan)
    table = SampleTable(ids, nowhere, nowhere, (reader.name,) * count, (TRAIN,) * count, {})
    return FeederSamples(reader.name, manifest, table, reader.read)


def _of_dataset(feeder: Feeder, source: DatasetSource, wanted: Wanted, reporter: Reporter) -> FeederSamples:
    dataset, chosen = source.dataset, source.indices[feeder.chosen]
    table, manifest = dataset.samples, dataset.manifest

    def read(key: str, indices: np.ndarray) -> np.ndarray:
        return dataset.read(key, chosen[indices])

    sources = manifest.sources
    if wanted.statistics and not np.array_equal(chosen, _described(source)):
        sources, _ = survey(read, len(chosen), sources, None, reporter)
    pixels = {value: counts[chosen] for value, counts in table.pixels.items()}
    numbers = chosen.tolist()
    samples = SampleTable(
        tuple(table.ids[number] for number in numbers),
        table.x[chosen],
        table.y[chosen],
        tuple(table.images[number] for number in numbers),
        (TRAIN,) * len(chosen),
        pixels,
    )
    split = SplitInfo(len(chosen), {str(value): int(counts.sum()) for value, counts in pixels.items()})
    manifest = dataclasses.replace(manifest, count=len(chosen), sources=sources, splits={TRAIN: split})
    return FeederSamples(dataset.folder, manifest, samples, read)


def _described(source: DatasetSource) -> np.ndarray:
    """The samples that the statistics of a dataset are of."""
    training = source.dataset.indices(TRAIN)
    return training if len(training) else np.arange(source.dataset.count)
