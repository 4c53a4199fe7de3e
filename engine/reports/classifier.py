"""The report of a classifier's training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import html

_MOST = 40  # features whose importance is shown


def classifier_report(
    name: str,
    card: dict[str, Any],
    split: str,
    result: dict[str, Any],
    classes: Sequence[dict[str, Any]],
    importances: Sequence[float] | None,
) -> str:
    """The report as HTML.

    Args:
        name: of the kind of classifier, for people.
        card: what is known of the classifier, as the file holds it.
        split: which samples it was judged by; empty: it was not.
        result: scores and ``confusion`` of these samples.
        classes: of the confusion matrix: value, name and colour.
        importances: of each feature; None where the classifier has none.
    """
    parts = [_headline(card, split, result)]
    if result:
        parts.append(_accuracy(split, result, classes))
    if importances is not None:
        parts.append(_importances(card['features'], importances))
    parts += [_samples(card), _settings(card)]
    subtitle = f'{name} · {len(card["features"])} features · {card["created"].replace("T", " ")}'
    return html.page('Training of a classifier', subtitle, parts)


def _named(item: dict[str, Any]) -> str:
    return html.class_name(_label(item), item['colour'] or '#ffffff')


def _label(item: dict[str, Any]) -> str:
    """What tables call a class."""
    value = str(item['value'])
    return value if item['name'] in ('', value) else f'{item["name"]} ({value})'


def _headline(card: dict[str, Any], split: str, result: dict[str, Any]) -> str:
    figures = [('training samples', html.count(sum(card['samples'])))]
    if result:
        figures = [
            (f'overall accuracy, {split}', html.number(result['overall_accuracy'])),
            (f'kappa, {split}', html.number(result['kappa'])),
            (f'mean IoU, {split}', html.number(result['mean_iou'])),
            *figures,
        ]
    return html.tiles(figures)


def _accuracy(split: str, result: dict[str, Any], classes: Sequence[dict[str, Any]]) -> str:
    scores = ('precision', 'recall', 'f1', 'iou')
    rows = [
        [_named(item), *(html.number(result[key][i]) for key in scores), html.count(result['support'][i])]
        for i, item in enumerate(classes)
    ]
    rows.append(['Mean', '', '', html.number(result['macro_f1']), html.number(result['mean_iou']), ''])
    remark = (
        'These are the samples that the classifier was trained with: the figures say how well it remembers, not how '
        'well it maps.'
        if split == 'training'
        else 'Pixels of one polygon are alike. Where validation pixels lie in the same polygons as those of the '
        'training, or beside them, a map is less accurate than this.'
    )
    return html.section(
        f'Accuracy on the {split} samples',
        html.table(['Class', 'Precision', 'Recall', 'F1', 'IoU', 'Samples'], rows),
        html.heading('Confusion matrix: rows are the reference, columns what the classifier says'),
        html.heat_table([_label(item) for item in classes], result['confusion']),
        html.note(remark),
    )


def _importances(features: Sequence[str], importances: Sequence[float]) -> str:
    order = sorted(range(len(features)), key=lambda i: -importances[i])
    rows = [[html.text(features[i]), html.number(importances[i])] for i in order[:_MOST]]
    left_out = len(order) - len(rows)
    return html.section(
        'Importance of the features',
        html.table(['Feature', 'Share'], rows),
        html.note(
            'The share of a feature in what the splits of the trees gain (mean decrease in impurity).'
            + (f' {left_out} less important features are not shown.' if left_out else '')
        ),
    )


def _samples(card: dict[str, Any]) -> str:
    rows = [[_named(item), html.count(count)] for item, count in zip(card['classes'], card['samples'])]
    return html.section('Training samples', html.table(['Class', 'Samples'], rows))


def _settings(card: dict[str, Any]) -> str:
    origin = [('Model', card['model']), ('Outputs', ', '.join(card['outputs']))] if card['outputs'] else []
    return html.section(
        'Settings',
        html.row(
            html.facts([('Classifier', card['kind']), ('Seed', card['seed']), *card['options'].items()]),
            html.facts([*origin, *card['versions'].items()]),
        ),
    )
