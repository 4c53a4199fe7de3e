"""What happens to a raster after its last tile: small areas merged, overviews, the layout of a cloud-optimised
GeoTIFF.

The file that the tiles were written to is only read: a run that is ended here leaves it as it was, and the next one
begins the finishing again.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np

from ..errors import InputUnreadable, InvalidJob, OutputRefused, write_error
from ..events import Reporter
from ..gdalio import config, dtype_of, gdal, open_raster
from ..jobs import CONNECTIVITIES, ClassDef
from ..raster import grid_of
from .checking import check_layout, count_changes, read_overviews
from .classes import dress
from .cog import cog_options, try_options, write_cog
from .part import PartFolder
from .watch import Watch, line_cache
from .writer import RasterSpec, block_option, create_raster, threads

_SMALLEST = 256  # pixels that the longer side of the last overview has at most
_EXACT = (1 << 23) - 1  # GDAL makes overviews of whole numbers in 32 bit floats, adding a half: exact up to here
_CHUNK = 16 << 20  # bytes copied at a time


@dataclasses.dataclass(frozen=True)
class Finishing:
    """What is to be done.

    Attributes:
        cog: write cloud-optimised GeoTIFFs.
        overviews: add overviews, which those have always.
        sieve: pixels that an area of one class must have to stay in a class map.
        connectivity: 4, or 8 where pixels that touch at a corner are of one area.
        options: creation options ``KEY=VALUE`` of the user's for the raster that is published.
    """

    cog: bool = False
    overviews: bool = False
    sieve: int = 0
    connectivity: int = 4
    options: tuple[str, ...] = ()

    @property
    def raw_options(self) -> tuple[str, ...]:
        """The user's creation options that count for the file that tiles are written to.

        That of a cloud-optimised GeoTIFF is gone in the end; only the shape of its blocks follows the user's.
        """
        if not self.cog:
            return self.options
        size = cog_options(self.options).get('BLOCKSIZE')
        return (f'BLOCKXSIZE={size}', f'BLOCKYSIZE={size}') if size else ()


def check_options(finishing: Finishing, dtypes: Iterable[np.dtype] = ()) -> None:
    """Raise `InvalidJob` for what cannot be done, before any work.

    Args:
        dtypes: of the rasters that will be written; none where that is not known yet.
    """
    if finishing.sieve < 0:
        raise InvalidJob(f'SIEVE {finishing.sieve}: should be a number of pixels; 0 leaves all areas.')
    if finishing.connectivity not in CONNECTIVITIES:
        raise InvalidJob(f'CONNECTIVITY {finishing.connectivity}: should be 4 or 8.')
    if finishing.cog:
        try_options(finishing.options, dtypes)
    block_option(finishing.raw_options)


def finish_raster(part: PartFolder, classes: tuple[ClassDef, ...], finishing: Finishing, reporter: Reporter) -> None:
    """Make of a finished raster the one that is published, `PartFolder.result`.

    Args:
        part: holds the raster, closed and checked.
        classes: of a class map, as `classes.styled` gives them; none of other rasters.
        finishing: what to do.
        reporter: hears of the progress in its stage, and can stop it.

    Raises:
        OutputRefused, DiskFull: it cannot be written; the raster is as it was.
        Cancelled: by the user.
    """
    part.clear_stages()
    watch = Watch(reporter)
    resampling = _resampling(classes, finishing, reporter)
    sieving = bool(classes) and finishing.sieve > 1
    try:
        # Names of classes are kept in an .aux.xml, which is off everywhere else.
        with config(GDAL_PAM_ENABLED='YES', GDAL_NUM_THREADS=str(threads())):
            result = part.file
            if sieving:
                result = _sieved(part, classes, finishing, watch.part('merging small areas', 0.0, 0.3))
            if finishing.overviews and not finishing.cog and resampling != 'NONE' and _levels(result):
                result = result if sieving else _copied(part, watch.part('overviews', 0.3, 0.4))
                _add_overviews(result, resampling, watch.part('overviews', 0.4, 0.8))
            if result != part.file:
                changed = _checked(result, part.file, watch.part('checking', 0.8, 0.9))
                if sieving:
                    reporter.log(
                        f'Sieve: {changed} pixels in areas of fewer than {finishing.sieve} took the class of a '
                        'neighbour.'
                    )
                elif changed:
                    raise OutputRefused(f'the finished file has other values at {changed} pixels than were written')
            if finishing.cog:
                source, result = result, part.stage('cog')
                write_cog(source, result, finishing.options, resampling, watch.part('', 0.9 if sieving else 0.0, 1.0))
    except (RuntimeError, OSError, OutputRefused, InputUnreadable) as error:
        raise write_error(part.path, error) from error
    part.result = result


def _resampling(classes: tuple[ClassDef, ...], finishing: Finishing, reporter: Reporter) -> str:
    """How overviews are made."""
    if not classes:
        return 'AVERAGE'
    if all(abs(item.value) <= _EXACT for item in classes):
        return 'MODE'
    if finishing.cog or finishing.overviews:
        reporter.warn(
            f'Classes have values beyond {_EXACT}, which GDAL would change in overviews: the map gets no overviews.'
        )
    return 'NONE'


def _sieved(part: PartFolder, classes: tuple[ClassDef, ...], finishing: Finishing, watch: Watch) -> str:
    """Merge small areas with their largest neighbours; returns the new file."""
    source, path = open_raster(part.file), part.stage('sieved')
    band = source.GetRasterBand(1)
    block = band.GetBlockSize()
    spec = RasterSpec(
        grid_of(source),
        dtype_of(band, part.file),
        band.GetNoDataValue(),
        (band.GetDescription(),),
        (block[0], block[1]),
        finishing.raw_options,
        source.GetMetadata(),
    )
    made = create_raster(path, spec, lambda dataset: dress(dataset, classes))
    with line_cache(source, made), watch:
        gdal.SieveFilter(
            band, band.GetMaskBand(), made.GetRasterBand(1), finishing.sieve, finishing.connectivity, callback=watch
        )
        made.FlushCache()
    del made  # the last of the file is written here
    return path


def _copied(part: PartFolder, watch: Watch) -> str:
    """A copy of the raster with what GDAL keeps beside it; returns the new file."""
    target = part.stage('overviews')
    total = os.path.getsize(part.file)
    for extension in ('.aux.xml', ''):
        if os.path.exists(part.file + extension):
            with open(part.file + extension, 'rb') as source, open(target + extension, 'wb') as copy:
                while chunk := source.read(_CHUNK):
                    copy.write(chunk)
                    watch.progress(0.0 if extension else copy.tell() / total)
    return target


def _add_overviews(path: str, resampling: str, watch: Watch) -> None:
    """Add overviews to a file."""
    levels = _levels(path)
    dataset = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_UPDATE)
    with config(SPARSE_OK_OVERVIEW='YES'), watch:
        dataset.BuildOverviews(resampling, levels, callback=watch)
        dataset.FlushCache()
    del dataset  # the last of the file is written here
    again = open_raster(path)
    found = again.GetRasterBand(1).GetOverviewCount()
    if found != len(levels):
        raise OutputRefused(f'the finished file has {found} overviews instead of {len(levels)}')


def _checked(path: str, source: str, watch: Watch) -> int:
    """Read a new file to its end; returns at how many pixels it differs from what it was made of."""
    made, before = open_raster(path), open_raster(source)
    check_layout(made, before)
    changed = count_changes(made, before, watch.part('', 0.0, 0.7).progress)
    read_overviews(path, watch.part('', 0.7, 1.0).progress)
    return changed


def _levels(path: str) -> list[int]:
    """How many times smaller each overview is, down to one that is small; none of a raster that is so itself."""
    dataset = open_raster(path)
    levels, level = [], 1
    while max(dataset.RasterXSize, dataset.RasterYSize) > _SMALLEST * level:
        level *= 2
        levels.append(level)
    return levels
