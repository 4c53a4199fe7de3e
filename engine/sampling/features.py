"""The features of a vector layer with their classes, as parts on the ground of an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..datasets.classtexts import class_text
from ..errors import InputUnreadable, InvalidJob, LabelError, NoSamples
from ..events import Reporter
from ..gdalio import ogr
from ..grid import Grid
from ..jobs import VectorSpec
from ..raster import crs_name
from ..vector import VectorLayer, transformation
from .pixels import Part, simple_parts

_TYPES = (ogr.OFTString, ogr.OFTInteger, ogr.OFTInteger64, ogr.OFTReal)


class ClassLayer:
    """Features that have a class, in the reference system of an image.

    Args:
        spec: the layer.
        field: attribute with the class: text or whole numbers.
        grid: of the image.
        raster: what messages call the image.

    Attributes:
        layer: as it is in the file.

    Raises:
        InputMissing, InputUnreadable: there is no such file or layer.
        InvalidJob: there is no such field, or it is of a type that holds no classes.
    """

    def __init__(self, spec: VectorSpec, field: str, grid: Grid, raster: str, reporter: Reporter) -> None:
        self.layer, self._field, self._reporter = VectorLayer(spec), field, reporter
        self.path = self.layer.path
        self._index = self.layer.require_field(field)
        definition = self.layer.layer.GetLayerDefn().GetFieldDefn(self._index)
        if definition.GetType() not in _TYPES:
            kind = definition.GetFieldTypeName(definition.GetType())
            raise InvalidJob(f'{self.path}, field {field!r}: of type {kind}; classes are text or whole numbers.')
        self._transform = transformation(self.layer.crs, grid.crs)
        self._source = self.layer.layer
        self._grid, self._raster, self._count = grid, raster, 0
        self._left_out: Counter[str] = Counter()
        self._told: set[str] = set()
        if bool(self.layer.crs) != bool(grid.crs):
            reporter.warn(f'{self.path} or {raster} names no CRS; the coordinates are taken to be those of the image.')

    def __iter__(self) -> Iterator[tuple[str, ogr.Feature]]:
        """Class and feature, in the order of the file, of all features that have a class.

        Raises:
            LabelError: a number is no whole one, or no feature has a class.
        """
        self._count, without = 0, 0
        for feature in self.layer:
            self._reporter.check_cancelled()
            text = self._class_of(feature)
            if text is None:
                without += 1
                continue
            self._count += 1
            yield text, feature
        if not self._count:
            what = f'no feature has a value in {self._field!r}' if without else 'there is no feature in it'
            raise LabelError(f'{self.path}: {what}; nothing can be sampled.')
        self._left_out[f'no value in {self._field!r}'] = without

    def _class_of(self, feature: ogr.Feature) -> str | None:
        """The class of a feature as text, None where it has none; whole numbers have no fraction."""
        if feature.GetFieldDefnRef(self._index).GetType() == ogr.OFTReal:
            number = feature.GetFieldAsDouble(self._index)  # 0 where there is none
            if np.isnan(number):
                return None
            if not number.is_integer():
                where = f'{self.path}, field {self._field!r}'
                raise LabelError(f'{where}: {number:g} is no class; whole numbers or text are.')
        return class_text(feature, self._index)

    def feature(self, fid: int) -> ogr.Feature:
        """A feature by its number."""
        if not self._source.TestCapability(ogr.OLCRandomRead):
            self._source = self._in_memory()
        try:
            found = self._source.GetFeature(fid)
        except RuntimeError as error:
            raise InputUnreadable(f'{self.path}: feature {fid} cannot be read ({error}).') from error
        if found is None:
            raise InputUnreadable(f'{self.path}: feature {fid} is gone; the file was changed meanwhile.')
        return found

    def _in_memory(self) -> ogr.Layer:
        """A copy of the layer, for formats in which features can only be read one after the other."""
        self._memory = ogr.GetDriverByName('Memory').CreateDataSource('')
        copy = self._memory.CreateLayer('copy', None, ogr.wkbUnknown)
        definition = self.layer.layer.GetLayerDefn()
        for i in range(definition.GetFieldCount()):
            copy.CreateField(definition.GetFieldDefn(i))
        for feature in self.layer:
            self._reporter.check_cancelled()
            twin = ogr.Feature(copy.GetLayerDefn())
            twin.SetFrom(feature)
            twin.SetFID(feature.GetFID())
            copy.CreateFeature(twin)
        return copy

    def parts(self, feature: ogr.Feature) -> list[Part]:
        """The geometry of a feature, which it loses, in the reference system of the image; empty where it has none."""
        geometry = feature.GetGeometryRef()
        if geometry is None or geometry.IsEmpty():
            self._left_out['no geometry'] += 1
            return []
        shape = geometry.GetLinearGeometry()
        feature.SetGeometry(None)  # copies of the feature get points
        shape.FlattenTo2D()
        try:
            if self._transform is not None:
                shape.Transform(self._transform)
        except RuntimeError:  # some of it has no place there
            shape = None
        found = simple_parts(bytes(shape.ExportToWkb(ogr.wkbNDR))) if shape is not None else []
        if not found or not all(np.isfinite(xy).all() for part in found for xy in part.arrays):
            self._left_out['no place in the reference system of the image'] += 1
            return []
        return found

    def no_pixels(self, mask: str) -> NoSamples:
        """The error where no feature has a pixel; `mask` is the path of the mask, empty where there is none."""
        extent = self.layer.layer.GetExtent(can_return_null=True)
        first, last = self._grid.to_map(0, 0), self._grid.to_map(self._grid.width, self._grid.height)
        there = 'They have no geometry'
        if extent is not None:
            west, east, south, north = extent
            there = f'They reach from ({west:.10g}, {south:.10g}) to ({east:.10g}, {north:.10g})'
        return NoSamples(
            f'{self.path}: none of the {self._count} features has a pixel of {self._raster}'
            f'{f" above 0 in {mask}" if mask else ""}. {there} in {crs_name(self.layer.crs)}; the image from '
            f'({first[0]:.10g}, {first[1]:.10g}) to ({last[0]:.10g}, {last[1]:.10g}) in {crs_name(self._grid.crs)}.'
        )

    def report(self) -> None:
        """Warn of the features that were left out, of each reason once however often they are read."""
        for reason, count in self._left_out.items():
            if count and reason not in self._told:
                self._reporter.warn(f'{self.path}: {count} features have no pixels: {reason}.')
                self._told.add(reason)
        self._left_out.clear()
