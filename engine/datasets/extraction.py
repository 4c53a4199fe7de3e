"""Cutting patches and their labels at points into a dataset."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import GridMismatch, InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import write_error
from ..grid import Window, relate
from ..jobs import NODATA_POLICIES, SPLITS, ClassDef, ExtractPatchesJob, SourceSpec
from ..nodata import valid_pixels
from ..raster import RasterStack, format_nodata, require_same_crs
from ..vector import require_vector_output
from .folder import DatasetFolder
from .labelling import NAME as LABELS
from .labelling import Labelling
from .manifest import Manifest, Shard, SourceInfo, SplitInfo
from .overlap import shared_pixels
from .placement import Placement
from .reader import CLASS_PREFIX, SAMPLES
from .shards import ShardWriter
from .statistics import RunningStatistics

NO_DATA = 'no-data in the image'
NO_LABEL = 'no labelled pixel'
NO_GROUND = 'patch covers no whole label pixels'


def extract_patches(job: ExtractPatchesJob, reporter: Reporter) -> dict[str, Any]:
    """Cut a patch at each point from every source, with its labels, into a dataset of numpy shards.

    The patch of N pixels starts ⌊N/2⌋ pixels before the pixel that holds the point. Samples stay in the order of the
    points. Memory does not grow with the size of the patches or of the rasters.

    Returns:
        ``OUTPUT`` the folder, ``ACCEPTED`` and ``REJECTED`` the point layers if asked for, ``COUNT`` of samples.

    Raises:
        GridMismatch: sources or labels do not lie on grids that fit.
        LabelError: values that are no labels, or not among the named classes.
        NoSamples: no patch is left; the message counts the reasons.
        OutputRefused, DiskFull: the output cannot be written.
    """
    _check(job)
    folder = DatasetFolder(job.output)
    with folder:
        try:
            extraction = _Extraction(job, folder.part, reporter)
            extraction.cut()
            manifest = extraction.write()
            folder.finish_with(manifest)
        except OSError as error:
            raise write_error(job.output, error) from error
    if job.accepted:
        extraction.placement.write_accepted(job.accepted)
    if job.rejected:
        extraction.placement.write_rejected(job.rejected)
    values = {'OUTPUT': job.output, 'ACCEPTED': job.accepted, 'REJECTED': job.rejected, 'COUNT': manifest.count}
    return {name: value for name, value in values.items() if value != ''}


def _check(job: ExtractPatchesJob) -> None:
    """Raise `InvalidJob` for what contradicts itself."""
    if not job.sources:
        raise InvalidJob('No image to cut patches from.')
    if job.labels and job.polygons:
        raise InvalidJob('Labels come from a raster or from polygons; give one of them.')
    if job.nodata_policy not in NODATA_POLICIES:
        raise InvalidJob(f'No-data policy {job.nodata_policy!r}: choose one of {", ".join(NODATA_POLICIES)}.')
    names = [source.name for source in job.sources]
    if len(set(names)) < len(names) or LABELS in names:
        raise InvalidJob(f'Sources must have different names, and none may be called {LABELS!r}: {", ".join(names)}.')
    for source in job.sources:
        if source.patch_size != job.sources[0].patch_size or min(source.patch_size) < 1:
            raise InvalidJob('The patch size must be 1 or more, and the same for all sources.')
    for path in (job.accepted, job.rejected):
        if path:
            require_vector_output(path)


class _Sources:
    """Image sources of one pixel size; windows are those of the first one's grid."""

    def __init__(self, specs: Sequence[SourceSpec], policy: str) -> None:
        self.stacks = [RasterStack(spec) for spec in specs]
        self.grid = self.stacks[0].grid
        self._offsets = [_offset(self.stacks[0], stack) for stack in self.stacks]
        self._policy = policy

    def cover(self, window: Window) -> bool:
        """Whether a window lies inside every source."""
        return all(
            stack.grid.window.contains(window.shift(*offset)) for stack, offset in zip(self.stacks, self._offsets)
        )

    def read(self, window: Window) -> list[np.ndarray]:
        """The pixels of each source."""
        return [stack.read(window.shift(*offset)) for stack, offset in zip(self.stacks, self._offsets)]

    def valid(self, patches: Sequence[np.ndarray]) -> np.ndarray:
        """(rows, columns) booleans: where all sources have data."""
        masks = [valid_pixels(pixels, stack.nodata, self._policy) for stack, pixels in zip(self.stacks, patches)]
        return np.logical_and.reduce(masks)


