"""A tiled GeoTIFF written in whole blocks, each once, and checked before it gets its name."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

import numpy as np

from ..errors import EngineError, InvalidJob, OutputRefused, write_error
from ..gdalio import config, gdal, gdal_type, open_raster, osr
from ..grid import Grid, Window
from .checking import check_blocks
from .part import PartFolder

MOST_THREADS = 4
_PIXEL_GRID = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)  # what stands for "not georeferenced"


@dataclasses.dataclass(frozen=True)
class RasterSpec:
    """What a raster is to be.

    Attributes:
        grid: where its pixels lie.
        dtype: of the pixels.
        nodata: the value of pixels without data; None: the file names none.
        bands: descriptions of the bands; their number is that of the bands.
        block: (columns, rows) of a block, multiples of 16.
        options: creation options ``KEY=VALUE`` of the user's, which win over ours.
        metadata: goes into the file.
        scale, offset: what a pixel stands for is its value times scale plus offset; in the file where they are not 1
            and 0.
    """

    grid: Grid
    dtype: np.dtype
    nodata: float | None
    bands: tuple[str, ...]
    block: tuple[int, int]
    options: tuple[str, ...] = ()
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    scale: float = 1.0
    offset: float = 0.0


def parse_options(options: Sequence[str]) -> dict[str, str]:
    """Creation options by upper-case name.

    Raises:
        InvalidJob: not of the form ``KEY=VALUE``, unknown, or at odds with how maps are written.
    """
    known = re.findall(r"<Option name='(\w+)'", gdal.GetDriverByName('GTiff').GetMetadataItem('DMD_CREATIONOPTIONLIST'))
    parsed: dict[str, str] = {}
    for option in options:
        key, separator, value = option.partition('=')
        key = key.strip().upper()
        if not separator or not key:
            raise InvalidJob(f'Creation option {option!r}: should be of the form KEY=VALUE, such as COMPRESS=ZSTD.')
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f'; did you mean {near[0]}?' if near else '.'
            raise InvalidJob(f'Creation option {option!r}: GeoTIFF has none of that name{hint}')
        parsed[key] = value.strip()
    if parsed.get('TILED', 'YES').upper() not in ('YES', 'TRUE', 'ON', '1'):
        raise InvalidJob(
            'Creation option TILED: maps are written tile by tile, so their files are tiled; leave it out.'
        )
    return parsed


def block_option(options: Sequence[str]) -> tuple[int, int]:
    """(columns, rows) of the blocks that creation options ask for; 0 where they do not.

    Raises:
        InvalidJob: no multiples of 16, which TIFF wants.
    """
    parsed = parse_options(options)
    sides = []
    for key in ('BLOCKXSIZE', 'BLOCKYSIZE'):
        text = parsed.get(key, '0')
        if not text.isdigit() or int(text) % 16:
            raise InvalidJob(f'Creation option {key}={text}: should be a multiple of 16.')
        sides.append(int(text))
    return sides[0], sides[1]


def create_raster(path: str, spec: RasterSpec, dress: Callable[[gdal.Dataset], None] | None = None) -> gdal.Dataset:
    """A new raster without pixels, open for update.

    Args:
        path: of the file.
        spec: what it is to be.
        dress: called with the dataset, to give it colours and names.

    Raises:
        InvalidJob: GDAL warns of the creation options.
        RuntimeError: it cannot be made.
    """
    gdal.ErrorReset()
    dataset = gdal.GetDriverByName('GTiff').Create(
        path,
        spec.grid.width,
        spec.grid.height,
        len(spec.bands),
        gdal_type(spec.dtype),
        [f'{key}={value}' for key, value in _all_options(spec).items()],
    )
    if gdal.GetLastErrorType() == gdal.CE_Warning:
        raise InvalidJob(f'Creation options {", ".join(spec.options)}: {gdal.GetLastErrorMsg()}')
    _describe(dataset, spec)
    if dress is not None:
        dress(dataset)
    dataset.FlushCache()  # so that a killed run leaves the names of classes too
    return dataset


def _all_options(spec: RasterSpec) -> dict[str, str]:
    """The creation options of a raster: the user's, and ours where they leave the choice."""
    given = parse_options(spec.options)
    options = {
        'TILED': 'YES',
        'BLOCKXSIZE': str(spec.block[0]),
        'BLOCKYSIZE': str(spec.block[1]),
        'COMPRESS': 'DEFLATE',
        'SPARSE_OK': 'TRUE',
        'BIGTIFF': 'IF_SAFER',
        'INTERLEAVE': 'PIXEL',
        'NUM_THREADS': str(threads()),
    }
    if spec.dtype.kind == 'f' and given.get('COMPRESS', 'DEFLATE').upper() == 'DEFLATE':
        # Higher levels take twice the time and save less than a hundredth of such data.
        options.update(PREDICTOR='3', ZLEVEL='1')
    options.update(given)
    return options


def threads() -> int:
    """How many threads compress the blocks of a tile: more than a tile has blocks would be of no use."""
    return min(os.cpu_count() or 1, MOST_THREADS)


def _describe(dataset: gdal.Dataset, spec: RasterSpec) -> None:
    """Everything about a raster but its pixels, colours and names."""
    if spec.grid.transform != _PIXEL_GRID:
        dataset.SetGeoTransform(spec.grid.transform)
    if spec.grid.crs:
        dataset.SetSpatialRef(osr.SpatialReference(wkt=spec.grid.crs))
    dataset.SetMetadata(spec.metadata)
    for number, name in enumerate(spec.bands, 1):
        band = dataset.GetRasterBand(number)
        band.SetDescription(name)
        if spec.nodata is not None:
            band.SetNoDataValue(spec.nodata)
        if (spec.scale, spec.offset) != (1, 0):
            band.SetScale(spec.scale)
            band.SetOffset(spec.offset)


