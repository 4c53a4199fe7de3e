"""The description of a model as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import html
from .accuracy import WORDS


def model_report(description: dict[str, Any]) -> str:
    """The page as HTML; `description` is that of `model_package.describe.describe`."""
    first = description['inputs'][0]
    made = f'made {description["created"]}' if description['created'] else ''
    subtitle = ' · '.join(filter(None, (description['task'], description['architecture'], made))) or 'a model'
    width = first['receptive_field_width']
    tiles = [
        ('parameters', html.count(description['parameters'])),
        ('receptive field', f'{width} px' if width else 'unknown'),
        ('stride', f'{first["stride"]} px'),
        ('bands', str(len(first['bands']) or 'any')),
        ('classes', str(len(description['outputs'][0]['classes']) or '–')),
        ('memory', f'{description["memory"]:.0f} MiB' if description['memory'] is not None else 'unknown'),
    ]
    parts = [html.tiles(tiles)]
    parts += [_input(item) for item in description['inputs']]
    parts += [_output(item) for item in description['outputs']]
    if description['placeholders']:
        parts.append(_placeholders(description['placeholders']))
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
        ('Shape', _shape(item['shape'])),
        ('Receptive field', f'{reach} (pixels beyond a window aligned to the stride)' if field else reach),
        ('Stride', f'{item["stride"]} pixels'),
        ('Scale', f'{item["scale"]} pixels of the output for one of the input'),
    ]
    if any(item['patch_size']):
        facts.append(('Patches trained with', ' × '.join(map(str, item['patch_size'])) + ' pixels'))
    if any(item['pixel_size']):
        facts.append(('Pixel size', ' × '.join(f'{size:g}' for size in item['pixel_size']) + ' map units'))
        facts.append(('No-data policy', item['nodata_policy']))
    columns = ('nodata', 'mean', 'stddev', 'minimum', 'maximum')
    rows = [
        [html.text(name), *(_cell(item[column][i] if i < len(item[column]) else '') for column in columns)]
        for i, name in enumerate(item['bands'])
    ]
    header = ['Band', 'No-data', 'Mean', 'Std. dev.', 'Minimum', 'Maximum']
    return html.section(f'Input {item["name"]}', html.facts(facts), html.heading('Bands'), html.table(header, rows))


def _output(item: dict[str, Any]) -> str:
    facts = [
        ('Bands', str(item['bands'] or 'unknown')),
        ('Data type', item['dtype'] or 'unknown'),
        ('Shape', _shape(item['shape'])),
    ]
    if any(item['lost']):
        facts.append(('Smaller than its input', f'by {item["lost"][0]} columns and {item["lost"][1]} rows'))
    rows = [
        [
            html.class_name(definition['name'] or str(definition['value']), definition['colour']),
            str(definition['value']),
        ]
        for definition in item['classes']
    ]
    parts = [html.facts(facts)] + ([html.table(['Class', 'Value'], rows)] if rows else [])
    return html.section(f'Output {item["name"]}', *parts)


def _placeholders(items: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            html.text(item['name']),
            html.text(item['dtype']),
            html.text(_shape(item['shape'])),
            html.text('to be given' if item['default'] is None else item['default']),
        ]
        for item in items
    ]
    return html.section('Placeholders', html.table(['Name', 'Data type', 'Shape', 'Default'], rows))


def _results(results: dict[str, Any]) -> str:
    first = next(iter(results.values()))
    keys = [key for key in WORDS if key in first]
    rows = [[html.text(split), *(html.number(result[key]) for key in keys)] for split, result in results.items()]
    names = [WORDS[key][0].upper() + WORDS[key][1:] for key in keys]
    return html.section('Accuracy when it was trained', html.table(['Split', *names], rows))


def _about(description: dict[str, Any]) -> str:
    dataset = description['training'].get('dataset', {})
    facts: list[tuple[str, object]] = [
        ('Model', description['model']),
        ('Description', description['description']),
        ('TensorFlow', description['framework_version']),
        ('Tag sets', '; '.join(','.join(tags) or 'none' for tags in description['tag_sets'])),
        ('Signatures', ', '.join(description['signatures'])),
        ('Memory', _memory(description)),
        ('Trained on', dataset.get('folder')),
        ("The dataset's fingerprint", dataset.get('fingerprint')),
        *((key.replace('_', ' '), value) for key, value in description['hyperparameters'].items()),
    ]
    return html.section('About', html.facts([(name, value) for name, value in facts if value]))


def _layers(layers: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            html.text(layer['name']),
            html.text(layer['type']),
            html.text(_shape(layer['shape'])),
            html.count(layer['parameters']),
        ]
        for layer in layers
    ]
    return html.section('Layers', html.table(['Layer', 'Type', 'Output', 'Parameters'], rows))


def _memory(description: dict[str, Any]) -> str:
    if description['memory'] is None:
        return ''
    return f'about {description["memory"]:.0f} MiB for a window of {" × ".join(map(str, description["window"]))} pixels'


def _shape(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return 'unknown'
    return ' × '.join('any' if size is None else str(size) for size in shape) or 'a single value'


def _cell(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else html.text(value)
