"""Cutting patches and their labels at points into a dataset."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np

from ..errors import InvalidJob, NoSamples, write_error
from ..events import Reporter
from ..jobs import BORDERS, NODATA_POLICIES, ClassDef, ExtractPatchesJob
from ..vector import require_vector_output
from .folder import DatasetFolder
from .labelling import NAME as LABELS
from .labelsources import open_labels
from .layouts import check_options, rewrite
from .manifest import LabelInfo, Manifest, Shard, SourceInfo
from .placement import Placement
from .sourcecut import SourceCut
from .summary import summarise
from .table import SampleTable, write_table
from .values import PointValues, with_values
from .zones import describe, open_zones


def extract_patches(job: ExtractPatchesJob, reporter: Reporter) -> dict[str, Any]:
    """Cut a patch at each point from every source, with its labels, into a dataset.

    The patch of N pixels starts ⌊N/2⌋ pixels before the pixel that holds the point; with several sources that places
    the patch of the coarsest one, and the others are centred on its ground (see `sources.Sources`). Samples stay zone
    by zone in the order of the points. Each block of a raster is read once, whatever that order is, and memory does
    not grow with the size of the patches or of the rasters.

    Returns:
        ``OUTPUT`` the folder, ``ACCEPTED`` and ``REJECTED`` the point layers if asked for, ``COUNT`` of samples.

    Raises:
        GridMismatch: sources or labels do not lie on grids that fit.
        LabelError: values that are no labels, or not among the named classes.
        NoSamples: no patch is left; the message counts the reasons.
        OutputRefused, DiskFull: the output cannot be written.
    """
    check_extraction(job)
    job = with_values(job)
    folder = DatasetFolder(job.output)
    with folder:
        try:
            extraction = _Extraction(job, folder.part, reporter)
            with contextlib.closing(extraction):
                extraction.cut()
                manifest = extraction.write()
            if job.layout.layout != manifest.layout:
                reporter.stage(0.85, 1.0)
                manifest = rewrite(folder.part, manifest, job.layout, reporter)
            reporter.check_cancelled()
            folder.finish_with(manifest)
        except OSError as error:
            raise write_error(job.output, error) from error
    if job.accepted:
        extraction.placement.write_accepted(job.accepted)
    if job.rejected:
        extraction.placement.write_rejected(job.rejected)
    values = {'OUTPUT': job.output, 'ACCEPTED': job.accepted, 'REJECTED': job.rejected, 'COUNT': manifest.count}
    return {name: value for name, value in values.items() if value != ''}


def check_extraction(job: ExtractPatchesJob) -> None:
    """Raise `InvalidJob` for what contradicts itself."""
    if not job.sources:
        raise InvalidJob('No image to cut patches from.')
    if sum(map(bool, (job.labels, job.polygons, job.label_field))) > 1:
        raise InvalidJob('Labels come from a field of the points, a raster or polygons; give one of them.')
    if job.label_field and any(zone.labels or zone.polygons for zone in job.zones):
        raise InvalidJob(
            f'Labels come from the field {job.label_field!r} of the points, so zones have no rasters or polygons of '
            'their own.'
        )
    policies = (job.nodata_policy, *(source.nodata_policy for source in job.sources if source.nodata_policy))
    for what, value, known in (
        *(('No-data policy', policy, NODATA_POLICIES) for policy in policies),
        ('Border', job.border, BORDERS),
    ):
        if value not in known:
            raise InvalidJob(f'{what} {value!r}: choose one of {", ".join(known)}.')
    check_options(job.layout)
    names = [source.name for source in job.sources]
    for name in names:
        if not re.fullmatch('[A-Za-z][A-Za-z0-9_]*', name):
            raise InvalidJob(f'Source {name!r}: names begin with a letter and go on with letters, digits or _.')
    files = [name.lower() for name in names]  # some file systems know no capitals
    if len(set(files)) < len(files) or LABELS in files:
        raise InvalidJob(f'Sources must have different names, and none may be called {LABELS!r}: {", ".join(names)}.')
    for source in job.sources:
        if min(source.patch_size) < 1:
            size = ' x '.join(map(str, source.patch_size))
            raise InvalidJob(f'{source.name}: the patch size is {size} pixels; it must be 1 or more.')
    for path in (job.accepted, job.rejected):
        if path:
            require_vector_output(path)


class _Extraction:
    """One run: `cut`, then `write`; `close` in any case.

    Labels are read first, then one source after the other: each raster is swept in the order that suits it, and what
    one pass rejects, the next does not read.
    """

    def __init__(self, job: ExtractPatchesJob, folder: str, reporter: Reporter) -> None:
        self.job, self.folder, self.reporter = job, folder, reporter
        self.zones = open_zones(job)
        self.infos = describe(self.zones, job.nodata_policy, reporter)
        self.placement = Placement(job, self.zones, reporter)
        self.values = PointValues(job, self.placement) if job.values and job.label_field else None
        self.labelling = None if self.values else open_labels(job, self.zones, self.placement, folder, reporter)
        self.cuts: list[SourceCut] = []
        # Other layouts are made of numpy shards of the usual size.
        self._per_shard = job.layout.samples_per_shard if job.layout.layout == 'numpy' else 0

    def cut(self) -> None:
        """Read the labels and the patches of all sources."""
        self._require_patches()
        passes = len(self.infos) + bool(self.labelling)
        if self.labelling:
            self._stage(0.05, 0.7, 0, passes)
            self.labelling.cut()
            self._require_patches()
        for number, info in enumerate(self.infos):
            self._stage(0.05, 0.7, passes - len(self.infos) + number, passes)
            cut = SourceCut(number, info, self.zones, self.placement, self.labelling, self.folder, self._per_shard)
            self.cuts.append(cut)
            cut.cut(self.reporter)
            self._require_patches()

    def _stage(self, start: float, length: float, number: int, count: int) -> None:
        """The next part of the work, one of `count` between `start` and `start + length` of all."""
        self.reporter.stage(start + length * number / count, start + length * (number + 1) / count)

    def _require_patches(self) -> None:
        if not len(self.placement.left()):
            raise NoSamples(f'No patch is left: {self.placement.why()}.{self.placement.remedy()}')

    def write(self) -> Manifest:
        """Turn what was cut into the files of a dataset, but for the manifest itself."""
        taken = self.placement.left()
        self._report(taken)
        classes: tuple[ClassDef, ...] = ()
        labels: LabelInfo | None = None
        label_shards: tuple[Shard, ...] = ()
        pixels: dict[int, np.ndarray] = {}
        if self.labelling:
            classes = self.labelling.classes()
            labels, label_shards = self.labelling.finish(self.folder, classes, self._per_shard, self.job.unlabelled)
            pixels = {item.value: self.labelling.tally.of(item.value)[taken] for item in classes}
        sources: list[SourceInfo] = []
        shards: list[Shard] = []
        for number, cut in enumerate(self.cuts):
            self._stage(0.75, 0.25 if self.job.layout.layout == 'numpy' else 0.1, number, len(self.cuts))
            info, source_shards = cut.finish(self.reporter)
            sources.append(info)
            shards.extend(source_shards)
        if self.values:
            sources.append(self.values.info(sources[0]))
            shards.extend(self.values.write(self.folder, self._per_shard))
        write_table(self.folder, self._table(taken, pixels))
        return Manifest(
            count=len(taken),
            sources=tuple(sources),
            labels=labels,
            classes=classes,
            splits=summarise(self.zones, self.placement, classes, pixels, self.reporter),
            shards=(*shards, *label_shards),
            crs=self.placement.crs,
            extent=self.placement.extent(taken),
            unsplit=self.placement.unsplit,
        )

    def _table(self, taken: np.ndarray, pixels: dict[int, np.ndarray]) -> SampleTable:
        """samples.csv."""
        place = self.placement
        ids = tuple(place.ids[number] for number in taken.tolist())
        splits = tuple(place.splits[taken].tolist())
        return SampleTable(ids, place.x[taken], place.y[taken], place.images(taken), splits, pixels)

    def _report(self, taken: np.ndarray) -> None:
        """Say what became of the points."""
        rejected = len(self.placement.ids) - len(taken)
        why = f': {self.placement.why()}' if rejected else ''
        self.reporter.log(f'{len(taken)} patches taken, {rejected} rejected{why}')
        if len(self.zones) > 1:
            for zone in self.zones:
                count = int((self.placement.zones[taken] == zone.number).sum())
                self.reporter.log(f'{zone.image}: {count} patches')
        mirrored = int(self.placement.mirrored[taken].sum())
        if mirrored:
            self.reporter.log(f'{mirrored} patches reach over the edge of an image, and are mirrored there')

    def close(self) -> None:
        """Close all files."""
        for cut in self.cuts:
            cut.close()
        if self.labelling:
            self.labelling.close()
