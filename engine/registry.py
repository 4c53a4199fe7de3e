"""Which function does which job. The function's module is imported when the job is asked for, not before."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

from .events import Event, Reporter
from .folder import require_file_place
from .jobs import Job

_FUNCTIONS = {
    'demoscene': ('demoscene', 'make_demo_scene'),
    'polygonclassstatistics': ('sampling.statistics', 'count_classes'),
    'selectsamples': ('sampling.samples', 'select_samples'),
    'samplevalues': ('sampling.values', 'sample_values'),
    'samplelabelimage': ('sampling.labelimage', 'sample_label_image'),
    'selectpatches': ('sampling.patches', 'select_patches'),
    'splitsamples': ('sampling.groups', 'split_samples'),
    'extractpatches': ('datasets.extraction', 'extract_patches'),
    'mergedatasets': ('datasets.merging', 'merge_datasets'),
    'convertdataset': ('datasets.conversion', 'convert_dataset'),
    'inspectdataset': ('datasets.inspection', 'inspect_dataset'),
    'trainmodel': ('training.trainer', 'train_model'),
    'trainsavedmodel': ('training.graph.trainer', 'train_saved_model'),
    'evaluatemodel': ('training.evaluating', 'evaluate_model'),
    'servemodel': ('serving.serve', 'serve_model'),
    'trainvectorclassifier': ('classifiers.training', 'train_vector_classifier'),
    'traindeepfeatures': ('classifiers.deep', 'train_deep_features'),
    'mapdeepfeatures': ('classifiers.mapping', 'map_deep_features'),
    'describemodel': ('model_package.describe', 'describe_model'),
    'runexperiment': ('experiments.running', 'run_experiment'),
    'selftest': ('experiments.selftest', 'self_test'),
    'checkengine': ('check', 'check_engine'),
}


def function_for(job: Job) -> Callable[[Any, Reporter], dict[str, Any]]:
    """The function ``(job, reporter) -> outputs by name`` that does `job`."""
    module, name = _FUNCTIONS[job.kind]
    return getattr(importlib.import_module(f'.{module}', __package__), name)


def run(
    job: Job,
    on_event: Callable[[Event], None] | None = None,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Do `job` here and now.

    Args:
        job: one of the dataclasses of `quadrat.engine.jobs`.
        on_event: called with each event (progress, log lines, metrics, warnings).
        cancelled: set it from another thread to stop the job.

    Returns:
        The outputs by name: paths, numbers, text.

    Raises:
        EngineError: with one line that says what is wrong and what to do.
    """
    from .records import Recorder

    reporter = Reporter(on_event, cancelled)
    configuration = getattr(job, 'configuration', '')
    if configuration:
        require_file_place(configuration)
    with Recorder(job, reporter) as recorder:
        values = function_for(job)(job, recorder.reporter)
        if configuration and recorder.reporter.writes:
            from .experiments.exporting import write_configuration

            write_configuration(job)
            values = {**values, 'CONFIGURATION': configuration}
        recorder.finish(values)
    return values
