"""The report of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from . import accuracy, html
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
        parts.append(accuracy.result_section(f'Accuracy on the {name} split', result, record['classes']))
    if examples:
        parts.append(_examples(examples, record))
    parts.append(_dataset(record))
    if record['warm_start']:
        parts.append(_warm_start(record['warm_start'], job['warm_start']))
    parts.append(_settings(record, best))
    return html.page(f'Training of {record["model"]["name"]}', subtitle, parts)


def _headline(record: dict[str, Any]) -> str:
    best = record['best']
    measures = dict.fromkeys((best['measure'], 'overall_accuracy' if record['classes'] else 'rmse'))
    result = record['results'].get(best['split'])
    figures = [('epoch kept', f'{best["epoch"]} of {len(record["history"])}')]
    if result:
        figures += [(f'{accuracy.WORDS[name]}, {best["split"]}', html.number(result[name])) for name in measures]
    if 'test' in record['results']:
        name = best['measure']
        figures.append((f'{accuracy.WORDS[name]}, test', html.number(record['results']['test'][name])))
    figures.append(('training time', _duration(record['seconds'])))
    return html.tiles(figures)


def _curves(record: dict[str, Any]) -> str:
    history, measure = record['history'], record['best']['measure']
    names = [name for name in ('training', 'validation') if name in history[0]]

    def chart(title: str, key: str, top: float | None) -> str:
        lines = [Line(name, [_finite(epoch[name][key]) for epoch in history]) for name in names]
        return html.line_chart(title, lines, record['best']['epoch'], top)

    title = accuracy.WORDS[measure]
    return html.section(
        'Course of the training',
        html.row(chart('Loss', 'loss', None), chart(title[0].upper() + title[1:], measure, 1.0)),
        html.note(
            'Over epochs; the dashed line marks the epoch whose weights are in the package. Training values are those '
            'of the augmented batches as the network met them, so they lag behind.'
        ),
    )


def _finite(value: float | None) -> float | None:
    """A value that can be drawn; below the axis there is nothing."""
    return None if value is None or value != value else max(value, 0.0)


def _examples(examples: Sequence[Example], record: dict[str, Any]) -> str:
    pictures = [(example.image, example.truth, example.prediction) for example in examples]
    parts = [html.gallery(['Image', 'Labels', 'Model'], pictures)]
    if record['classes']:
        parts.append(html.legend([(accuracy.label(item), item['colour']) for item in record['classes']]))
    else:
        spread = record['dataset']['splits']['train']['values']
        ends = f'{spread["minimum"]:.6g} (dark) to {spread["maximum"]:.6g} (bright)'
        parts.append(html.note(f'Values from {ends}; white is not counted.'))
    return html.section('Examples', *parts)


def _dataset(record: dict[str, Any]) -> str:
    data = record['dataset']
    parts = [_classes(record) if record['classes'] else _values(data['splits'])]
    facts = [('Dataset', data['folder'])] if data['folder'] else []
    for source in data['sources']:
        facts += [
            (f'Images of {source["name"]}', ', '.join(source['rasters'])),
            ('Bands', ', '.join(source['bands'])),
            ('Patch size', ' × '.join(map(str, source['patch_size'])) + ' pixels'),
        ]
    if data['validation']:
        facts.append(('Validated with', ', '.join(data['validation'])))
    facts.append(('Fingerprint', data['fingerprint']))
    return html.section('Data', *parts, html.heading('Sources'), html.facts(facts))


def _classes(record: dict[str, Any]) -> str:
    splits = record['dataset']['splits']
    rows = [
        [
            accuracy.named(definition),
            f'{weight:.3f}',
            *(_share(split['pixels'][i], sum(split['pixels'])) for split in splits.values()),
        ]
        for i, (definition, weight) in enumerate(zip(record['classes'], record['class_weights']))
    ]
    rows.append(['All labels that count', '', *(html.count(sum(split['pixels'])) for split in splits.values())])
    rows.append(['Samples', '', *(html.count(split['samples']) for split in splits.values())])
    return html.table(['Class', 'Weight in the loss', *(f'{name} labels' for name in splits)], rows)


def _values(splits: Mapping[str, Any]) -> str:
    keys = ('minimum', 'maximum', 'mean', 'stddev')
    rows = [
        [
            html.text(name),
            html.count(split['samples']),
            html.count(split['pixels'][0]),
            *(f'{split["values"][key]:.6g}' for key in keys),
        ]
        for name, split in splits.items()
    ]
    return html.table(['Split', 'Samples', 'Values', 'Minimum', 'Maximum', 'Mean', 'Std. dev.'], rows)


def _warm_start(transfer: Mapping[str, Sequence[str]], path: str) -> str:
    facts = [('Model', path), *((key, ', '.join(names)) for key, names in transfer.items() if names)]
    return html.section('First weights', html.facts(facts))


def _settings(record: dict[str, Any], best: dict[str, Any]) -> str:
    job = record['job']
    options = {
        key.replace('_', ' '): value for key, value in job['options'].items() if value not in (None, '', [], (), {})
    }
    measure = accuracy.WORDS[best['measure']]
    settings = [
        ('Epochs', job['epochs']),
        ('Batch size', job['batch_size']),
        ('Learning rate', job['learning_rate']),
        ('Loss', job['loss']),
        ('Seed', job['seed']),
        *options.items(),
        ('Parameters of the network', html.count(record['model']['parameters'])),
        ('Epoch kept', f'the best {measure} on the {best["split"]} split' if best['chosen'] else 'the last'),
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
