"""Parameters that several algorithms share: how they are declared, and how their values become parts of a job.

The `add_…` functions declare, in `initAlgorithm`; the functions named after what they return read. Reading touches
layers of the project, so it belongs in `prepare`.
"""

from __future__ import annotations

import os
import re
import zipfile
from typing import Optional, Sequence, Tuple

from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..engine.classes import read_csv
from ..engine.errors import EngineError
from ..engine.jobs import COMPRESSIONS, LAYOUTS, NODATA_POLICIES, ClassDef, LayoutOptions, SourceSpec
from ..engine.model_package.card import ITEM, read_card
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
    given = _is_given(algorithm, parameters, name, context)
    return algorithm.parameterAsInt(parameters, name, context) if given else None


def optional_real(algorithm, parameters: dict, name: str, context) -> Optional[float]:
    """The same of a number with a fraction."""
    given = _is_given(algorithm, parameters, name, context)
    return algorithm.parameterAsDouble(parameters, name, context) if given else None


def _is_given(algorithm, parameters: dict, name: str, context) -> bool:
    return parameters.get(name) not in (None, '') and bool(algorithm.parameterAsString(parameters, name, context))


def optional_raster(algorithm, parameters: dict, name: str, context) -> str:
    """The path of a raster that may be left out; empty where it is. Read it in `prepare`."""
    if not parameters.get(name):
        return ''
    return inputs.raster_path(algorithm.parameterAsRasterLayer(parameters, name, context))


# -- image sources ----------------------------------------------------------------------------------------------------

INPUT, NODATA = 'INPUT', 'NODATA'


def add_nodata(algorithm) -> None:
    """NODATA, the no-data of source 1."""
    algorithm.add(
        text(NODATA, 'No-data value of the input rasters'),
        'Empty takes what the files (or the settings of their layers) declare. Otherwise a number, "nan", or "none" '
        'for no no-data value; or one of these for each band, separated by blanks.',
        advanced=True,
    )


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


def add_classes(algorithm, help_text: str, advanced: bool = False) -> None:
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
        advanced,
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


MODEL_HELP = (
    'A model package: the folder that "Train a model" made, the item.json in it, or the folder as a .zip. Or the '
    'folder of a SavedModel of TensorFlow 1 or 2, the saved_model.pb in it, or a .keras file of Keras 3. Or a '
    'Tensor/IO bundle: its folder, the model.json in it, or its .zip.'
)
_SAVEDMODEL, _BUNDLE = 'saved_model.pb', 'model.json'


def add_model(algorithm) -> None:
    """MODEL. A file parameter, since a folder one takes no .zip; its filter lets folders pass too."""
    algorithm.add(
        QgsProcessingParameterFile(
            'MODEL',
            tr('Model'),
            QgsProcessingParameterFile.Behavior.File,
            fileFilter=f'{tr("Models")} (item.json *.zip *.keras {_SAVEDMODEL} {_BUNDLE});;{tr("All files")} (*)',
        ),
        MODEL_HELP,
    )


def add_graph(algorithm) -> None:
    """TAGS and SIGNATURE: which graph of a SavedModel is meant."""
    algorithm.add(
        text('TAGS', 'Tag set of the SavedModel'),
        'Which graph of a SavedModel is used: its tags, separated by commas. Empty: serve, or the only graph there is.',
        advanced=True,
    )
    algorithm.add(
        text('SIGNATURE', 'Signature of the SavedModel'),
        'Which signature of a SavedModel is used. Empty: serving_default, or the first.',
        advanced=True,
    )


def model(algorithm, parameters: dict, context) -> str:
    """The path of the model that MODEL names: a folder or a file; see `model_path`."""
    return model_path(algorithm.parameterAsFile(parameters, 'MODEL', context))


def model_path(path: str) -> str:
    """The absolute path of a model that is named by its folder, its file, or the one in its folder that says it is
    one."""
    path = os.path.abspath(path)
    return os.path.dirname(path) if os.path.basename(path) in (ITEM, _SAVEDMODEL, _BUNDLE) else path


def model_problem(name: str, path: str) -> str:
    """What is wrong with a model, as one line; empty if nothing is, as far as names and a package's item.json tell.

    Args:
        name: of the parameter.
        path: as `model_path` gives it.
    """
    if not os.path.exists(path):
        return f'{name}: {path}: ' + tr('no such file or folder.')
    if _is_bare(path):
        return ''
    if os.path.isdir(path) and not os.path.isfile(os.path.join(path, ITEM)):
        return f'{name}: {path}: ' + tr(
            'no model: no item.json, as in the folder that "Train a model" made, and no saved_model.pb in it.'
        )
    try:
        read_card(path)
    except EngineError as error:
        return f'{name}: {error}'
    return ''


def _is_bare(path: str) -> bool:
    """Whether a model without a package may lie at a path, as far as names tell."""
    if not os.path.isdir(path):
        return path.endswith('.keras') or _is_packed_bundle(path)
    folders = [path, *(os.path.join(path, name) for name in os.listdir(path))]
    return not os.path.isfile(os.path.join(path, ITEM)) and any(
        os.path.isfile(os.path.join(folder, _SAVEDMODEL)) for folder in folders
    )


def _is_packed_bundle(path: str) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.count('/') == 1 and name.endswith(f'/{_BUNDLE}') for name in archive.namelist())


# -- outputs -----------------------------------------------------------------------------------------------------------


def add_configuration(algorithm) -> None:
    """CONFIGURATION, the file that the parameters are written to."""
    algorithm.add(
        QgsProcessingParameterFileDestination(
            'CONFIGURATION', tr('Run configuration'), tr('YAML files (*.yaml *.yml)'), None, True, False
        ),
        'A YAML file with these parameters, without the outputs: "Run an experiment", or quadrat train on the command '
        'line, does the same training from it. Written when this one is done.',
        advanced=True,
    )


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
