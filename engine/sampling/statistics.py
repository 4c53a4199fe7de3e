"""How many pixels each class and each geometry of a vector layer has on an image."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from typing import Any

from ..errors import OutputRefused
from ..events import Reporter
from ..folder import write_together
from ..gdalio import open_raster, osr
from ..grid import Grid
from ..jobs import PolygonStatisticsJob
from ..raster import grid_of
from .classcounts import ClassCounts, count_drawn, count_each
from .classtable import in_order, log_table
from .features import ClassLayer
from .pixels import PixelFinder
from .statisticsxml import statistics_xml
from .validity import open_mask


def count_classes(job: PolygonStatisticsJob, reporter: Reporter) -> dict[str, Any]:
    """Count the pixels of the classes and of the features of a vector layer.

    Each feature is counted by itself, so that a pixel in two polygons counts twice; see `pixels.PixelFinder` for what
    the pixels of a geometry are. With `dense` the features are drawn on the image, the later over the earlier ones, and
    what is seen of each is counted, so that every pixel counts once.

    Returns:
        ``OUTPUT`` and, where it is asked for, ``TABLE``: the paths of what was written.

    Raises:
        InvalidJob, LabelError: the field is missing or holds no classes; the layer is empty.
        GridMismatch: the mask lies on another grid than the image.
        NoSamples: no feature has a pixel.
        OutputRefused: the output is not called ``.xml``.
    """
    if os.path.splitext(job.output)[1].lower() != '.xml':
        raise OutputRefused(f'{job.output}: statistics are written as XML; give a name that ends in .xml.')
    grid = grid_of(open_raster(job.raster))
    mask = open_mask(job.mask, grid, job.raster) if job.mask else None
    layer = ClassLayer(job.vector, job.field, grid, job.raster, reporter)
    if job.dense:
        counts = count_drawn(layer, grid, mask, reporter)
    else:
        counts = count_each(layer, PixelFinder(grid, mask), reporter)
    layer.report()
    if not any(counts.pixels.values()):
        raise layer.no_pixels(job.mask)
    areas = _areas(counts.classes, grid)
    _log(counts, areas, reporter)
    texts = {job.output: statistics_xml(counts.classes, counts.pixels)}
    if job.table:
        texts[job.table] = _csv(counts, areas)
    write_together(texts)
    return {'OUTPUT': job.output, **({'TABLE': job.table} if job.table else {})}


def _log(counts: ClassCounts, areas: Mapping[str, str], reporter: Reporter) -> None:
    """The table of classes, and how many features have no pixel."""
    lines = {
        text: (str(pixels), str(len(counts.members[text])), areas[text]) for text, pixels in counts.classes.items()
    }
    total = (str(sum(counts.pixels.values())), str(len(counts.pixels)), '')
    log_table(('pixels', 'features', 'area'), lines, total, reporter)
    without = sum(not pixels for pixels in counts.pixels.values())
    if without:
        reporter.log(
            f'{without} features have no pixel: they lie outside the image or its mask, or are too small to hold the '
            'centre of one.'
        )


def _areas(classes: Mapping[str, int], grid: Grid) -> dict[str, str]:
    """The area of the pixels of each class in square map units; empty where these are no lengths."""
    if not grid.crs or not osr.SpatialReference(wkt=grid.crs).IsProjected():
        return dict.fromkeys(classes, '')
    t = grid.transform
    return {text: f'{pixels * abs(t[1] * t[5] - t[2] * t[4]):.10g}' for text, pixels in classes.items()}


def _csv(counts: ClassCounts, areas: Mapping[str, str]) -> str:
    """The table of classes as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    writer.writerow(('class', 'pixels', 'features', 'area'))
    classes = counts.classes
    for text in in_order(classes):
        writer.writerow((text, classes[text], len(counts.members[text]), areas[text]))
    return out.getvalue()
