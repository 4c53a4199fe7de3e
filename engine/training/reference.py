"""What is known of the ground that a model maps: rasters, polygons and points."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple, Optional

import numpy as np

from ..datasets.classtexts import class_values, is_text
from ..datasets.labels import UNSET, RasterLabels
from ..datasets.labelsources import image_labels
from ..datasets.zones import open_zones
from ..errors import GridMismatch, InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import ogr, open_raster
from ..grid import Grid, Window, relate
from ..jobs import ClassDef, EvaluateJob, ExtractPatchesJob, LabelRaster, SourceSpec, VectorSpec
from ..nodata import valid_pixels
from ..raster import RasterStack, grid_of, require_same_crs
from ..serving.masks import PolygonMask
from ..vector import VectorLayer, read_points

BLOCK = 512  # side of the windows that a reference is read in
_WHOLE = (ogr.OFTInteger, ogr.OFTInteger64)

# From a window of a grid to (rows, columns) of values, and booleans: where there is one.
Reading = Callable[[Window], tuple[np.ndarray, np.ndarray]]


class Marks(NamedTuple):
    """Places in a window of a map, and what the reference says of them; several may be in one pixel."""

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray


class Reference(abc.ABC):
    """What is known of the ground.

    Args:
        path: of the file, for messages.
        grid: on which it lies.
        ground: the part of it that the images cover.
        mask: only pixels of the grid that it wants count.
    """

    def __init__(self, path: str, grid: Grid, ground: Window, mask: Optional[PolygonMask]) -> None:
        self.path, self.grid, self._ground, self._mask = path, grid, ground, mask

    def parts(self) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
        """Window after window of the grid: booleans (rows, columns), where something is known, and all the values that
        are known there, in a row. Windows without any are left out."""
        for row in range(self._ground.row // BLOCK * BLOCK, self._ground.bottom, BLOCK):
            for col in range(self._ground.col // BLOCK * BLOCK, self._ground.right, BLOCK):
                window = Window(col, row, BLOCK, BLOCK).intersect(self._ground)
                known, values = self._part(window)
                if known.any():
                    yield window, known, values

    @abc.abstractmethod
    def _part(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """What `parts` gives for a window."""

    @abc.abstractmethod
    def on(self, grid: Grid) -> Callable[[Window], Marks]:
        """From windows of a map on this grid to what is known there."""

    def _wanted(self, window: Window) -> np.ndarray:
        shape = window.height, window.width
        return np.ones(shape, bool) if self._mask is None else self._mask.read(window)


class AreaReference(Reference):
    """A raster, or polygons drawn on a grid.

    Where its pixels and those of the map are not of one size, the smaller ones count, each by where its centre lies.

    Args:
        read: its pixels.
    """

    def __init__(self, path: str, grid: Grid, ground: Window, mask: Optional[PolygonMask], read: Reading) -> None:
        super().__init__(path, grid, ground, mask)
        self._read = read

    def _known(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        values, known = self._read(window)
        return values, known & self._wanted(window)

    def _part(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        values, known = self._known(window)
        return known, values[known]

    def on(self, grid: Grid) -> Callable[[Window], Marks]:
        relation = relate(grid, self.grid, ('the map', self.path))

        def marks(window: Window) -> Marks:
            cols, own_cols = _pairs(window.col, window.width, relation.x, relation.col, self.grid.width)
            rows, own_rows = _pairs(window.row, window.height, relation.y, relation.row, self.grid.height)
            if not len(cols) or not len(rows):
                return Marks(rows[:0], cols[:0], np.empty(0))
            col, row = int(own_cols[0]), int(own_rows[0])
            values, known = self._known(Window(col, row, int(own_cols[-1]) + 1 - col, int(own_rows[-1]) + 1 - row))
            places = np.ix_(own_rows - row, own_cols - col)
            down, across = np.nonzero(known[places])
            return Marks(rows[down], cols[across], values[places][down, across])

        return marks


def _pairs(first: int, count: int, ratio: Fraction, offset: Fraction, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a map, and pixels of the reference at the same places, along one axis.

    Args:
        first, count: the pixels of the map.
        ratio, offset: pixels of the reference for one of the map, and where in it the map begins.
        length: pixels of the reference.

    Returns:
        Numbers of pixels of the map, from `first` on, and of the reference, both ascending.
    """
    p, q, a, b = ratio.numerator, ratio.denominator, offset.numerator, offset.denominator
    if ratio >= 1:
        low, high = math.floor(offset + first * ratio), math.ceil(offset + (first + count) * ratio)
        own = np.arange(max(low, 0), min(high, length))
        place = ((2 * own + 1) * b - 2 * a) * q // (2 * b * p) - first
    else:
        place = np.arange(count)
        own = ((2 * (place + first) + 1) * p * b + 2 * a * q) // (2 * q * b)
    inside = (place >= 0) & (place < count) & (own >= 0) & (own < length)
    return place[inside], own[inside]


