"""The report of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import accuracy, html
from .training import Example


def evaluation_report(record: dict[str, Any], examples: Sequence[Example] = ()) -> str:
    """The report as HTML: the accuracies of a training report, for one model on one reference.

    Args:
        record: ``model`` (name, path, output, task), ``where`` and ``reference`` (what it was judged by), ``images``,
            ``measure``, ``classes``, ``count`` and ``lost`` (labels that count and that do not), ``improbable``,
            ``result`` (scores), ``created``, ``versions``.
        examples: samples to show.
    """
    model = record['model']
    subtitle = f'{model["task"]} · {record["created"].replace("T", " ").rstrip("Z")} UTC · {record["where"]}'
    parts = [
        _headline(record),
        accuracy.result_section(f'Accuracy on {record["where"]}', record['result'], record['classes']),
    ]
    if examples:
        parts.append(_examples(examples, record['classes']))
    parts.append(_compared(record))
    return html.page(f'Evaluation of {model["name"]}', subtitle, parts)


def _headline(record: dict[str, Any]) -> str:
    names = dict.fromkeys((record['measure'], *(('overall_accuracy', 'kappa') if record['classes'] else ('rmse',))))
    figures = [(accuracy.WORDS[name], html.number(record['result'][name])) for name in names]
    return html.tiles([*figures, ('labels compared', html.count(record['count']))])


def _examples(examples: Sequence[Example], classes: Sequence[dict[str, Any]]) -> str:
    pictures = [(example.image, example.truth, example.prediction) for example in examples]
    legend = html.legend([(accuracy.label(item), item['colour']) for item in classes])
    note = html.note('Values from dark (low) to bright (high); white is not counted.')
    return html.section('Examples', html.gallery(['Image', 'Labels', 'Model'], pictures), legend if classes else note)


def _compared(record: dict[str, Any]) -> str:
    """What was compared with what."""
    model = record['model']
    facts = [
        ('Model', model['path']),
        ('Output', model['output']),
        ('Judged by', record['reference']),
        ('Labels that count', html.count(record['count'])),
        ('Labels where the model says nothing', html.count(record['lost'])),
    ]
    if record['mask']:
        facts.insert(3, ('Within', record['mask']))
    if record['images']:
        facts.insert(3, ('Images', ', '.join(record['images'])))
    notes = [
        'Figures say how good the model is elsewhere only where it was not trained with these places, or with their '
        'neighbours.'
    ]
    if record['improbable']:
        notes.append(
            'The model gives values beyond 0 and 1, which are no probabilities, so nothing is said of its calibration.'
        )
    return html.section(
        'What was compared', html.row(html.facts(facts), html.facts(record['versions'].items())), *map(html.note, notes)
    )
