"""Cloud-optimised GeoTIFFs: their creation options, and how they are made of finished rasters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import InvalidJob, OutputRefused
from ..gdalio import dtype_of, gdal, gdal_type, open_raster
from .checking import check_layout, count_changes, read_overviews
from .watch import Watch
from .writer import parse_options, threads

_RENAMED = {'JPEG_QUALITY': 'QUALITY', 'WEBP_LEVEL': 'QUALITY', 'RESAMPLING': 'OVERVIEW_RESAMPLING'}
_LEVELS = {'ZLEVEL': 'DEFLATE', 'ZSTD_LEVEL': 'ZSTD', 'LZMA_PRESET': 'LZMA'}  # what counts with one compression only
_PREDICTORS = {'1': 'NO', '2': 'STANDARD', '3': 'FLOATING_POINT'}
_SIDES = ('BLOCKSIZE', 'BLOCKXSIZE', 'BLOCKYSIZE')
_LEAST_SIDE = 128  # pixels
_TRIED = 520  # pixels; with blocks of the usual size there are overviews
_NEEDLESS = ('TILED',)
_GRID = {  # what would put the map on another grid
    *('ALIGNED_LEVELS', 'ADD_ALPHA', 'EXTENT', 'RES', 'TARGET_SRS', 'TILING_SCHEME', 'WARP_RESAMPLING'),
    *('ZOOM_LEVEL', 'ZOOM_LEVEL_STRATEGY'),
}


def cog_options(options: Sequence[str]) -> dict[str, str]:
    """Creation options of a cloud-optimised GeoTIFF from those of a user, who may use GeoTIFF's names too.

    Raises:
        InvalidJob: naming the option that makes no sense there.
    """
    known = re.findall(
        r'<Option name=["\'](\w+)', gdal.GetDriverByName('COG').GetMetadataItem('DMD_CREATIONOPTIONLIST')
    )
    given: dict[str, str] = {}
    for option in options:
        key, separator, value = option.partition('=')
        key = key.strip().upper()
        if not separator or key not in known:
            given.update(parse_options([option]))
        else:
            given[key] = value.strip()
    made: dict[str, str] = {}
    compression = given.get('COMPRESS', 'DEFLATE').upper()
    for key, value in given.items():
        if key in _LEVELS:
            if compression.endswith(_LEVELS[key]):
                made['LEVEL'] = value
        elif key == 'PREDICTOR':
            made[key] = _PREDICTORS.get(value, value)
        elif key in _RENAMED:
            made[_RENAMED[key]] = value
        elif key == 'WEBP_LOSSLESS':
            made.update({'QUALITY': '100'} if value.upper() in ('YES', 'TRUE', 'ON', '1') else {})
        elif key in _SIDES:
            made['BLOCKSIZE'] = _block_size(given)
        elif key in known and key not in _GRID:
            made[key] = value
        elif key not in _NEEDLESS and (key, value.upper()) != ('INTERLEAVE', 'PIXEL'):
            raise InvalidJob(
                f'Creation option {key}={value}: makes no sense for a cloud-optimised GeoTIFF of a map; leave it out, '
                'or write a plain GeoTIFF.'
            )
    return made


def _block_size(given: dict[str, str]) -> str:
    """The side of blocks, which are square in a cloud-optimised GeoTIFF."""
    key, *others = (key for key in _SIDES if key in given)
    size = given[key]
    if any(given[other] != size for other in others):
        raise InvalidJob(
            f'Creation option {key}={size}: a cloud-optimised GeoTIFF has square blocks; give the same value as '
            f'{" and ".join(others)}, or leave all but one out.'
        )
    if not size.isdigit() or int(size) % 16 or int(size) < _LEAST_SIDE:
        raise InvalidJob(
            f'Creation option {key}={size}: should be a multiple of 16 from {_LEAST_SIDE} on for a cloud-optimised '
            'GeoTIFF.'
        )
    return size


def try_options(options: Sequence[str], dtypes: Iterable[np.dtype]) -> None:
    """Raise `InvalidJob` where GDAL takes no cloud-optimised GeoTIFF with these creation options.

    Args:
        dtypes: of the rasters that will be written; none where that is not known yet.
    """
    made = cog_options(options)
    fitting = np.dtype('float32' if made.get('PREDICTOR') == 'FLOATING_POINT' else 'uint8')
    for dtype in tuple(dtypes) or (fitting,):
        for complaint in _complaints(_with_defaults(made, np.dtype(dtype), 'NEAREST'), np.dtype(dtype)):
            raise InvalidJob(f'Creation options {", ".join(options)} of a cloud-optimised GeoTIFF: {complaint}')


def _complaints(options: dict[str, str], dtype: np.dtype) -> list[str]:
    """What GDAL says of creation options; of values that are wrong it only warns."""
    found: list[str] = []
    tiny = gdal.GetDriverByName('MEM').Create('', _TRIED, _TRIED, 1, gdal_type(dtype))
    tiny.GetRasterBand(1).Fill(1)  # what is empty would not be compressed
    path = '/vsimem/quadrat-cog-options.tif'
    gdal.PushErrorHandler(lambda kind, number, text: found.append(text) if kind >= gdal.CE_Warning else None)
    try:
        gdal.GetDriverByName('COG').CreateCopy(path, tiny, options=_listed(options))
        gdal.Unlink(path)
    except RuntimeError as error:
        found.append(str(error))
    finally:
        gdal.PopErrorHandler()
    return found


def write_cog(source: str, target: str, options: Sequence[str], resampling: str, watch: Watch) -> None:
    """Make a cloud-optimised GeoTIFF of a raster, and check it pixel by pixel.

    Args:
        source: a finished raster, which is only read.
        target: the file to write, in an empty folder.
        options: creation options of the user's.
        resampling: how overviews are made; ``NONE``: they are not.
        watch: hears of the progress.

    Raises:
        OutputRefused, RuntimeError: it is not whole, or could not be written.
    """
    raster = open_raster(source)
    made = _with_defaults(cog_options(options), dtype_of(raster.GetRasterBand(1), source), resampling)
    with watch.part('cloud-optimised GeoTIFF', 0.0, 0.7) as copying:
        gdal.GetDriverByName('COG').CreateCopy(target, raster, options=_listed(made), callback=copying)
    _check(target, raster, made, watch.part('checking', 0.7, 1.0))


def _with_defaults(given: dict[str, str], dtype: np.dtype, resampling: str) -> dict[str, str]:
    """All creation options: the user's, and ours where they leave the choice."""
    options = {
        'COMPRESS': 'DEFLATE',
        'SPARSE_OK': 'TRUE',
        'BIGTIFF': 'IF_SAFER',
        'NUM_THREADS': str(threads()),
        'OVERVIEW_RESAMPLING': resampling,
    }
    if dtype.kind == 'f' and given.get('COMPRESS', 'DEFLATE').upper() == 'DEFLATE':
        options.update(PREDICTOR='FLOATING_POINT', LEVEL='1')  # as in writer.py
    if resampling == 'NONE':
        options['OVERVIEWS'] = 'NONE'
    return {**options, **given}


