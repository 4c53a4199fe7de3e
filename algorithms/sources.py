"""The parameters of several image sources: how they are declared, and how they become `SourceSpec`s.

Reading touches layers of the project, so it belongs in `prepare`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple, Union

from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers

from ..engine.errors import EngineError
from ..engine.jobs import NODATA_POLICIES, SourceSpec
from . import parameters as shared
from .base import tr
from .sourcelist import SOURCE_KEYS, read_sources

SUFFIXES = ('', '_2', '_3', '_4')


class Patches:
    """What is asked of each source besides its rasters and no-data where patches are cut. The first one's is asked
    by the algorithm itself."""

    SAME = 'same'  # as the first source
    EXAMPLE = (
        'for more than four, for names, bands and oblong patches. Each is an object such as {"name": "ms", "rasters": '
        '["ms.tif"], "bands": [1, 2], "patch_size": [64, 32], "nodata": 0}; the bands may be names too. "placeholder" '
        'and "receptive_field" are for making maps.'
    )

    def add(self, algorithm, number: int, suffix: str) -> None:
        """PATCH_SIZE of a source."""
        algorithm.add(
            shared.integer(f'PATCH_SIZE{suffix}', _label(number, 'patch size (pixels)'), 64, 1, 1 << 16),
            f'Side of the patches of source {number} in pixels of its own. Patches show the same ground where sizes '
            'and resolutions are in the same ratio.',
            advanced=True,
        )

    def add_policy(self, algorithm, number: int, suffix: str) -> None:
        """NODATA_POLICY of a source."""
        values = (self.SAME, *NODATA_POLICIES)
        algorithm.add(
            shared.choice(f'NODATA_POLICY{suffix}', _label(number, 'patches with no-data pixels'), values, self.SAME),
            f'What to do with patches of source {number} that lack data; same: as for the input rasters.',
            advanced=True,
        )

    def read(self, algorithm, parameters: dict, context, suffix: str) -> Dict[str, Any]:
        """The fields of a `SourceSpec` that these parameters make."""
        size = algorithm.parameterAsInt(parameters, f'PATCH_SIZE{suffix}', context)
        policy = algorithm.parameterAsEnumString(parameters, f'NODATA_POLICY{suffix}', context) if suffix else self.SAME
        return {'patch_size': (size, size), 'nodata_policy': '' if policy == self.SAME else policy}

    def read_list(self, algorithm, parameters: dict, context, text: str) -> Tuple[SourceSpec, ...]:
        """The sources of SOURCES."""
        return read_sources(text, algorithm.parameterAsInt(parameters, 'PATCH_SIZE', context))


class Maps:
    """The same where maps are made; of the first source too."""

    MODEL = 'model'  # as the model says
    EXAMPLE = (
        'for more than four, for bands and oblong receptive fields. Each is an object such as {"rasters": ["ms.tif"], '
        '"bands": ["red", "nir"], "placeholder": "x1", "receptive_field": [16, 8], "nodata": 0}; the bands are numbers '
        'from 1 on, or names. "patch_size" is for cutting patches.'
    )

    def add(self, algorithm, number: int, suffix: str) -> None:
        """PLACEHOLDER and RECEPTIVE_FIELD of a source."""
        algorithm.add(
            shared.text(f'PLACEHOLDER{suffix}', _label(number, 'input of the model')),
            f'The name of the input of the model that source {number} is fed to; "Describe a model" lists them. Empty: '
            f'the one called source{number}, or else the inputs in their order. Needed where a model has several '
            'inputs in another order than the sources.',
            advanced=True,
        )
        algorithm.add(
            shared.integer(
                f'RECEPTIVE_FIELD{suffix}', _label(number, 'receptive field (pixels)'), None, 1, optional=True
            ),
            f'Side of the square of pixels of source {number} that the model looks at; the size of its patches where '
            'it is given a patch for each pixel. Empty: what the model says, or what is measured; 1 in the mode '
            'otbtf-fullyconv. Needed for models that make one value of a patch of any size.',
            advanced=True,
        )

    def add_policy(self, algorithm, number: int, suffix: str) -> None:
        """NODATA_POLICY of a source."""
        values = (self.MODEL, *NODATA_POLICIES)
        algorithm.add(
            shared.choice(f'NODATA_POLICY{suffix}', _label(number, 'which pixels are no-data'), values, self.MODEL),
            'any: those where any band is. all: those where all bands are. ignore: only values that are no numbers. '
            'model: as the model was trained; any where it does not say. The otbtf modes take all.',
            advanced=True,
        )

    def read(self, algorithm, parameters: dict, context, suffix: str) -> Dict[str, Any]:
        """The fields of a `SourceSpec` that these parameters make."""
        side = shared.optional_integer(algorithm, parameters, f'RECEPTIVE_FIELD{suffix}', context) or 0
        policy = algorithm.parameterAsEnumString(parameters, f'NODATA_POLICY{suffix}', context)
        return {
            'placeholder': shared.text_value(algorithm, parameters, f'PLACEHOLDER{suffix}', context),
            'receptive_field': (side, side),
            'nodata_policy': '' if policy == self.MODEL else policy,
        }

    def read_list(self, algorithm, parameters: dict, context, text: str) -> Tuple[SourceSpec, ...]:
        """The sources of SOURCES."""
        return read_sources(text)


Use = Union[Patches, Maps]


def add_first(algorithm, help_text: str = '') -> None:
    """INPUT, the rasters of source 1. It may be empty, since SOURCES can take its place; see `problem`."""
    algorithm.add(
        QgsProcessingParameterMultipleLayers(
            'INPUT', tr('Input rasters'), QgsProcessing.SourceType.TypeRaster, None, True
        ),
        help_text
        or 'The image: one raster, or several on the same grid, whose bands are stacked in the order given here.',
    )


def add_more(algorithm, use: Use) -> None:
    """INPUT_2 to INPUT_4 with their no-data and what else `use` asks of them, and SOURCES; advanced."""
    for number, suffix in enumerate(SUFFIXES[1:], 2):
        algorithm.add(
            QgsProcessingParameterMultipleLayers(
                f'INPUT{suffix}', _label(number, 'rasters'), QgsProcessing.SourceType.TypeRaster, None, True
            ),
            f'The rasters of source {number}, of any resolution, in the CRS of the first. A network takes each source '
            'by itself.',
            advanced=True,
        )
        use.add(algorithm, number, suffix)
        algorithm.add(
            shared.text(f'NODATA{suffix}', _label(number, 'no-data value')),
            f'As for the input rasters, of source {number}.',
            advanced=True,
        )
        use.add_policy(algorithm, number, suffix)
    algorithm.add(
        shared.text('SOURCES', 'Sources (JSON)'),
        'A list of sources in JSON, or the path of a file of it, in place of all input rasters above: '
        f'{use.EXAMPLE} Known are {", ".join(SOURCE_KEYS)}. Paths in a file start from its folder.',
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


def read(algorithm, parameters: dict, context, feedback, use: Use) -> Tuple[SourceSpec, ...]:
    """The image sources that the parameters describe.

    Raises:
        QgsProcessingException, EngineError: where a layer is no raster file, or SOURCES no list of sources.
    """
    text = shared.text_value(algorithm, parameters, 'SOURCES', context)
    if text:
        if parameters.get('INPUT'):
            feedback.pushInfo(tr('SOURCES takes the place of INPUT.'))
        return use.read_list(algorithm, parameters, context, text)
    found: List[SourceSpec] = []
    for number, suffix in enumerate(SUFFIXES, 1):
        if suffix and not parameters.get(f'INPUT{suffix}'):
            continue
        details = use.read(algorithm, parameters, context, suffix)
        found.append(shared.source(algorithm, parameters, context, suffix, name=f'source{number}', **details))
    return tuple(found)


def _label(number: int, words: str) -> str:
    """What a parameter of a source is called: the sources after the first have their number in front."""
    text = tr(words)
    return tr('Source {}: {}').format(number, text) if number > 1 else text[:1].upper() + text[1:]
