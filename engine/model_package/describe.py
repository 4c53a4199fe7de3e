"""Saying what a model package is."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from ..errors import ModelError
from ..events import Reporter
from ..folder import write_whole
from ..jobs import DescribeJob
from ..reports.html import require_report_place
from ..reports.model import model_report
from .card import ModelCard, ReceptiveField
from .package import Package, open_package


def describe_model(job: DescribeJob, reporter: Reporter) -> dict[str, Any]:
    """Describe a model package in the log and, if asked for, in a report and as JSON.

    Returns:
        ``RECEPTIVE_FIELD``: of the first input, its full width in pixels; 0 where it is unbounded or unknown.
        ``STRIDE``: the total stride of the first input. ``REPORT`` and ``JSON`` if asked for.

    Raises:
        InputMissing, ModelError: there is no package, or a damaged one.
    """
    for path in (job.report, job.json):
        if path:
            require_report_place(path)
    with open_package(job.model) as package:
        reporter.progress(0.1, 'Reading the model')
        description = describe(package)
    first = description['inputs'][0]
    for line in _summary(description):
        reporter.log(line)
    if first['receptive_field'] is None:
        reporter.warn(f'{job.model}: the receptive field is unbounded, or cannot be told from the graph.')
    if job.report:
        write_whole(job.report, model_report(description))
    if job.json:
        write_whole(job.json, json.dumps(description, indent=1, ensure_ascii=False) + '\n')
    values = {'RECEPTIVE_FIELD': first['receptive_field_width'], 'STRIDE': first['stride']}
    return {**values, **{key: path for key, path in (('REPORT', job.report), ('JSON', job.json)) if path}}


def describe(package: Package) -> dict[str, Any]:
    """All that is known of an open package, as plain values.

    Returns:
        The fields of its card; for each input also ``receptive_field`` (left, top, right, bottom, or None) and
        ``receptive_field_width``; ``layers`` (name, type, output shape, parameters) where the package holds the Keras
        model; ``training``: what training.json holds.
    """
    card, layers = package.card, []
    if not card.inputs or not card.outputs:
        raise ModelError(f'{package.path}: the package names no inputs or no outputs of its model.')
    if os.path.isfile(package.keras):
        model = _load_keras(package)
        layers = [_layer(layer) for layer in model.layers]
        card = _with_field(card, model)
    description = dataclasses.asdict(card)
    for item, source in zip(description['inputs'], card.inputs):
        item['receptive_field'] = item.pop('field')
        item['receptive_field_width'] = source.field.width if source.field else 0
    return {'model': package.path, **description, 'layers': layers, 'training': package.training}


def _load_keras(package: Package) -> Any:
    """The Keras model; nothing in its file is executed."""
    import keras

    try:
        return keras.models.load_model(package.keras, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f'{package.path}: model/model.keras cannot be loaded ({error}).') from error


def _with_field(card: ModelCard, model: Any) -> ModelCard:
    """The card with the receptive field from the graph, where it has none."""
    from ..networks.field import receptive_field

    if len(card.inputs) != 1 or card.inputs[0].field is not None:
        return card
    reach = receptive_field(model)
    if reach.sides is None:
        return card
    known = dataclasses.replace(card.inputs[0], field=ReceptiveField(*reach.sides), stride=reach.stride)
    return dataclasses.replace(card, inputs=(known,))


def _layer(layer: Any) -> dict[str, Any]:
    shape = [None if size is None else int(size) for size in layer.output.shape]
    return {'name': layer.name, 'type': type(layer).__name__, 'shape': shape, 'parameters': layer.count_params()}


def _summary(description: dict[str, Any]) -> list[str]:
    """The lines for the log."""
    lines = [
        f'{description["name"]}: {description["architecture"]} for {description["task"]}, '
        f'{description["parameters"]} parameters, TensorFlow {description["framework_version"]}, '
        f'made {description["created"]}'
    ]
    for item in description['inputs']:
        field = item['receptive_field']
        sides = ', '.join(f'{size} {side}' for side, size in field.items()) if field else ''
        reach = f'{item["receptive_field_width"]} pixels ({sides})' if field else 'unknown'
        lines.append(
            f'Input {item["name"]}: {len(item["bands"])} bands ({", ".join(item["bands"])}), {item["dtype"]}; '
            f'receptive field {reach}, stride {item["stride"]}'
        )
    for item in description['outputs']:
        classes = ', '.join(_class_text(definition) for definition in item['classes'])
        lines.append(f'Output {item["name"]}: {item["bands"]} bands; classes {classes}')
    for split, result in description['training'].get('results', {}).items():
        accuracy = f'overall accuracy {result["overall_accuracy"]:.4f}, mean IoU {result["mean_iou"]:.4f}'
        lines.append(f'On its {split} split: {accuracy}')
    return lines


def _class_text(definition: dict[str, Any]) -> str:
    value, name = str(definition['value']), definition['name']
    return value if name in ('', value) else f'{value} {name}'
