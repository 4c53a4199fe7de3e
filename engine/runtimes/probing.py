"""A frozen graph changed so that what is not a number runs through it visibly, from any input to any output.

Two things would stop it: inputs of whole numbers, which cannot hold it, and the choice of the largest value, whose
result is always a number. The sizes of all tensors stay what they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .graphs import Graph, cut_out
from .savedmodel import operation
from .spec import TensorInfo

_CHOICES = ('ArgMax', 'ArgMin')
_FINENESS = 2.0**16  # of what stands for the position of the largest value


def visible(graph: Graph) -> tuple[Any, dict[str, TensorInfo]]:
    """The function of a graph, and its inputs, so that changes of an input are seen in the outputs.

    Args:
        graph: any; one that is not frozen is given back as it is.
    """
    if not graph.frozen:
        return graph.function, dict(graph.inputs)
    definition = graph.function.graph.as_graph_def()
    inputs = dict(graph.inputs)
    names = dict(zip(graph.feeds, (tensor.op.name for tensor in graph.function.inputs)))
    for name, info in graph.inputs.items():
        if info.dtype.kind in 'iu' and _opened(definition, names[name]):
            inputs[name] = TensorInfo(np.dtype('float32'), info.shape)
    for node in [node for node in definition.node if node.op in _CHOICES]:
        _replace_choice(definition, node)
    return cut_out(definition, graph.function.inputs, graph.function.outputs), inputs


def _opened(definition: Any, placeholder: str) -> bool:
    """Let a placeholder of whole numbers take float32, if all that is done with them is to turn them into such."""
    by_name = {node.name: node for node in definition.node}
    changes, pending = [(by_name[placeholder], 'dtype')], [placeholder]
    while pending:
        name = pending.pop()
        for node in definition.node:
            if not any(operation(item) == name for item in node.input):
                continue
            if node.op == 'Identity':
                changes.append((node, 'T'))
                pending.append(node.name)
            elif node.op == 'Cast' and tf.as_dtype(node.attr['DstT'].type).is_floating:
                changes.append((node, 'SrcT'))
            else:
                return False
    for node, attribute in changes:
        node.attr[attribute].type = tf.float32.as_datatype_enum
    return True


def _replace_choice(definition: Any, node: Any) -> None:
    """Put the sum of the squares, as a whole number, in the place of the position of the largest value."""
    values, axis = node.input[0], node.input[1]
    kind, place = node.attr['T'].type, node.attr['output_type'].type or tf.int64.as_datatype_enum
    index = node.attr['Tidx'].type or tf.int32.as_datatype_enum
    name = node.name
    if not tf.as_dtype(kind).is_floating:
        return

    def add(op: str, suffix: str, inputs: list[str], **types: int) -> str:
        new = definition.node.add(op=op, name=f'{name}/quadrat_{suffix}')
        new.input.extend(inputs)
        for attribute, value in types.items():
            new.attr[attribute].type = value
        return new.name

    square = add('Square', 'square', [values], T=kind)
    total = add('Sum', 'sum', [square, axis], T=kind, Tidx=index)
    fine = definition.node.add(op='Const', name=f'{name}/quadrat_fineness')
    fine.attr['dtype'].type = kind
    fine.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(_FINENESS, tf.as_dtype(kind)))
    scaled = add('Mul', 'scaled', [total, fine.name], T=kind)
    node.op = 'Cast'
    del node.input[:]
    node.input.append(scaled)
    for attribute in list(node.attr):
        del node.attr[attribute]
    node.attr['SrcT'].type, node.attr['DstT'].type = kind, place
