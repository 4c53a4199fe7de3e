"""Evaluation: how good a trained model is, by samples or by a reference on the ground."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from ..errors import InvalidJob, NoSamples, OutputRefused
from ..events import Reporter
from ..folder import require_file_place, write_together
from ..jobs import EVALUATED_SPLITS, RUNTIMES, EvaluateJob
from ..model_package.importers import open_model, tag_set
from ..model_package.package import now
from ..records import versions
from ..reports.accuracy import WORDS
from ..reports.evaluation import evaluation_report
from .judgement import Judgement, judgement_table
from .mapjudging import judge_map
from .patchjudging import judge_patches
from .subject import Subject, subject_of


def evaluate_model(job: EvaluateJob, reporter: Reporter) -> dict[str, Any]:
    """Say how good a model is.

    Of a dataset, the samples of a split are what it is judged by: they are fed to the model as in training. Of images
    and a reference, the model maps the ground where that lies, as it maps anything, and the map is compared with it.
    Classes are matched by their values. What the model says nothing about, since the image has no data there, is not
    counted.

    Returns:
        ``SCORE``: mean intersection over union of segmentation, macro F1 of the classification of patches, or
        the coefficient of determination. ``REPORT`` and ``TABLE`` (see `judgement.judgement_table`) if asked for.

    Raises:
        InvalidJob: contradictions in the job.
        LabelError, NoSamples: the model knows other classes, or there is nothing to judge by.
        EngineError: others, of the fitting class, with one line; then no output has changed.
    """
    _check(job)
    with open_model(job.model, tags=tag_set(job.tags), signature=job.signature) as model:
        subject = subject_of(model, job)
        if job.dataset:
            judgement, examples = judge_patches(job, subject, reporter)
        else:
            judgement, examples = judge_map(job, subject, reporter), []
        if not judgement.count:
            raise NoSamples(
                f'{_reference(job)}: at none of its {judgement.lost} labels the model says anything. Check the no-data '
                'of the image.'
            )
        reporter.stage(0.0, 1.0)
        record = _record(job, subject, judgement)
    _report(record, judgement, reporter)
    contents: dict[str, str | bytes] = {}
    if job.report:
        contents[job.report] = evaluation_report(record, examples)
    if job.table:
        contents[job.table] = judgement_table(record['result'], subject.classes)
    write_together(contents)
    return {'SCORE': judgement.score, **{name: path for name, path in job.outputs().items() if path}}


def _check(job: EvaluateJob) -> None:
    """Raise for what can be seen without opening anything."""
    given = [
        name
        for name, value in (('REFERENCE', job.reference), ('LABEL_POLYGONS', job.polygons), ('POINTS', job.points))
        if value
    ]
    if job.dataset and (job.sources or given or job.mask_layer):
        raise InvalidJob('A model is judged by a DATASET, or by a reference on rasters; give one of the two.')
    if not job.dataset and not (job.sources and len(given) == 1):
        what = ' and '.join(given) or ('no reference' if job.sources else 'nothing')
        raise InvalidJob(
            f'{what[0].upper()}{what[1:]} given: a model is judged by a DATASET, or by rasters (INPUT) and one of '
            'REFERENCE, LABEL_POLYGONS and POINTS.'
        )
    if job.points and not job.label_field:
        raise InvalidJob('LABEL_FIELD: say which field of the POINTS has the class, or the value.')
    for name, value, known in (('SPLIT', job.split, EVALUATED_SPLITS), ('RUNTIME', job.runtime, RUNTIMES)):
        if value not in known:
            raise InvalidJob(f'{name} {value!r}: unknown; known are {", ".join(known)}.')
    if job.batch_size < 0:
        raise InvalidJob(f'BATCH_SIZE {job.batch_size}: cannot be negative; 0 leaves the choice to Quadrat.')
    places = [os.path.realpath(path) for path in job.outputs().values() if path]
    if len(set(places)) < len(places):
        raise InvalidJob('REPORT and TABLE are the same file; give two names.')
    for path in places:
        require_file_place(path)
        if path in map(os.path.realpath, job.inputs()):
            raise OutputRefused(f'{path}: this is an input, which is never written to; give another name.')


def _record(job: EvaluateJob, subject: Subject, judgement: Judgement) -> dict[str, Any]:
    """What was done and what came out, for the report."""
    split = f'the {job.split} split' if job.split != 'all' else 'all samples'
    return {
        'created': now(),
        'model': {'name': subject.model.card.name, 'path': job.model, 'output': subject.output, 'task': subject.task},
        'where': split if job.dataset else 'the reference',
        'reference': _reference(job),
        'mask': job.mask_layer.path if job.mask_layer else '',
        'images': [path for source in job.sources for path in source.rasters],
        'measure': judgement.measure,
        'classes': [dataclasses.asdict(item) for item in subject.classes],
        'count': judgement.count,
        'lost': judgement.lost,
        'improbable': judgement.improbable,
        'result': judgement.record(),
        'versions': versions(),
    }


def _reference(job: EvaluateJob) -> str:
    """What the model is judged by."""
    vector = job.polygons.vector if job.polygons else job.points
    field = job.polygons.field if job.polygons else job.label_field
    if vector is not None:
        return f'{vector.path}, field {field}' if field else vector.path
    return job.reference.path if job.reference else job.dataset


def _report(record: dict[str, Any], judgement: Judgement, reporter: Reporter) -> None:
    """Tell what came out."""
    if judgement.lost:
        reporter.log(
            f'{judgement.lost} of {judgement.lost + judgement.count} labels do not count: the model says nothing '
            'there, mostly since the image has no data.'
        )
    if judgement.improbable:
        reporter.warn(
            'The model gives values beyond 0 and 1, which are no probabilities, so nothing is said of its calibration.'
        )
    result = record['result']
    supported = [row for row in result.get('confusion', ()) if sum(row)]
    if len(supported) == 1:
        reporter.warn(
            'The reference holds one class only, so nothing is seen of false alarms. Give a reference that has the '
            'others; with polygons that show all there is, give OUTSIDE.'
        )
    scores = [(WORDS[key], value) for key, value in result.items() if key in WORDS and value is not None]
    reporter.log(
        f'{record["model"]["name"]} on {record["where"]}, {judgement.count} labels: '
        + ', '.join(f'{name} {value:.4f}' for name, value in scores)
    )
    for number, item in enumerate(record['classes']):
        f1, iou = (result[key][number] for key in ('f1', 'iou'))
        if f1 is not None:
            reporter.log(f'  {item["value"]} ({item["name"]}): F1 {f1:.4f}, IoU {iou:.4f}')
