"""Graphs of TensorFlow: their variables made constants, cut down to what is wanted, described."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from ..errors import ModelError
from .names import find
from .placeholders import constant
from .spec import MOST_AXES, ModelSpec, TensorInfo

_TABLES = ('HashTable', 'LookupTable')  # what they hold is no variable, and is lost when a graph is cut out


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function of tensors.

    Attributes:
        function: takes the tensors of `feeds` one by one, gives a list in the order of `outputs`. A graph function, or
            one that makes a graph for each shape of its tensors.
        feeds: inputs and constants in the order in which the function takes them, by name.
        inputs: what has to be fed each time.
        constants: what is fed always.
        outputs: by the names that were asked for.
        why_not_frozen: why the variables could not be made constants; empty where they were.
    """

    function: Any
    feeds: tuple[str, ...]
    inputs: dict[str, TensorInfo]
    constants: dict[str, np.ndarray]
    outputs: dict[str, TensorInfo]
    why_not_frozen: str = ''

    @property
    def frozen(self) -> bool:
        return not self.why_not_frozen

    @property
    def parameters(self) -> int:
        """The weights, without single numbers; 0 where the graph does not hold them."""
        if not self.frozen:
            return 0
        constants = (item for item in self.function.graph.get_operations() if item.type == 'Const')
        tensors = (item.outputs[0] for item in constants)
        return sum(item.shape.num_elements() for item in tensors if item.dtype.is_floating and item.shape.rank)

    def for_shapes(self, shapes: Mapping[str, Sequence[int]]) -> Any:
        """The graph function for feeds of these shapes; `ValueError` where it takes none such."""
        if not hasattr(self.function, 'get_concrete_function'):
            return self.function
        dtypes = {name: info.dtype for name, info in self.inputs.items()}
        dtypes.update({name: value.dtype for name, value in self.constants.items()})
        return self.function.get_concrete_function(*(tf.TensorSpec(shapes[name], dtypes[name]) for name in self.feeds))


def freeze(spec: ModelSpec, function: Any, feeds: tuple[str, ...], shapes: dict[str, Any]) -> Graph:
    """The graph of a function: frozen if it can be, without inputs that its outputs do not depend on."""
    tables = [item.type for item in function.graph.get_operations() if any(kind in item.type for kind in _TABLES)]
    if tables:
        return described(spec, function, function, feeds, shapes, f'it looks values up in a table, {tables[0]}')
    try:
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    except Exception as error:  # whatever the graph holds that cannot be frozen: it runs as it is, and says so
        return described(spec, function, function, feeds, shapes, first_line(error))
    taken = needed(spec, dict(zip(feeds, frozen.inputs)), frozen.outputs)
    if len(taken) < len(feeds):
        frozen = cut_out(frozen.graph.as_graph_def(), taken.values(), frozen.outputs)
    return described(spec, frozen, frozen, tuple(taken), shapes)


def cut_out(definition: Any, feeds: Iterable[Any], fetches: Iterable[Any]) -> Any:
    """The function of a frozen graph from some of its tensors to others.

    Args:
        definition: of the graph; changed: operations that only come before others, such as checks, are let go.
        feeds, fetches: tensors of such a graph.
    """
    for node in definition.node:
        tensors = [name for name in node.input if not name.startswith('^')]
        del node.input[:]
        node.input.extend(tensors)
    names = [tensor.name for tensor in feeds], [tensor.name for tensor in fetches]
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=''), [])
    return whole.prune(*([whole.graph.get_tensor_by_name(name) for name in part] for part in names))


def needed(spec: ModelSpec, feeds: dict[str, Any], fetches: Iterable[Any]) -> dict[str, Any]:
    """Those of the tensors to be fed that the outputs depend on.

    Raises:
        ModelError: the outputs also depend on something that is not fed.
    """
    by_tensor = {tensor.name: name for name, tensor in feeds.items()}
    reached, missing, seen = set(), set(), set()
    pending = list(fetches)
    while pending:
        tensor = pending.pop()
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        if tensor.name in by_tensor:
            reached.add(by_tensor[tensor.name])
        elif tensor.op.type == 'Placeholder' and tensor.dtype != tf.resource:
            missing.add(tensor.op.name)
        else:
            pending.extend(tensor.op.inputs)
    if missing:
        names = ', '.join(sorted(missing))
        raise ModelError(
            f'{spec.path}: the outputs also depend on {names}; give a value with USER_PLACEHOLDERS, or name it as the '
            'input that a source is fed to.'
        )
    return {name: tensor for name, tensor in feeds.items() if name in reached}


def described(
    spec: ModelSpec,
    function: Any,
    ends: Any,
    feeds: tuple[str, ...],
    shapes: Mapping[str, Any],
    why_not_frozen: str = '',
) -> Graph:
    """The graph with what is known of its inputs and outputs.

    Args:
        function: of the graph.
        ends: its ``inputs`` and ``outputs``: tensors, or what is known of them.
        feeds: names of the inputs.
        shapes: of the outputs as the model declares them, by the names that were asked for.
        why_not_frozen: see `Graph`.

    Raises:
        ModelError: an output is none that can be mapped, or an input none that an image can be fed to.
        InvalidJob: a constant is not what the model wants.
    """
    tensors = dict(zip(feeds, ends.inputs))
    constants = {}
    for name, text in spec.constants.items():
        key = find(name, tensors)
        if key:  # otherwise these outputs do not depend on it
            shape = tuple(tensors[key].shape.as_list()) if tensors[key].shape.rank is not None else None
            constants[key] = constant(name, text, tensors[key].dtype.name, shape)
    inputs = {name: _input_info(spec, name, item) for name, item in tensors.items() if name not in constants}
    outputs = {}
    for (name, shape), tensor in zip(shapes.items(), ends.outputs):
        known = tensor.shape.merge_with(shape) if tensor.shape.is_compatible_with(shape) else tensor.shape
        try:
            outputs[name] = TensorInfo(_dtype(tensor), tuple(known.as_list()) if known.rank else ())
        except TypeError:
            raise ModelError(f'{spec.path}: the output {name} is {tensor.dtype.name}, not numbers.') from None
        if known.rank and known.rank > MOST_AXES:
            raise ModelError(
                f'{spec.path}: the output {name} has {known.rank} axes, of the shape {known}; only batch, rows, '
                'columns and bands can be mapped.'
            )
    return Graph(function, feeds, inputs, constants, outputs, why_not_frozen)


def first_line(error: Exception) -> str:
    """What TensorFlow says, without where: the last line but for those that name nodes of the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith('[[')), type(error).__name__)


def _input_info(spec: ModelSpec, name: str, tensor: Any) -> TensorInfo:
    shape = tuple(tensor.shape.as_list()) if tensor.shape.rank is not None else (None,) * MOST_AXES
    if len(shape) < 2:
        raise ModelError(
            f'{spec.path}: the input {name} wants {"a vector" if shape else "a single value"} ({tensor.dtype.name}), '
            f'no image; give it with USER_PLACEHOLDERS, as {name}=value.'
        )
    try:
        return TensorInfo(_dtype(tensor), shape)
    except TypeError:
        raise ModelError(f'{spec.path}: the input {name} is {tensor.dtype.name}, not numbers.') from None


def _dtype(tensor: Any) -> np.dtype:
    """The numpy type of a tensor of numbers; `TypeError` for others."""
    dtype = np.dtype(tensor.dtype.as_numpy_dtype)
    if dtype.kind not in 'biuf' and tensor.dtype != tf.bfloat16:
        raise TypeError(tensor.dtype.name)
    return dtype
