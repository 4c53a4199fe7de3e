"""Reading rasters: stacks of bands on one grid, windows that may reach over the edge, no-data."""

from __future__ import annotations

import difflib
import threading

import numpy as np

from .errors import BandMismatch, GridMismatch, InputUnreadable, InvalidJob
from .gdalio import dtype_of, gdal, gdal_type, open_raster, osr, same_crs
from .grid import Grid, Window, relate
from .jobs import SourceSpec


def grid_of(dataset: gdal.Dataset) -> Grid:
    """The grid of an open raster. Without georeferencing: pixel coordinates, rows downwards."""
    crs = dataset.GetSpatialRef()
    transform = dataset.GetGeoTransform(can_return_null=True) or (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    if transform[1] * transform[5] - transform[2] * transform[4] == 0:
        raise InputUnreadable(f'{dataset.GetDescription()}: its geotransform {transform} has no area.')
    return Grid(crs.ExportToWkt() if crs else '', tuple(transform), dataset.RasterXSize, dataset.RasterYSize)


def require_same_crs(a: Grid, b: Grid, names: tuple[str, str]) -> None:
    """Raise `GridMismatch`, naming both, if two grids have different reference systems."""
    if not same_crs(a.crs, b.crs):
        raise GridMismatch(
            f'Different coordinate reference systems: {names[0]} has {crs_name(a.crs)}, {names[1]} has '
            f'{crs_name(b.crs)}. Reproject one of them ("Warp") first.'
        )


def crs_name(wkt: str) -> str:
    """A short name for messages, such as ``EPSG:32631 (WGS 84 / UTM zone 31N)``."""
    if not wkt:
        return 'none'
    crs = osr.SpatialReference(wkt=wkt)
    authority, code = crs.GetAuthorityName(None), crs.GetAuthorityCode(None)
    return f'{authority}:{code} ({crs.GetName()})' if authority and code else str(crs.GetName())


def parse_nodata(text: str, declared: list[float | None]) -> tuple[float | None, ...]:
    """No-data values of each band from the user's text, see `jobs.SourceSpec`.

    Args:
        text: the user's text.
        declared: what the files declare, one a band.
    """
    words = text.replace(',', ' ').split()
    if not words:
        return tuple(declared)
    values: list[float | None] = []
    for word in words:
        try:
            values.append(None if word.lower() == 'none' else float(word))
        except ValueError:
            raise InvalidJob(f'No-data {text!r}: {word!r} is neither a number, "nan" nor "none".') from None
    if len(values) == 1:
        values *= len(declared)
    if len(values) != len(declared):
        raise InvalidJob(f'No-data {text!r}: {len(values)} values for {len(declared)} bands; give one, or one a band.')
    return tuple(values)


def format_nodata(values: tuple[float | None, ...]) -> tuple[str, ...]:
    """The texts that manifests and cards store: empty where there is no no-data value."""
    return tuple('' if value is None else repr(float(value)).removesuffix('.0') for value in values)


def unformat_nodata(texts: tuple[str, ...]) -> tuple[float | None, ...]:
    """The inverse of `format_nodata`."""
    return tuple(float(text) if text else None for text in texts)


class RasterStack:
    """The bands of one or several rasters on one grid, as one raster.

    Files are opened once a thread, since a GDAL dataset must not be shared between threads.

    Args:
        spec: the rasters, the bands of the stack to use, and no-data.

    Attributes:
        grid: of all the rasters.
        dtype: the smallest type that holds all bands.
        bands: names of the bands: their descriptions, or ``B1``, ``B2``, …
        nodata: a value a band, or None.
        block: (columns, rows) of the first raster's blocks.
    """

    def __init__(self, spec: SourceSpec) -> None:
        if not spec.rasters:
            raise InvalidJob(f'{spec.name}: no raster given.')
        self.spec = spec
        self._local = threading.local()
        self._local.datasets = [open_raster(path) for path in spec.rasters]
        everything: list[tuple[int, int]] = []  # (raster, band) of the stack
        names: list[str] = []
        declared: list[float | None] = []
        dtypes: list[np.dtype] = []
        for i, (path, dataset) in enumerate(zip(spec.rasters, self._local.datasets)):
            grid = grid_of(dataset)
            if i == 0:
                self.grid = grid
            else:
                both = (spec.rasters[0], path)
                require_same_crs(self.grid, grid, both)
                same = relate(self.grid, grid, both)
                if (same.x, same.y, same.col, same.row) != (1, 1, 0, 0) or grid.window != self.grid.window:
                    raise GridMismatch(
                        f'{spec.name}: the rasters of a source must lie on one grid. {path}: {grid.describe()}; '
                        f'{spec.rasters[0]}: {self.grid.describe()}'
                    )
            for number in range(1, dataset.RasterCount + 1):
                band = dataset.GetRasterBand(number)
                everything.append((i, number))
                names.append(band.GetDescription() or f'B{len(everything)}')
                declared.append(band.GetNoDataValue())
                dtypes.append(dtype_of(band, path))
        chosen = _chosen(spec, names)
        self._bands = [everything[i] for i in chosen]
        self.bands = tuple(names[i] for i in chosen)
        self.nodata = parse_nodata(spec.nodata, [declared[i] for i in chosen])
        self.dtype = np.result_type(*(dtypes[i] for i in chosen))
        block = self._local.datasets[0].GetRasterBand(1).GetBlockSize()
        self.block = (int(block[0]), int(block[1]))

    def read(self, window: Window, out: np.ndarray | None = None) -> np.ndarray:
        """Pixels of a window that lies inside the grid, as (rows, columns, bands) of `dtype`.

        Args:
            window: in pixels of the grid.
            out: where to put them: an array of that shape and type, which may be a part of the rows and columns of a
                larger one. Without it, a new array.
        """
        if not self.grid.window.contains(window):
            raise ValueError(f'{window} is not inside {self.grid.window}')
        if not hasattr(self._local, 'datasets'):
            self._local.datasets = [open_raster(path) for path in self.spec.rasters]
        if out is None:
            out = np.empty((window.height, window.width, len(self._bands)), self.dtype)
        by_raster: dict[int, list[int]] = {}
        for position, (raster, _) in enumerate(self._bands):
            by_raster.setdefault(raster, []).append(position)
        for raster, positions in by_raster.items():
            numbers = [self._bands[position][1] for position in positions]
            whole = positions == list(range(len(self._bands)))
            part = out if whole else np.empty((window.height, window.width, len(positions)), self.dtype)
            line, pixel, band = part.strides
            # GDAL wants a buffer without gaps; the strides say which of its bytes are meant.
            length = ((window.height - 1) * line + window.width * pixel) // band
            try:
                done = self._local.datasets[raster].ReadRaster(
                    window.col,
                    window.row,
                    window.width,
                    window.height,
                    buf_type=gdal_type(self.dtype),
                    band_list=numbers,
                    buf_pixel_space=pixel,
                    buf_line_space=line,
                    buf_band_space=band,
                    buf_obj=np.lib.stride_tricks.as_strided(part, (length,), (band,)),
                )
                if done is None:  # what GDAL's own threads run into is no exception
                    raise RuntimeError('a block cannot be decoded')
            except RuntimeError as error:
                raise InputUnreadable(
                    f'{self.spec.rasters[raster]}: columns {window.col}-{window.right - 1}, rows {window.row}-'
                    f'{window.bottom - 1} cannot be read; the file is damaged or not complete ({error}).'
                ) from error
            if not whole:
                out[..., positions] = part
        return out

    def read_padded(self, window: Window, padding: str = 'reflect') -> np.ndarray:
        """Like `read`, for a window that may reach over the grid's edges, or lie outside it.

        Args:
            window: any window.
            padding: ``reflect`` mirrors about the centre of the edge pixels, again and again where the image is
                smaller than the padding; ``edge`` repeats the edge pixels.
        """
        if self.grid.window.contains(window):
            return self.read(window)
        cols = padded_index(window.col, window.width, self.grid.width, padding)
        rows = padded_index(window.row, window.height, self.grid.height, padding)
        col, row = int(cols.min()), int(rows.min())
        inner = Window(col, row, int(cols.max()) + 1 - col, int(rows.max()) + 1 - row)
        return np.ascontiguousarray(self.read(inner)[np.ix_(rows - row, cols - col)])


def _chosen(spec: SourceSpec, names: list[str]) -> list[int]:
    """Places in a stack, whose bands have these names, of the bands that a source takes."""
    if spec.bands and spec.band_names:
        raise InvalidJob(f'{spec.name}: bands are chosen by number and by name; give one of the two.')
    for number in spec.bands:
        if not 1 <= number <= len(names):
            raise BandMismatch(f'{spec.name}: no band {number}; the stack has {len(names)} bands.')
    if spec.band_names:
        return [_place(spec, names, name) for name in spec.band_names]
    return [number - 1 for number in spec.bands] or list(range(len(names)))


def _place(spec: SourceSpec, names: list[str], name: str) -> int:
    """The place in a stack of the band of a name."""
    there = [place for place, other in enumerate(names) if other == name]
    if len(there) > 1:
        numbers = ', '.join(str(place + 1) for place in there)
        raise BandMismatch(
            f'{spec.name}: several bands are called {name!r} ({numbers}); choose bands by their numbers.'
        )
    if not there:
        by_lower = {other.lower(): other for other in names}
        near = difflib.get_close_matches(name.lower(), by_lower, 3)
        hint = f'; did you mean {" or ".join(repr(by_lower[other]) for other in near)}?' if near else '.'
        raise BandMismatch(f'{spec.name}: no band {name!r}{hint} The bands are {", ".join(names)}.')
    return there[0]


def padded_index(start: int, count: int, length: int, padding: str = 'reflect') -> np.ndarray:
    """Which of `length` pixels stands at each of `count` positions from `start` on, with the given padding."""
    index = np.arange(start, start + count)
    if padding == 'edge' or length == 1:
        return np.clip(index, 0, length - 1)
    if padding != 'reflect':
        raise ValueError(f'unknown padding {padding!r}')
    period = 2 * (length - 1)
    index = np.abs(index) % period
    return np.where(index < length, index, period - index)
