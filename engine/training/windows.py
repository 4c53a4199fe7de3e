"""Samples straight from rasters: what an extraction would write, read when it is needed, with no files between."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from ..datasets.cutting import Indices, cut_patches
from ..datasets.extraction import check_extraction
from ..datasets.labelling import LOST, NAME, PointLabelling, smallest_type
from ..datasets.labelsources import image_labels, point_labels
from ..datasets.manifest import LabelInfo, Manifest, SourceInfo, SplitInfo, Statistics
from ..datasets.placement import Placement
from ..datasets.sourcecut import NO_DATA
from ..datasets.sources import named
from ..datasets.statistics import RunningStatistics
from ..datasets.summary import summarise
from ..datasets.table import SampleTable
from ..datasets.values import NAME as VALUES
from ..datasets.values import PointValues, with_values
from ..datasets.zones import describe, open_zones
from ..errors import NoSamples
from ..events import Reporter
from ..grid import Grid, Window
from ..jobs import SPLITS, ClassDef, ExtractPatchesJob
from ..nodata import valid_pixels
from ..raster import padded_index, unformat_nodata
from .windowlabels import WindowLabelling


class WindowSamples:
    """The patches of an extraction, in the order in which it would write them. Threads may share it.

    All of them are read once at the start: for the statistics, and to leave out those that lack data or labels.

    Args:
        job: says where patches lie and where labels come from; its outputs do not count.
        reporter: hears how far that is.

    Attributes:
        folder: what messages call it: the first raster.
        manifest: what that of a dataset would say; it has no shards.
        samples: the table of the patches.
        count: of the patches.

    Raises:
        GridMismatch, LabelError, NoSamples, InvalidJob: as the extraction does.
    """

    def __init__(self, job: ExtractPatchesJob, reporter: Reporter) -> None:
        check_extraction(job)
        job = with_values(job)
        self._reporter = reporter
        self._zones = open_zones(job)
        infos = describe(self._zones, job.nodata_policy, reporter)
        self._placement = Placement(job, self._zones, reporter)
        self.folder = self._zones[0].image
        self._values = PointValues(job, self._placement) if job.values and job.label_field else None
        self._labelling = None if self._values else self._label(job)
        if self._labelling:
            self._labelling.cut()
        self._numbers = {info.name: number for number, info in enumerate(infos)}
        for info in infos:
            self._sift(info)
        self._taken = self._placement.left()
        if not len(self._taken):
            raise NoSamples(f'No patch is left: {self._placement.why()}.{self._placement.remedy()}')
        self.count = len(self._taken)
        sources = [dataclasses.replace(info, statistics=self._statistics(info)) for info in infos]
        if self._values:
            sources.append(self._values.info(sources[0]))
        self._describe(tuple(sources), job)

    def _label(self, job: ExtractPatchesJob) -> WindowLabelling | PointLabelling | None:
        """Where labels come from, if there are any."""
        if job.label_field:
            return point_labels(job, self._zones, self._placement, self._reporter)
        found = image_labels(job, self._zones, self._reporter)
        if found is None:
            return None
        return WindowLabelling(found[0], job.sources[0].patch_size, found[1], self._placement, self._reporter)

    def _sift(self, info: SourceInfo) -> None:
        """Leave out the patches that lack data."""
        if info.nodata_policy == 'ignore':
            return
        reason = named(NO_DATA, info.name, len(self._numbers))
        for patches, pixels in self._all(info, self._placement.left()):
            valid = valid_pixels(pixels, unformat_nodata(info.nodata), info.nodata_policy)
            enough = valid.all((1, 2)) if info.nodata_policy == 'any' else valid.any((1, 2))
            self._placement.reject(patches[~enough], reason, info.name)

    def _statistics(self, info: SourceInfo) -> Statistics:
        """Of the training patches."""
        training = self._taken[self._placement.splits[self._taken] == SPLITS[0]]
        running = RunningStatistics(len(info.bands))
        for _, pixels in self._all(info, training if len(training) else self._taken):
            running.add_many(pixels, valid_pixels(pixels, unformat_nodata(info.nodata), info.nodata_policy))
        return running.result()

    def _all(self, info: SourceInfo, patches: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Patches of a source with their pixels, in the order that reads its rasters fastest."""
        number, place, (height, width, _) = self._numbers[info.name], self._placement, info.shape
        done = 0
        for zone in self._zones:
            mine = patches[place.zones[patches] == zone.number]
            stack = zone.sources.stacks[number]
            cols, rows, grid = place.cols[number][mine], place.rows[number][mine], stack.grid
            beyond = (cols < 0) | (rows < 0) | (cols + width > grid.width) | (rows + height > grid.height)
            mirror = _mirror(cols, rows, (width, height), grid)
            for numbers, pixels, _ in cut_patches(stack, cols, rows, (width, height), beyond, mirror):
                self._reporter.check_cancelled()
                self._reporter.progress(done / len(patches), f'Looking at the patches of {info.name}')
                yield mine[numbers], pixels
                done += len(numbers)

    def _describe(self, sources: tuple[SourceInfo, ...], job: ExtractPatchesJob) -> None:
        """Make up the manifest and the table of the patches."""
        place, taken = self._placement, self._taken
        classes: tuple[ClassDef, ...] = ()
        labels: LabelInfo | None = None
        pixels: dict[int, np.ndarray] = {}
        if self._labelling:
            classes = self._labelling.classes()
            nodata = self._labelling.nodata
            pixels = {item.value: self._labelling.tally.of(item.value)[taken] for item in classes}
            values = [*pixels, *([] if nodata is None else [nodata])]
            dtype, free = smallest_type(values, job.unlabelled)
            labels = LabelInfo(NAME, dtype.name, (*self._labelling.shape, 1), free, nodata)
        splits: dict[str, SplitInfo] = summarise(self._zones, place, classes, pixels, self._reporter)
        names = tuple(place.splits[taken].tolist())
        ids = tuple(place.ids[number] for number in taken.tolist())
        self.samples = SampleTable(ids, place.x[taken], place.y[taken], place.images(taken), names, pixels)
        self._indices = {split: np.flatnonzero(place.splits[taken] == split) for split in splits}
        self.manifest = Manifest(
            count=self.count,
            sources=sources,
            labels=labels,
            classes=classes,
            splits=splits,
            shards=(),
            crs=place.crs,
            extent=place.extent(taken),
            unsplit=place.unsplit,
        )

    def indices(self, split: str) -> np.ndarray:
        """Numbers of the samples of a split, ascending; none where there is no such split."""
        return self._indices.get(split, np.empty(0, np.int64))

    def read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """Samples in the order asked for: (samples, rows, columns, bands) of a source, or of the labels."""
        patches = self._taken[np.asarray(indices, np.int64)]
        info = self.manifest.labels
        if info is not None and key == info.name and self._labelling:
            values = self._labelling.read(patches)
            return np.where(values <= LOST, info.unlabelled, values).astype(info.dtype)[..., None]
        if self._values and key == VALUES:
            return self._values.read(patches)
        source = self.manifest.source(key)
        rows, cols, _ = source.shape
        number, place = self._numbers[key], self._placement
        out = np.empty((len(patches), *source.shape), source.dtype)
        for i, patch in enumerate(patches.tolist()):
            stack = self._zones[place.zones[patch]].sources.stacks[number]
            out[i] = stack.read_padded(
                Window(int(place.cols[number][patch]), int(place.rows[number][patch]), cols, rows)
            )
        return out


def _mirror(cols: np.ndarray, rows: np.ndarray, size: tuple[int, int], grid: Grid) -> Callable[[int], Indices]:
    """Rows and columns of a grid that stand in a patch which reaches over its edge."""
    return lambda patch: (
        padded_index(int(rows[patch]), size[1], grid.height),
        padded_index(int(cols[patch]), size[0], grid.width),
    )
