"""Small datasets of any layout, made from arrays that tests can compare with."""

from __future__ import annotations

import os

import numpy as np
import pytest

from quadrat.engine.datasets.layouts import write
from quadrat.engine.datasets.manifest import LabelInfo, Manifest, SourceInfo, SplitInfo
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.datasets.statistics import RunningStatistics
from quadrat.engine.datasets.table import SampleTable, write_table
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import osr
from quadrat.engine.jobs import SPLITS, ClassDef, LayoutOptions

COLOURS = ('#1b9e77', '#d95f02', '#7570b3', '#e7298a', '#66a61e')


def wkt(epsg: int) -> str:
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(epsg)
    return crs.ExportToWkt()


class Arrays:
    """Samples in memory, which can be written like a dataset.

    Args:
        forms: source -> (shape, type).
        labels: shape of the labels; None for none.
        values: the classes. Every label shape of more than a pixel has some pixels of `unlabelled` and `nodata`.
        splits: one a sample; None: the dataset is not split.
        first: number of the first sample: ids and places follow from it.
    """

    def __init__(
        self,
        count=40,
        seed=0,
        forms=(('source1', (8, 8, 3), 'int16'),),
        labels=(8, 8, 1),
        values=(11, 12, 41),
        splits=SPLITS,
        epsg=32631,
        unlabelled=255,
        nodata=None,
        first=0,
        names=None,
        dtype='uint8',
        source_nodata='',
        policy='any',
    ):
        rng = np.random.default_rng(seed)
        self.arrays = {}
        sources = []
        names = names or {value: f'class {value}' for value in values}
        chosen = rng.choice(splits, count) if splits else np.repeat(SPLITS[0], count)
        self.splits = {split: np.flatnonzero(chosen == split) for split in SPLITS if (chosen == split).any()}
        for name, shape, kind in forms:
            limits = (0, 255) if np.dtype(kind).itemsize == 1 else (-900, 3000) if kind != 'uint16' else (0, 60000)
            pixels = rng.integers(*limits, (count, *shape)).astype(kind)
            pixels[rng.integers(0, count, 2)] = 0  # patches that GDAL would leave out of a file
            self.arrays[name] = pixels
            running = RunningStatistics(shape[2])
            train = self.splits.get(SPLITS[0], np.arange(count))
            running.add_many(pixels[train], np.ones((len(train), *shape[:2]), bool))
            sources.append(
                SourceInfo(
                    name,
                    str(np.dtype(kind)),
                    tuple(shape),
                    tuple(f'band {i}' for i in range(shape[2])),
                    (source_nodata,) * shape[2],
                    policy,
                    (2.0 * forms[0][1][1] / shape[1], 2.0 * forms[0][1][0] / shape[0]),
                    (f'/images/{name}.tif',),
                    running.result(),
                )
            )
        info, pixels = None, {}
        if labels:
            found = rng.choice([*values, unlabelled, *([nodata] if nodata is not None else [])], (count, *labels))
            self.arrays['labels'] = found.astype(dtype)
            info = LabelInfo('labels', dtype, tuple(labels), unlabelled, nodata)
            pixels = {value: (found == value).sum((1, 2, 3)) for value in values}
        self.samples = SampleTable(
            tuple(str(first + i) for i in range(count)),
            600000.0 + 16.0 * (first + np.arange(count)) + 0.1,
            np.full(count, 5800000.3),
            ('/images/source1.tif',) * count,
            tuple(chosen.tolist()),
            pixels,
        )
        self.manifest = Manifest(
            count=count,
            sources=tuple(sources),
            labels=info,
            classes=tuple(
                ClassDef(value, names[value], COLOURS[i % 5]) for i, value in enumerate(values)
            ) if labels else (),
            splits={
                split: SplitInfo(len(index), {str(value): int(n[index].sum()) for value, n in pixels.items()})
                for split, index in self.splits.items()
            },
            shards=(),
            crs=wkt(epsg),
            extent=(600000.0 + 16 * first, 5799990.0, 600000.0 + 16.0 * (first + count), 5800010.0),
            unsplit=not splits,
        )  # fmt: skip

    def read(self, key, indices):
        return self.arrays[key][indices]

    def save(self, folder, layout='numpy', per_shard=0, compression='none') -> Dataset:
        """Write them as a dataset, and open it."""
        folder = str(folder)
        os.makedirs(folder)
        manifest = write(self, folder, LayoutOptions(layout, per_shard, compression), Reporter())
        write_table(folder, self.samples)
        with open(os.path.join(folder, 'manifest.json'), 'w', encoding='utf-8') as file:
            file.write(manifest.to_json())
        return Dataset.open(folder)

    def check(self, dataset: Dataset) -> None:
        """The dataset holds just these samples, in any order they are asked for."""
        order = np.random.default_rng(9).integers(0, len(self.samples), 3 * len(self.samples))
        assert dataset.count == len(self.samples) and dataset.keys == tuple(self.arrays)
        for key, array in self.arrays.items():
            found = dataset.read(key, order)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array[order])
        for split, indices in self.splits.items():
            np.testing.assert_array_equal(dataset.indices(split), indices)


@pytest.fixture(scope='session')
def arrays():
    """The class `Arrays`."""
    return Arrays


@pytest.fixture(scope='session')
def listening():
    """A function that makes a reporter, and the list of what it hears."""

    def make():
        events = []
        return Reporter(events.append), events

    return make


def texts(events, kind) -> str:
    return '\n'.join(event.text for event in events if event.type == kind)


@pytest.fixture(scope='session')
def said():
    """A function: all texts of a kind of event."""
    return texts
