"""Folders of samples that other programs wrote: what lies in them, found out from the files.

Known are OTBTF's TFRecords (``output_types.json``, ``output_shapes.json``, ``0.records``, ``1.records``, …) and its
patches-images (a GeoTIFF for each key, square patches below one another), in one folder or in one for each split.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DatasetError, EngineError
from ..events import Reporter
from ..gdalio import open_raster
from ..jobs import SPLITS
from ..raster import format_nodata
from .files import SHAPES, TYPES
from .manifest import FILE, Shard, SourceInfo, Statistics
from .records import RecordFile, compression_of
from .stores import image_dtype

SPLIT_NAMES = {  # of folders, and what they mean
    'train': 'train', 'training': 'train', 'validation': 'validation', 'valid': 'validation', 'val': 'validation',
    'test': 'test', 'testing': 'test',
}  # fmt: skip
_RECORDS = re.compile(r'(\d+)\.records$')
_IMAGE = re.compile(r'.+\.(?:tiff?|jp2)$', re.IGNORECASE)
_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*$')
_UNKNOWN = Statistics((), (), (), (), ())


class Finding(NamedTuple):
    """What lies in a folder, before any sample was read.

    Attributes:
        layout, compression: of the files.
        keys: everything a sample has; labels are not told apart yet.
        shards: without checksums.
        rasters: key -> the raster that says what its values mean; empty for records.
    """

    layout: str
    compression: str
    keys: tuple[SourceInfo, ...]
    shards: tuple[Shard, ...]
    rasters: dict[str, str]


def is_foreign(folder: str) -> bool:
    """Whether a folder holds samples and is not ours."""
    if not os.path.isdir(folder) or os.path.exists(os.path.join(folder, FILE)):
        return False
    return any(kind for kind, _ in _places(folder).values())


def look(folder: str, reporter: Reporter) -> Finding:
    """What lies in a foreign folder.

    Raises:
        DatasetError: naming the file that cannot be understood, or that does not fit the others.
    """
    places = {split: found for split, found in _places(folder).items() if found[0]}
    kinds = {kind for kind, _ in places.values()}
    if len(kinds) > 1:
        raise DatasetError(f'{folder}: TFRecords and rasters lie beside each other; give the folder of one of them.')
    if kinds == {'tfrecords'}:
        return _look_at_records(folder, {split: place for split, (_, place) in places.items()}, reporter)
    return _look_at_images(folder, {split: place for split, (_, place) in places.items()})


def _places(folder: str) -> dict[str, tuple[str, str]]:
    """Split -> (layout, path relative to the folder); the split '' is the folder itself, if it has no others."""
    found: dict[str, tuple[str, str]] = {}
    for name in sorted(os.listdir(folder)):
        split = SPLIT_NAMES.get(name.lower())
        kind = _kind(os.path.join(folder, name)) if split else ''
        if split and kind:
            if split in found:
                raise DatasetError(f'{folder}: both {found[split][1]} and {name} hold samples of the split {split!r}.')
            found[split] = kind, name
    ordered = {split: found[split] for split in SPLITS if split in found}
    return ordered or {'': (_kind(folder), '')}


def _kind(place: str) -> str:
    """The layout of the files in a folder; empty where there are none that we know."""
    names = os.listdir(place) if os.path.isdir(place) else []
    if any(_RECORDS.match(name) for name in names):
        return 'tfrecords'
    return 'patchesimages' if any(_IMAGE.match(name) for name in names) else ''


# -- TFRecords --------------------------------------------------------------------------------------------------------


def _look_at_records(folder: str, places: Mapping[str, str], reporter: Reporter) -> Finding:
    keys: tuple[SourceInfo, ...] = ()
    shards: list[Shard] = []
    compressions = {}
    for split, place in places.items():
        base = os.path.join(folder, place)
        found = _record_keys(base, reporter)
        if keys and _forms(found) != _forms(keys):
            raise DatasetError(f'{os.path.join(base, TYPES)}: other keys, types or shapes than in the other splits.')
        keys = found
        for name in _record_files(base, reporter):
            reporter.check_cancelled()
            path = os.path.join(base, name)
            compressions[path] = compression_of(path)
            with RecordFile(path, compressions[path]) as file:
                count = len(file)
            if count:
                shards.append(Shard('', f'{place}/{name}'.lstrip('/'), count, os.path.getsize(path), '', split))
    if len(set(compressions.values())) > 1:
        some = [next(path for path, kind in compressions.items() if kind == want) for want in ('gzip', 'none')]
        raise DatasetError(f'{some[0]} is compressed and {some[1]} is not; they are not of one dataset.')
    return Finding('tfrecords', next(iter(compressions.values())), keys, tuple(shards), {})


def _record_files(base: str, reporter: Reporter) -> list[str]:
    """The files of records in a folder, in the order of their numbers."""
    found = sorted((int(match[1]), match[0]) for match in map(_RECORDS.match, os.listdir(base)) if match)
    missing = next((number for number, (given, _) in enumerate(found) if number != given), None)
    if missing is not None:
        reporter.warn(f'{base}: there is {found[-1][1]}, but no {missing}.records; is it complete?')
    return [name for _, name in found]


def _record_keys(base: str, reporter: Reporter) -> tuple[SourceInfo, ...]:
    """What the records of a folder hold."""
    types, shapes = _read_json(os.path.join(base, TYPES)), _read_json(os.path.join(base, SHAPES))
    keys = []
    for key, dtype in types.items():
        if dtype == 'string':
            reporter.warn(f'{base}: {key!r} is text; it is left out.')
            continue
        shape = shapes.get(key)
        if not isinstance(shape, list) or len(shape) > 3 or not all(isinstance(size, int) for size in shape):
            raise DatasetError(
                f'{os.path.join(base, SHAPES)}: {key!r} has the shape {shape}; [rows, columns, bands] is needed.'
            )
        try:
            name = np.dtype('float32' if dtype == 'bfloat16' else dtype).name
        except TypeError:
            raise DatasetError(f'{os.path.join(base, TYPES)}: {key!r} is of an unknown type {dtype!r}.') from None
        if not _NAME.match(key):
            raise DatasetError(f'{os.path.join(base, TYPES)}: the key {key!r} should be of letters, digits and _.')
        keys.append(_key(key, name, _image_shape(shape), (0.0, 0.0)))  # nobody says
    if not keys:
        raise DatasetError(f'{os.path.join(base, TYPES)}: names nothing that a sample could hold.')
    return tuple(keys)


def _image_shape(shape: list[int]) -> tuple[int, int, int]:
    """(rows, columns, bands) of an array of up to three axes: a number is a pixel, and a list one of many bands."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    rows, cols, bands = [1] * (3 - len(shape)) + shape
    return rows, cols, bands


