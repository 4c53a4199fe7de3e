"""Where a map is wanted: pixels of a raster above 0, and pixels whose centre lies in a polygon."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np

from ..errors import GridMismatch, InvalidJob
from ..events import Reporter
from ..gdalio import gdal, ogr
from ..grid import Grid, Window, relate
from ..jobs import SourceSpec, VectorSpec
from ..nodata import valid_pixels
from ..raster import RasterStack, require_same_crs
from ..vector import VectorLayer, read_polygons, spatial_reference
from .frame import Frame, plainly, under


class Mask(Protocol):
    """Says which pixels of the whole map are wanted. Threads may share it."""

    def read(self, ground: Window) -> np.ndarray:
        """(rows, columns) booleans for a window of the map."""


class RasterMask:
    """Pixels of a raster's first band above 0. It may have other pixels than the map, by whole ratios, and need not
    reach as far; a pixel of the map is wanted where any pixel under it is.

    Args:
        path: of the raster.
        grid: of the first source.
        frame: of the map.

    Raises:
        GridMismatch: the raster does not fit the grid of the first source.
    """

    def __init__(self, path: str, grid: Grid, frame: Frame) -> None:
        self._stack = RasterStack(SourceSpec((path,), 'mask', (1,)))
        require_same_crs(grid, self._stack.grid, ('the image', path))
        relation = relate(grid, self._stack.grid, ('the image', path))
        across, down = frame.sources[0]
        self._along = (
            plainly(relation.col + across.start * relation.x, across.step * relation.x),
            plainly(relation.row + down.start * relation.y, down.step * relation.y),
        )
        if relation.cover(grid.window).intersect(self._stack.grid.window).empty:
            raise GridMismatch(f'{path}: the mask lies nowhere on the ground of the image; give one of the same place.')

    def read(self, ground: Window) -> np.ndarray:
        across, down = self._along
        (left, right), (top, bottom) = (
            across.window(ground.col, ground.right),
            down.window(ground.row, ground.bottom),
        )
        window = Window(left, top, right - left, bottom - top)
        used = np.zeros((window.height, window.width), bool)
        inside = window.intersect(self._stack.grid.window)
        if not inside.empty:
            pixels = self._stack.read(inside)
            row, col = inside.row - window.row, inside.col - window.col
            used[row : row + inside.height, col : col + inside.width] = (pixels[..., 0] > 0) & valid_pixels(
                pixels, self._stack.nodata, 'any'
            )
        return under(used, window, ground, self._along)


class PolygonMask:
    """Pixels whose centre lies in a polygon.

    Args:
        spec: the layer; polygons in any CRS.
        grid: of the map.
        reporter: hears of polygons that had to be repaired.

    Raises:
        InvalidJob: there is no polygon in the layer.
    """

    def __init__(self, spec: VectorSpec, grid: Grid, reporter: Reporter) -> None:
        self._grid = grid
        self._lock = threading.Lock()  # a layer must not be shared between threads
        self._dataset = ogr.GetDriverByName('Memory').CreateDataSource('')
        self._layer = self._dataset.CreateLayer('mask', _reference(grid), ogr.wkbUnknown)
        repaired = 0
        for _, polygon, was_repaired in read_polygons(VectorLayer(spec), grid.crs):
            if polygon is not None:
                feature = ogr.Feature(self._layer.GetLayerDefn())
                feature.SetGeometry(polygon)
                self._layer.CreateFeature(feature)
                repaired += was_repaired
        if not self._layer.GetFeatureCount():
            raise InvalidJob(f'{spec.path}: no polygon in it that could be a mask.')
        if repaired:
            reporter.warn(f'{spec.path}: {repaired} invalid polygons (self-intersections, mostly) were repaired.')

    def read(self, ground: Window) -> np.ndarray:
        raster = gdal.GetDriverByName('MEM').Create('', ground.width, ground.height, 1, gdal.GDT_Byte)
        part = self._grid.sub(ground)
        raster.SetGeoTransform(part.transform)
        if part.crs:
            raster.SetSpatialRef(spatial_reference(part.crs))
        with self._lock:
            gdal.RasterizeLayer(raster, [1], self._layer, burn_values=[1])
        found = np.frombuffer(raster.ReadRaster(), np.uint8)
        return found.reshape(ground.height, ground.width) > 0


def _reference(grid: Grid):
    return spatial_reference(grid.crs) if grid.crs else None
