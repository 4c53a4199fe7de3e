"""Points and polygons in and out: attributes, reprojection, files that appear only when they are whole."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .errors import InputMissing, InputUnreadable, InvalidJob, OutputRefused
from .gdalio import gdal, ogr, osr, same_crs, write_error
from .jobs import VectorSpec

_DRIVERS = {
    '.gpkg': 'GPKG',
    '.geojson': 'GeoJSON',
    '.json': 'GeoJSON',
    '.shp': 'ESRI Shapefile',
    '.sqlite': 'SQLite',
    '.fgb': 'FlatGeobuf',
}
_POLYGONS = (ogr.wkbPolygon, ogr.wkbMultiPolygon, ogr.wkbCurvePolygon, ogr.wkbMultiSurface)


@dataclasses.dataclass(frozen=True)
class Points:
    """A point layer in memory, in the order of the file.

    Attributes:
        ids: the field ``id`` where there is one, else the feature's own number.
        x, y: float64 coordinates in the reference system asked for; NaN where a feature has no point there.
        fields: the attributes asked for, as text; None where a feature has no value.
        assumed_crs: the layer names no reference system (or the target none), so coordinates were taken as they are.
    """

    ids: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    fields: dict[str, tuple[str | None, ...]]
    assumed_crs: bool


class VectorLayer:
    """A layer of a vector file, open for reading.

    Attributes:
        path: of the file.
        crs: as WKT, empty where unknown.
        field_names: of its attributes.
    """

    def __init__(self, spec: VectorSpec) -> None:
        self.path = spec.path
        try:
            self._dataset = gdal.OpenEx(spec.path, gdal.OF_VECTOR | gdal.OF_READONLY)
        except RuntimeError as error:
            if not spec.path.startswith('/vsi') and not os.path.exists(spec.path):
                raise InputMissing(f'{spec.path}: no such file.') from error
            raise InputUnreadable(f'{spec.path}: not a vector file that OGR can read ({error}).') from error
        names = [self._dataset.GetLayer(i).GetName() for i in range(self._dataset.GetLayerCount())]
        if spec.layer and spec.layer not in names:
            raise InputUnreadable(f'{spec.path}: no layer {spec.layer!r}; it has {", ".join(names) or "none"}.')
        if not names:
            raise InputUnreadable(f'{spec.path}: no layers in it.')
        self.layer: ogr.Layer = self._dataset.GetLayerByName(spec.layer or names[0])
        crs = self.layer.GetSpatialRef()
        # What GeoPackages say of layers without a reference system.
        self.crs = crs.ExportToWkt() if crs and not crs.GetName().startswith('Undefined') else ''
        definition = self.layer.GetLayerDefn()
        self.field_names = [definition.GetFieldDefn(i).GetName() for i in range(definition.GetFieldCount())]

    def require_field(self, name: str) -> int:
        """The index of a field, or `InvalidJob` naming those there are."""
        if name not in self.field_names:
            raise InvalidJob(f'{self.path}: no field {name!r}; it has {", ".join(self.field_names) or "none"}.')
        return self.field_names.index(name)

    def __len__(self) -> int:
        return self.layer.GetFeatureCount()

    def __iter__(self) -> Iterator[ogr.Feature]:
        self.layer.ResetReading()
        try:
            yield from self.layer
        except RuntimeError as error:
            raise InputUnreadable(f'{self.path}: cannot be read to its end; it is damaged ({error}).') from error


def spatial_reference(wkt: str) -> osr.SpatialReference:
    """A reference system whose coordinates come as x, y whatever its authority says."""
    crs = osr.SpatialReference(wkt=wkt)
    crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return crs


def transformation(source: str, target: str) -> osr.CoordinateTransformation | None:
    """From one reference system (WKT) to another; None where coordinates stay as they are."""
    if not source or not target or same_crs(source, target):
        return None
    return osr.CoordinateTransformation(spatial_reference(source), spatial_reference(target))


def read_points(spec: VectorSpec, crs: str, fields: Sequence[str] = ()) -> Points:
    """All points of a layer; each part of a multipoint is a point of its own.

    Args:
        crs: WKT of the reference system the coordinates are wanted in.
        fields: attributes to read.

    Raises:
        InputMissing, InputUnreadable: no such file or layer, or its geometries are no points.
        InvalidJob: a field is not there.
    """
    layer = VectorLayer(spec)
    indices = {name: layer.require_field(name) for name in fields}
    id_index = layer.field_names.index('id') if 'id' in layer.field_names else None
    ids: list[str] = []
    x: list[float] = []
    y: list[float] = []
    values: dict[str, list[str | None]] = {name: [] for name in fields}
    for feature in layer:
        has_id = id_index is not None and feature.IsFieldSetAndNotNull(id_index)
        identifier = feature.GetFieldAsString(id_index) if has_id else str(feature.GetFID())
        for px, py in _positions(feature.GetGeometryRef(), layer.path):
            ids.append(identifier)
            x.append(px)
            y.append(py)
            for name, index in indices.items():
                values[name].append(feature.GetFieldAsString(index) if feature.IsFieldSetAndNotNull(index) else None)
    xy = _reproject(np.array([x, y], np.float64).T.reshape(-1, 2), transformation(layer.crs, crs))
    return Points(
        tuple(ids),
        xy[:, 0].copy(),
        xy[:, 1].copy(),
        {name: tuple(column) for name, column in values.items()},
        bool(layer.crs) != bool(crs),
    )


def _positions(geometry: ogr.Geometry | None, path: str) -> Iterator[tuple[float, float]]:
    """Coordinates of a point or of each point of a multipoint; NaN for an empty geometry."""
    if geometry is None or geometry.IsEmpty():
        yield math.nan, math.nan
        return
    kind = ogr.GT_Flatten(geometry.GetGeometryType())
    if kind == ogr.wkbPoint:
        yield geometry.GetX(), geometry.GetY()
    elif kind == ogr.wkbMultiPoint:
        for part in range(geometry.GetGeometryCount()):
            yield from _positions(geometry.GetGeometryRef(part), path)
    else:
        raise InputUnreadable(f'{path}: holds {geometry.GetGeometryName()} geometries; points are needed.')


def _reproject(xy: np.ndarray, transform: osr.CoordinateTransformation | None) -> np.ndarray:
    """Coordinates (n, 2) in the target system; NaN where a point has none there."""
    out = xy
    if transform is not None and len(xy):
        out = np.full_like(xy, math.nan)
        finite = np.flatnonzero(np.isfinite(xy).all(1))
        try:
            out[finite] = np.array(transform.TransformPoints(xy[finite].tolist()), np.float64).reshape(-1, 3)[:, :2]
        except RuntimeError:  # some points have no place there: find out which
            for i in finite.tolist():
                out[i] = _reproject_one(xy[i].tolist(), transform)
    return np.where(np.isfinite(out).all(1, keepdims=True), out, math.nan)


def _reproject_one(xy: list[float], transform: osr.CoordinateTransformation) -> tuple[float, float]:
    """One point in the target system; NaN where it has no place there."""
    try:
        return transform.TransformPoint(*xy)[:2]
    except RuntimeError:
        return math.nan, math.nan


def read_polygons(layer: VectorLayer, crs: str) -> Iterator[tuple[ogr.Feature, ogr.Geometry | None, bool]]:
    """Each feature with its polygon in the reference system `crs`, and whether that had to be repaired, in the order
    of the file.

    The geometry is None where there is none, it is no polygon, or it has no place in that system.
    """
    transform = transformation(layer.crs, crs)
    for feature in layer:
        geometry = feature.GetGeometryRef()
        if geometry is None or geometry.IsEmpty() or ogr.GT_Flatten(geometry.GetGeometryType()) not in _POLYGONS:
            yield feature, None, False
            continue
        polygon = geometry.GetLinearGeometry()
        polygon.FlattenTo2D()
        valid = polygon.IsValid()
        yield feature, _moved(polygon if valid else repaired(polygon), transform), not valid


def repaired(polygon: ogr.Geometry) -> ogr.Geometry | None:
    """The area of an invalid polygon as a valid multipolygon; None where it has none.

    GEOS has two methods, and each spoils some polygons: one turns holes into areas, the other loses areas whose rings
    run along themselves. The one whose result has more nearly the area of the polygon's rings is taken.
    """
    found = []
    for options in (['METHOD=STRUCTURE'], []):
        try:
            found.append(areas(polygon.MakeValid(options)))
        except RuntimeError:  # the first needs GEOS 3.10
            continue
    whole = [shape for shape in found if shape is not None]
    return min(whole, key=lambda shape: (not shape.IsValid(), abs(shape.GetArea() - polygon.GetArea())), default=None)


def areas(geometry: ogr.Geometry | None, smallest: float = 0.0) -> ogr.Geometry | None:
    """The polygons in a geometry as a multipolygon, without the lines, points and slivers that cutting and repairing
    leave; None where there are none.

    Args:
        smallest: area of a polygon that is kept, in square map units.
    """
    many = ogr.Geometry(ogr.wkbMultiPolygon)
    pending = [] if geometry is None else [geometry]
    while pending:
        part = pending.pop()
        if part.GetGeometryType() == ogr.wkbPolygon:
            if part.GetArea() >= smallest:
                many.AddGeometry(part)
        else:
            pending.extend(part.GetGeometryRef(i) for i in range(part.GetGeometryCount()))
    return None if many.IsEmpty() else many


def _moved(geometry: ogr.Geometry | None, transform: osr.CoordinateTransformation | None) -> ogr.Geometry | None:
    """A geometry in another reference system, or None where it has no place there."""
    if geometry is not None and transform is not None:
        try:
            geometry.Transform(transform)
        except RuntimeError:
            return None
    return geometry


def require_vector_output(path: str) -> str:
    """The driver for a vector file by its extension, or `OutputRefused`."""
    extension = os.path.splitext(path)[1].lower()
    if extension not in _DRIVERS:
        raise OutputRefused(f'{path}: vector files are written as {", ".join(_DRIVERS)}; give one of these endings.')
    return _DRIVERS[extension]


def write_points(
    path: str, crs: str, x: np.ndarray, y: np.ndarray, columns: Mapping[str, Sequence[int] | Sequence[str] | np.ndarray]
) -> None:
    """Write a point layer; it takes its name, replacing what is there, when it is whole.

    Args:
        path: its ending chooses the format.
        crs: WKT; empty for none.
        x, y: coordinates; NaN gives a feature without geometry.
        columns: attributes by name, in their order: whole numbers or text.

    Raises:
        OutputRefused, DiskFull: it cannot be written there.
    """
    driver = require_vector_output(path)
    staging = path + '.part'
    try:
        if os.path.isdir(staging):
            shutil.rmtree(staging)
        os.makedirs(staging)
        try:
            _fill_points(os.path.join(staging, os.path.basename(path)), driver, crs, x, y, columns)
            for name in sorted(os.listdir(staging)):
                os.replace(os.path.join(staging, name), os.path.join(os.path.dirname(path), name))
        finally:
            shutil.rmtree(staging)
    except (OSError, RuntimeError) as error:
        raise write_error(path, error) from error


def _fill_points(
    path: str, driver: str, crs: str, x: np.ndarray, y: np.ndarray, columns: Mapping[str, Sequence | np.ndarray]
) -> None:
    """Write the file and see that it holds all points."""
    dataset = gdal.GetDriverByName(driver).Create(path, 0, 0, 0, gdal.GDT_Unknown)
    name = os.path.splitext(os.path.basename(path))[0]
    options = ['SPATIAL_INDEX=NO'] if driver == 'FlatGeobuf' else []  # its index would change the order
    layer = dataset.CreateLayer(name, spatial_reference(crs) if crs else None, ogr.wkbPoint, options)
    kinds = [ogr.OFTInteger64 if _is_whole(column) else ogr.OFTString for column in columns.values()]
    for field, kind in zip(columns, kinds):
        layer.CreateField(ogr.FieldDefn(field, kind))
    definition = layer.GetLayerDefn()
    transactions = dataset.TestCapability(ogr.ODsCTransactions)
    if transactions:
        dataset.StartTransaction()
    for px, py, *values in zip(x.tolist(), y.tolist(), *columns.values()):
        feature = ogr.Feature(definition)
        for i, (kind, value) in enumerate(zip(kinds, values)):
            feature.SetField(i, int(value) if kind == ogr.OFTInteger64 else str(value))
        if math.isfinite(px) and math.isfinite(py):
            point = ogr.Geometry(ogr.wkbPoint)
            point.AddPoint_2D(px, py)
            feature.SetGeometryDirectly(point)
        layer.CreateFeature(feature)
    if transactions:
        dataset.CommitTransaction()
    del layer, dataset  # closes the file
    written = gdal.OpenEx(path, gdal.OF_VECTOR | gdal.OF_READONLY)
    if written.GetLayer(0).GetFeatureCount() != len(x):
        raise OSError(f'only {written.GetLayer(0).GetFeatureCount()} of {len(x)} points arrived')


def _is_whole(column: Sequence | np.ndarray) -> bool:
    """Whether a column holds whole numbers."""
    return not isinstance(column[0], str) if len(column) else isinstance(column, np.ndarray)
