"""Polygons of the areas of one class, or of one value, in a raster."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..errors import InputUnreadable, InvalidJob, OutputRefused, write_error
from ..events import Reporter
from ..gdalio import dtype_of, gdal, ogr, open_raster, osr
from ..grid import Grid
from ..jobs import ClassDef
from ..raster import grid_of
from ..vector import VectorWriter, areas, field, repaired, spatial_reference
from .checking import count_valid
from .classes import styled
from .part import PartFolder
from .polygonstyle import polygon_qml, store_style
from .watch import Watch, line_cache

_EVERY = 1000  # polygons between looks at whether to stop


def polygonize(
    raster: str, part: PartFolder, classes: tuple[ClassDef, ...], connectivity: int, reporter: Reporter
) -> int:
    """Write the areas of one class as polygons to a GeoPackage, with a style in it for QGIS.

    Its one layer has the fields ``class`` and ``name`` (``value`` where there are no classes), and ``area``: square map
    units, a whole number of pixels; where the raster is in degrees, square metres on the ellipsoid. With corners
    connected, areas that hang together only there are multipolygons. Pixels without data make none.

    Args:
        raster: whole numbers in its first band; it is only read.
        part: where the GeoPackage is made, ``part.file``.
        classes: names and colours of the values; none where they are no classes.
        connectivity: 4, or 8 where pixels that touch at a corner are of one area.
        reporter: hears of the progress in its stage, and can stop it.

    Returns:
        The number of polygons.

    Raises:
        InvalidJob: the raster holds no whole numbers.
        OutputRefused, DiskFull: it cannot be written.
        Cancelled: by the user.
    """
    part.clear_stages()
    watch = Watch(reporter)
    source = open_raster(raster)
    if dtype_of(source.GetRasterBand(1), raster).kind == 'f':
        raise InvalidJob(f'{part.path}: polygons are made of whole numbers, and the map holds others; leave them out.')
    try:
        outlines = _outlines(source, part.stage('outlines'), connectivity, watch.part('polygons', 0.0, 0.5))
        count = _write(outlines, part.file, source, classes, connectivity, watch.part('polygons', 0.5, 1.0))
        if classes:
            store_style(part.file, polygon_qml(styled(classes), 'class'))
        _check(part.file, count)
    except (RuntimeError, OSError, OutputRefused, InputUnreadable) as error:
        raise write_error(part.path, error) from error
    part.clear_stages()
    return count


def _outlines(source: gdal.Dataset, path: str, connectivity: int, watch: Watch) -> str:
    """The outlines of all areas as GDAL gives them, with their values, in a file of a format that is quickly written;
    returns its path."""
    path += '.fgb'
    band = source.GetRasterBand(1)
    file = gdal.GetDriverByName('FlatGeobuf').Create(path, 0, 0, 0, gdal.GDT_Unknown)
    layer = file.CreateLayer('outlines', None, ogr.wkbPolygon, ['SPATIAL_INDEX=NO'])
    layer.CreateField(field('value', ogr.OFTInteger64))
    options = ['8CONNECTED=8'] if connectivity == 8 else []
    with line_cache(source), watch:
        gdal.Polygonize(band, band.GetMaskBand(), layer, 0, options, callback=watch)
    return path


def _write(
    outlines: str,
    path: str,
    source: gdal.Dataset,
    classes: tuple[ClassDef, ...],
    connectivity: int,
    watch: Watch,
) -> int:
    """The polygons with all their attributes; returns their number."""
    grid = grid_of(source)
    names = {item.value: item.name for item in styled(classes)}
    fields = [field('class' if classes else 'value', ogr.OFTInteger64), field('area', ogr.OFTReal)]
    if classes:
        fields.insert(1, field('name', ogr.OFTString))
    t = grid.transform
    pixel = abs(t[1] * t[5] - t[2] * t[4])
    ellipsoid = _ellipsoid(grid)
    valid, pixels = count_valid(source), 0
    with VectorWriter(path, grid.crs, fields, geometry_type=_kind(connectivity)) as writer:
        for share, value, polygon in _read(outlines) if valid else ():  # there is no file of no outlines
            if writer.count % _EVERY == 0:
                watch.progress(share)
            if connectivity == 8:
                polygon = _valid(polygon)
            covered = round(polygon.GetArea() / pixel)
            pixels += covered
            attributes = {'class': value, 'name': names.get(value)} if classes else {'value': value}
            area = covered * pixel if ellipsoid is None else _area(polygon, ellipsoid)
            writer.add(polygon, {**attributes, 'area': area})
        if pixels != valid:
            raise OutputRefused(f'the polygons cover {pixels} of {valid} pixels')
    return writer.count


def _kind(connectivity: int) -> int:
    """The type of geometry. Areas whose pixels share edges are polygons; of those that hang together at corners only,
    each part is one."""
    return int(ogr.wkbMultiPolygon if connectivity == 8 else ogr.wkbPolygon)


def _read(path: str) -> Iterator[tuple[float, int, ogr.Geometry]]:
    """The share that is read, the value and the polygon of each outline in a file."""
    file = gdal.OpenEx(path, gdal.OF_VECTOR | gdal.OF_READONLY)
    layer = file.GetLayer(0)
    total = layer.GetFeatureCount()
    for number, feature in enumerate(layer):
        yield number / total, feature.GetField(0), feature.GetGeometryRef()


def _valid(polygon: ogr.Geometry) -> ogr.Geometry:
    """A multipolygon that is valid: the outlines of areas that hang together at corners touch themselves there."""
    shape = None
    if not polygon.IsValid():
        try:
            # Right for rings that touch and do not cross, and five times as quick as finding out what is right.
            shape = areas(polygon.MakeValid(['METHOD=STRUCTURE']))
        except RuntimeError:  # needs GEOS 3.10
            shape = repaired(polygon)
    return ogr.ForceToMultiPolygon(polygon.Clone()) if shape is None else shape


def _ellipsoid(grid: Grid) -> osr.CoordinateTransformation | None:
    """From longitudes and latitudes to a plane where areas are those on the ellipsoid; None for other grids.

    The projection is the cylindrical equal-area one, where meridians and parallels, the edges of pixels, are straight
    (Snyder, "Map projections: a working manual", 1987, chapter 10).
    """
    crs = spatial_reference(grid.crs) if grid.crs else None
    if crs is None or not crs.IsGeographic():
        return None
    # Longitudes count from the raster's middle, so that no polygon is cut in two.
    middle, _ = grid.to_map(grid.width / 2, grid.height / 2)
    equal = osr.SpatialReference()
    equal.SetCEA(0.0, math.degrees(middle * crs.GetAngularUnits()), 0.0, 0.0)
    equal.CopyGeogCSFrom(crs)
    return osr.CoordinateTransformation(crs, equal)


def _area(polygon: ogr.Geometry, ellipsoid: osr.CoordinateTransformation) -> float | None:
    """Square metres on the ellipsoid; None beyond the poles."""
    moved = polygon.Clone()
    try:
        moved.Transform(ellipsoid)
    except RuntimeError:
        return None
    return float(moved.GetArea())


def _check(path: str, count: int) -> None:
    """Raise where the finished file has not so many polygons."""
    file = gdal.OpenEx(path, gdal.OF_VECTOR | gdal.OF_READONLY)
    found = sum(feature.GetGeometryRef() is not None for feature in file.GetLayer(0))
    if found != count:
        raise OutputRefused(f'only {found} of {count} polygons arrived')
