"""Models of all kinds opened as TensorFlow graphs."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any, Callable

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.ops.op_selector import UnliftableError

from ..errors import ModelError
from . import savedmodel
from .graphs import Graph, cut_out, described, first_line, freeze, needed
from .kerasfile import EXTENSION, load_keras, read_signature
from .names import find, unknown_name
from .savedmodel import MetaGraph
from .spec import MOST_AXES, ModelSpec


@dataclasses.dataclass(frozen=True)
class _Ends:
    """Inputs and outputs of a function that has no graph yet."""

    inputs: list[Any]
    outputs: list[Any]


def open_graph(spec: ModelSpec) -> Graph:
    """The graph of a model.

    Raises:
        InputMissing, ModelError: it cannot be loaded, or has not what was asked for.
    """
    if spec.path.endswith(EXTENSION):
        return _from_keras(spec, spec.path)
    meta = savedmodel.choose(spec.path, spec.tags)
    folder = savedmodel.locate(spec.path)
    try:
        loaded = _load(folder, meta.tags)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        raise ModelError(f'{spec.path}: not a SavedModel that TensorFlow can load ({first_line(error)}).') from error
    if hasattr(loaded, 'prune'):
        return _from_graph(spec, meta, loaded)
    known = meta.signature(spec.path, spec.signature).outputs
    if spec.keras and any(find(name, known) is None for name in spec.outputs):
        return _from_keras(spec, spec.keras)
    return _from_signature(spec, meta, loaded)


def _load(folder: str, tags: tuple[str, ...]) -> Any:
    """What TensorFlow makes of a SavedModel."""
    try:
        return tf.saved_model.load(folder, tags=list(tags))
    except UnliftableError:
        # A signature lacks a placeholder, such as a rate of dropout; TensorFlow loads the graph without signatures.
        with tempfile.TemporaryDirectory(prefix='quadrat-model-') as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            file = os.path.join(copy, savedmodel.FILE)
            whole = SavedModel()
            with open(file, 'rb') as stream:
                whole.ParseFromString(stream.read())
            for part in whole.meta_graphs:
                part.signature_def.clear()
            with open(file, 'wb') as stream:
                stream.write(whole.SerializeToString())
            return tf.saved_model.load(copy, tags=list(tags))


def _from_graph(spec: ModelSpec, meta: MetaGraph, loaded: Any) -> Graph:
    """Of a SavedModel of TensorFlow 1, any of whose tensors can be fed and fetched."""
    signature = meta.signature(spec.path, spec.signature)
    inputs = {name: item.name for name, item in signature.inputs.items()}
    outputs = {name: item.name for name, item in signature.outputs.items()}

    def tensor(name: str, known: Mapping[str, str], what: str) -> Any:
        key = find(name, known)
        place = known[key] if key else name if ':' in name else f'{name}:0'
        try:
            return loaded.graph.get_tensor_by_name(place)
        except (KeyError, ValueError):
            raise unknown_name(spec.path, what, name, known, meta.nodes) from None

    feeds = {name: tensor(name, inputs, 'input') for name in spec.inputs or inputs}
    feeds.update({find(name, inputs) or name: tensor(name, inputs, 'placeholder') for name in spec.constants})
    wanted = {name: tensor(name, outputs, 'output') for name in spec.outputs or outputs}
    wanted = wanted if spec.outputs else _mappable(spec, wanted)
    feeds = needed(spec, feeds, wanted.values())
    try:
        function = loaded.prune(list(feeds.values()), list(wanted.values()))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f'{spec.path}: its graph cannot be cut out ({first_line(error)}).') from error
    return freeze(spec, function, tuple(feeds), {name: item.shape for name, item in wanted.items()})


def _from_signature(spec: ModelSpec, meta: MetaGraph, loaded: Any) -> Graph:
    """Of a SavedModel of TensorFlow 2. Tensors inside of it can be fetched once it is frozen."""
    name = meta.signature_name(spec.path, spec.signature)
    if not name:
        raise ModelError(
            f'{spec.path}: the SavedModel has no signature, so nothing of it can be run; export it with one.'
        )
    call = loaded.signatures[name]
    taken = call.structured_input_signature[1]
    # TensorFlow turns keys into names of arguments: `a-b` into `a_b`.
    arguments = {key: _argument(spec, taken, key) for key in meta.signatures[name].inputs}
    specs = _as_asked(spec, {key: taken[argument] for key, argument in arguments.items()})
    results = dict(sorted(call.structured_outputs.items()))
    inside = [asked for asked in spec.outputs if find(asked, results) is None]
    wanted = {asked: find(asked, results) for asked in (() if inside else spec.outputs) or _mappable(spec, results)}

    def run(*tensors: Any) -> list[Any]:
        values = call(**dict(zip(arguments.values(), tensors)))
        return [values[key] for key in wanted.values()]

    function = _traced(run, specs.values())
    graph = freeze(spec, function, tuple(specs), {asked: results[key].shape for asked, key in wanted.items()})
    return _inside(spec, graph, results) if inside else graph


def _as_asked(spec: ModelSpec, inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs by the names that were asked for."""
    names = {}
    for asked in (*spec.inputs, *spec.constants):
        key = find(asked, inputs)
        if key is None:
            raise unknown_name(spec.path, 'input', asked, inputs)
        names[key] = asked
    return {names.get(key, key): item for key, item in inputs.items()}


