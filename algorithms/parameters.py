"""Parameters that several algorithms share: how they are declared, and how their values become parts of a job.

The `add_…` functions declare, in `initAlgorithm`; the functions named after what they return read. Reading touches
layers of the project, so it belongs in `prepare`.
"""

from __future__ import annotations

import os
import re
from typing import Optional, Sequence, Tuple

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..engine.classes import read_csv
from ..engine.errors import EngineError
from ..engine.jobs import COMPRESSIONS, LAYOUTS, NODATA_POLICIES, ClassDef, LayoutOptions, SourceSpec
from ..engine.model_package.card import read_card
from ..plugin import inputs
from .base import tr

# -- one parameter of a kind ----------------------------------------------------------------------------------------


def integer(
    name: str,
    label: str,
    default: Optional[int],
    minimum: Optional[int] = None,
    maximum: Optional[int] = None,
    optional: bool = False,
) -> QgsProcessingParameterNumber:
    """A whole number; bounds that are None are those of 32 bits."""
    return QgsProcessingParameterNumber(
        name,
        tr(label),
        QgsProcessingParameterNumber.Type.Integer,
        default,
        optional,
        -(2**31) + 1 if minimum is None else minimum,
        2**31 - 1 if maximum is None else maximum,
    )


def real(
    name: str,
    label: str,
    default: Optional[float],
    minimum: float = -1.7976931348623157e308,
    maximum: float = 1.7976931348623157e308,
    optional: bool = False,
) -> QgsProcessingParameterNumber:
    """A number with a fraction."""
    kind = QgsProcessingParameterNumber.Type.Double
    return QgsProcessingParameterNumber(name, tr(label), kind, default, optional, minimum, maximum)


def choice(name: str, label: str, values: Sequence[str], default: str) -> QgsProcessingParameterEnum:
    """One of `values`, given and stored as that text. Read it with ``parameterAsEnumString``."""
    return QgsProcessingParameterEnum(name, tr(label), list(values), False, default, False, True)


def text(name: str, label: str, default: Optional[str] = None, optional: bool = True) -> QgsProcessingParameterString:
    """A line of text."""
    return QgsProcessingParameterString(name, tr(label), default, False, optional)


def text_value(algorithm, parameters: dict, name: str, context) -> str:
    """The text of a parameter; a number given where text is expected is text too."""
    return (algorithm.parameterAsString(parameters, name, context) or '').strip()


def optional_integer(algorithm, parameters: dict, name: str, context) -> Optional[int]:
    """The number of a parameter that may be left empty, or None."""
    value = parameters.get(name)
    if value is None or value == '' or not algorithm.parameterAsString(parameters, name, context):
        return None
    return algorithm.parameterAsInt(parameters, name, context)


def optional_raster(algorithm, parameters: dict, name: str, context) -> str:
    """The path of a raster that may be left out; empty where it is. Read it in `prepare`."""
    if not parameters.get(name):
        return ''
    return inputs.raster_path(algorithm.parameterAsRasterLayer(parameters, name, context))


# -- image sources ----------------------------------------------------------------------------------------------------

INPUT, NODATA = 'INPUT', 'NODATA'


def add_sources(algorithm, help_text: str = '') -> None:
    """INPUT, the rasters of source 1, and NODATA."""
    algorithm.add(
        QgsProcessingParameterMultipleLayers(INPUT, tr('Input rasters'), QgsProcessing.SourceType.TypeRaster),
        help_text
        or 'The image: one raster, or several on the same grid, whose bands are stacked in the order given here.',
    )


def add_nodata(algorithm) -> None:
    """NODATA, the no-data of source 1; apart from `add_sources`, since advanced parameters come last."""
    algorithm.add(
        text(NODATA, 'No-data value of the input rasters'),
        'Empty takes what the files (or the settings of their layers) declare. Otherwise a number, "nan", or "none" '
        'for no no-data value; or one of these for each band, separated by blanks.',
        advanced=True,
    )


