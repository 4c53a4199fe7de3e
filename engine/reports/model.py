"""The description of a model package as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import html


def model_report(description: dict[str, Any]) -> str:
    """The page as HTML; `description` is that of `model_package.describe.describe`."""
    first = description['inputs'][0]
    subtitle = f'{description["task"]} · {description["architecture"]} · made {description["created"]}'
    width = first['receptive_field_width']
    tiles = [
        ('parameters', html.count(description['parameters'])),
        ('receptive field', f'{width} px' if width else 'unknown'),
        ('stride', f'{first["stride"]} px'),
        ('bands', str(len(first['bands']))),
        ('classes', str(len(description['outputs'][0]['classes']))),
    ]
    parts = [html.tiles(tiles)]
    parts += [_input(item) for item in description['inputs']]
    parts += [_output(item) for item in description['outputs']]
    results = description['training'].get('results', {})
    if results:
        parts.append(_results(results))
    parts.append(_about(description))
    if description['layers']:
        parts.append(_layers(description['layers']))
    return html.page(description['name'], subtitle, parts)


def _input(item: dict[str, Any]) -> str:
    field = item['receptive_field']
    reach = ', '.join(f'{size} {side}' for side, size in field.items()) if field else 'unbounded or unknown'
    facts = [
        ('Data type', item['dtype']),
        ('Receptive field', f'{reach} (pixels beyond a window aligned to the stride)' if field else reach),
        ('Stride', f'{item["stride"]} pixels'),
        ('Patches trained with', ' × '.join(map(str, item['patch_size'])) + ' pixels'),
        ('Pixel size', ' × '.join(f'{size:g}' for size in item['pixel_size']) + ' map units'),
        ('No-data policy', item['nodata_policy']),
    ]
    columns = ('nodata', 'mean', 'stddev', 'minimum', 'maximum')
    rows = [
        [html.text(name), *(_cell(item[column][i] if i < len(item[column]) else '') for column in columns)]
        for i, name in enumerate(item['bands'])
    ]
    header = ['Band', 'No-data', 'Mean', 'Std. dev.', 'Minimum', 'Maximum']
    return html.section(f'Input {item["name"]}', html.facts(facts), html.heading('Bands'), html.table(header, rows))


def _output(item: dict[str, Any]) -> str:
    rows = [
        [
            html.class_name(definition['name'] or str(definition['value']), definition['colour']),
            str(definition['value']),
        ]
        for definition in item['classes']
    ]
    return html.section(f'Output {item["name"]}', html.table(['Class', 'Value'], rows))


def _results(results: dict[str, Any]) -> str:
    keys = ('overall_accuracy', 'kappa', 'mean_iou', 'macro_f1')
    rows = [[html.text(split), *(html.number(result[key]) for key in keys)] for split, result in results.items()]
    return html.section(
        'Accuracy when it was trained',
        html.table(['Split', 'Overall accuracy', 'Kappa', 'Mean IoU', 'Macro F1'], rows),
    )


def _about(description: dict[str, Any]) -> str:
    facts: list[tuple[str, object]] = [
        ('Package', description['model']),
        ('Description', description['description']),
        ('TensorFlow', description['framework_version']),
        *((key.replace('_', ' '), value) for key, value in description['hyperparameters'].items()),
    ]
    return html.section('About', html.facts(facts))


def _layers(layers: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            html.text(layer['name']),
            html.text(layer['type']),
            html.text(' × '.join('?' if size is None else str(size) for size in layer['shape'])),
            html.count(layer['parameters']),
        ]
        for layer in layers
    ]
    return html.section('Layers', html.table(['Layer', 'Type', 'Output', 'Parameters'], rows))


def _cell(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else html.text(value)
