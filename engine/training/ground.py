"""Where on Earth the training data lies."""

from __future__ import annotations

import math
from typing import Any

from ..datasets.manifest import Manifest
from ..events import Reporter
from ..gdalio import osr


def footprint(manifest: Manifest, reporter: Reporter) -> dict[str, Any] | None:
    """The extent of a dataset as a GeoJSON polygon in WGS 84, or None where its CRS is unknown or has no place there.

    The ring is that of the four corners, anticlockwise, in longitude and latitude.
    """
    if not manifest.crs or manifest.extent is None:
        return None
    west, south, east, north = manifest.extent
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    try:
        source, target = osr.SpatialReference(wkt=manifest.crs), osr.SpatialReference()
        target.ImportFromEPSG(4326)
        for crs in (source, target):
            crs.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        points = osr.CoordinateTransformation(source, target).TransformPoints(corners)
    except RuntimeError as error:
        reporter.log(f'The place of the training data stays unknown: {error}', detail=True)
        return None
    ring = [[float(x), float(y)] for x, y, *_ in points]
    if not all(math.isfinite(x) and -180 <= x <= 180 and -90 <= y <= 90 for x, y in ring):
        reporter.log('The place of the training data stays unknown: it is not on the globe.', detail=True)
        return None
    return {'type': 'Polygon', 'coordinates': [ring]}
