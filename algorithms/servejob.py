"""How the parameters of serving, which `serving` declares, become the fields of a `ServeJob`; but for its outputs."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Tuple

from qgis.core import QgsRasterLayer

from ..engine.errors import EngineError
from ..engine.jobs import MODES, PADDINGS, SourceSpec
from ..plugin import inputs
from . import parameters as shared
from . import sources
from .base import tr

_INTEGERS = ('TILE_SIZE', 'BATCH_SIZE', 'MEMORY', 'SIEVE')
_CHOICES = ('MODE', 'OUTPUT_TYPE', 'PROBABILITY_TYPE', 'BLEND', 'PADDING', 'TTA', 'RUNTIME', 'PRECISION')
_TEXTS = ('USER_PLACEHOLDERS', 'TAGS', 'SIGNATURE')
_SWITCHES = ('RESUME', 'COG', 'OVERVIEWS')
_FULLYCONV = MODES[1]
_CONSTANT = PADDINGS[1]


def problem(algorithm, parameters: dict, context) -> str:
    """What is wrong with the parameters, as one line; empty if nothing is. No model is opened."""
    found = sources.problem(algorithm, parameters, context)
    for name, path in _models(algorithm, parameters, context):
        found = found or shared.model_problem(name, path)
    if found:
        return found
    try:
        shared.classes(algorithm, parameters, context)
    except EngineError as error:
        return f'CLASSES: {error}'
    text = shared.text_value(algorithm, parameters, 'WINDOW', context)
    if text and parameters.get('EXTENT'):
        return tr('EXTENT and WINDOW both say what to map; give one of them.')
    if text and _window(text) is None:
        return tr('WINDOW: {} should be four whole numbers: column,row,width,height.').format(text)
    padding = algorithm.parameterAsEnumString(parameters, 'PADDING', context)
    if padding != _CONSTANT and algorithm.parameterAsDouble(parameters, 'PADDING_VALUE', context) != 0:
        return tr('PADDING_VALUE is of PADDING={}, which is {}.').format(_CONSTANT, padding)
    mode = algorithm.parameterAsEnumString(parameters, 'MODE', context)
    if mode != _FULLYCONV and algorithm.parameterAsInt(parameters, 'EXPRESSION_FIELD', context) != 1:
        return tr('EXPRESSION_FIELD is of MODE={}, which is {}.').format(_FULLYCONV, mode)
    return ''


def layers(algorithm, parameters: dict, context, feedback) -> Dict[str, Any]:
    """The fields of a `ServeJob` that touch layers of the project, for `prepare`."""
    found = sources.read(algorithm, parameters, context, feedback, sources.Maps())
    return {
        'sources': found,
        'mask': shared.optional_raster(algorithm, parameters, 'MASK', context),
        'mask_layer': inputs.vector_file(algorithm, parameters, 'MASK_LAYER', context),
        'extent': _extent(algorithm, parameters, context, found[0]),
    }


def values(algorithm, parameters: dict, context) -> Dict[str, Any]:
    """The other fields that are no outputs. Raises `EngineError`."""

    def text(name: str) -> str:
        return shared.text_value(algorithm, parameters, name, context)

    (_, model), *others = _models(algorithm, parameters, context)
    side = algorithm.parameterAsInt(parameters, 'EXPRESSION_FIELD', context)
    return {
        'model': model,
        'ensemble': tuple(path for _, path in others),
        'output_names': tuple(name.strip() for name in text('OUTPUT_NAMES').split(',') if name.strip()),
        'classes': shared.classes(algorithm, parameters, context),
        'expression_field': (side, side),
        'spacing_scale': shared.optional_real(algorithm, parameters, 'SPACING_SCALE', context) or 0.0,
        'fill_value': shared.optional_real(algorithm, parameters, 'FILL_VALUE', context),
        'threshold': shared.optional_real(algorithm, parameters, 'THRESHOLD', context),
        'padding_value': algorithm.parameterAsDouble(parameters, 'PADDING_VALUE', context),
        'connectivity': int(algorithm.parameterAsEnumString(parameters, 'CONNECTIVITY', context)),
        'window': _window(text('WINDOW')),
        'device': text('DEVICE') or 'auto',
        'creation_options': tuple(text('CREATION_OPTIONS').replace('|', ' ').split()),
        **{name.lower(): text(name) for name in _TEXTS},
        **{name.lower(): algorithm.parameterAsInt(parameters, name, context) for name in _INTEGERS},
        **{name.lower(): algorithm.parameterAsEnumString(parameters, name, context) for name in _CHOICES},
        **{name.lower(): algorithm.parameterAsBoolean(parameters, name, context) for name in _SWITCHES},
    }


def _models(algorithm, parameters: dict, context) -> Tuple[Tuple[str, str], ...]:
    """(parameter, path) of the model and those averaged with it."""
    further = algorithm.parameterAsFileList(parameters, 'ENSEMBLE', context) if parameters.get('ENSEMBLE') else ()
    return (
        ('MODEL', shared.model(algorithm, parameters, context)),
        *(('ENSEMBLE', shared.model_path(path)) for path in further),
    )


def _extent(algorithm, parameters: dict, context, first: SourceSpec) -> Optional[Tuple[float, float, float, float]]:
    """(west, south, east, north) of what is mapped, in the CRS of the first source."""
    if not parameters.get('EXTENT'):
        return None
    # What the user sees of the first layer counts, as its reference system may have been set by hand.
    shown = [] if parameters.get('SOURCES') else algorithm.parameterAsLayerList(parameters, shared.INPUT, context)
    layer = shown[0] if shown else QgsRasterLayer(first.rasters[0])
    box = algorithm.parameterAsExtent(parameters, 'EXTENT', context, layer.crs())
    return box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()


def _window(text: str) -> Optional[Tuple[int, int, int, int]]:
    """(column, row, width, height) from a text; None where it is not that."""
    match = re.fullmatch(r'(\d+)[\s,]+(\d+)[\s,]+([1-9]\d*)[\s,]+([1-9]\d*)', text)
    return tuple(map(int, match.groups())) if match else None
