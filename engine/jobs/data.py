"""The nouns that several jobs are made of: classes, sources, vector layers, labels."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple


@dataclasses.dataclass(frozen=True)
class ClassDef:
    """One class: the value in the user's labels, its name, its colour as ``#rrggbb`` (empty: chosen for it)."""

    value: int
    name: str = ''
    colour: str = ''


@dataclasses.dataclass(frozen=True)
class SourceSpec:
    """A stack of rasters on one grid.

    Attributes:
        rasters: paths or anything GDAL opens, stacked by band in this order.
        name: the name of the network's input fed from this source.
        bands: bands of the stack to use, counted from 1; empty for all.
        band_names: the same by name, in place of `bands`.
        patch_size: (columns, rows) in pixels of this source, where patches are cut.
        nodata: text: empty for what the files declare, ``none`` for no no-data value, a number, ``nan``,
            or one of these a band, separated by blanks or commas.
        nodata_policy: of this source; empty: that of the job, or of the model.
        placeholder: the input of the model that a map is made with; empty: `name` where the model has such an input,
            else by order.
        receptive_field: (columns, rows) of pixels that the model looks at, where a map is made; 0: as the model says.
    """

    rasters: Tuple[str, ...]
    name: str = 'source1'
    bands: Tuple[int, ...] = ()
    patch_size: Tuple[int, int] = (64, 64)
    nodata: str = ''
    nodata_policy: str = ''
    band_names: Tuple[str, ...] = ()
    placeholder: str = ''
    receptive_field: Tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class VectorSpec:
    """A layer of a vector file that OGR opens; an empty layer name means the only or first one."""

    path: str
    layer: str = ''


@dataclasses.dataclass(frozen=True)
class LabelRaster:
    """Labels as a raster. `nodata` as in `SourceSpec`, but one value: ``none`` makes the declared one a value."""

    path: str
    band: int = 1
    nodata: str = ''


@dataclasses.dataclass(frozen=True)
class LabelPolygons:
    """Labels as polygons, burnt on the grid of the first source; the last feature wins where they overlap.

    Attributes:
        field: attribute with the class, integer or text; empty: every polygon is 1.
        outside: value of pixels in no polygon; None leaves them unlabelled.
        all_touched: every pixel a polygon touches, not only those whose centre lies inside.
    """

    vector: VectorSpec
    field: str = ''
    outside: Optional[int] = None
    all_touched: bool = False