def _check(path: str, source: gdal.Dataset, options: dict[str, str], watch: Watch) -> None:
    """Raise where a file is no cloud-optimised GeoTIFF of its source: layout, pixels, overviews."""
    made = open_raster(path)
    check_layout(made, source)
    band = made.GetRasterBand(1)
    small = max(made.RasterXSize, made.RasterYSize) <= band.GetBlockSize()[0]
    if made.GetMetadataItem('LAYOUT', 'IMAGE_STRUCTURE') != 'COG':
        raise OutputRefused('the finished file has not the layout of a cloud-optimised GeoTIFF')
    if not (small or band.GetOverviewCount() or {'OVERVIEWS', 'OVERVIEW_COUNT'} & set(options)):
        raise OutputRefused('the finished file has no overviews')
    changed = count_changes(made, source, watch.part('', 0.0, 0.7).progress)
    if changed and not _lossy(options):
        raise OutputRefused(f'the finished file has other values at {changed} pixels than were written')
    read_overviews(path, watch.part('', 0.7, 1.0).progress)


def _lossy(options: dict[str, str]) -> bool:
    """Whether a compression may change pixels."""
    compression = options['COMPRESS'].upper()
    return (
        compression == 'JPEG'
        or (compression == 'WEBP' and options.get('QUALITY') != '100')
        or (compression.startswith('LERC') and float(options.get('MAX_Z_ERROR', 0)) > 0)
    )


def _listed(options: dict[str, str]) -> list[str]:
    return [f'{key}={value}' for key, value in options.items()]
