"""What the types of the jobs' fields do not say: which are paths, which have few values, which no run says."""

from __future__ import annotations

from typing import Any

from ..jobs import (
    AUGMENTATIONS,
    BLENDS,
    BORDERS,
    CLASSIFIERS,
    COMPRESSIONS,
    CONNECTIVITIES,
    LAYOUTS,
    MODES,
    NODATA_POLICIES,
    OUTPUT_TYPES,
    PADDINGS,
    PRECISIONS,
    PROBABILITY_TYPES,
    RUNTIMES,
    TASKS,
    VALIDATION_MODES,
    ExtractPatchesJob,
    GraphValidation,
    LabelRaster,
    LayoutOptions,
    ServeJob,
    SourceSpec,
    TrainDeepFeaturesJob,
    TrainJob,
    TrainOptions,
    TrainSavedModelJob,
    TrainVectorClassifierJob,
    VectorSpec,
)
from ..networks.options import EncoderOptions
from .kinds import EITHER, FILE, FOLDER, GDAL, PREFIX, WRITTEN

PATHS: dict[type, dict[str, str]] = {
    TrainJob: {'dataset': FOLDER, 'validation': FOLDER, 'warm_start': EITHER},
    TrainOptions: {'folder': FOLDER},
    EncoderOptions: {'weights': FILE},
    SourceSpec: {'rasters': GDAL},
    VectorSpec: {'path': GDAL},
    LabelRaster: {'path': GDAL},
    TrainSavedModelJob: {'model': EITHER, 'dataset': FOLDER, 'restore_from': PREFIX, 'save_to': WRITTEN},
    TrainVectorClassifierJob: {'statistics': FILE},
    TrainDeepFeaturesJob: {'statistics': FILE},
    ServeJob: {'model': EITHER, 'ensemble': EITHER, 'mask': GDAL},
}

# Those of a training itself are in `training.checks`.
CHOICES: dict[type, dict[str, tuple[Any, ...]]] = {
    TrainJob: {'task': TASKS},
    ExtractPatchesJob: {'nodata_policy': NODATA_POLICIES, 'border': BORDERS},
    SourceSpec: {'nodata_policy': ('', *NODATA_POLICIES)},
    LayoutOptions: {'layout': LAYOUTS, 'compression': COMPRESSIONS},
    GraphValidation: {'mode': VALIDATION_MODES},
    TrainVectorClassifierJob: {'classifier': CLASSIFIERS},
    TrainDeepFeaturesJob: {'classifier': CLASSIFIERS},
    ServeJob: {
        'mode': MODES,
        'output_type': OUTPUT_TYPES,
        'probability_type': PROBABILITY_TYPES,
        'blend': BLENDS,
        'padding': PADDINGS,
        'tta': AUGMENTATIONS,
        'runtime': RUNTIMES,
        'precision': PRECISIONS,
        'connectivity': CONNECTIVITIES,
    },
}

# Text that is often a number.
NUMBERS: dict[type, tuple[str, ...]] = {SourceSpec: ('nodata',), LabelRaster: ('nodata',)}

# Where results go is the run folder; `resume` is up to whoever does the run.
LEFT_OUT: dict[type, tuple[str, ...]] = {
    TrainJob: ('output', 'report', 'configuration', 'resume'),
    ExtractPatchesJob: ('output', 'accepted', 'rejected'),
    TrainSavedModelJob: ('output', 'report', 'confusion', 'configuration'),
    TrainVectorClassifierJob: ('output', 'report', 'confusion', 'configuration'),
    TrainDeepFeaturesJob: ('output', 'report', 'confusion', 'configuration'),
    ServeJob: ('output', 'probabilities', 'confidence', 'entropy', 'margin', 'output_folder', 'polygons'),
}
