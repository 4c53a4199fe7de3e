"""The values of rasters at points, as attributes of the points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import ogr
from ..grid import Window
from ..jobs import SampleValuesJob, SourceSpec
from ..nodata import valid_pixels
from ..raster import RasterStack, crs_name
from ..vector import Points, VectorLayer, VectorWriter, field, read_points, require_vector_output

_VALUES = 1 << 24  # in memory at a time; with more, the points are done in several turns
_WINDOW_BYTES = 64 << 20  # read at a time, where blocks are larger


def sample_values(job: SampleValuesJob, reporter: Reporter) -> dict[str, Any]:
    """Give points the value of the pixel that holds each of them, one attribute a band.

    Attributes are called `prefix` and a number, from 0 on through the bands of all rasters; those that the points
    have under these names are replaced. All else of the points stays as it is, in their order; each part of a
    multipoint becomes a point. The value is empty where a point lies outside a raster or on no-data.

    Each block of a raster is read once, whatever the order of the points, and memory does not grow with the rasters.

    Returns:
        ``OUTPUT``: the path of the points.

    Raises:
        InvalidJob: no raster given, or no-data that cannot be understood.
        InputUnreadable: the geometries are no points.
        NoSamples: there are no points, or none on any raster.
    """
    _check(job)
    require_vector_output(job.output)
    rasters = _open(job)
    count = len(rasters[0].points.ids)
    if not count:
        raise NoSamples(f'{job.points.path}: no points in it.')
    names = [f'{job.prefix}{number}' for number in range(sum(raster.bands for raster in rasters))]
    layer = VectorLayer(job.points)
    fields, kind = [field(name, ogr.OFTReal) for name in names], _point_type(layer.layer.GetGeomType())
    with VectorWriter(job.output, layer.crs, fields, layer, kind) as writer:
        points = _points(layer)
        turn = max(_VALUES // len(names), 1)
        for first in range(0, count, turn):
            last = min(first + turn, count)
            values = _read(rasters, first, last, reporter)
            for done, (row, (feature, point)) in enumerate(zip(values, points)):
                if not done % 1000:
                    reporter.check_cancelled()
                    reporter.progress(done / (last - first), 'Writing points')
                writer.add(point, {name: _known(value) for name, value in zip(names, row.tolist())}, feature)
        _report(rasters, count, job, reporter)
    return {'OUTPUT': job.output}


def _check(job: SampleValuesJob) -> None:
    """Raise `InvalidJob` for what contradicts itself."""
    if not job.rasters:
        raise InvalidJob('No raster to take values from.')
    if job.nodata and len(job.nodata) != len(job.rasters):
        raise InvalidJob(f'No-data is given for {len(job.nodata)} rasters, but there are {len(job.rasters)}.')


class _Raster:
    """A raster, and the points in its reference system.

    Attributes:
        path: of the raster.
        bands: how many.
        points: all of them.
        outside: how many of those read so far lie outside.
        empty: how many of those inside have no value in some band.
    """

    def __init__(self, path: str, points: Points, stack: RasterStack) -> None:
        self.path, self.points, self._stack = path, points, stack
        self.bands = len(stack.bands)
        self.outside = self.empty = 0

    def read(self, part: slice, reporter: Reporter) -> np.ndarray:
        """(points, bands) float64 values at a part of the points, NaN where there is none."""
        at, inside = self._pixels(part)
        raw = np.zeros((len(at), self.bands), self._stack.dtype)
        groups = self._by_block(at)
        for done, group in enumerate(groups):
            reporter.check_cancelled()
            reporter.progress(done / len(groups), f'Reading {self.path}')
            (left, top), (right, bottom) = at[group].min(0).tolist(), at[group].max(0).tolist()
            pixels = self._stack.read(Window(left, top, right + 1 - left, bottom + 1 - top))
            raw[group] = pixels[at[group, 1] - top, at[group, 0] - left]
        values = np.full((len(inside), self.bands), np.nan)
        values[inside] = self._without_nodata(raw)
        self.outside += int((~inside).sum())
        self.empty += int(np.isnan(values[inside]).any(1).sum())
        return values

    def _pixels(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """(column, row) of the points inside the raster, and booleans for all points of the part: inside."""
        grid = self._stack.grid
        xy = zip(self.points.x[part].tolist(), self.points.y[part].tolist())
        # As float64, which holds the pixels of places that are too far away for integers.
        at = np.array([grid.pixel_at(x, y) if x == x else (-1, -1) for x, y in xy], np.float64)
        inside = ((at >= 0) & (at < (grid.width, grid.height))).all(1)
        return at[inside].astype(np.int64), inside

    def _by_block(self, at: np.ndarray) -> list[np.ndarray]:
        """Numbers of the points of each block (or strip of a very large one), so that each is read once."""
        if not len(at):
            return []
        width, height = self._stack.block
        strip = min(max(_WINDOW_BYTES // (width * self.bands * self._stack.dtype.itemsize), 1), height)
        keys = np.stack([at[:, 1] // height, at[:, 0] // width, at[:, 1] % height // strip])
        order = np.lexsort(keys[::-1])
        return np.split(order, np.flatnonzero(np.diff(keys[:, order]).any(0)) + 1)

    def _without_nodata(self, pixels: np.ndarray) -> np.ndarray:
        """(points, bands) as float64, NaN for the no-data of each band."""
        values = pixels.astype(np.float64)
        for band, nodata in enumerate(self._stack.nodata):
            values[~valid_pixels(pixels[:, [band]], (nodata,), 'any'), band] = np.nan
        return values


def _open(job: SampleValuesJob) -> list[_Raster]:
    """The rasters of a job, each with the points in its reference system."""
    points: dict[str, Points] = {}
    rasters = []
    for path, nodata in zip(job.rasters, job.nodata or [''] * len(job.rasters)):
        stack = RasterStack(SourceSpec((path,), nodata=nodata))
        crs = stack.grid.crs
        if crs not in points:
            points[crs] = read_points(job.points, crs)
        rasters.append(_Raster(path, points[crs], stack))
    return rasters


def _read(rasters: Sequence[_Raster], first: int, last: int, reporter: Reporter) -> np.ndarray:
    """(points, bands) the values of all rasters at some of the points; half of what there is to do with these."""
    begin, middle, end = (number / len(rasters[0].points.ids) for number in (first, (first + last) / 2, last))
    edges = np.linspace(begin, middle, len(rasters) + 1).tolist()
    found = []
    for raster, *span in zip(rasters, edges, edges[1:]):
        reporter.stage(*span)
        found.append(raster.read(slice(first, last), reporter))
    reporter.stage(middle, end)
    return np.concatenate(found, 1)


def _known(value: float) -> float | None:
    """A value as an attribute has it."""
    return None if math.isnan(value) else value


def _point_type(kind: int) -> int:
    """The geometry type of a layer of single points made from one of type `kind`."""
    return ogr.GT_SetModifier(ogr.wkbPoint, ogr.GT_HasZ(kind), ogr.GT_HasM(kind))


def _points(layer: VectorLayer) -> Iterator[tuple[ogr.Feature, ogr.Geometry | None]]:
    """Each feature with its point, or with each point of its multipoint, as `read_points` counts them."""
    for feature in layer:
        geometry = feature.GetGeometryRef()
        several = geometry is not None and ogr.GT_Flatten(geometry.GetGeometryType()) == ogr.wkbMultiPoint
        parts = [geometry]
        if several and not geometry.IsEmpty():
            parts = [geometry.GetGeometryRef(part) for part in range(geometry.GetGeometryCount())]
        for part in parts:
            yield feature, None if part is None or part.IsEmpty() else part


def _report(rasters: Sequence[_Raster], count: int, job: SampleValuesJob, reporter: Reporter) -> None:
    """Say which values are empty; `NoSamples` where all points lie outside of everything."""
    path = job.points.path
    if all(raster.outside == count for raster in rasters):
        others = f' or on one of the other {len(rasters) - 1} rasters' if rasters[1:] else ''
        crs = crs_name(VectorLayer(job.points).crs)
        raise NoSamples(
            f'{path}: none of its {count} points lies on {rasters[0].path}{others}. Do they show the same place, and '
            f'is the CRS of the points ({crs}) right?'
        )
    if any(raster.points.assumed_crs for raster in rasters):
        reporter.warn(f'{path} or a raster names no CRS; the coordinates are taken to be those of the raster.')
    for raster in rasters:
        reporter.log(f'{raster.path}: {raster.bands} bands at {count - raster.outside} of {count} points')
        if raster.outside:
            reporter.warn(f'{raster.path}: {raster.outside} of {count} points lie outside; their values are empty.')
        if raster.empty:
            reporter.warn(f'{raster.path}: {raster.empty} of {count} points lie on no-data; their values are empty.')