class PointReference(Reference):
    """Points, each of which counts in the pixel of the map that holds it.

    Args:
        x, y: in the reference system of the grid, which is that of the image. values: what they say.
    """

    def __init__(
        self, path: str, grid: Grid, mask: Optional[PolygonMask], x: np.ndarray, y: np.ndarray, values: np.ndarray
    ) -> None:
        super().__init__(path, grid, grid.window, mask)
        cols, rows = _pixels(grid, x, y)
        inside = (cols >= 0) & (cols < grid.width) & (rows >= 0) & (rows < grid.height)
        if mask is not None:
            for number in np.flatnonzero(inside).tolist():
                inside[number] = mask.read(Window(int(cols[number]), int(rows[number]), 1, 1))[0, 0]
        self._x, self._y, self._values = x[inside], y[inside], values[inside]
        self._marks = self._sorted(cols[inside], rows[inside])
        self.count = int(inside.sum())

    def _sorted(self, cols: np.ndarray, rows: np.ndarray) -> Marks:
        order = np.argsort(rows, kind='stable')
        return Marks(rows[order], cols[order], self._values[order])

    def _part(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        found = _within(self._marks, window)
        known = np.zeros((window.height, window.width), bool)
        known[found.rows, found.cols] = True
        return known, found.values

    def on(self, grid: Grid) -> Callable[[Window], Marks]:
        marks = self._sorted(*_pixels(grid, self._x, self._y))
        return lambda window: _within(marks, window)


def _within(marks: Marks, window: Window) -> Marks:
    """Those of some marks, which are sorted by rows, that lie in a window; counted from its first pixel on."""
    part = slice(*np.searchsorted(marks.rows, [window.row, window.bottom]))
    rows, cols, values = (array[part] for array in marks)
    inside = (cols >= window.col) & (cols < window.right)
    return Marks(rows[inside] - window.row, cols[inside] - window.col, values[inside])


def _pixels(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels (columns, rows) that hold points."""
    found = np.array([grid.pixel_at(*xy) for xy in zip(x.tolist(), y.tolist())], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def open_reference(job: EvaluateJob, classes: tuple[ClassDef, ...], reporter: Reporter) -> Reference:
    """The reference of a job.

    Args:
        classes: of the model; none where values are judged.

    Raises:
        GridMismatch: it does not fit the image.
        LabelError, InvalidJob: it holds no classes, or no values.
        NoSamples: none of the points lies on the image.
    """
    image = job.sources[0]
    grid = RasterStack(image).grid
    if job.points:
        return _points(job, job.points, grid, classes, reporter)
    if job.polygons:
        return _polygons(job, grid, classes, reporter)
    if job.reference is None:
        raise InvalidJob('No reference given; give a raster, polygons or points.')
    return _raster(job, job.reference, image.rasters[0], grid, classes, reporter)


def _mask(job: EvaluateJob, grid: Grid, reporter: Reporter) -> Optional[PolygonMask]:
    return PolygonMask(job.mask_layer, grid, reporter) if job.mask_layer else None


def _raster(
    job: EvaluateJob, spec: LabelRaster, image: str, grid: Grid, classes: tuple[ClassDef, ...], reporter: Reporter
) -> AreaReference:
    own = grid_of(open_raster(spec.path))
    require_same_crs(grid, own, (image, spec.path))
    relation = relate(grid, own, (image, spec.path))
    ground = relation.cover(grid.window).intersect(own.window)
    if ground.empty:
        raise GridMismatch(f'{spec.path} lies nowhere on the ground of {image}; give a reference of the same place.')
    if classes:
        # What the user says is no-data is none; what only the file says may be a class of the model.
        labels = RasterLabels(spec, grid, image, () if spec.nodata.strip() else classes)
        read = _of_labels(labels.read)
        if labels.nodata is not None:
            reporter.log(f'{spec.path}: pixels of the value {labels.nodata} are no-data and do not count.')
    else:
        stack = RasterStack(SourceSpec((spec.path,), 'reference', (spec.band,), nodata=spec.nodata))

        def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
            pixels = stack.read(window)
            return pixels[..., 0].astype(np.float64), valid_pixels(pixels, stack.nodata, 'any')

    return AreaReference(spec.path, own, ground, _mask(job, own, reporter), read)


def _polygons(job: EvaluateJob, grid: Grid, classes: tuple[ClassDef, ...], reporter: Reporter) -> AreaReference:
    """Polygons, drawn as the extraction of patches draws them."""
    spec = job.polygons
    if spec is None:
        raise TypeError('no polygons')
    if not classes:
        _require_whole(spec.vector, spec.field)
    extraction = ExtractPatchesJob(job.sources[:1], VectorSpec(''), '', polygons=spec, classes=classes)
    found = image_labels(extraction, open_zones(extraction), reporter)
    if found is None:
        raise TypeError('no labels')
    labels = found[0][0]
    return AreaReference(spec.vector.path, grid, grid.window, _mask(job, grid, reporter), _of_labels(labels.read))


def _require_whole(spec: VectorSpec, field: str) -> None:
    """Raise `InvalidJob` where polygons say no values."""
    layer = VectorLayer(spec)
    if not field or layer.layer.GetLayerDefn().GetFieldDefn(layer.require_field(field)).GetType() not in _WHOLE:
        raise InvalidJob(
            f'{spec.path}: values of polygons are whole numbers in a CLASS_FIELD. Give other values as a raster, or as '
            'points.'
        )


def _of_labels(read: Reading) -> Reading:
    """Labels, which have a value for pixels without."""

    def known(window: Window) -> tuple[np.ndarray, np.ndarray]:
        values, nodata = read(window)
        return values, (values != UNSET) & ~nodata

    return known


def _points(
    job: EvaluateJob, spec: VectorSpec, grid: Grid, classes: tuple[ClassDef, ...], reporter: Reporter
) -> PointReference:
    points = read_points(spec, grid.crs, (job.label_field,))
    if points.assumed_crs:
        reporter.warn(f'{spec.path} or the image names no CRS; the coordinates are taken to be those of the image.')
    texts = [(text or '').strip() for text in points.fields[job.label_field]]
    where = f'{spec.path}, field {job.label_field!r}'
    taken = np.isfinite(points.x) & np.isfinite(points.y) & np.array([bool(text) for text in texts], bool)
    chosen = [text for text, used in zip(texts, taken) if used]
    if classes:
        numbers, _ = class_values(chosen, where, is_text(VectorLayer(spec), job.label_field), classes)
        values = np.array([numbers[text] for text in chosen], np.int64)
    else:
        values = np.array([_number(text, where) for text in chosen], np.float64)
    mask = _mask(job, grid, reporter)
    found = PointReference(spec.path, grid, mask, points.x[taken], points.y[taken], values)
    if not found.count:
        raise NoSamples(f'{where}: none of {len(texts)} points has a value and lies on the image, or in MASK_LAYER.')
    if found.count < len(texts):
        reporter.log(
            f'{spec.path}: {len(texts) - found.count} of {len(texts)} points are left out; they have no value, or lie '
            'beyond the image or MASK_LAYER.'
        )
    return found


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidJob(f'{where}: {text!r} is no number. Give a field of numbers for a model of values.')
    return value
