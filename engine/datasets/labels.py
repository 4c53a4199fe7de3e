"""Labels as whole numbers on the ground of a patch, wherever they come from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..errors import GridMismatch, InvalidJob, LabelError
from ..events import Reporter
from ..gdalio import gdal, ogr, write_error
from ..grid import Grid, Window, relate
from ..jobs import ClassDef, LabelPolygons, LabelRaster, SourceSpec
from ..raster import RasterStack, require_same_crs
from ..vector import VectorLayer, read_polygons, spatial_reference

UNSET = -(2**31)  # stands for "no label" until all values, and so a free one, are known
TYPES = ('uint8', 'uint16', 'int16', 'int32')  # of label shards and of class maps
_STRIP_BYTES = 64 << 20


class RasterLabels:
    """A label raster, seen from the grid of the image.

    Args:
        spec: the raster.
        reference: the grid of the image, and what messages call it.
        classes: values that are classes even if the raster declares them as no-data.
        gap: value of pixels that have no label, and are no no-data either.

    Attributes:
        declared: the value of pixels that have no label, None where there is none.
        nodata: the same where it is a whole number, and so can be kept.
    """

    def __init__(
        self, spec: LabelRaster, reference: Grid, name: str, classes: Sequence[ClassDef] = (), gap: int | None = None
    ) -> None:
        self.path, self._gap = spec.path, gap
        self._stack = RasterStack(SourceSpec((spec.path,), 'labels', (spec.band,), nodata=spec.nodata))
        require_same_crs(reference, self._stack.grid, (name, spec.path))
        self._relation = relate(reference, self._stack.grid, (name, spec.path))
        for ratio in (self._relation.x, self._relation.y):
            if 1 not in (ratio.numerator, ratio.denominator):
                raise GridMismatch(
                    f'{spec.path}: one pixel of the image is {float(ratio):g} pixels of the labels; the ratio must be '
                    'a whole number, or one over a whole number. Resample the labels ("Warp", nearest neighbour).'
                )
        declared = self._stack.nodata[0]
        if declared is not None and any(definition.value == declared for definition in classes):
            declared = None
        self.declared = declared
        whole = declared is not None and float(declared).is_integer() and abs(declared) < 2**31
        self.nodata = int(declared) if whole and declared is not None else None

    def window(self, window: Window) -> Window | None:
        """The label pixels on the ground of a window of the image; None where these are no whole pixels."""
        try:
            return self._relation.window(window)
        except GridMismatch:
            return None

    def shape(self, cols: int, rows: int) -> tuple[int, int]:
        """(rows, columns) of labels on the ground of a patch, or `GridMismatch` where these are no whole pixels."""
        width, height = cols * self._relation.x, rows * self._relation.y
        if width.denominator != 1 or height.denominator != 1:
            raise GridMismatch(
                f'{self.path}: patches of {cols} x {rows} pixels cover no whole number of label pixels. Take patches '
                f'of a multiple of {self._relation.x.denominator} pixels.'
            )
        return int(height), int(width)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Labels of a window of the label raster's own pixels, which may reach over its edge.

        Returns:
            int32 values (rows, columns), `UNSET` where there is no label (outside the raster, or no-data that is no
            whole number); and booleans, True where the raster has no-data.
        """
        values = np.full((window.height, window.width), UNSET, np.int32)
        nodata = np.zeros(values.shape, bool)
        inside = self._stack.grid.window.intersect(window)
        if not inside.empty:
            col, row = inside.col - window.col, inside.row - window.row
            part = np.s_[row : row + inside.height, col : col + inside.width]
            values[part], nodata[part] = self._whole(self._stack.read(inside)[..., 0])
        return values, nodata

    def discard(self) -> None:
        """Close and delete the raster, where it was made for the time of the extraction."""
        del self._stack
        os.remove(self.path)

    def _whole(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of any type as int32, and where they are no-data; `LabelError` for what is no label."""
        nodata = np.zeros(pixels.shape, bool) if self.declared is None else pixels == self.declared
        if pixels.dtype.kind == 'f':
            nodata |= np.isnan(pixels)
        labels = pixels[~nodata if self._gap is None else ~nodata & (pixels != self._gap)]
        wrong = labels[(labels != np.round(labels)) | (np.abs(labels.astype(np.float64)) >= 2**31)]
        if wrong.size:
            raise LabelError(
                f'{self.path}: {wrong[0]} is no class value; labels are whole numbers of up to 32 bits. Give a raster '
                'of classes, or say which value is no-data (LABEL_NODATA).'
            )
        kept = UNSET if self.nodata is None else self.nodata
        return np.where(nodata, kept, np.where(nodata, 0, pixels)).astype(np.int32), nodata


def burn_polygons(
    spec: LabelPolygons, grid: Grid, path: str, classes: Sequence[ClassDef], reporter: Reporter
) -> tuple[RasterLabels, tuple[ClassDef, ...]]:
    """Draw polygons as a label raster on a grid, a strip at a time.

    Args:
        grid: of the image.
        path: of the raster to make, in a folder for temporary data.
        classes: what the user named; names are how classes that are text get their values.

    Returns:
        The labels, and the names that the polygons give to values.
    """
    layer = VectorLayer(spec.vector)
    if bool(layer.crs) != bool(grid.crs):
        reporter.warn(f'{layer.path} or the image names no CRS; the coordinates are taken to be those of the image.')
    values, named = _class_values(layer, spec, classes)
    memory = ogr.GetDriverByName('Memory').CreateDataSource('')
    burnt = memory.CreateLayer('polygons', spatial_reference(grid.crs) if grid.crs else None, ogr.wkbUnknown)
    burnt.CreateField(ogr.FieldDefn('value', ogr.OFTInteger))
    index = layer.require_field(spec.field) if spec.field else -1
    skipped: Counter[str] = Counter()
    repairs = 0
    for feature, geometry, repaired in read_polygons(layer, grid.crs):
        reporter.check_cancelled()
        text = _class_text(feature, index) if spec.field else ''
        if geometry is None or text is None:
            skipped['no polygon' if geometry is None else f'no value in {spec.field!r}'] += 1
            continue
        repairs += repaired
        copy = ogr.Feature(burnt.GetLayerDefn())
        copy.SetField(0, values[text])
        copy.SetGeometryDirectly(geometry)
        burnt.CreateFeature(copy)
    if repairs:
        reporter.warn(f'{layer.path}: {repairs} invalid polygons (self-intersections, mostly) were repaired.')
    for reason, count in skipped.items():
        reporter.warn(f'{layer.path}: {count} features are left out: {reason}.')
    if not burnt.GetFeatureCount():
        raise LabelError(f'{layer.path}: no polygon in it that could be used as a label.')
    try:
        _burn(burnt, grid, path, spec, reporter)
    except RuntimeError as error:
        raise write_error(path, error) from error
    return RasterLabels(LabelRaster(path, nodata='none'), grid, 'the image', gap=UNSET), named


def _class_values(
    layer: VectorLayer, spec: LabelPolygons, classes: Sequence[ClassDef]
) -> tuple[dict[str, int], tuple[ClassDef, ...]]:
    """The value that each text of the class field stands for, and the names that follow from it."""
    outside = (ClassDef(spec.outside, 'outside'),) if spec.outside is not None else ()
    if not spec.field:
        if spec.outside == 1:
            raise InvalidJob('OUTSIDE is 1, which is the value of the polygons where no class field is given.')
        return {'': 1}, (*outside, ClassDef(1, 'inside'))
    index = layer.require_field(spec.field)
    texts = sorted({text for text in (_class_text(feature, index) for feature in layer) if text is not None})
    numbers = {text: _whole_number(text) for text in texts}
    by_name = {definition.name: definition.value for definition in classes if definition.name}
    if all(number is not None for number in numbers.values()):
        values = {text: number for text, number in numbers.items() if number is not None}
        wrong = [text for text, number in values.items() if abs(number) >= 2**31]
        if wrong:
            raise LabelError(f'{layer.path}, field {spec.field!r}: {wrong[0]} has more than 32 bits; renumber it.')
        return values, outside
    if layer.layer.GetLayerDefn().GetFieldDefn(index).GetType() != ogr.OFTString:
        wrong = [text for text, number in numbers.items() if number is None]
        raise LabelError(f'{layer.path}, field {spec.field!r}: {wrong[0]} is no class; whole numbers or text are.')
    if by_name:
        unknown = [text for text in texts if text not in by_name]
        if unknown:
            raise LabelError(
                f'{layer.path}, field {spec.field!r}: {", ".join(unknown[:10])} not among the named classes '
                f'({", ".join(by_name)}). Add them to the table of classes, or filter these polygons out.'
            )
        return {text: by_name[text] for text in texts}, outside
    free = (value for value in range(1, len(texts) + 2) if value != spec.outside)
    values = dict(zip(texts, free))
    return values, (*outside, *(ClassDef(value, text) for text, value in values.items()))


def _class_text(feature: ogr.Feature, index: int) -> str | None:
    """The class of a feature as text, or None where it has none; whole numbers without a fraction."""
    if not feature.IsFieldSetAndNotNull(index):
        return None
    if feature.GetFieldDefnRef(index).GetType() == ogr.OFTReal:
        number = feature.GetFieldAsDouble(index)
        return str(int(number)) if number.is_integer() else repr(number)
    return feature.GetFieldAsString(index).strip() or None


def _whole_number(text: str) -> int | None:
    """The number that a text is, or None."""
    digits = text[1:] if text[:1] in '+-' else text
    return int(text) if digits.isascii() and digits.isdigit() else None


def _burn(layer: ogr.Layer, grid: Grid, path: str, spec: LabelPolygons, reporter: Reporter) -> None:
    """Draw the field ``value`` of a layer as an int32 GeoTIFF on a grid."""
    empty = UNSET if spec.outside is None else spec.outside
    rows = max(256, _STRIP_BYTES // (4 * grid.width) // 256 * 256)
    options = ['TILED=YES', 'COMPRESS=DEFLATE', 'PREDICTOR=2', 'ZLEVEL=1', 'BIGTIFF=IF_SAFER']
    out = gdal.GetDriverByName('GTiff').Create(path, grid.width, grid.height, 1, gdal.GDT_Int32, options)
    _place(out, grid)
    burn = ['ATTRIBUTE=value'] + (['ALL_TOUCHED=TRUE'] if spec.all_touched else [])
    for row in range(0, grid.height, rows):
        reporter.check_cancelled()
        window = Window(0, row, grid.width, min(rows, grid.height - row))
        strip = gdal.GetDriverByName('MEM').Create('', window.width, window.height, 1, gdal.GDT_Int32)
        _place(strip, grid.sub(window))
        strip.GetRasterBand(1).Fill(empty)
        gdal.RasterizeLayer(strip, [1], layer, options=burn)
        out.WriteRaster(0, row, window.width, window.height, strip.ReadRaster(), buf_type=gdal.GDT_Int32)
    out.FlushCache()
    del out
    if not os.path.exists(path):
        raise OSError(f'{path}: was not written')


def _place(dataset: gdal.Dataset, grid: Grid) -> None:
    """Give a raster the place of a grid."""
    dataset.SetGeoTransform(grid.transform)
    if grid.crs:
        dataset.SetSpatialRef(spatial_reference(grid.crs))
