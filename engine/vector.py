"""Points and polygons in and out: attributes, reprojection, files that appear only when they are whole."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from .errors import InputMissing, InputUnreadable, InvalidJob, OutputRefused, write_error
from .gdalio import gdal, ogr, osr, same_crs
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
    xy = reproject(np.array([x, y], np.float64).T.reshape(-1, 2), transformation(layer.crs, crs))
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


def reproject(xy: np.ndarray, transform: osr.CoordinateTransformation | None) -> np.ndarray:
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


def field(name: str, kind: int) -> ogr.FieldDefn:
    """A field of a layer to write; `kind` is ``ogr.OFTInteger64``, ``ogr.OFTReal`` or ``ogr.OFTString``."""
    return ogr.FieldDefn(name, kind)


class VectorWriter:
    """A vector file with one layer, which takes its name, replacing what is there, when it is whole.

    Use it as a context manager: leaving the block finishes the file; an error in the block leaves nothing behind.

    Args:
        path: its ending chooses the format.
        crs: WKT; empty for none.
        fields: of the layer.
        like: a layer whose fields are taken over before these, but for those of the same name.
        geometry_type: of the layer, such as ``ogr.wkbPoint``.

    Raises:
        OutputRefused, DiskFull: it cannot be written there.
    """

    def __init__(
        self,
        path: str,
        crs: str,
        fields: Sequence[ogr.FieldDefn] = (),
        like: VectorLayer | None = None,
        geometry_type: int = ogr.wkbPoint,
    ) -> None:
        self.path, self._driver = path, require_vector_output(path)
        self._crs, self._kind = crs, geometry_type
        own = {definition.GetName().lower() for definition in fields}
        schema = like.layer.GetLayerDefn() if like else None
        inherited = [schema.GetFieldDefn(i) for i in range(schema.GetFieldCount())] if schema else []
        self._fields = [definition for definition in inherited if definition.GetName().lower() not in own]
        self._fields += fields
        self._dataset: Any = None
        self._layer: Any = None
        self._like: ogr.Feature | None = None
        self._map: list[int] = []
        self.count = 0

    def __enter__(self) -> VectorWriter:
        self._staging = self.path + '.part'
        try:
            self._clear()
            os.makedirs(self._staging)
            self._create()
        except (OSError, RuntimeError) as error:
            self._clear()
            raise write_error(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        except (OSError, RuntimeError) as failure:
            raise write_error(self.path, failure) from failure
        finally:
            self._dataset = self._layer = None
            self._clear()

    def add(self, geometry: ogr.Geometry | None, values: Mapping[str, object], like: ogr.Feature | None = None) -> None:
        """Write a feature.

        Args:
            geometry: in the layer's reference system; None for a feature without one.
            values: of fields by name: whole numbers, numbers or text; None for no value.
            like: a feature whose values are taken over where fields have the same name.
        """
        feature = ogr.Feature(self._definition)
        if like is not None:
            feature.SetFromWithMap(like, 1, self._map_of(like))
            feature.SetGeometry(None)
        for name, value in values.items():
            if value is None:
                feature.SetFieldNull(self._index[name])
            elif isinstance(value, (str, float, int)):
                feature.SetField(self._index[name], value)
            else:
                raise TypeError(f'{name}: {value!r} is no value of a field')
        if geometry is not None:
            feature.SetGeometry(geometry)
        try:
            self._layer.CreateFeature(feature)
        except RuntimeError as error:
            raise write_error(self.path, error) from error
        self.count += 1

    def add_point(self, x: float, y: float, values: Mapping[str, object], like: ogr.Feature | None = None) -> None:
        """Write a point; without geometry where its coordinates are no numbers."""
        point = None
        if math.isfinite(x) and math.isfinite(y):
            point = ogr.Geometry(ogr.wkbPoint)
            point.AddPoint_2D(x, y)
        self.add(point, values, like)

    def _map_of(self, like: ogr.Feature) -> list[int]:
        """Where in this layer the fields of a feature go; -1 for those that it does not have."""
        schema = like.GetDefnRef()
        if self._like is None or not schema.IsSame(self._like.GetDefnRef()):
            names = (schema.GetFieldDefn(i).GetName().lower() for i in range(schema.GetFieldCount()))
            self._map = [self._places.get(name, -1) for name in names]
            self._like = like  # which keeps its schema alive
        return self._map

    def _create(self) -> None:
        """The file, with its layer and fields."""
        place = os.path.join(self._staging, os.path.basename(self.path))
        self._dataset = gdal.GetDriverByName(self._driver).Create(place, 0, 0, 0, gdal.GDT_Unknown)
        name = os.path.splitext(os.path.basename(self.path))[0]
        # That of a FlatGeobuf would change the order; that of a GeoPackage is made at the end.
        options = ['SPATIAL_INDEX=NO'] if self._driver in ('FlatGeobuf', 'GPKG') else []
        if self._driver == 'GPKG' and any(definition.GetName().lower() == 'fid' for definition in self._fields):
            options.append('FID=quadrat_fid')
        crs = spatial_reference(self._crs) if self._crs else None
        self._layer = self._dataset.CreateLayer(name, crs, self._kind, options)
        for definition in self._fields:
            self._layer.CreateField(definition)
        self._definition = self._layer.GetLayerDefn()
        # Some formats shorten names, so places count.
        self._index = {definition.GetName(): i for i, definition in enumerate(self._fields)}
        self._places = {name.lower(): i for name, i in self._index.items()}
        self._transactions = self._dataset.TestCapability(ogr.ODsCTransactions)
        if self._transactions:
            self._dataset.StartTransaction()

    def _finish(self) -> None:
        """Close the file, see that it holds all features, and give it its name."""
        if self._transactions:
            self._dataset.CommitTransaction()
        if self._driver == 'GPKG':
            self._add_index()
        self._dataset = self._layer = None  # closes the file
        place = os.path.join(self._staging, os.path.basename(self.path))
        written = gdal.OpenEx(place, gdal.OF_VECTOR | gdal.OF_READONLY)
        arrived = written.GetLayer(0).GetFeatureCount()
        del written
        if arrived != self.count:
            raise OSError(f'only {arrived} of {self.count} features arrived')
        for name in sorted(os.listdir(self._staging)):
            os.replace(os.path.join(self._staging, name), os.path.join(os.path.dirname(self.path), name))

    def _add_index(self) -> None:
        """Give a GeoPackage its spatial index, where the SQLite at hand can."""
        name, column = (text.replace("'", "''") for text in (self._layer.GetName(), self._layer.GetGeometryColumn()))
        try:
            self._dataset.ExecuteSQL(f"SELECT CreateSpatialIndex('{name}', '{column}')")
        except RuntimeError as error:
            # TensorFlow brings an SQLite without R-trees, which takes the place of GDAL's where it is loaded first.
            if 'rtree' not in str(error):
                raise

    def _clear(self) -> None:
        if os.path.isdir(self._staging):
            shutil.rmtree(self._staging)


def write_points(
    path: str, crs: str, x: np.ndarray, y: np.ndarray, columns: Mapping[str, Sequence[int] | Sequence[str] | np.ndarray]
) -> None:
    """Write a point layer from columns; see `VectorWriter`.

    Args:
        path: its ending chooses the format.
        crs: WKT; empty for none.
        x, y: coordinates; NaN gives a feature without geometry.
        columns: attributes by name, in their order: whole numbers or text.

    Raises:
        OutputRefused, DiskFull: it cannot be written there.
    """
    fields = [field(name, ogr.OFTInteger64 if _is_whole(column) else ogr.OFTString) for name, column in columns.items()]
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    with VectorWriter(path, crs, fields) as writer:
        for px, py, *values in zip(x.tolist(), y.tolist(), *plain):
            writer.add_point(px, py, dict(zip(columns, values)))


def _is_whole(column: Sequence | np.ndarray) -> bool:
    """Whether a column holds whole numbers."""
    return not isinstance(column[0], str) if len(column) else isinstance(column, np.ndarray)