class RasterWriter:
    """Writes one raster. A context manager; without `finish` and `publish` nothing gets the raster's name.

    Args:
        part: the place, entered already. What it holds of the raster is gone on with if `kept` is given.
        spec: what the raster is to be.
        kept: the blocks with data that an earlier run wrote; None for a new raster.
        dress: called with the new dataset before pixels are written, to give it colours and names.

    Raises, on entry and from its methods:
        OutputRefused, DiskFull: one line that names the file and the reason.
    """

    def __init__(
        self,
        part: PartFolder,
        spec: RasterSpec,
        dress: Callable[[gdal.Dataset], None] | None = None,
        kept: Iterable[tuple[int, int]] | None = None,
    ) -> None:
        self._part = part
        self._spec = spec
        self._dress = dress
        self._dataset: gdal.Dataset | None = None
        self._new = kept is None
        self._written: set[tuple[int, int]] = set(kept or ())  # blocks that hold data
        self._last: tuple[Window, np.ndarray] | None = None

    def __enter__(self) -> RasterWriter:
        try:
            # Names of classes are kept in an .aux.xml, which is off everywhere else.
            with config(GDAL_PAM_ENABLED='YES'):
                self._dataset = create_raster(self._part.file, self._spec, self._dress) if self._new else self._reopen()
        except RuntimeError as error:
            raise self._error(error) from error
        return self

    def _reopen(self) -> gdal.Dataset:
        """The raster that an earlier run began."""
        spec = self._spec
        dataset = gdal.OpenEx(self._part.file, gdal.OF_RASTER | gdal.OF_UPDATE)
        band = dataset.GetRasterBand(1)
        found = dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount, tuple(band.GetBlockSize())
        if found != (spec.grid.width, spec.grid.height, len(spec.bands), spec.block):
            raise RuntimeError(f'what an earlier run left there has {found} columns, rows, bands and blocks')
        return dataset

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dataset = None

    def write(self, area: Window, pixels: np.ndarray, valid: np.ndarray) -> tuple[tuple[int, int], ...]:
        """Write whole blocks, which no other call writes again. When it returns, a kill does not lose them.

        Args:
            area: starts at a block's corner; ends at one too, or at the edge of the raster.
            pixels: (rows, columns, bands) of the raster's type, C-contiguous, no-data where `valid` is False.
            valid: (rows, columns) where there is data.

        Returns:
            (column, row) of the blocks that hold data.
        """
        size, bands = self._spec.dtype.itemsize, len(self._spec.bands)
        try:
            self._opened().WriteRaster(
                area.col,
                area.row,
                area.width,
                area.height,
                pixels,
                buf_type=gdal_type(self._spec.dtype),
                buf_pixel_space=size * bands,
                buf_line_space=size * bands * area.width,
                buf_band_space=size,
            )
            # GDAL keeps blocks back otherwise, and a failure to write them would show anywhere or nowhere. Only the
            # second time writes where in the file the last of them lie.
            self._opened().FlushCache()
            self._opened().FlushCache()
        except RuntimeError as error:
            raise self._error(error) from error
        cols, rows = self._spec.block
        with_data = [
            (col, row)
            for row in range(0, area.height, rows)
            for col in range(0, area.width, cols)
            if valid[row : row + rows, col : col + cols].any()
        ]
        blocks = tuple(((area.col + col) // cols, (area.row + row) // rows) for col, row in with_data)
        self._written.update(blocks)
        for col, row in with_data[-1:]:
            inner = Window(area.col + col, area.row + row, cols, rows).intersect(area)
            self._last = inner, pixels[row : row + rows, col : col + cols].copy()
        return blocks

    def finish(self) -> None:
        """Close the file and check that it is whole."""
        try:
            self._opened().FlushCache()
        except RuntimeError as error:
            raise self._error(error) from error
        self._dataset = None  # the last of the file is written here
        try:
            self._check(open_raster(self._part.file))
        except (RuntimeError, EngineError) as error:
            raise self._error(error) from error

    def publish(self) -> None:
        """Give the finished file its name."""
        self._part.publish()

    def _opened(self) -> gdal.Dataset:
        if self._dataset is None:
            raise ValueError('the raster is not open')
        return self._dataset

    def _check(self, dataset: gdal.Dataset) -> None:
        """Raise where the finished file is not what was written: size, bands, blocks, and the pixels of the last."""
        spec = self._spec
        found = dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount
        if found != (spec.grid.width, spec.grid.height, len(spec.bands)):
            raise OutputRefused(f'the finished file has {found} columns, rows and bands')
        check_blocks(dataset, self._part.file, self._written)
        if self._last is not None:
            area, pixels = self._last
            again = np.empty((len(spec.bands), area.height, area.width), spec.dtype)
            dataset.ReadRaster(
                area.col, area.row, area.width, area.height, buf_type=gdal_type(spec.dtype), buf_obj=again
            )
            same = np.array_equal(again, pixels.transpose(2, 0, 1), equal_nan=spec.dtype.kind == 'f')
            if not same and not spec.options:  # a compression of the user's may lose some
                raise OutputRefused('the last block of the finished file reads other values than were written')

    def _error(self, error: Exception) -> EngineError:
        return write_error(self._part.path, error)
