"""Labels that are values, not classes: in a dataset they are one more source."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..errors import GridMismatch, InvalidJob, LabelError
from ..grid import relate
from ..jobs import SPLITS, ExtractPatchesJob, LabelRaster, SourceSpec
from ..raster import RasterStack
from .manifest import Shard, SourceInfo
from .placement import Placement
from .shards import ShardWriter
from .statistics import RunningStatistics

NAME = 'values'  # of the source
NO_VALUE = 'no number in the label field'


def with_values(job: ExtractPatchesJob) -> ExtractPatchesJob:
    """A job whose label rasters, where they hold values, are a source; others as they are.

    Raises:
        InvalidJob: values cannot come from there.
        GridMismatch: patches cover no whole pixels of the values.
    """
    if not job.values:
        return job
    if any(source.name == NAME for source in job.sources):
        raise InvalidJob(f'Source {NAME!r}: the labels are called so; give the source another name.')
    if job.polygons or any(zone.polygons for zone in job.zones):
        raise InvalidJob('Values come from a raster or from a field of the points, not from polygons.')
    rasters = [job.labels, *(zone.labels for zone in job.zones)]
    if not any(rasters):
        return job
    found = [raster for raster in rasters if raster]
    if len(found) < len(rasters):
        raise InvalidJob('Give all zones a raster of values, or none.')
    own, *others = [_source(raster, job.sources[0]) for raster in found]
    zones = tuple(
        dataclasses.replace(zone, sources=(*zone.sources, other), labels=None) for zone, other in zip(job.zones, others)
    )
    return dataclasses.replace(job, sources=(*job.sources, own), zones=zones, labels=None)


def _source(raster: LabelRaster, first: SourceSpec) -> SourceSpec:
    """A raster of values as a source, with patches on the ground of those of the first."""
    spec = SourceSpec((raster.path,), NAME, (raster.band,), nodata=raster.nodata, nodata_policy='all')
    relation = relate(RasterStack(first).grid, RasterStack(spec).grid, (first.rasters[0], raster.path))
    cols, rows = first.patch_size[0] * relation.x, first.patch_size[1] * relation.y
    if cols.denominator != 1 or rows.denominator != 1:
        raise GridMismatch(
            f'{raster.path}: patches of {first.patch_size[0]} x {first.patch_size[1]} pixels cover no whole number of '
            f'its pixels. Take patches of a multiple of {math.lcm(relation.x.denominator, relation.y.denominator)}.'
        )
    return dataclasses.replace(spec, patch_size=(int(cols), int(rows)))


class PointValues:
    """One value a patch, from an attribute of its point.

    Args:
        job: names the field and the points.
        placement: of the patches; those without a value are rejected.

    Raises:
        LabelError: a text that is no number.
    """

    def __init__(self, job: ExtractPatchesJob, placement: Placement) -> None:
        self._placement, self._job = placement, job
        self._values = np.array([self._number(text) for text in placement.labels], np.float32)
        left = placement.left()
        placement.reject(left[~np.isfinite(self._values[left])], NO_VALUE)

    def _number(self, text: str | None) -> float:
        try:
            return float(text) if text and text.strip() else math.nan
        except ValueError:
            raise LabelError(
                f'{self._job.points.path}, field {self._job.label_field!r}: {text!r} is no number; values to be '
                'predicted are numbers.'
            ) from None

    def read(self, patches: np.ndarray) -> np.ndarray:
        """The values of patches: (patches, 1, 1, 1) float32."""
        return self._values[patches, None, None, None]

    def info(self, first: SourceInfo) -> SourceInfo:
        """What the manifest says of them.

        Args:
            first: the first source; its patches are what a value stands for.
        """
        taken = self._placement.left()
        training = taken[self._placement.splits[taken] == SPLITS[0]]
        running = RunningStatistics(1)
        running.add_many(self.read(training if len(training) else taken))
        rows, cols, _ = first.shape
        return SourceInfo(
            name=NAME,
            dtype='float32',
            shape=(1, 1, 1),
            bands=(self._job.label_field,),
            nodata=('',),
            nodata_policy='any',
            pixel_size=(cols * first.pixel_size[0], rows * first.pixel_size[1]),
            rasters=(self._job.points.path,),
            statistics=running.result(),
        )

    def write(self, folder: str, per_shard: int) -> tuple[Shard, ...]:
        """The values of the patches that are left, as shards."""
        values = self.read(self._placement.left())
        writer = ShardWriter(folder, NAME, values.shape[1:], values.dtype, len(values), per_shard)
        writer.write_many(np.arange(len(values)), values)
        return writer.finish()
