"""Saying what a model is."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import EngineError, ModelError
from ..events import Reporter
from ..folder import require_file_place, write_whole
from ..jobs import DescribeJob
from ..reports.model import model_report
from ..runtimes.base import Runtime
from ..runtimes.geometry import Geometry, InputGeometry, union
from .card import ModelCard, ReceptiveField
from .importers import Model, Placeholder, open_model, with_geometry

WINDOW = 512  # pixels on a side that memory is told for


def describe_model(job: DescribeJob, reporter: Reporter) -> dict[str, Any]:
    """Describe a model in the log and, if asked for, in a report and as JSON.

    Returns:
        ``RECEPTIVE_FIELD``: of the first input, its full width in pixels; 0 where it is unbounded or unknown.
        ``STRIDE``: the total stride of the first input. ``REPORT`` and ``JSON`` if asked for.

    Raises:
        InputMissing, ModelError: there is no model, or a damaged one.
    """
    for path in (job.report, job.json):
        if path:
            require_file_place(path)
    with open_model(job.model) as model:
        reporter.progress(0.1, 'Reading the model')
        description = describe(model, reporter)
    for line in _summary(description):
        reporter.log(line)
    if job.report:
        write_whole(job.report, model_report(description))
    if job.json:
        write_whole(job.json, json.dumps(description, indent=1, ensure_ascii=False) + '\n')
    first = description['inputs'][0]
    values = {'RECEPTIVE_FIELD': first['receptive_field_width'], 'STRIDE': first['stride']}
    return {**values, **{key: path for key, path in (('REPORT', job.report), ('JSON', job.json)) if path}}


def describe(model: Model, reporter: Reporter) -> dict[str, Any]:
    """All that is known of an open model, as plain values.

    Returns:
        The fields of its card; for each input also ``shape``, ``receptive_field`` (left, top, right, bottom, or None),
        ``receptive_field_width``, ``scale`` (output pixels for one of the input, as text), ``offset`` and ``lost``
        (columns, rows; see `runtimes.geometry`); for each output ``shape``, ``dtype``, and how it lies on the first
        input; ``patches``: whether outputs are one value for a window; ``window`` (columns, rows) of the first input,
        and ``memory``, the MiB that the model takes for it (None: not known); ``tag_sets``, ``signatures`` and
        ``placeholders`` of the SavedModel; ``layers`` (name, type, output shape, parameters) where there is a Keras
        model; ``training``: what training.json holds.
    """
    card = model.card
    if not card.inputs or not card.outputs:
        raise ModelError(f'{model.path}: the model has no inputs or no outputs that images could be.')
    keras = _load_keras(model)
    if model.package:
        card = _with_graph_field(card, keras)
    geometries = _geometries(model, card, reporter)
    geometry = _together(geometries, reporter)
    card = with_geometry(card, geometry)
    runtime = _runtime(model, reporter)
    if runtime is not None and not card.parameters:
        card = dataclasses.replace(card, parameters=runtime.graph.parameters)
    window, memory = _memory(card, geometry, runtime)
    description = dataclasses.asdict(card)
    for item, source in zip(description['inputs'], card.inputs):
        lies = geometry.inputs.get(source.name, InputGeometry())
        item['receptive_field'] = item.pop('field')
        item['receptive_field_width'] = dataclasses.replace(lies, field=source.field).width
        item['shape'] = _shape(runtime.inputs if runtime else {}, source.name)
        item.update(scale=str(lies.scale), offset=[float(side) for side in lies.offset], lost=list(lies.lost))
    for item in description['outputs']:
        item['shape'] = _shape(runtime.outputs if runtime else {}, item['name'])
        item['dtype'] = runtime.outputs[item['name']].dtype.name if runtime else ''
        lies = geometries[item['name']].inputs.get(card.inputs[0].name, InputGeometry())
        item.update(scale=str(lies.scale), offset=[float(side) for side in lies.offset], lost=list(lies.lost))
    return {
        'model': model.path,
        **description,
        'window': list(window),
        'memory': memory,
        'patches': geometry.patches,
        'tag_sets': [list(tags) for tags in model.tag_sets],
        'signatures': list(model.signatures),
        'placeholders': [_placeholder(item) for item in model.placeholders],
        'layers': [_layer(layer) for layer in keras.layers] if keras is not None else [],
        'training': model.training,
    }


def _load_keras(model: Model) -> Any:
    """The Keras model, None where there is none; nothing in its file is executed."""
    if not model.keras:
        return None
    from ..runtimes.kerasfile import load_keras

    return load_keras(model.keras)


def _with_graph_field(card: ModelCard, keras: Any) -> ModelCard:
    """The card with the receptive field from the graph of layers, where it has none and the graph tells it."""
    from ..networks.field import receptive_field

    if keras is None or len(card.inputs) != 1 or card.inputs[0].field is not None:
        return card
    reach = receptive_field(keras)
    if reach.sides is None:
        return card
    known = dataclasses.replace(card.inputs[0], field=ReceptiveField(*reach.sides), stride=reach.stride)
    return dataclasses.replace(card, inputs=(known,))


def _geometries(model: Model, card: ModelCard, reporter: Reporter) -> dict[str, Geometry]:
    """How each output lies on the inputs: as the card has it, else measured."""
    sizes = [item.pixel_size[0] for item in card.inputs]
    ratios = {
        item.name: Fraction(sizes[0] / size).limit_denominator(64) if sizes[0] and size else Fraction(1)
        for item, size in zip(card.inputs, sizes)
    }
    known = Geometry(
        {item.name: InputGeometry(item.field, item.stride, ratio=ratios[item.name]) for item in card.inputs}, {}
    )
    names = tuple(item.name for item in card.outputs)
    if all(item.field is not None for item in card.inputs):
        return dict.fromkeys(names, known)
    try:
        found = model.survey(names, ratios=ratios if all(sizes) else None, reporter=reporter)
    except EngineError as error:
        reporter.warn(f'The receptive field is not known: {error}')
        return dict.fromkeys(names, known)
    for name, item in found.items():
        reporter.log(f'Output {name}: {item.describe()}', detail=True)
        if item.reason:
            reporter.warn(f'The receptive field is not known: {item.reason}.')
    return found


def _together(found: dict[str, Geometry], reporter: Reporter) -> Geometry:
    """The geometry of all outputs, or of the first where they differ."""
    try:
        return union(found)
    except ModelError as error:
        reporter.log(f'{error} What follows is said of the first.')
        bands = {name: count for item in found.values() for name, count in item.bands.items()}
        return dataclasses.replace(next(iter(found.values())), bands=bands)


def _runtime(model: Model, reporter: Reporter) -> Any:
    """The model in TensorFlow, for its shapes and its memory; None where it needs what nobody has given."""
    from ..runtimes.tensorflow import TensorFlowRuntime

    try:
        return TensorFlowRuntime(model.asked(tuple(item.name for item in model.card.outputs)), reporter=reporter)
    except EngineError as error:
        reporter.warn(f'The model cannot be run as it is: {error}')
        return None


def _memory(card: ModelCard, geometry: Geometry, runtime: Runtime | None) -> tuple[tuple[int, int], float | None]:
    """(columns, rows) of a window of the first input, and the MiB that the model takes for it."""
    first = card.inputs[0]
    unit = math.lcm(*(item.stride for item in card.inputs))
    side = -(-WINDOW // unit) * unit
    window = geometry.size.get(first.name, (side, side))
    if runtime is None:
        return window, None
    sizes = {}
    for item in card.inputs:
        ratio = geometry.inputs[item.name].ratio
        cols, rows = geometry.size.get(item.name, (int(side * ratio), int(side * ratio)))
        sizes[item.name] = rows, cols
    try:
        return window, round(runtime.window_bytes(sizes) / 2**20, 1)
    except ModelError:
        return window, None


def _shape(infos: Any, name: str) -> list[int | None] | None:
    return list(infos[name].shape) if name in infos and infos[name].shape else None


def _placeholder(item: Placeholder) -> dict[str, Any]:
    value = item.default.tolist() if isinstance(item.default, np.ndarray) else item.default
    shape = None if item.shape is None else list(item.shape)
    return {'name': item.name, 'dtype': item.dtype, 'shape': shape, 'default': None if value is None else str(value)}


def _layer(layer: Any) -> dict[str, Any]:
    shape = [None if size is None else int(size) for size in layer.output.shape]
    return {'name': layer.name, 'type': type(layer).__name__, 'shape': shape, 'parameters': layer.count_params()}


def _summary(description: dict[str, Any]) -> list[str]:
    """The lines for the log."""
    what = [description['architecture'] or 'a model', f'for {description["task"]}' if description['task'] else '']
    made = [f'TensorFlow {description["framework_version"]}' if description['framework_version'] else '']
    made += [f'made {description["created"]}' if description['created'] else '']
    head = [' '.join(filter(None, what)), f'{description["parameters"]} parameters', *filter(None, made)]
    lines = [f'{description["name"]}: {", ".join(head)}']
    for item in description['inputs']:
        field = item['receptive_field']
        sides = ', '.join(f'{size} {side}' for side, size in field.items()) if field else ''
        reach = f'{item["receptive_field_width"]} pixels ({sides})' if field else 'unknown'
        bands = f'{len(item["bands"])} bands ({", ".join(item["bands"])})' if item['bands'] else 'any number of bands'
        scale = f', scale {item["scale"]}' if item['scale'] != '1' else ''
        lines.append(
            f'Input {item["name"]}: {bands}, {item["dtype"]}; receptive field {reach}, stride {item["stride"]}{scale}'
        )
    for item in description['outputs']:
        parts = [f'{item["bands"] or "unknown number of"} bands']
        parts += [f'{item["lost"][0]} columns and {item["lost"][1]} rows fewer'] if any(item['lost']) else []
        parts += ['classes ' + ', '.join(_class_text(entry) for entry in item['classes'])] if item['classes'] else []
        lines.append(f'Output {item["name"]}: {"; ".join(parts)}')
    for item in description['placeholders']:
        default = f'default {item["default"]}' if item['default'] is not None else 'to be given'
        lines.append(f'Placeholder {item["name"]}: {item["dtype"]}, {default}')
    if description['memory'] is not None:
        size = ' x '.join(map(str, description['window']))
        lines.append(f'Memory: about {description["memory"]:.0f} MiB for a window of {size} pixels')
    if description['tag_sets']:
        tags = '; '.join(','.join(tags) or 'none' for tags in description['tag_sets'])
        lines.append(f'SavedModel: tags {tags}; signatures {", ".join(description["signatures"]) or "none"}')
    dataset = description['training'].get('dataset', {})
    if dataset.get('fingerprint'):
        lines.append(f'Trained on {dataset.get("folder") or "rasters"}: fingerprint {dataset["fingerprint"]}')
    for split, result in description['training'].get('results', {}).items():
        accuracy = f'overall accuracy {result["overall_accuracy"]:.4f}, mean IoU {result["mean_iou"]:.4f}'
        lines.append(f'On its {split} split: {accuracy}')
    return lines


def _class_text(definition: dict[str, Any]) -> str:
    value, name = str(definition['value']), definition['name']
    return value if name in ('', value) else f'{value} {name}'
