"""Polygons as a label raster that is drawn where it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ..errors import LabelError
from ..events import Reporter
from ..gdalio import gdal, ogr
from ..grid import Grid, Window
from ..jobs import LabelPolygons
from ..vector import VectorLayer, read_polygons, spatial_reference
from .classtexts import class_text


class Shapes:
    """The polygons of a layer in one reference system, each with its value, in the order of the file.

    Args:
        spec: the polygons and their class field.
        crs: WKT; empty where the polygons are taken as they are.
        values: of each text of the class field; of '' where there is no field.

    Raises:
        LabelError: no polygon can be used.
    """

    def __init__(self, spec: LabelPolygons, crs: str, values: Mapping[str, int], reporter: Reporter) -> None:
        layer = VectorLayer(spec.vector)
        self.path, self._crs = layer.path, crs
        if bool(layer.crs) != bool(crs):
            reporter.warn(
                f'{layer.path} or the image names no CRS; the coordinates are taken to be those of the image.'
            )
        index = layer.require_field(spec.field) if spec.field else -1
        skipped: Counter[str] = Counter()
        repairs = 0
        self._geometries: list[ogr.Geometry] = []
        numbers: list[int] = []
        for feature, geometry, repaired in read_polygons(layer, crs):
            reporter.check_cancelled()
            text = class_text(feature, index) if spec.field else ''
            if geometry is None or text is None:
                skipped['no polygon' if geometry is None else f'no value in {spec.field!r}'] += 1
                continue
            repairs += repaired
            self._geometries.append(geometry)
            numbers.append(values[text])
        if repairs:
            reporter.warn(f'{layer.path}: {repairs} invalid polygons (self-intersections, mostly) were repaired.')
        for reason, count in skipped.items():
            reporter.warn(f'{layer.path}: {count} features are left out: {reason}.')
        if not self._geometries:
            raise LabelError(f'{layer.path}: no polygon in it that could be used as a label.')
        self._values = np.array(numbers)
        # (n, 4): west, east, south, north
        self._envelopes = np.array([geometry.GetEnvelope() for geometry in self._geometries])

    def draw(self, grid: Grid, empty: int, all_touched: bool) -> np.ndarray:
        """int32 (rows, columns) on a grid in the same reference system; `empty` in no polygon."""
        target = gdal.GetDriverByName('MEM').Create('', grid.width, grid.height, 1, gdal.GDT_Int32)
        crs = spatial_reference(self._crs) if self._crs else None
        target.SetGeoTransform(grid.transform)
        if crs:
            target.SetSpatialRef(crs)
        target.GetRasterBand(1).Fill(empty)
        memory = ogr.GetDriverByName('Memory').CreateDataSource('')
        layer = memory.CreateLayer('polygons', crs, ogr.wkbUnknown)
        layer.CreateField(ogr.FieldDefn('value', ogr.OFTInteger))
        for number in self._near(grid).tolist():
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField(0, int(self._values[number]))
            feature.SetGeometry(self._geometries[number])
            layer.CreateFeature(feature)
        options = ['ATTRIBUTE=value'] + (['ALL_TOUCHED=TRUE'] if all_touched else [])
        gdal.RasterizeLayer(target, [1], layer, options=options)
        out = np.empty((grid.height, grid.width), np.int32)
        target.ReadRaster(buf_obj=out)
        return out

    def _near(self, grid: Grid) -> np.ndarray:
        """Numbers of the polygons that may lie on a grid, ascending."""
        # A pixel more on each side, for those that only touch.
        x, y = zip(*(grid.to_map(col, row) for col in (-1, grid.width + 1) for row in (-1, grid.height + 1)))
        west, east, south, north = self._envelopes.T
        return np.flatnonzero((west <= max(x)) & (east >= min(x)) & (south <= max(y)) & (north >= min(y)))


class DrawnPolygons:
    """Polygons seen as a raster: what is read of it is drawn then.

    They are drawn in blocks that do not depend on what is read. So a pixel whose centre lies on an outline, where
    rounding decides, is the same in all patches.

    Attributes:
        grid: on which they are drawn.
        dtype, bands, block: as of a `raster.RasterStack`.
    """

    dtype = np.dtype(np.int32)
    bands: tuple[str, ...] = ('label',)
    block = (512, 512)

    def __init__(self, shapes: Shapes, grid: Grid, empty: int, all_touched: bool) -> None:
        self._shapes, self.grid = shapes, grid
        self._empty, self._all_touched = empty, all_touched

    def read(self, window: Window, out: np.ndarray | None = None) -> np.ndarray:
        """Pixels of a window as (rows, columns, 1), see `RasterStack.read`."""
        if out is None:
            out = np.empty((window.height, window.width, 1), self.dtype)
        cols, rows = self.block
        for row in range(window.row // rows * rows, window.bottom, rows):
            for col in range(window.col // cols * cols, window.right, cols):
                block = Window(col, row, cols, rows).intersect(self.grid.window)
                drawn = self._shapes.draw(self.grid.sub(block), self._empty, self._all_touched)
                part = block.intersect(window)
                out[_within(part, window)] = drawn[_within(part, block)][..., None]
        return out


def _within(part: Window, whole: Window) -> tuple[slice, slice]:
    """The rows and columns of a window that are a part of it."""
    col, row = part.col - whole.col, part.row - whole.row
    return slice(row, row + part.height), slice(col, col + part.width)
