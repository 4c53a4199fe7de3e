"""The parameters of several image sources: how they are declared, and how they become `SourceSpec`s.

Reading touches layers of the project, so it belongs in `prepare`.
"""

from __future__ import annotations

from typing import List, Tuple

from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers

from ..engine.errors import EngineError
from ..engine.jobs import NODATA_POLICIES, SourceSpec
from . import parameters as shared
from .base import tr
from .sourcelist import SOURCE_KEYS, read_sources

SUFFIXES = ('', '_2', '_3', '_4')
_SAME = 'same'  # as the first source


def add_first(algorithm) -> None:
    """INPUT, the rasters of source 1. It may be empty, since SOURCES can take its place; see `problem`."""
    algorithm.add(
        QgsProcessingParameterMultipleLayers(
            'INPUT', tr('Input rasters'), QgsProcessing.SourceType.TypeRaster, None, True
        ),
        'The image: one raster, or several on the same grid, whose bands are stacked in the order given here.',
    )


def add_more(algorithm) -> None:
    """INPUT_2 to INPUT_4, their patch sizes, no-data and policies, and SOURCES; advanced."""
    for number, suffix in enumerate(SUFFIXES[1:], 2):
        algorithm.add(
            QgsProcessingParameterMultipleLayers(
                f'INPUT{suffix}',
                tr('Source {}: rasters').format(number),
                QgsProcessing.SourceType.TypeRaster,
                None,
                True,
            ),
            f'The rasters of source {number}, of any resolution, in the CRS of the first. A network takes each source '
            'by itself.',
            advanced=True,
        )
        algorithm.add(
            shared.integer(f'PATCH_SIZE{suffix}', tr('Source {}: patch size (pixels)').format(number), 64, 1, 1 << 16),
            f'Side of the patches of source {number} in pixels of its own. Patches show the same ground where sizes '
            'and resolutions are in the same ratio.',
            advanced=True,
        )
        algorithm.add(
            shared.text(f'NODATA{suffix}', tr('Source {}: no-data value').format(number)),
            f'As for the input rasters, of source {number}.',
            advanced=True,
        )
        algorithm.add(
            shared.choice(
                f'NODATA_POLICY{suffix}',
                tr('Source {}: patches with no-data pixels').format(number),
                (_SAME, *NODATA_POLICIES),
                _SAME,
            ),
            f'What to do with patches of source {number} that lack data; same: as for the input rasters.',
            advanced=True,
        )
    algorithm.add(
        shared.text('SOURCES', 'Sources (JSON)'),
        'A list of sources in JSON, or the path of a file of it, in place of all input rasters above: for more than '
        'four, for names, bands and oblong patches. Each is an object such as {"name": "ms", "rasters": ["ms.tif"], '
        f'"bands": [1, 2], "patch_size": [64, 32], "nodata": 0}}; known are {", ".join(SOURCE_KEYS)}. The last two are '
        'for serving. Paths in a file start from its folder.',
        advanced=True,
    )


def problem(algorithm, parameters: dict, context) -> str:
    """What is wrong with the parameters, as one line; empty if nothing is."""
    text = shared.text_value(algorithm, parameters, 'SOURCES', context)
    if text:
        try:
            read_sources(text)
        except EngineError as error:
            return str(error)
        return ''
    given = [bool(parameters.get(f'INPUT{suffix}')) for suffix in SUFFIXES]
    if not given[0]:
        return tr('INPUT: no raster given.')
    for suffix, before, here in zip(SUFFIXES[1:], given, given[1:]):
        if here and not before:
            return tr('INPUT{} is given, and the source before it is not.').format(suffix)
    return ''


def count(algorithm, parameters: dict, context) -> int:
    """How many sources the parameters name. Raises `EngineError` where SOURCES is no list of them."""
    text = shared.text_value(algorithm, parameters, 'SOURCES', context)
    return len(read_sources(text)) if text else sum(bool(parameters.get(f'INPUT{suffix}')) for suffix in SUFFIXES)


def read(algorithm, parameters: dict, context) -> Tuple[SourceSpec, ...]:
    """The image sources that the parameters describe.

    Raises:
        QgsProcessingException, EngineError: where a layer is no raster file, or SOURCES no list of sources.
    """
    text = shared.text_value(algorithm, parameters, 'SOURCES', context)
    if text:
        return read_sources(text, algorithm.parameterAsInt(parameters, 'PATCH_SIZE', context))
    found: List[SourceSpec] = []
    for number, suffix in enumerate(SUFFIXES, 1):
        if suffix and not parameters.get(f'INPUT{suffix}'):
            continue
        size = algorithm.parameterAsInt(parameters, f'PATCH_SIZE{suffix}', context)
        policy = algorithm.parameterAsEnumString(parameters, f'NODATA_POLICY{suffix}', context) if suffix else _SAME
        found.append(
            shared.source(
                algorithm,
                parameters,
                context,
                suffix,
                name=f'source{number}',
                patch_size=(size, size),
                nodata_policy='' if policy == _SAME else policy,
            )
        )
    return tuple(found)