def _read_json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding='utf-8') as file:
            data = json.load(file)
    except FileNotFoundError:
        raise DatasetError(f'{path}: is missing; without it nobody knows what the records hold.') from None
    except (OSError, ValueError) as error:
        raise DatasetError(f'{path}: cannot be read ({error}).') from error
    if not isinstance(data, dict):
        raise DatasetError(f'{path}: should be a JSON object with an entry for each key.')
    return data


# -- patches-images ---------------------------------------------------------------------------------------------------


def _look_at_images(folder: str, places: Mapping[str, str]) -> Finding:
    keys: dict[str, SourceInfo] = {}
    shards: list[Shard] = []
    rasters: dict[str, str] = {}
    for split, place in places.items():
        base = os.path.join(folder, place)
        found: dict[str, tuple[SourceInfo, int, str]] = {}
        for name in sorted(filter(_IMAGE.match, os.listdir(base))):
            path = os.path.join(base, name)
            key = re.sub(r'\W', '_', os.path.splitext(name)[0], flags=re.ASCII)
            key = key if _NAME.match(key) else f'image_{key}'
            if key in found:
                raise DatasetError(f'{path} and {found[key][2]}: both would be called {key!r}; rename one of them.')
            found[key] = (*_image_key(key, path), path)
        first = next(iter(found.values()))
        for key, (info, count, path) in found.items():
            if count != first[1]:
                raise DatasetError(f'{path}: {count} patches, but {first[2]} has {first[1]}.')
            if keys and (key not in keys or _forms([info]) != _forms([keys[key]])):
                raise DatasetError(
                    f'{path}: the other splits have no such file, or one of another form. Files of one kind must have '
                    'one name in all splits.'
                )
            shard_path = f'{place}/{os.path.basename(path)}'.lstrip('/')
            shards.append(Shard(key, shard_path, count, os.path.getsize(path), '', split))
            rasters.setdefault(key, path)
        missing = [key for key in keys if key not in found]
        if missing:
            raise DatasetError(f'{base}: there is no {missing[0]} as in the other splits.')
        keys = keys or {key: info for key, (info, _, _) in found.items()}
    return Finding('patchesimages', 'none', tuple(keys.values()), tuple(shards), rasters)


def _image_key(key: str, path: str) -> tuple[SourceInfo, int]:
    """What a patches-image holds, and the number of its patches."""
    try:
        dataset = open_raster(path)
        dtype = image_dtype(dataset, path)
    except EngineError as error:
        raise DatasetError(str(error)) from error
    width, height = dataset.RasterXSize, dataset.RasterYSize
    if height % width:
        raise DatasetError(
            f'{path}: {width} x {height} pixels are no whole number of square patches below one another. Other patches '
            f'need a {FILE}.'
        )
    bands = [dataset.GetRasterBand(i + 1) for i in range(dataset.RasterCount)]
    transform = dataset.GetGeoTransform()
    return (
        _key(
            key,
            dtype.name,
            (width, width, len(bands)),
            (abs(transform[1]) or 1.0, abs(transform[5]) or 1.0),
            tuple(band.GetDescription() or f'B{i}' for i, band in enumerate(bands, 1)),
            format_nodata(tuple(band.GetNoDataValue() for band in bands)),
        ),
        height // width,
    )


def _key(
    name: str,
    dtype: str,
    shape: tuple[int, int, int],
    pixel_size: tuple[float, float],
    bands: tuple[str, ...] = (),
    nodata: tuple[str, ...] = (),
) -> SourceInfo:
    """A key as if it were a source; what only its samples can tell is left open.

    The policy promises nothing about pixels without data: such folders do not say how patches were chosen.
    """
    return SourceInfo(
        name=name,
        dtype=dtype,
        shape=shape,
        bands=bands or tuple(f'B{i + 1}' for i in range(shape[2])),
        nodata=nodata or ('',) * shape[2],
        nodata_policy='all' if any(nodata) else 'ignore',
        pixel_size=pixel_size,
        rasters=(),
        statistics=_UNKNOWN,
    )


def _forms(keys: Iterable[SourceInfo]) -> set[tuple]:
    return {(key.name, key.dtype, key.shape) for key in keys}
