"""The contract between QGIS and the engine: frozen dataclasses of plain values (standard library only).

A job says everything that is needed to do it again. `Job.to_dict` and `job_from_dict` are exact inverses; unknown
or ill-typed fields are errors.
"""

from __future__ import annotations

from .base import Job, dumps, from_dict, job_from_dict
from .data import ClassDef, LabelPolygons, LabelRaster, SourceSpec, VectorSpec
from .sampling import NODATA_POLICIES, PATCH_STRATEGIES, SPLITS, DemoSceneJob, ExtractPatchesJob, SelectPatchesJob
from .serving import RUNTIMES, DescribeJob, ServeJob
from .setup import CheckEngineJob
from .training import ARCHITECTURES, CLASS_WEIGHTS, TASKS, TrainJob, TrainOptions

__all__ = [
    'ARCHITECTURES',
    'CLASS_WEIGHTS',
    'NODATA_POLICIES',
    'PATCH_STRATEGIES',
    'RUNTIMES',
    'SPLITS',
    'TASKS',
    'CheckEngineJob',
    'ClassDef',
    'DemoSceneJob',
    'DescribeJob',
    'ExtractPatchesJob',
    'Job',
    'LabelPolygons',
    'LabelRaster',
    'SelectPatchesJob',
    'ServeJob',
    'SourceSpec',
    'TrainJob',
    'TrainOptions',
    'VectorSpec',
    'dumps',
    'from_dict',
    'job_from_dict',
]
