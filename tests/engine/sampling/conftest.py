"""Rasters, vector layers and masks of a few pixels, on grids of all kinds."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.gdalio import gdal, ogr, osr

# Geotransforms and CRS as images have them: fractions of metres, degrees, south-up, turned, sheared, none at all.
GRIDS = {
    'metres': ((5e5 + 0.7, 0.3, 0, 5e6 + 0.1, 0, -0.3), 32631),
    'coarse': ((733601.2, 0.6, 0, 3725138.9, 0, -0.6), 32616),
    'south-up': ((5e5 + 0.1, 1.2, 0, 4e6, 0, 1.2), 32631),
    'degrees': ((4.123456, 1e-5, 0, 52.3, 0, -1e-5), 4326),
    'turned': ((5e5, 1.2, 0.5, 5e6, 0.5, -1.2), 32631),
    'sheared': ((5e5, 0.6, 0.25, 5e6, 0, -0.6), 32631),
    'none': ((0, 1, 0, 0, 0, 1), None),
}


def _crs(epsg):
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(epsg)
    crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return crs


@pytest.fixture(params=GRIDS)
def any_grid(request):
    """(transform, EPSG code or None), one after the other."""
    return GRIDS[request.param]


@pytest.fixture
def write_raster(tmp_path):
    """A function ``(name, columns, rows, (transform, epsg), values=None) -> path``."""

    def write(name, width, height, grid, values=None):
        kind = gdal.GDT_Byte if values is None or values.dtype == np.uint8 else gdal.GDT_Float32
        path = str(tmp_path / name)
        dataset = gdal.GetDriverByName('GTiff').Create(path, width, height, 1, kind)
        transform, epsg = grid
        if epsg is not None:
            dataset.SetGeoTransform(transform)
            dataset.SetSpatialRef(_crs(epsg))
        if values is not None:
            dataset.WriteRaster(0, 0, width, height, values.tobytes())
        return path

    return write


@pytest.fixture
def write_layer(tmp_path):
    """A function ``(name, epsg, {field: type}, [(wkt, value, …), …]) -> path``; None as WKT is no geometry."""
    drivers = {'gpkg': 'GPKG', 'geojson': 'GeoJSON', 'shp': 'ESRI Shapefile', 'fgb': 'FlatGeobuf'}

    def write(name, epsg, fields, features):
        driver = drivers[name.rpartition('.')[2]]
        dataset = gdal.GetDriverByName(driver).Create(str(tmp_path / name), 0, 0, 0, gdal.GDT_Unknown)
        options = ['SPATIAL_INDEX=NO'] if driver == 'FlatGeobuf' else []
        layer = dataset.CreateLayer('features', _crs(epsg) if epsg else None, ogr.wkbUnknown, options)
        for field, kind in fields.items():
            layer.CreateField(ogr.FieldDefn(field, kind))
        for wkt, *values in features:
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt) if wkt else None)
            for field, value in zip(fields, values):
                if value is not None:
                    feature.SetField(field, value)
            layer.CreateFeature(feature)
        return str(tmp_path / name)

    return write