def sources(algorithm, parameters: dict, context) -> Tuple[SourceSpec, ...]:
    """The image sources that INPUT and NODATA describe; see `source`."""
    return (source(algorithm, parameters, context),)


def source(algorithm, parameters: dict, context, suffix: str = '', **details) -> SourceSpec:
    """The image source that INPUT and NODATA of a suffix describe.

    Args:
        suffix: such as ``_2``.
        details: further fields of the `SourceSpec`.

    Raises:
        QgsProcessingException: where a layer is no raster file.
    """
    layers = algorithm.parameterAsLayerList(parameters, INPUT + suffix, context)
    if not layers:
        raise QgsProcessingException(tr('INPUT{}: no raster given, or none that can be read.').format(suffix))
    given = text_value(algorithm, parameters, NODATA + suffix, context)
    rasters = tuple(inputs.raster_path(layer) for layer in layers)
    return SourceSpec(rasters, nodata=given or inputs.raster_nodata(layers), **details)


def add_nodata_policy(algorithm) -> None:
    """NODATA_POLICY."""
    algorithm.add(
        choice('NODATA_POLICY', 'Patches with no-data pixels', NODATA_POLICIES, 'any'),
        'any: reject a patch with any no-data pixel (a pixel is no-data if any band is). all: reject only patches '
        'without any data (a pixel is no-data if all bands are). ignore: reject none; values that are no numbers are '
        'still no-data.',
        advanced=True,
    )


# -- sizes, seeds, classes --------------------------------------------------------------------------------------------


def add_patch_size(algorithm, default: int = 64) -> None:
    """PATCH_SIZE."""
    algorithm.add(
        integer('PATCH_SIZE', 'Patch size (pixels)', default, 1, 1 << 16),
        'Side of the square patches in pixels of the image. Networks that halve the resolution several times want '
        'multiples of 16 or 32.',
    )


SHARES = (('TRAIN', 'training', 60), ('VALIDATION', 'validation', 20), ('TEST', 'test', 20))


def add_shares(algorithm, what: str, note: str) -> None:
    """TRAIN, VALIDATION and TEST, shares of `what`; `note` says when they are not looked at."""
    for name, words, share in SHARES:
        algorithm.add(
            real(name, f'Share of {words}', share, 0.0),
            f'Share of the {what} for {words}; only the ratios of the shares matter. 0 leaves this split out. {note}',
        )


def add_seed(algorithm, what: str) -> None:
    """SEED. `what` says what it changes, as in "the assignment of blocks to splits"."""
    algorithm.add(
        integer('SEED', 'Random seed', 0, 0),
        f'Another number changes {what}; the same number gives the same result.',
        advanced=True,
    )


def add_classes(algorithm, help_text: str) -> None:
    """CLASSES, a CSV of classes."""
    algorithm.add(
        QgsProcessingParameterFile(
            'CLASSES',
            tr('Classes'),
            QgsProcessingParameterFile.Behavior.File,
            optional=True,
            fileFilter=tr('Tables of classes') + ' (*.csv *.txt);;' + tr('All files') + ' (*)',
        ),
        help_text,
    )


def classes(algorithm, parameters: dict, context) -> Tuple[ClassDef, ...]:
    """The classes of the CSV that CLASSES names; empty where it names none. Raises `EngineError`."""
    path = algorithm.parameterAsFile(parameters, 'CLASSES', context)
    return read_csv(path) if path else ()


# -- datasets ---------------------------------------------------------------------------------------------------------


def dataset(algorithm, parameters: dict, name: str, context) -> str:
    """The folder of a dataset that a parameter names; its manifest.json means the folder too."""
    return dataset_folder(algorithm.parameterAsFile(parameters, name, context))


def dataset_folder(path: str) -> str:
    """The absolute path of a dataset that is named by its folder or by its manifest.json."""
    path = os.path.abspath(path)
    return os.path.dirname(path) if os.path.basename(path) == 'manifest.json' else path


