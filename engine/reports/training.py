"""The report of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from . import accuracy, html
from .html import Line

_SHARES = ('overall_accuracy', 'mean_iou', 'macro_f1', 'r2')  # 1 at best


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
    parts = [_headline(record), _course(record)]
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
    figures = [('epoch kept', f'{best["epoch"]} of {max(row["epoch"] for row in record["history"])}')]
    if result:
        figures += [(f'{accuracy.WORDS[name]}, {best["split"]}', html.number(result[name])) for name in measures]
    if 'test' in record['results']:
        name = best['measure']
        figures.append((f'{accuracy.WORDS[name]}, test', html.number(record['results']['test'][name])))
    figures.append(('training time', _duration(record['seconds'])))
    return html.tiles(figures)


def _course(record: dict[str, Any]) -> str:
    """How it went: curves, and what happened when."""
    history, best = record['history'], record['best']
    places = _places(history)
    steps = [row.get('step') for row in history]
    kept = places[steps.index(best['step'])] if best.get('step', -1) in steps else best['epoch']

    def chart(key: str) -> str:
        lines = []
        for part in ('training', 'validation'):
            there = [(row[part][key], place) for row, place in zip(history, places) if part in row]
            if there:
                lines.append(Line(part, [_finite(value) for value, _ in there], [place for _, place in there]))
        title = accuracy.WORDS[key]
        return html.line_chart(title[0].upper() + title[1:], lines, kept, 1.0 if key in _SHARES else None)

    score = best['measure'] if best['measure'] != 'loss' else 'mean_iou' if record['classes'] else 'r2'
    return html.section(
        'Course of the training',
        html.row(chart('loss'), chart(score)),
        html.note(
            'Over epochs; the dashed line marks the epoch whose weights are in the package. Training values are those '
            'of the augmented batches as the network met them, so they lag behind.'
        ),
        *([html.facts(_events(record))] if 'monitor' in record else []),
    )


def _places(history: Sequence[Mapping[str, Any]]) -> list[float]:
    """The epoch of each row, with a fraction within an epoch."""
    steps = next((row['step'] / row['epoch'] for row in history if 'training' in row and 'step' in row), None)
    return [row['step'] / steps if steps else row['epoch'] for row in history]


def _events(record: dict[str, Any]) -> list[tuple[str, str]]:
    monitor, cadences = record['monitor'], record['cadences']
    resumed = [f'epoch {place["epoch"]} (step {place["step"]})' for place in record['resumed']]
    return [
        ('Judged by', f'{accuracy.WORDS[monitor["name"]]}, {"high" if monitor["rising"] else "low"} is good'),
        ('Ended because', record['stopped']['text']),
        ('Resumed after', ', '.join(resumed) or 'no interruption'),
        ('Validated', f'{_often(cadences["validation"])} and in the end'),
        ('State kept', f'{_often(cadences["checkpoint"])} and in the end'),
        ('Shown in TensorBoard', _often(cadences['summary'])),
    ]


def _often(cadence: Mapping[str, float]) -> str:
    """How often something happens, in words."""
    words = {'epochs': 'epoch', 'steps': 'step', 'secs': 'second'}
    found = [
        f'each {word}' if cadence[key] == 1 else f'every {cadence[key]:g} {word}s'
        for key, word in words.items()
        if cadence[key]
    ]
    return ', '.join(found) or 'not while it goes on'


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
