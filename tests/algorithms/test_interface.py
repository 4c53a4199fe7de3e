"""What people's scripts and models call: ids and names are frozen, everything has a help text."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest

pytest.importorskip('qgis.core')

import qgis.core as qgis_core
from qgis.core import QgsProcessingAlgorithm, QgsProcessingModelAlgorithm, QgsProcessingParameterEnum

from quadrat.engine.jobs import MONITOR_MODES, OPTIMIZERS, SCHEDULES, TrainOptions

ROOT = Path(__file__).resolve().parents[2]

SOURCES = 'INPUT INPUT_2 INPUT_3 INPUT_4 SOURCES NODATA NODATA_2 NODATA_3 NODATA_4'
PATCH_SIZES = 'PATCH_SIZE PATCH_SIZE_2 PATCH_SIZE_3 PATCH_SIZE_4'
PLACEHOLDERS = 'PLACEHOLDER PLACEHOLDER_2 PLACEHOLDER_3 PLACEHOLDER_4'
PATCHES_IMAGES = f'INPUT INPUT_2 INPUT_3 INPUT_4 SOURCES {PATCH_SIZES} {PLACEHOLDERS}'
VALIDATION_PATCHES = ' '.join(f'VALIDATION_{name}' for name in PATCHES_IMAGES.split() if name != 'SOURCES')
RECEPTIVE_FIELDS = 'RECEPTIVE_FIELD RECEPTIVE_FIELD_2 RECEPTIVE_FIELD_3 RECEPTIVE_FIELD_4'
SERVING = (
    f'{SOURCES} {PLACEHOLDERS} {RECEPTIVE_FIELDS} MODEL EXTENT MASK_LAYER MASK OUTPUT_NAMES USER_PLACEHOLDERS MODE '
    'EXPRESSION_FIELD SPACING_SCALE FILL_VALUE OUTPUT_TYPE TILE_SIZE BATCH_SIZE BLEND TTA RUNTIME PRECISION RESUME '
    'CREATION_OPTIONS'
)
SERVING_ADDED = (
    'ENSEMBLE TAGS SIGNATURE CLASSES NODATA_POLICY NODATA_POLICY_2 NODATA_POLICY_3 NODATA_POLICY_4 PADDING '
    'PADDING_VALUE MEMORY DEVICE WINDOW THRESHOLD PROBABILITY_TYPE SIEVE CONNECTIVITY COG OVERVIEWS'
)
# The interface: which parameters and outputs an algorithm may have. None of them is ever renamed.
FROZEN = {
    'demoscene': 'SIZE SEED OUTPUT',
    'polygonclassstatistics': 'INPUT VECTOR FIELD MASK DENSE OUTPUT TABLE',
    'selectsamples': 'INPUT VECTOR FIELD MASK STATISTICS STRATEGY COUNT PERCENT BY_CLASS SAMPLER JITTER SEED OUTPUT '
    'RATES',
    'samplelabelimage': 'INPUT STRATEGY COUNT NODATA PAD OTBTF OUTPUT',
    'samplevalues': 'INPUT POINTS PREFIX OUTPUT',
    'splitsamples': 'INPUT STRATEGY GROUP_FIELD FOLDS TRAIN VALIDATION TEST BLOCK_SIZE SEED OUTPUT',
    'mergedatasets': 'INPUT FORMAT OUTPUT',
    'convertdataset': 'INPUT FORMAT OUTPUT',
    'inspectdataset': 'INPUT REPORT CONTACT_SHEET',
    'selectpatches': 'INPUT PATCH_SIZE STEP OFFSET_X OFFSET_Y MASK NODATA STRATEGY TRAIN VALIDATION TEST BLOCK_SIZE '
    'BUFFER LABELS SEED OTBTF OUTPUT',
    'extractpatches': f'{SOURCES} {PATCH_SIZES} POINTS LABEL_FIELD LABEL_RASTER LABEL_POLYGONS CLASS_FIELD OUTSIDE '
    'SPLIT_FIELD NODATA_POLICY BORDER FORMAT OTBTF OUTPUT ACCEPTED REJECTED',
    'trainmodel': f'{SOURCES} DATASET TASK ARCHITECTURE CLASSES EPOCHS BATCH_SIZE LEARNING_RATE LOSS SEED RESUME '
    'WARM_START OPTIONS OUTPUT REPORT BEST_EPOCH BEST_SCORE',
    'trainsavedmodel': f'{PATCHES_IMAGES} {VALIDATION_PATCHES} MODEL DATASET TARGET_NODES OUTPUT_TENSORS '
    'USER_PLACEHOLDERS BATCH_SIZE EPOCHS STREAMING RESTORE_FROM SAVE_TO TAGS SEED VALIDATION_MODE VALIDATION_STEP '
    'VALIDATION_USER_PLACEHOLDERS VALIDATION_STREAMING OUTPUT REPORT CONFUSION',
    'servemodel': f'{SERVING} OUTPUT PROBABILITIES CONFIDENCE ENTROPY POLYGONS',
    'trainvectorclassifier': 'INPUT FEATURES FIELD CLASSIFIER VALIDATION_VECTOR SEED OPTIONS OUTPUT CONFUSION REPORT',
    'traindeepfeatures': f'{SERVING} VECTOR FIELD VALIDATION_VECTOR CLASSIFIER MT MV BM VTR SEED OPTIONS OUTPUT '
    'CONFUSION REPORT',
    'mapdeepfeatures': f'{SERVING} CLASSIFIER OUTPUT CONFIDENCE PROBABILITIES',
    'describemodel': 'MODEL REPORT JSON RECEPTIVE_FIELD STRIDE',
    'evaluatemodel': f'{SOURCES} MODEL DATASET SPLIT REPORT TABLE SCORE',
    'runexperiment': 'FILE OVERRIDES OUTPUT',
    'selftest': 'OUTPUT',
    'installengine': 'CACHE WHEELS GPU',
    'checkengine': 'REPORT',
    'opentensorboard': 'FOLDER SECONDS URL',
}
# Added where a user would expect them; just as frozen once released.
ADDED = {
    'extractpatches': 'LABEL_NODATA CLASSES COUNT NODATA_POLICY_2 NODATA_POLICY_3 NODATA_POLICY_4 ALL_TOUCHED '
    'UNLABELLED LABEL_VALUES ZONES SAMPLES_PER_SHARD COMPRESSION',
    'selectsamples': 'IMAGES VECTORS MASKS IMAGE_RATES IMAGE_COUNTS',
    'samplelabelimage': 'SEED',
    'mergedatasets': 'SAMPLES_PER_SHARD COMPRESSION COUNT',
    'convertdataset': 'SAMPLES_PER_SHARD COMPRESSION LABELS COUNT',
    'inspectdataset': 'CHECK PATCHES SEED COUNT',
    'servemodel': f'{SERVING_ADDED} MARGIN OUTPUT_FOLDER RASTERS',
    'trainvectorclassifier': 'CLASSES STATISTICS ACCURACY KAPPA CONFIGURATION',
    'traindeepfeatures': f'{SERVING_ADDED} STATISTICS ACCURACY KAPPA CONFIGURATION',
    'mapdeepfeatures': SERVING_ADDED,
    'trainsavedmodel': 'VALIDATION_SOURCES CONFIGURATION',
    'evaluatemodel': f'{PLACEHOLDERS} {RECEPTIVE_FIELDS} REFERENCE REFERENCE_NODATA LABEL_POLYGONS CLASS_FIELD OUTSIDE '
    'ALL_TOUCHED POINTS LABEL_FIELD MASK_LAYER CLASSES OUTPUT_NAME TARGET USER_PLACEHOLDERS TAGS SIGNATURE BATCH_SIZE '
    'RUNTIME DEVICE NODATA_POLICY NODATA_POLICY_2 NODATA_POLICY_3 NODATA_POLICY_4',
    'trainmodel': f'{PATCH_SIZES} POINTS SPLIT_FIELD LABEL_FIELD LABEL_RASTER LABEL_POLYGONS CLASS_FIELD OUTSIDE '
    'ALL_TOUCHED LABEL_NODATA BORDER NODATA_POLICY NODATA_POLICY_2 NODATA_POLICY_3 NODATA_POLICY_4 VALIDATION_DATASET '
    'VALIDATION_SHARE CONFIGURATION',
    'runexperiment': 'TRUSTED RESTART BEST BEST_EPOCH BEST_SCORE REPORT',
    'selftest': 'SCORE REPORT',
    'installengine': 'PYTHON',
    'checkengine': 'PYTHON',
}
# Those that have all of it.
COMPLETE = (
    'servemodel',
    'evaluatemodel',
    'trainvectorclassifier',
    'traindeepfeatures',
    'mapdeepfeatures',
    'runexperiment',
    'selftest',
)
# Nothing else may ever be required: everything has a working default.
REQUIRED = {
    'demoscene': 'OUTPUT',
    'polygonclassstatistics': 'INPUT VECTOR FIELD OUTPUT',
    'selectsamples': 'INPUT VECTOR FIELD OUTPUT',
    'samplelabelimage': 'INPUT OUTPUT',
    'samplevalues': 'INPUT POINTS OUTPUT',
    'splitsamples': 'INPUT OUTPUT',
    'mergedatasets': 'INPUT OUTPUT',
    'convertdataset': 'INPUT OUTPUT',
    'inspectdataset': 'INPUT',
    'selectpatches': 'INPUT OUTPUT',
    'extractpatches': 'INPUT POINTS OUTPUT',
    'trainmodel': 'DATASET OUTPUT',
    'trainsavedmodel': 'MODEL OUTPUT',
    'servemodel': 'MODEL INPUT OUTPUT',
    'trainvectorclassifier': 'INPUT OUTPUT',
    'traindeepfeatures': 'MODEL VECTOR FIELD OUTPUT',
    'mapdeepfeatures': 'MODEL CLASSIFIER',
    'describemodel': 'MODEL',
    'evaluatemodel': 'MODEL',
    'runexperiment': 'FILE',
    'selftest': 'OUTPUT',
    'installengine': '',
    'checkengine': '',
    'opentensorboard': 'FOLDER',
}


@pytest.fixture(scope='module')
def algorithms(provider):
    found = [algorithm for algorithm in provider.algorithms() if not isinstance(algorithm, QgsProcessingModelAlgorithm)]
    return {algorithm.name(): algorithm for algorithm in found}


def test_all_are_there(provider, algorithms):
    assert sorted(algorithms) == sorted(FROZEN)
    assert provider.id() == 'quadrat' and provider.name() == 'Quadrat'
    assert provider.defaultVectorFileExtension() == 'gpkg' and provider.defaultRasterFileExtension() == 'tif'
    assert not provider.icon().isNull()


@pytest.mark.parametrize('name', FROZEN)
def test_ids_texts_and_groups(algorithms, name):
    algorithm = algorithms[name]
    assert algorithm.id() == f'quadrat:{name}' and re.fullmatch('[a-z]+', name)
    assert algorithm.group() and re.fullmatch('[a-z]+', algorithm.groupId())
    label = algorithm.displayName()
    assert label[0].isupper() and label[1:].lower() == label[1:]
    assert algorithm.shortHelpString() and algorithm.shortDescription() and algorithm.tags()
    assert not algorithm.flags() & QgsProcessingAlgorithm.Flag.FlagNoThreading
    copy = algorithm.create()
    assert type(copy) is type(algorithm) and copy.name() == name


@pytest.mark.parametrize('name', FROZEN)
def test_parameters(algorithms, name):
    algorithm = algorithms[name]
    known = f'{FROZEN[name]} {ADDED.get(name, "")}'.split()
    definitions = algorithm.parameterDefinitions()
    for definition in definitions:
        assert definition.name() in known
        assert len(definition.help()) > 20, definition.name()
        assert definition.help().rstrip()[-1] in '.)', definition.name()
        assert definition.description()[0].isupper(), definition.name()
        if isinstance(definition, QgsProcessingParameterEnum):
            assert definition.usesStaticStrings(), definition.name()
            assert definition.defaultValue() in definition.options()
    for output in algorithm.outputDefinitions():
        assert output.name() in known
    if name in COMPLETE:
        assert {item.name() for item in (*definitions, *algorithm.outputDefinitions())} == set(known)
    optional = qgis_core.QgsProcessingParameterDefinition.Flag.FlagOptional
    required = [
        definition.name()
        for definition in definitions
        if not definition.flags() & optional and definition.defaultValue() is None
    ]
    assert set(required) <= set(REQUIRED[name].split())


def test_every_option_of_a_training_is_explained(algorithms):
    """Each has its default in the list, and is told about after it."""
    text = algorithms['trainmodel'].parameterDefinition('OPTIONS').help()
    defaults, _, explained = text.partition('. filters, depth and dropout: ')
    for field in dataclasses.fields(TrainOptions):
        assert f'{field.name} ' in defaults, field.name
        assert re.search(rf'\b{field.name}\b', f'filters, depth, dropout: {explained}'), field.name
    for name in (*SCHEDULES, *OPTIMIZERS, *MONITOR_MODES):
        assert f'"{name}"' in explained, name


def test_enumerations_are_scoped():
    """Qt 6 knows no others: `Class.Enumeration.Value`, never `Class.Value`."""
    import qgis.PyQt.QtCore
    import qgis.PyQt.QtGui

    places = (qgis_core, qgis.PyQt.QtCore, qgis.PyQt.QtGui)
    for path in sorted([*(ROOT / 'plugin').rglob('*.py'), *(ROOT / 'algorithms').rglob('*.py')]):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
                continue
            owner = next((getattr(place, node.value.id) for place in places if hasattr(place, node.value.id)), None)
            if isinstance(owner, type) and not node.attr.isupper():
                value = getattr(owner, node.attr, None)
                assert not isinstance(value, int), f'{path}:{node.lineno}: {node.value.id}.{node.attr}'