def _offset(first: RasterStack, other: RasterStack) -> tuple[int, int]:
    """(columns, rows) from a window of the first source to the same ground in another of the same pixel size."""
    names = (first.spec.rasters[0], other.spec.rasters[0])
    require_same_crs(first.grid, other.grid, names)
    relation = relate(first.grid, other.grid, names)
    if (relation.x, relation.y) != (1, 1):
        raise GridMismatch(
            f'{names[1]}: its pixels are not of the size of those of {names[0]}. Resample it ("Warp") to that grid.'
        )
    return int(relation.col), int(relation.row)


class _Extraction:
    """One run: `cut`, then `write`."""

    def __init__(self, job: ExtractPatchesJob, folder: str, reporter: Reporter) -> None:
        self.job, self.folder, self.reporter = job, folder, reporter
        self.sources = _Sources(job.sources, job.nodata_policy)
        self.placement = Placement(job, self.sources.grid, self.sources.cover, reporter)
        self.labelling = Labelling.open(job, self.sources.grid, folder, reporter)

    def cut(self) -> None:
        """Read every patch once; write those that are taken, each at its number among those that could be cut."""
        self.candidates = self.placement.left()
        count = len(self.candidates)
        numbers = {point: number for number, point in enumerate(self.candidates.tolist())}
        self.writers = [
            ShardWriter(
                self.folder, stack.spec.name, self._shape(stack), stack.dtype, count, self.job.layout.samples_per_shard
            )
            for stack in self.sources.stacks
        ]
        if self.labelling:
            self.labelling.prepare(self.placement.size, count)
        self.reporter.stage(0.05, 0.8)
        order = self.placement.by_block(self.candidates, self.sources.stacks[0].block)
        for done, point in enumerate(order.tolist()):
            self.reporter.check_cancelled()
            self.reporter.progress(done / count, 'Cutting patches')
            self.placement.reasons[point] = self._cut_one(self.placement.window(point), numbers[point])
        if all(self.placement.reasons):
            raise NoSamples(f'No patch is left: {self.placement.why()}.')

    def _cut_one(self, window: Window, number: int) -> str:
        """Read a patch and write it as number `number`; the reason where it is rejected."""
        patches = self.sources.read(window)
        valid = self.sources.valid(patches)
        policy = self.job.nodata_policy
        if (policy == 'any' and not valid.all()) or (policy == 'all' and not valid.any()):
            return NO_DATA
        if self.labelling:
            ground = self.labelling.labels.window(window)
            if ground is None:
                return NO_GROUND
            if not self.labelling.cut(ground, valid, number):
                return NO_LABEL
        for writer, pixels in zip(self.writers, patches):
            writer.write(number, pixels)
        return ''

    def _shape(self, stack: RasterStack) -> tuple[int, int, int]:
        cols, rows = self.placement.size
        return rows, cols, len(stack.bands)

    def write(self) -> Manifest:
        """Turn what was cut into the files of a dataset, but for the manifest itself."""
        self.taken = self.placement.left()
        self.splits = np.array(self.placement.splits)[self.taken]
        rejected = len(self.placement.reasons) - len(self.taken)
        why = f': {self.placement.why()}' if rejected else ''
        self.reporter.log(f'{len(self.taken)} patches taken, {rejected} rejected{why}')
        chosen = np.flatnonzero(np.isin(self.candidates, self.taken))
        self.reporter.stage(0.8, 1.0)
        classes: tuple[ClassDef, ...] = ()
        info, pixels = None, {}
        label_shards: tuple[Shard, ...] = ()
        if self.labelling:
            classes = self.labelling.classes()
            info, label_shards = self.labelling.finish(chosen, classes, self.job.layout.samples_per_shard)
            pixels = {definition.value: self.labelling.count_of(definition.value)[chosen] for definition in classes}
        sources: list[SourceInfo] = []
        shards: list[Shard] = []
        for number, (stack, writer) in enumerate(zip(self.sources.stacks, self.writers)):
            self.reporter.progress((number + 0.5) / len(self.writers), 'Checksums and statistics')
            writer.keep(chosen)
            source, source_shards = self._finish(stack, writer)
            sources.append(source)
            shards.extend(source_shards)
        self._write_samples(pixels)
        return Manifest(
            count=len(self.taken),
            sources=tuple(sources),
            labels=info,
            classes=classes,
            splits=self._summarise(pixels, classes),
            shards=(*shards, *label_shards),
            crs=self.sources.grid.crs,
            extent=self.placement.extent(self.taken),
        )

    def _finish(self, stack: RasterStack, writer: ShardWriter) -> tuple[SourceInfo, tuple[Shard, ...]]:
        """Checksums of a source's shards and statistics of its training samples."""
        training = self.splits == SPLITS[0]
        if not training.any():
            self.reporter.warn(f'No sample is in the split {SPLITS[0]!r}: statistics are of all samples.')
            training = np.ones(len(training), bool)
        statistics = RunningStatistics(len(stack.bands))

        def add(index: int, pixels: np.ndarray) -> None:
            self.reporter.check_cancelled()
            if training[index]:
                statistics.add(pixels, valid_pixels(pixels, stack.nodata, self.job.nodata_policy))

        shards = writer.finish(add)
        info = SourceInfo(
            name=stack.spec.name,
            dtype=str(stack.dtype),
            shape=self._shape(stack),
            bands=stack.bands,
            nodata=format_nodata(stack.nodata),
            nodata_policy=self.job.nodata_policy,
            pixel_size=stack.grid.pixel_size,
            rasters=stack.spec.rasters,
            statistics=statistics.result(),
        )
        return info, shards

    def _write_samples(self, pixels: dict[int, np.ndarray]) -> None:
        """samples.csv, one row a sample."""
        image, points = self.job.sources[0].rasters[0], self.placement.points
        with open(os.path.join(self.folder, SAMPLES), 'w', encoding='utf-8', newline='') as file:
            rows = csv.writer(file, lineterminator='\n')
            rows.writerow(['id', 'x', 'y', 'image', 'split', *(f'{CLASS_PREFIX}{value}' for value in pixels)])
            for number, point in enumerate(self.taken.tolist()):
                x, y = float(points.x[point]), float(points.y[point])
                counts = [int(column[number]) for column in pixels.values()]
                rows.writerow([points.ids[point], repr(x), repr(y), image, self.splits[number], *counts])
            file.flush()
            os.fsync(file.fileno())

    def _summarise(self, pixels: dict[int, np.ndarray], classes: Sequence[ClassDef]) -> dict[str, SplitInfo]:
        """What each split holds; warns of classes that are missing from one, and of splits that overlap."""
        out = {}
        for split in SPLITS:
            chosen = self.splits == split
            if not chosen.any():
                continue
            counts = {definition.value: int(pixels[definition.value][chosen].sum()) for definition in classes}
            out[split] = SplitInfo(int(chosen.sum()), {str(value): count for value, count in counts.items()})
            self.reporter.log(f'{split}: {out[split].count} samples')
            for definition in classes:
                if not counts[definition.value]:
                    self.reporter.warn(
                        f'Class {definition.value} ({definition.name}) has no pixel in the split {split!r}.'
                    )
        place = self.placement
        first = place.cols[self.taken], place.rows[self.taken]
        shared = shared_pixels(place.grid, *first, place.size, self.splits)
        if len([value for value in pixels if pixels[value].any()]) == 1:
            self.reporter.warn('Only one class has any pixel: a network learns nothing from that.')
        if shared:
            self.reporter.warn(
                f'{shared} pixels lie in patches of more than one split, so scores on validation and test will be too '
                'good. "Select patches" with the strategy blocks makes splits that share none.'
            )
        return out
