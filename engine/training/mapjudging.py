"""A model judged by a reference on the ground: mapped where that lies, and compared."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from typing import Optional

import numpy as np

from ..errors import InvalidJob, LabelError, write_error
from ..events import Reporter
from ..gdalio import gdal
from ..grid import Grid, Window
from ..jobs import EvaluateJob, SourceSpec
from ..nodata import valid_pixels
from ..raster import RasterStack
from ..serving.serve import serve_model
from ..vector import spatial_reference
from .judgement import Judgement, spread_of
from .reference import BLOCK, Reference, open_reference
from .splits import ValueSpread
from .subject import Subject

_SERVING = (0.1, 0.85)  # from where to where in the progress the map is made
_FINEST = 1 << 11  # side of the windows compared, in pixels of the finer grid
_MASK_OPTIONS = ('TILED=YES', f'BLOCKXSIZE={BLOCK}', f'BLOCKYSIZE={BLOCK}', 'COMPRESS=DEFLATE', 'SPARSE_OK=TRUE')


def judge_map(job: EvaluateJob, subject: Subject, reporter: Reporter) -> Judgement:
    """Judge a model by what is known of the ground of images.

    The map is made where the reference says something, in a temporary folder, and goes with it.

    Raises:
        EngineError: of the fitting class; what `serving.serve.serve_model` raises, too.
    """
    reporter.stage(0.0, _SERVING[0])
    with tempfile.TemporaryDirectory(prefix='quadrat-evaluation-') as folder:
        reference = open_reference(job, subject.classes, reporter)
        mask = os.path.join(folder, 'mask.tif')
        spread = _write_mask(reference, mask, subject, reporter)
        places = [os.path.join(folder, f'{name.lower()}.tif') for name in subject.products]
        output, confidence = [*places, ''][:2]
        serve_model(
            dataclasses.replace(subject.serving, sources=job.sources, mask=mask, output=output, confidence=confidence),
            reporter.within(*_SERVING),
        )
        reporter.stage(_SERVING[1], 1.0)
        judgement = Judgement(subject.classes, subject.measure, subject.probable, spread)
        _compare(reference, [_open(path, subject) for path in places], judgement, reporter)
        return judgement


def _write_mask(reference: Reference, path: str, subject: Subject, reporter: Reporter) -> Optional[ValueSpread]:
    """Write a raster of where the reference says something; returns how its values are spread, None for classes.

    Raises:
        LabelError: it says nothing, or something that is no class of the model.
    """
    known = [item.value for item in subject.classes]
    unknown: dict[int, int] = {}
    count, sums, low, high = 0, np.zeros(2), np.inf, -np.inf
    writer = _create(path, reference.grid)
    for window, labelled, values in reference.parts():
        reporter.check_cancelled()
        reporter.progress(window.bottom / reference.grid.height, 'Reading the reference')
        try:
            writer.WriteRaster(
                window.col, window.row, window.width, window.height, labelled.tobytes(), buf_type=gdal.GDT_Byte
            )
        except RuntimeError as error:
            raise write_error(path, error) from error
        count += len(values)
        if subject.classes:
            for value, pixels in zip(*np.unique(values[~np.isin(values, known)], return_counts=True)):
                unknown[int(value)] = unknown.get(int(value), 0) + int(pixels)
        else:
            sums += values.sum(), values.astype(np.float64) @ values
            low, high = min(low, values.min()), max(high, values.max())
    writer.FlushCache()
    if unknown:
        raise subject.unknown(reference.path, unknown, 'Make them no-data of the reference')
    if not count:
        raise LabelError(f'{reference.path}: says nothing about the ground of the image; all of it is without label.')
    return None if subject.classes else spread_of(count, sums, low, high)


def _create(path: str, grid: Grid) -> gdal.Dataset:
    """A raster of zeros."""
    raster = gdal.GetDriverByName('GTiff').Create(
        path, grid.width, grid.height, 1, gdal.GDT_Byte, options=list(_MASK_OPTIONS)
    )
    raster.SetGeoTransform(grid.transform)
    if grid.crs:
        raster.SetSpatialRef(spatial_reference(grid.crs))
    return raster


def _open(path: str, subject: Subject) -> RasterStack:
    """A raster that was mapped; `InvalidJob` where it has several bands."""
    stack = RasterStack(SourceSpec((path,)))
    if len(stack.bands) != 1:
        raise InvalidJob(
            f'{subject.model.path}: the output {subject.output} has {len(stack.bands)} bands, and of values one can be '
            'judged. If these are classes, name them in CLASSES, in the order of the bands.'
        )
    return stack


def _compare(reference: Reference, maps: list[RasterStack], judgement: Judgement, reporter: Reporter) -> None:
    """Add all that the reference and the map say of the same places.

    Args:
        maps: classes or values, and how sure the model is of classes, if it says so.
    """
    grid = maps[0].grid
    marks_in = reference.on(grid)
    finer = max(a / b for a, b in zip(grid.pixel_size, reference.grid.pixel_size))
    for window in _windows(grid, max(1, int(_FINEST / max(finer, 1)))):
        reporter.check_cancelled()
        reporter.progress(window.row / grid.height, 'Comparing')
        marks = marks_in(window)
        if not len(marks.values):
            continue
        found = maps[0].read(window)
        known = valid_pixels(found, maps[0].nodata, 'any')[marks.rows, marks.cols]
        sure = maps[1].read(window)[marks.rows, marks.cols, 0] if len(maps) > 1 else None
        judgement.add(marks.values, found[marks.rows, marks.cols, 0], sure, known)


def _windows(grid: Grid, side: int) -> Iterator[Window]:
    """All of a grid, in squares."""
    for row in range(0, grid.height, side):
        for col in range(0, grid.width, side):
            yield Window(col, row, side, side).intersect(grid.window)
