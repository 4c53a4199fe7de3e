"""TensorFlow's graphs turned into OpenVINO's, and checked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import EngineError
from .graphs import Graph
from .names import find
from .openvino import TIES, TOLERANCE, NotConverted, reason_of
from .spec import ModelSpec, TensorInfo
from .tensorflow import TensorFlowRuntime
from .windows import random_windows, windows_taken

_SIDE = 512  # of the window that memory is told for, about
_WORKSPACE = 1.0  # of memory told by the graph for TensorFlow (measured on large windows: 0.75 to 0.95)


def convert(core: Any, spec: ModelSpec) -> tuple[dict[str, Any], Any]:
    """A model as OpenVINO has it.

    Args:
        core: `openvino.Core`.
        spec: which part of which model.

    Returns:
        What has to be known of it, as plain values: ``inputs``, ``constants`` and ``outputs`` by name, each with
        ``dtype``, ``shape`` and the name of its ``tensor``; ``checked``, the shapes of the windows that were compared;
        ``difference`` of the results; ``pixel_bytes``, the memory that the model takes for a pixel; ``refused``, empty.
        And the model.

    Raises:
        NotConverted: OpenVINO cannot run it, or not as TensorFlow does.
        InputMissing, ModelError, InvalidJob: as `TensorFlowRuntime` does.
    """
    reference = TensorFlowRuntime(spec, device='cpu')
    graph = reference.graph
    if not graph.frozen:
        raise NotConverted(f'{spec.path}: cannot be converted for OpenVINO: {graph.why_not_frozen}.')
    feeds = {name: f'feed_{i}' for i, name in enumerate(graph.feeds)}
    fetches = {name: f'fetch_{i}' for i, name in enumerate(graph.outputs)}
    model = _read(core, spec, _definition(graph, feeds, fetches), feeds, fetches)
    about: dict[str, Any] = {
        'inputs': {name: _entry(info, feeds[name]) for name, info in graph.inputs.items()},
        'constants': {},
        'outputs': {name: _entry(info, fetches[name]) for name, info in graph.outputs.items()},
        'refused': '',
    }
    for name, tensor in zip(graph.feeds, graph.function.inputs):
        if name in graph.constants:
            shape = tensor.shape.as_list() if tensor.shape.rank is not None else None
            asked = next(item for item in spec.constants if find(name, [item]))
            entry = {'dtype': tensor.dtype.name, 'shape': shape, 'tensor': feeds[name], 'asked': asked}
            about['constants'][name] = entry
    _check(core, spec, model, reference, about)
    return about, model


def _definition(graph: Graph, feeds: Mapping[str, str], fetches: Mapping[str, str]) -> Any:
    """The graph with names of ours for what is fed and fetched, and nothing that is not needed."""
    definition = graph.function.graph.as_graph_def()
    renamed = {tensor.op.name: feeds[name] for name, tensor in zip(graph.feeds, graph.function.inputs)}
    for node in definition.node:
        if node.name in renamed and node.op == 'PlaceholderWithDefault':
            node.op = 'Placeholder'
            del node.input[:]
        node.name = renamed.get(node.name, node.name)
        names = [name.partition(':') for name in node.input if not name.startswith('^')]
        del node.input[:]
        node.input.extend(renamed.get(base, base) + colon + place for base, colon, place in names)
    for name, tensor in zip(graph.outputs, graph.function.outputs):
        base = renamed.get(tensor.op.name, tensor.op.name)
        # A node for each, as OpenVINO gives what nothing else takes.
        node = definition.node.add(op='Identity', name=fetches[name])
        node.input.append(f'{base}:{tensor.value_index}')
        node.attr['T'].type = tensor.dtype.as_datatype_enum
    return tf.compat.v1.graph_util.extract_sub_graph(definition, list(fetches.values()))


def _read(core: Any, spec: ModelSpec, definition: Any, feeds: Mapping[str, str], fetches: Mapping[str, str]) -> Any:
    """OpenVINO's reading of a graph, its inputs and outputs named as the graph's."""
    with tempfile.TemporaryDirectory(prefix='quadrat-graph-') as folder:
        path = os.path.join(folder, 'graph.pb')
        try:
            with open(path, 'wb') as file:
                file.write(definition.SerializeToString())  # which cannot be larger than 2 GiB
            model = core.read_model(path)
        except (RuntimeError, ValueError) as error:
            raise NotConverted(f'{spec.path}: OpenVINO cannot read the graph ({reason_of(error)}).') from error
    for prefix, wanted, ports in (('feed_', feeds, model.inputs), ('fetch_', fetches, model.outputs)):
        found = {}
        for port in ports:
            found.update({name.partition(':')[0]: port for name in port.get_names() if name.startswith(prefix)})
        for name, place in wanted.items():
            if place not in found:
                raise NotConverted(f'{spec.path}: OpenVINO does not keep {name} as an input or output.')
            found[place].get_tensor().add_names({place})
    return model


def _check(core: Any, spec: ModelSpec, model: Any, reference: TensorFlowRuntime, about: dict[str, Any]) -> None:
    """Compare the results for random windows, and note what came out.

    Raises:
        NotConverted: they differ, or no windows are known.
    """
    try:
        shapes = windows_taken(reference.run, reference.inputs, list(reference.outputs))
    except EngineError as error:
        raise NotConverted(f'{spec.path}: no windows are known to compare OpenVINO with TensorFlow: {error}') from error
    about['checked'] = {name: list(shape) for name, shape in shapes.items()}
    feeds = random_windows(reference.inputs, shapes)
    expected = reference.run(feeds)
    arrays = {about['inputs'][name]['tensor']: array for name, array in feeds.items()}
    arrays.update({about['constants'][name]['tensor']: array for name, array in reference.graph.constants.items()})
    fixed = model.clone()
    try:
        fixed.reshape({place: list(array.shape) for place, array in arrays.items()})
        compiled = core.compile_model(fixed, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
        values = compiled(arrays)
    except (RuntimeError, TypeError, ValueError) as error:
        raise NotConverted(f'{spec.path}: OpenVINO cannot run the model ({reason_of(error)}).') from error
    worst = 0.0
    for name, wanted in expected.items():
        found = values[compiled.output(about['outputs'][name]['tensor'])]
        difference, limit = _difference(found, wanted)
        if not difference <= limit:
            raise NotConverted(
                f'{spec.path}: with OpenVINO the output {name} differs from TensorFlow by {difference:.2g} (relative).'
            )
        worst = max(worst, difference)
    about['difference'] = worst
    about['pixel_bytes'] = _pixel_bytes(reference, shapes)


def _difference(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """How far results lie apart, and how far they may: relative to the largest, absolute where that is below 1, as the
    rounding of sums follows their largest parts; of whole numbers, the share that differs."""
    if found.shape != wanted.shape:
        return float('inf'), 0.0
    if wanted.dtype.kind != 'f':
        return float(np.mean(found != wanted)), TIES
    scale = max(1.0, float(np.abs(wanted).max()))
    difference = float(np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max()) / scale
    return difference, max(TOLERANCE, 8 * float(np.finfo(wanted.dtype).eps))


def _pixel_bytes(reference: TensorFlowRuntime, shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Memory for a pixel of the first input, in a window as large as those that are mapped."""
    first = next(iter(shapes.values()))
    open_sizes = all(info.shape[1] is None for info in reference.inputs.values())
    times = max(1, _SIDE // max(first[1:3])) if open_sizes else 1
    sizes = {name: (shape[1] * times, shape[2] * times) for name, shape in shapes.items()}
    rows, cols = next(iter(sizes.values()))
    return _WORKSPACE * reference.window_bytes(sizes) / (rows * cols)


def _entry(info: TensorInfo, tensor: str) -> dict[str, Any]:
    return {'dtype': info.dtype.name, 'shape': list(info.shape), 'tensor': tensor}