def add_layout(algorithm) -> None:
    """FORMAT, SAMPLES_PER_SHARD and COMPRESSION: how samples lie in files."""
    algorithm.add(
        choice('FORMAT', 'Format', LAYOUTS, LAYOUTS[0]),
        'How samples lie in files. numpy: arrays that are mapped into memory, the fastest to train from. tfrecords: '
        "files of records as TensorFlow and OTBTF's TFRecords class read them, one folder a split. patchesimages: "
        'rasters with the patches below one another, as OTBTF writes them, one folder a split; GIS and OTB open them.',
    )
    algorithm.add(
        integer('SAMPLES_PER_SHARD', 'Samples in a file', 0, 0),
        'At most so many samples go into one file of numpy arrays or records; the last file may hold fewer. 0: about '
        '64 MiB. Patches-images are one file a source and split.',
        advanced=True,
    )
    algorithm.add(
        choice('COMPRESSION', 'Compression', COMPRESSIONS, COMPRESSIONS[0]),
        'gzip makes records and patches-images smaller, and slower to read; before training, convert such records to '
        'numpy. Numpy arrays are never compressed.',
        advanced=True,
    )


def layout(algorithm, parameters: dict, context) -> LayoutOptions:
    """What FORMAT, SAMPLES_PER_SHARD and COMPRESSION say."""
    return LayoutOptions(
        algorithm.parameterAsEnumString(parameters, 'FORMAT', context),
        algorithm.parameterAsInt(parameters, 'SAMPLES_PER_SHARD', context),
        algorithm.parameterAsEnumString(parameters, 'COMPRESSION', context),
    )


def layout_problem(algorithm, parameters: dict, context) -> str:
    """What contradicts itself in them, as one line; empty if nothing does."""
    options = layout(algorithm, parameters, context)
    if options.layout == LAYOUTS[0] and options.compression != COMPRESSIONS[0]:
        return tr('COMPRESSION: numpy arrays are not compressed; choose another FORMAT for that.')
    return ''


# -- models -----------------------------------------------------------------------------------------------------------


def add_model(algorithm) -> None:
    """MODEL, a model package. A file parameter, since a folder one takes no .zip; its filter lets folders pass too."""
    algorithm.add(
        QgsProcessingParameterFile(
            'MODEL',
            tr('Model package'),
            QgsProcessingParameterFile.Behavior.File,
            fileFilter=tr('Model packages') + ' (item.json *.zip);;' + tr('All files') + ' (*)',
        ),
        'The folder that "Train a model" made, the item.json in it, or the folder as a .zip.',
    )


def model(algorithm, parameters: dict, context) -> str:
    """The path of the package that MODEL names: a folder or a .zip."""
    path = os.path.abspath(algorithm.parameterAsFile(parameters, 'MODEL', context))
    return os.path.dirname(path) if os.path.basename(path) == 'item.json' else path


def model_problem(algorithm, parameters: dict, context) -> str:
    """What is wrong with the package that MODEL names, as one line; empty if nothing is. Reads its item.json."""
    try:
        read_card(model(algorithm, parameters, context))
    except EngineError as error:
        return f'MODEL: {error}'
    return ''


# -- outputs -----------------------------------------------------------------------------------------------------------


def output_path(algorithm, parameters: dict, name: str, context) -> str:
    """The path of a file that the engine writes; empty where an optional one is not asked for."""
    if parameters.get(name) in (None, ''):
        return ''
    return _absolute(algorithm.parameterAsOutputLayer(parameters, name, context))


def output_folder(algorithm, parameters: dict, name: str, context) -> str:
    """The path of a folder that the engine writes."""
    return _absolute(algorithm.parameterAsString(parameters, name, context))


def _absolute(path: str) -> str:
    """A path that means the same to the engine, whose working folder is another; ``driver:…`` texts stay."""
    return path if re.match(r'[A-Za-z]\w+:', path) else os.path.abspath(path)
