"""The contract between QGIS and the engine: frozen dataclasses of plain values (standard library only).

A job says everything that is needed to do it again. `Job.to_dict` and `job_from_dict` are exact inverses; unknown
or ill-typed fields are errors.
"""

from __future__ import annotations

from .base import Job, dumps, from_dict, job_from_dict
from .data import ClassDef, LabelPolygons, LabelRaster, SourceSpec, VectorSpec
from .datasets import (
    BORDERS,
    CHECKS,
    COMPRESSIONS,
    LAYOUTS,
    NODATA_POLICIES,
    ConvertDatasetJob,
    ExtractPatchesJob,
    InspectDatasetJob,
    LayoutOptions,
    MergeDatasetsJob,
    Zone,
)
from .sampling import (
    IMAGE_RATES,
    LABEL_STRATEGIES,
    PATCH_STRATEGIES,
    SAMPLE_STRATEGIES,
    SAMPLERS,
    SPLIT_STRATEGIES,
    SPLITS,
    DemoSceneJob,
    PolygonStatisticsJob,
    SampledImage,
    SampleLabelImageJob,
    SampleValuesJob,
    SelectPatchesJob,
    SelectSamplesJob,
    SplitSamplesJob,
)
from .serving import AUGMENTATIONS, RUNTIMES, DescribeJob, ServeJob
from .setup import CheckEngineJob
from .training import ARCHITECTURES, CLASS_WEIGHTS, TASKS, TrainJob, TrainOptions

__all__ = [
    'ARCHITECTURES',
    'AUGMENTATIONS',
    'BORDERS',
    'CHECKS',
    'CLASS_WEIGHTS',
    'COMPRESSIONS',
    'IMAGE_RATES',
    'LABEL_STRATEGIES',
    'LAYOUTS',
    'NODATA_POLICIES',
    'PATCH_STRATEGIES',
    'RUNTIMES',
    'SAMPLERS',
    'SAMPLE_STRATEGIES',
    'SPLITS',
    'SPLIT_STRATEGIES',
    'TASKS',
    'CheckEngineJob',
    'ClassDef',
    'ConvertDatasetJob',
    'DemoSceneJob',
    'DescribeJob',
    'ExtractPatchesJob',
    'InspectDatasetJob',
    'Job',
    'LabelPolygons',
    'LabelRaster',
    'LayoutOptions',
    'MergeDatasetsJob',
    'PolygonStatisticsJob',
    'SampleLabelImageJob',
    'SampleValuesJob',
    'SampledImage',
    'SelectPatchesJob',
    'SelectSamplesJob',
    'ServeJob',
    'SourceSpec',
    'SplitSamplesJob',
    'TrainJob',
    'TrainOptions',
    'VectorSpec',
    'Zone',
    'dumps',
    'from_dict',
    'job_from_dict',
]
