"""The zones of an extraction: areas that go into one dataset, each with its images, points and labels."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import BandMismatch, GridMismatch, InvalidJob
from ..events import Reporter
from ..gdalio import osr
from ..grid import Grid
from ..jobs import ExtractPatchesJob, LabelPolygons, LabelRaster, SourceSpec, VectorSpec, Zone
from ..raster import crs_name, format_nodata
from ..vector import transformation
from .manifest import SourceInfo, Statistics
from .sources import Sources, bounds


@dataclasses.dataclass(frozen=True)
class OpenZone:
    """A zone with its images open.

    Attributes:
        number: its place among the zones.
        sources: its images.
        points: where its patches lie; several zones may share a layer.
        labels, polygons: where its labels come from, if from one of these.
    """

    number: int
    sources: Sources
    points: VectorSpec
    labels: LabelRaster | None
    polygons: LabelPolygons | None

    @property
    def grid(self) -> Grid:
        """Of the first source."""
        return self.sources.stacks[0].grid

    @property
    def image(self) -> str:
        """The first raster, by which samples are told apart."""
        return self.sources.stacks[0].spec.rasters[0]


def open_zones(job: ExtractPatchesJob) -> list[OpenZone]:
    """The zones of a job; its own sources, points and labels are the first.

    Raises:
        InvalidJob, GridMismatch: zones that do not fit each other.
    """
    zones = []
    for number, zone in enumerate((Zone(job.sources, job.points, job.labels, job.polygons), *job.zones)):
        if len(zone.sources) != len(job.sources):
            raise InvalidJob(
                f'Zone {number + 1} has {len(zone.sources)} sources and the first {len(job.sources)}; give all zones '
                'the same.'
            )
        if zone.labels and zone.polygons:
            raise InvalidJob(f'Zone {number + 1}: labels come from a raster or from polygons; give one of them.')
        own = zone.labels or zone.polygons
        sources = Sources([_like(spec, first) for spec, first in zip(zone.sources, job.sources)], job.otbtf)
        zones.append(
            OpenZone(
                number,
                sources,
                zone.points or job.points,
                zone.labels if own else job.labels,
                zone.polygons if own else job.polygons,
            )
        )
        first = zones[0]
        if bool(sources.stacks[0].grid.crs) != bool(first.grid.crs):
            raise GridMismatch(
                f'{first.image} has the CRS {crs_name(first.grid.crs)} and {zones[-1].image} '
                f'{crs_name(zones[-1].grid.crs)}; give both one, or neither.'
            )
    return zones


def _like(spec: SourceSpec, first: SourceSpec) -> SourceSpec:
    """A source of a zone, with what it leaves open as in the first zone."""
    chosen = spec if spec.bands or spec.band_names else first
    return dataclasses.replace(
        first,
        rasters=spec.rasters,
        bands=chosen.bands,
        band_names=chosen.band_names,
        nodata=spec.nodata or first.nodata,
    )


def describe(zones: list[OpenZone], policy: str, reporter: Reporter) -> list[SourceInfo]:
    """What the manifest says of the sources, but for their statistics.

    Args:
        policy: of sources that have none of their own.

    Raises:
        BandMismatch, InvalidJob: the rasters of zones differ in what a dataset has once.
    """
    return [_describe(zones, number, policy, reporter) for number in range(len(zones[0].sources.stacks))]


def _describe(zones: list[OpenZone], number: int, policy: str, reporter: Reporter) -> SourceInfo:
    stacks = [zone.sources.stacks[number] for zone in zones]
    first = stacks[0]
    name, path = first.spec.name, first.spec.rasters[0]
    for stack in stacks[1:]:
        other = stack.spec.rasters[0]
        if len(stack.bands) != len(first.bands):
            raise BandMismatch(
                f'{name}: {len(first.bands)} bands in {path}, {len(stack.bands)} in {other}; give all zones the same.'
            )
        if stack.bands != first.bands:
            reporter.warn(
                f'{name}: bands are called {", ".join(first.bands)} in {path}, {", ".join(stack.bands)} in {other}.'
            )
        if format_nodata(stack.nodata) != format_nodata(first.nodata):
            raise InvalidJob(
                f'{name}: no-data is {_said(first.nodata)} in {path} and {_said(stack.nodata)} in {other}; a dataset '
                'has one. Say which it is (NODATA), or "none".'
            )
        pixels = first.grid.pixel_size, stack.grid.pixel_size
        if _same_unit(first.grid, stack.grid) and not np.allclose(*pixels, 0.01):
            said = [' x '.join(f'{side:g}' for side in pixel) for pixel in pixels]
            reporter.warn(f'{name}: the pixels are of {said[0]} in {path}, of {said[1]} in {other}.')
    empty = (0.0,) * len(first.bands)
    cols, rows = zones[0].sources.sizes[number]
    return SourceInfo(
        name=name,
        dtype=str(np.result_type(*(stack.dtype for stack in stacks))),
        shape=(rows, cols, len(first.bands)),
        bands=first.bands,
        nodata=format_nodata(first.nodata),
        nodata_policy=first.spec.nodata_policy or policy,
        pixel_size=first.grid.pixel_size,
        rasters=tuple(dict.fromkeys(raster for stack in stacks for raster in stack.spec.rasters)),
        statistics=Statistics((0,) * len(first.bands), empty, empty, empty, empty),
    )


def _same_unit(a: Grid, b: Grid) -> bool:
    """Whether the units of two grids can be compared: lengths, or angles."""
    if not a.crs or not b.crs:
        return a.crs == b.crs
    return bool(osr.SpatialReference(wkt=a.crs).IsGeographic() == osr.SpatialReference(wkt=b.crs).IsGeographic())


def _said(nodata: tuple[float | None, ...]) -> str:
    """No-data values for messages."""
    texts = [text or 'none' for text in format_nodata(nodata)]
    return texts[0] if len(set(texts)) == 1 else ' '.join(texts)


def common_crs(zones: list[OpenZone]) -> str:
    """The reference system (WKT) of a dataset: that of the first zone, or WGS 84 where another zone has no place in
    it."""
    crs = zones[0].grid.crs
    for zone in zones[1:]:
        if box_in(zone.grid.crs, crs, bounds(zone.grid)) is None:
            wgs84 = osr.SpatialReference()
            wgs84.ImportFromEPSG(4326)
            return str(wgs84.ExportToWkt())
    return crs


def box_in(crs: str, target: str, box: tuple[float, float, float, float]) -> tuple[float, float, float, float] | None:
    """A box (west, south, east, north) in another reference system; None where it has no place there."""
    transform = transformation(crs, target)
    if transform is None:
        return box
    try:
        moved = transform.TransformBounds(*box, 21)
    except RuntimeError:
        return None
    return tuple(moved) if np.isfinite(moved).all() else None
