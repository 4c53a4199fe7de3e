"""The report of the training of a graph."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from ...jobs import ClassDef, TrainSavedModelJob
from ...records import versions
from ...reports import html
from ...reports.html import Line
from .data import Data
from .scoring import ClassTally, Tally

if TYPE_CHECKING:
    from .course import Course

_CURVES = {'class': (('Overall accuracy', 'overall_accuracy', 1.0), ('Kappa', 'kappa', 1.0)),
           'rmse': (('RMSE', 'rmse', None), ('MAE', 'mae', None))}  # fmt: skip
_NAMES = {
    'overall_accuracy': 'overall accuracy',
    'macro_f1': 'mean F-score',
    'rmse': 'RMSE',
    'mae': 'MAE',
    'r2': 'R²',
}


def graph_report(job: TrainSavedModelJob, data: Data, course: Course, facts: dict[str, Any]) -> str:
    """The report as HTML.

    Args:
        course: that was run.
        facts: ``device``, ``tags`` and ``seconds``.
    """
    name = os.path.basename(os.path.abspath(job.output))
    last = course.history[-1]
    figures = [(f'{key}, last epoch', f'{value:.4g}') for key, value in last['outputs'].items()]
    for title, outputs in reversed(last['validation'].items()):
        for output, numbers in outputs.items():
            key = next(iter(numbers))
            figures.append((f'{_NAMES.get(key, key)} of {output}, {title}', _number(numbers[key])))
    figures.append(('time', f'{facts["seconds"]:.0f} s'))
    subtitle = f'{data.training.count} samples · {job.epochs} epochs · {", ".join(job.target_nodes)}'
    parts = [html.tiles(figures), _curves(job, course)]
    for title, tallies in reversed(course.tallies.items()):
        for output, tally in tallies.items():
            parts.append(_agreement(title, output, tally, data.classes))
    parts.append(_settings(job, data, facts))
    return html.page(f'Training of {name}', subtitle, parts)


def _curves(job: TrainSavedModelJob, course: Course) -> str:
    """A chart for each output tensor and each score of each compared output."""
    charts = [
        html.line_chart(name, [Line('training', [_plain(epoch['outputs'][name]) for epoch in course.history])])
        for name in job.output_tensors
    ]
    for output in next(iter(course.tallies.values()), {}):
        for title, key, top in _CURVES[job.validation.mode]:
            lines = [Line(name, _scores(course, name, output, key)) for name in course.tallies]
            charts.append(html.line_chart(f'{title} of {output}', lines, top=top))
    if not charts:
        return html.section(
            'Course of the training', html.note('Nothing was reported: name OUTPUT_TENSORS or a VALIDATION_MODE.')
        )
    rows = [html.row(*charts[start : start + 2]) for start in range(0, len(charts), 2)]
    return html.section(
        'Course of the training', *rows, html.note('Over epochs. Output tensors are means over the batches as trained.')
    )


def _scores(course: Course, name: str, output: str, key: str) -> list[float | None]:
    """A score of each epoch; that of the last validation where there was none since."""
    values: list[float | None] = []
    for epoch in course.history:
        found = epoch['validation'].get(name, {}).get(output, {}).get(key)
        values.append(_plain(found) if found is not None else values[-1] if values else None)
    return values


def _agreement(title: str, output: str, tally: Tally, classes: tuple[ClassDef, ...]) -> str:
    numbers = [(_NAMES.get(key, key), _number(value)) for key, value in tally.summary().items()]
    if not isinstance(tally, ClassTally):
        return html.section(f'{output} and its reference, {title} samples', html.facts(numbers))
    known = {definition.value: definition for definition in classes}
    names = [known[label].name if label in known and known[label].name else str(label) for label in tally.labels]
    scores = tally.scores()
    rows = [
        [html.text(name), *(html.number(_plain(value)) for value in values), html.count(int(support))]
        for name, *values, support in zip(names, scores.precision, scores.recall, scores.f1, scores.support)
    ]
    return html.section(
        f'{output} and its reference, {title} samples',
        html.row(html.table(['Class', 'Precision', 'Recall', 'F-score', 'Reference'], rows), html.facts(numbers)),
        html.heading('Confusion matrix: rows are the reference, columns what the model says'),
        html.heat_table(names, tally.matrix.tolist()),
    )


def _settings(job: TrainSavedModelJob, data: Data, facts: dict[str, Any]) -> str:
    validated = data.validation.count if data.validation else 0
    inputs = [job.dataset] if job.dataset else [path for source in job.sources for path in source.rasters]
    settings = [
        ('Model', job.model),
        ('Tags', facts['tags']),
        ('Run at each step', ', '.join(job.target_nodes)),
        ('Samples from', ', '.join(inputs)),
        ('Samples', f'{data.training.count} to train with, {validated} to validate on'),
        ('Batch size', job.batch_size),
        ('Epochs', job.epochs),
        ('Constants', job.user_placeholders or 'none'),
        ('Seed', job.seed),
        ('Started from', job.restore_from or 'the variables of the model'),
    ]
    return html.section(
        'Settings', html.row(html.facts(settings), html.facts([*versions().items(), ('device', facts['device'])]))
    )


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _number(value: float) -> str:
    return html.number(_plain(value), 4)
