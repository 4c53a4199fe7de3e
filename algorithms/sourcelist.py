"""Sources and zones as JSON, for what parameters have no room for.

Standard library only. Errors are `InvalidJob`: one line that says where and what.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from typing import Any, Callable, List, Optional, Tuple

from ..engine.errors import InvalidJob
from ..engine.jobs import LabelPolygons, LabelRaster, SourceSpec, VectorSpec, Zone

SOURCE_KEYS = ('name', 'rasters', 'bands', 'patch_size', 'nodata', 'nodata_policy', 'placeholder', 'receptive_field')
ZONE_KEYS = ('sources', 'points', 'label_raster', 'label_polygons')
_ZONE_SOURCE_KEYS = ('rasters', 'bands', 'nodata')


def read_sources(text: str, patch_size: int = 64) -> Tuple[SourceSpec, ...]:
    """The sources of SOURCES: a list of objects with the keys `SOURCE_KEYS`, of which only ``rasters`` must be there.

    One list serves all algorithms: what one of them has no use for is checked, and passed over.

    Args:
        text: JSON, or the path of a file of it. Paths in a file start from its folder.
        patch_size: of sources that name none.
    """
    items, base = _load('SOURCES', text)
    return tuple(_source(item, f'SOURCES, source {i}', base, i, patch_size) for i, item in enumerate(items, 1))


def read_zones(
    text: str, sources: int, label_nodata: str = '', polygons: Optional[Callable[[VectorSpec], LabelPolygons]] = None
) -> Tuple[Zone, ...]:
    """The zones of ZONES: a list of objects with the keys `ZONE_KEYS`, of which only ``sources`` must be there.

    Args:
        text: as in `read_sources`.
        sources: how many each zone must have.
        label_nodata: of label rasters.
        polygons: what makes labels of a layer of polygons.
    """
    items, base = _load('ZONES', text)
    zones = []
    for number, item in enumerate(items, 1):
        where = f'ZONES, zone {number}'
        _check_keys(item, ZONE_KEYS, ('sources',), where)
        found = item['sources']
        if not isinstance(found, list) or len(found) != sources:
            raise InvalidJob(f'{where}: "sources" should be a list with one item for each of {sources} sources.')
        points, raster = item.get('points'), item.get('label_raster')
        layer = item.get('label_polygons')
        zones.append(
            Zone(
                tuple(_zone_source(spec, f'{where}, source {i}', base) for i, spec in enumerate(found, 1)),
                _vector(points, f'{where}, "points"', base) if points is not None else None,
                LabelRaster(_path(raster, f'{where}, "label_raster"', base), nodata=label_nodata)
                if raster is not None
                else None,
                (polygons or LabelPolygons)(_vector(layer, f'{where}, "label_polygons"', base))
                if layer is not None
                else None,
            )
        )
    return tuple(zones)


def _load(name: str, text: str) -> Tuple[List[Any], str]:
    """The list in a text or in the file that it names, and the folder from which paths start."""
    base = os.getcwd()
    if not text.lstrip().startswith(('[', '{')):
        path = os.path.abspath(text)
        try:
            with open(path, encoding='utf-8-sig') as file:
                text = file.read()
        except FileNotFoundError:
            raise InvalidJob(
                f'{name}: {path}: no such file. Give a list in JSON, or the path of a file of it.'
            ) from None
        except (OSError, ValueError) as error:
            raise InvalidJob(f'{name}: {path}: cannot be read ({error}).') from error
        base = os.path.dirname(path)
    try:
        items = json.loads(text)
    except ValueError as error:
        raise InvalidJob(f'{name}: not JSON ({error}).') from error
    if not isinstance(items, list) or not items:
        raise InvalidJob(f'{name}: should be a list of objects, as in [{{…}}, {{…}}].')
    return items, base


def _source(item: Any, where: str, base: str, number: int, patch_size: int) -> SourceSpec:
    """One source of SOURCES."""
    _check_keys(item, SOURCE_KEYS, ('rasters',), where)
    name = item.get('name', f'source{number}')
    if not isinstance(name, str) or not re.fullmatch('[A-Za-z][A-Za-z0-9_]*', name):
        raise InvalidJob(f'{where}: the name {name!r} should be a letter, then letters, digits and _.')
    bands, names = _bands(item.get('bands', []), where)
    field = item.get('receptive_field')
    return SourceSpec(
        rasters=_rasters(item['rasters'], where, base),
        name=name,
        bands=bands,
        patch_size=_pair(item.get('patch_size', patch_size), f'{where}: "patch_size"'),
        nodata=_nodata(item.get('nodata', ''), where),
        nodata_policy=_text(item, 'nodata_policy', where),
        band_names=names,
        placeholder=_text(item, 'placeholder', where),
        receptive_field=(0, 0) if field is None else _pair(field, f'{where}: "receptive_field"'),
    )


def _zone_source(item: Any, where: str, base: str) -> SourceSpec:
    """One source of a zone: a path, a list of paths, or an object."""
    spec = item if isinstance(item, dict) else {'rasters': item}
    _check_keys(spec, _ZONE_SOURCE_KEYS, ('rasters',), where)
    bands, names = _bands(spec.get('bands', []), where)
    return SourceSpec(
        rasters=_rasters(spec['rasters'], where, base),
        bands=bands,
        nodata=_nodata(spec.get('nodata', ''), where),
        band_names=names,
    )


def _check_keys(item: Any, known: Tuple[str, ...], needed: Tuple[str, ...], where: str) -> None:
    """Raise `InvalidJob` for what is no object, or has other keys."""
    if not isinstance(item, dict):
        raise InvalidJob(f'{where}: should be an object such as {{"{needed[0]}": …}}, and is {json.dumps(item)}.')
    for key in item:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}.'
            raise InvalidJob(f'{where}: unknown key {key!r}; {hint}')
    for key in needed:
        if key not in item:
            raise InvalidJob(f'{where}: {key!r} is missing.')


def _rasters(value: Any, where: str, base: str) -> Tuple[str, ...]:
    """Paths of rasters, one or several."""
    paths = value if isinstance(value, list) else [value]
    if not paths:
        raise InvalidJob(f'{where}: no raster given.')
    return tuple(_path(path, where, base) for path in paths)


def _path(value: Any, where: str, base: str) -> str:
    """A path that means the same everywhere; what is no file name (``driver:…``, /vsi…) stays."""
    if not isinstance(value, str) or not value:
        raise InvalidJob(f'{where}: {json.dumps(value)} is no path.')
    if value.startswith('/vsi') or re.match(r'[A-Za-z]\w+:', value):
        return value
    return os.path.normpath(os.path.join(base, value))


def _vector(value: Any, where: str, base: str) -> VectorSpec:
    """A vector file; a layer of it after ``|layername=``."""
    path, _, layer = value.partition('|layername=') if isinstance(value, str) else (value, '', '')
    return VectorSpec(_path(path, where, base), layer)


def _bands(value: Any, where: str) -> Tuple[Tuple[int, ...], Tuple[str, ...]]:
    """Numbers of bands, or their names; the other is empty."""
    bands = value if isinstance(value, list) else [value]
    if all(isinstance(band, str) and band for band in bands):
        return (), tuple(bands)
    if not all(_is_whole(band) and band > 0 for band in bands):
        raise InvalidJob(
            f'{where}: "bands" should be a list of numbers from 1 on, or one of names, and is '
            f'{json.dumps(value, ensure_ascii=False)}.'
        )
    return tuple(bands), ()


def _text(item: Any, key: str, where: str) -> str:
    """The text under a key; empty where there is none."""
    value = item.get(key, '')
    if not isinstance(value, str):
        raise InvalidJob(f'{where}: "{key}" should be a text, and is {json.dumps(value)}.')
    return value


def _pair(value: Any, where: str) -> Tuple[int, int]:
    """(columns, rows) from one number or from two."""
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or not all(_is_whole(number) and number > 0 for number in pair):
        raise InvalidJob(f'{where} should be a number of pixels, or [columns, rows], and is {json.dumps(value)}.')
    return pair[0], pair[1]


def _nodata(value: Any, where: str) -> str:
    """No-data as `SourceSpec.nodata` has it, from a number, a text, or a list of them, one a band."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, (str, int, float)) and not isinstance(item, bool) for item in values):
        raise InvalidJob(f'{where}: "nodata" should be a number or a text, and is {json.dumps(value)}.')
    return ' '.join(item if isinstance(item, str) else _number(item) for item in values)


def _number(value: float) -> str:
    return repr(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
