"""The report of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from . import html
from .html import Line


@dataclasses.dataclass(frozen=True)
class Example:
    """One sample as PNG files of the same size: the image, its labels, and what the model says."""

    image: bytes
    truth: bytes
    prediction: bytes


def training_report(record: dict[str, Any], examples: Sequence[Example] = ()) -> str:
    """The report as HTML.

    Args:
        record: what training.json holds.
        examples: samples to show.
    """
    best, job = record['best'], record['job']
    splits = ', '.join(f'{split["samples"]} {name}' for name, split in record['dataset']['splits'].items())
    subtitle = (
        f'{job["task"]} · {job["architecture"]} · {record["created"].replace("T", " ").rstrip("Z")} UTC · {splits}'
    )
    parts = [_headline(record), _curves(record)]
    for name, result in record['results'].items():
        parts.append(_result(name, result, record['classes']))
    if examples:
        parts.append(_examples(examples, record['classes']))
    parts += [_dataset(record), _settings(record, best)]
    return html.page(f'Training of {record["model"]["name"]}', subtitle, parts)


def _label(definition: dict[str, Any]) -> str:
    """What tables call a class."""
    value, name = str(definition['value']), definition['name']
    return name if name in ('', value) else f'{name} ({value})'


def _named(definition: dict[str, Any]) -> str:
    return html.class_name(_label(definition) or str(definition['value']), definition['colour'])


def _headline(record: dict[str, Any]) -> str:
    best = record['best']
    result = record['results'].get(best['split'])
    figures = [('epoch kept', f'{best["epoch"]} of {len(record["history"])}')]
    if result:
        figures += [
            (f'mean IoU, {best["split"]}', html.number(result['mean_iou'])),
            (f'overall accuracy, {best["split"]}', html.number(result['overall_accuracy'])),
        ]
    if 'test' in record['results']:
        figures.append(('mean IoU, test', html.number(record['results']['test']['mean_iou'])))
    figures.append(('training time', _duration(record['seconds'])))
    return html.tiles(figures)


def _curves(record: dict[str, Any]) -> str:
    history = record['history']
    names = [name for name in ('training', 'validation') if name in history[0]]

    def chart(title: str, key: str, top: float | None) -> str:
        lines = [Line(name, [epoch[name][key] for epoch in history]) for name in names]
        return html.line_chart(title, lines, record['best']['epoch'], top)

    return html.section(
        'Course of the training',
        html.row(chart('Loss', 'loss', None), chart('Mean IoU', 'mean_iou', 1.0)),
        html.note(
            'Over epochs; the dashed line marks the epoch whose weights are in the package. Training values are those '
            'of the augmented batches as the network met them, so they lag behind.'
        ),
    )


def _result(name: str, result: dict[str, Any], classes: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            _named(definition),
            *(html.number(result[key][i]) for key in ('precision', 'recall', 'f1', 'iou')),
            html.count(result['support'][i]),
        ]
        for i, definition in enumerate(classes)
    ]
    rows.append(['Mean', '', '', html.number(result['macro_f1']), html.number(result['mean_iou']), ''])
    summary = [
        ('overall accuracy', html.number(result['overall_accuracy'])),
        ('kappa', html.number(result['kappa'])),
        ('mean IoU', html.number(result['mean_iou'])),
        ('macro F1', html.number(result['macro_f1'])),
        ('loss', html.number(result['loss'])),
    ]
    return html.section(
        f'Accuracy on the {name} split',
        html.row(
            html.table(['Class', 'Precision', 'Recall', 'F1', 'IoU', 'Pixels'], rows),
            html.facts(summary),
        ),
        html.heading('Confusion matrix: rows are the reference, columns what the model says'),
        html.heat_table([_label(definition) for definition in classes], result['confusion']),
    )


def _examples(examples: Sequence[Example], classes: Sequence[dict[str, Any]]) -> str:
    return html.section(
        'Examples',
        html.gallery(
            ['Image', 'Labels', 'Model'], [(example.image, example.truth, example.prediction) for example in examples]
        ),
        html.legend([(_label(definition), definition['colour']) for definition in classes]),
    )


def _dataset(record: dict[str, Any]) -> str:
    data, splits = record['dataset'], record['dataset']['splits']
    rows = [
        [
            _named(definition),
            f'{weight:.3f}',
            *(_share(split['pixels'][i], sum(split['pixels'])) for split in splits.values()),
        ]
        for i, (definition, weight) in enumerate(zip(record['classes'], record['class_weights']))
    ]
    rows.append(['All pixels that count', '', *(html.count(sum(split['pixels'])) for split in splits.values())])
    rows.append(['Samples', '', *(html.count(split['samples']) for split in splits.values())])
    return html.section(
        'Data',
        html.table(['Class', 'Weight in the loss', *(f'{name} pixels' for name in splits)], rows),
        html.heading('Source'),
        html.facts(
            [
                ('Dataset', data['folder']),
                ('Images', ', '.join(data['rasters'])),
                ('Bands', ', '.join(data['bands'])),
                ('Patch size', ' × '.join(map(str, data['patch_size'])) + ' pixels'),
                ('Fingerprint', data['fingerprint']),
            ]
        ),
    )


def _settings(record: dict[str, Any], best: dict[str, Any]) -> str:
    job = record['job']
    options = {key.replace('_', ' '): value for key, value in job['options'].items()}
    settings = [
        ('Epochs', job['epochs']),
        ('Batch size', job['batch_size']),
        ('Learning rate', job['learning_rate']),
        ('Seed', job['seed']),
        *options.items(),
        ('Parameters of the network', html.count(record['model']['parameters'])),
        ('Epoch kept', f'the best mean IoU on the {best["split"]} split' if best['chosen'] else 'the last'),
    ]
    return html.section(
        'Settings',
        html.row(html.facts(settings), html.facts([*record['versions'].items(), ('device', record['device'])])),
    )


def _share(pixels: int, total: int) -> str:
    return f'{html.count(pixels)} <small>({pixels / total:.1%})</small>' if total else html.count(pixels)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'
