"""How good predictions are, as a section of a report: of classes, or of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import html
from .square import Square, shade

WORDS = {
    'overall_accuracy': 'overall accuracy',
    'kappa': 'kappa',
    'mean_iou': 'mean IoU',
    'macro_f1': 'macro F1',
    'rmse': 'RMSE',
    'mae': 'MAE',
    'bias': 'bias',
    'r2': 'R²',
    'correlation': 'correlation',
    'loss': 'loss',
}


def result_section(title: str, result: dict[str, Any], classes: Sequence[dict[str, Any]]) -> str:
    """All that is known of predictions.

    Args:
        result: what `training.outcome.Outcome.record` gives.
        classes: value, name and colour of each; none for values.
    """
    return _of_classes(title, result, classes) if classes else _of_values(title, result)


def label(definition: dict[str, Any]) -> str:
    """What tables call a class."""
    value, name = str(definition['value']), definition['name']
    return name if name in ('', value) else f'{name} ({value})'


def named(definition: dict[str, Any]) -> str:
    """The same with a sample of its colour, as HTML."""
    return html.class_name(label(definition) or str(definition['value']), definition['colour'])


def _of_classes(title: str, result: dict[str, Any], classes: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            named(definition),
            *(html.number(result[key][i]) for key in ('precision', 'recall', 'f1', 'iou')),
            html.count(result['support'][i]),
        ]
        for i, definition in enumerate(classes)
    ]
    rows.append(['Mean', '', '', html.number(result['macro_f1']), html.number(result['mean_iou']), ''])
    keys = ('overall_accuracy', 'kappa', 'mean_iou', 'macro_f1', 'loss')
    summary = [(WORDS[key], html.number(result[key])) for key in keys if key in result]
    parts = [
        html.row(
            html.table(['Class', 'Precision', 'Recall', 'F1', 'IoU', 'Labels'], rows),
            html.facts(summary),
        ),
        html.heading('Confusion matrix: rows are the reference, columns what the model says'),
        html.heat_table([label(definition) for definition in classes], result['confusion']),
    ]
    if 'calibration' in result:
        parts.append(_calibration(result['calibration']))
    return html.section(title, *parts)


def _calibration(calibration: dict[str, Any]) -> str:
    words = (
        'Where the model says that it is right with some probability, how often is it? On the dashed line, as often as '
        'it says; below it, the model is too sure. The grey columns show how many of the predictions there are.'
    )
    facts = [('expected calibration error', html.number(calibration['error']))]
    return html.heading('Calibration') + html.row(_reliability(calibration), html.facts(facts) + html.note(words))


def _reliability(calibration: dict[str, Any]) -> str:
    """A reliability diagram as SVG."""
    counts, bins = calibration['count'], len(calibration['count'])
    most = max(counts) or 1
    square = Square('Right', 'Confidence', 0.0, 1.0)
    columns = [
        square.rectangle(i / bins, 0, (i + 1) / bins, 0.3 * count / most, '#dfe5ea') for i, count in enumerate(counts)
    ]
    points = [
        (confidence, accuracy)
        for confidence, accuracy in zip(calibration['confidence'], calibration['accuracy'])
        if confidence is not None
    ]
    dots = [square.dot(x, y) for x, y in points]
    return square.svg([*columns, square.diagonal(), square.path(points), *dots])


def _of_values(title: str, result: dict[str, Any]) -> str:
    keys = ('rmse', 'mae', 'bias', 'r2', 'correlation', 'loss')
    facts = [(WORDS[key], html.number(result[key])) for key in keys if key in result]
    facts.append(('values', html.count(result['count'])))
    if 'pairs' not in result:
        return html.section(title, html.facts(facts))
    return html.section(
        title,
        html.row(_scatter(result['pairs']), html.facts(facts)),
        html.note(
            'The darker a cell, the more values it holds, in steps of their logarithm; on the dashed line the model is '
            'right. RMSE, MAE and bias are in the unit of the values.'
        ),
    )


def _scatter(pairs: dict[str, Any]) -> str:
    """A scatter plot of reference and prediction as SVG."""
    counts, low, high = pairs['counts'], pairs['low'], pairs['high']
    square = Square('Model', 'Reference', low, high)
    step = (high - low) / len(counts)
    most = max(max(row) for row in counts) or 1
    cells = [
        square.rectangle(
            low + i * step,
            low + j * step,
            low + (i + 1) * step,
            low + (j + 1) * step,
            shade((count + 1).bit_length() / (most + 1).bit_length()),
        )
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if count
    ]
    return square.svg([*cells, square.diagonal()])