def _argument(spec: ModelSpec, taken: Mapping[str, Any], key: str) -> str:
    """The argument of a function that stands for a key of its signature."""
    for name, item in taken.items():
        if key == name or key == item.name or find(name, [key]):
            return name
    raise ModelError(
        f'{spec.path}: TensorFlow does not find the input {key!r} of the signature; it has {", ".join(taken)}.'
    )


def _mappable(spec: ModelSpec, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs, by name, that a map can be made of: numbers with no more axes than images have."""
    found = {}
    for name, item in outputs.items():
        numbers = item.dtype.is_floating or item.dtype.is_integer or item.dtype.is_bool
        if numbers and (item.shape.rank is None or 0 < item.shape.rank <= MOST_AXES):
            found[name.removesuffix(':0')] = item
    if not found:
        raise ModelError(f'{spec.path}: none of its outputs can be mapped ({", ".join(outputs) or "it has none"}).')
    return found


def _inside(spec: ModelSpec, graph: Graph, results: Iterable[str]) -> Graph:
    """The graph, cut down to outputs of which some are tensors inside of it."""
    if not graph.frozen:
        raise ModelError(f'{spec.path}: only its outputs can be had, not what lies inside ({graph.why_not_frozen}).')
    inner = graph.function.graph
    ends = dict(zip(graph.outputs, graph.function.outputs))
    wanted = {}
    for name in spec.outputs:
        key = find(name, ends)
        try:
            wanted[name] = ends[key] if key else inner.get_tensor_by_name(name if ':' in name else f'{name}:0')
        except (KeyError, ValueError):
            operations = [item.name for item in inner.get_operations() if item.type != 'Const']
            raise unknown_name(spec.path, 'output', name, results, operations) from None
    feeds = needed(spec, dict(zip(graph.feeds, graph.function.inputs)), wanted.values())
    function = cut_out(inner.as_graph_def(), feeds.values(), wanted.values())
    return described(spec, function, function, tuple(feeds), {name: item.shape for name, item in wanted.items()})


def _from_keras(spec: ModelSpec, path: str) -> Graph:
    """Of a Keras model, all of whose layers can be fetched by name."""
    import keras

    model = load_keras(path)
    if not getattr(model, 'inputs', None):
        raise ModelError(f'{path}: the model was never built, so its inputs are not known; export it as a SavedModel.')
    ends = read_signature(path).outputs
    # Keras keeps the tensors of a dictionary in the order of its sorted keys.
    names = sorted(ends) if isinstance(getattr(model, '_outputs_struct', None), dict) else list(ends)
    known = dict(zip(names, model.outputs))
    wanted = {}
    for name in spec.outputs or known:
        key = find(name, known)
        layers = [layer.name for layer in model.layers]
        if key is None and name not in layers:
            raise unknown_name(path, 'output', name, known, layers)
        wanted[name] = known[key] if key else model.get_layer(name).output
    tensors = sorted(model.inputs, key=lambda item: item.name)
    specs = _as_asked(spec, {item.name: tf.TensorSpec(item.shape, item.dtype) for item in tensors})
    part = keras.Model(list(model.inputs), list(wanted.values()))
    order = [item.name for item in tensors]
    places = [order.index(item.name) for item in model.inputs]

    def run(*tensors: Any) -> list[Any]:
        values = part([tensors[place] for place in places], training=False)
        return list(values) if isinstance(values, (list, tuple)) else [values]

    shapes = {name: tf.TensorShape(item.shape) for name, item in wanted.items()}
    try:
        return freeze(spec, _traced(run, specs.values()), tuple(specs), shapes)
    except (TypeError, ValueError, tf.errors.OpError):
        # Such as a bilinear enlargement; a graph is made for each size then.
        why = 'some of its layers want to know the size of their input'
        results = [tf.TensorSpec(item.shape, item.dtype) for item in wanted.values()]
        function = tf.function(run, autograph=False)
        return described(spec, function, _Ends(list(specs.values()), results), tuple(specs), shapes, why)


def _traced(run: Callable[..., list[Any]], specs: Iterable[Any]) -> Any:
    """A graph function of positional tensors."""
    arguments = [tf.TensorSpec(spec.shape, spec.dtype, f'input_{i}') for i, spec in enumerate(specs)]
    return tf.function(run, input_signature=arguments, autograph=False).get_concrete_function()
