"""How much memory a graph takes, told by the graph alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import tensorflow as tf


def most_alive(function: Any, shapes: Sequence[Sequence[int]]) -> int:
    """The largest sum of tensors alive together, in bytes, when the operations run one by one.

    Args:
        function: a graph function.
        shapes: of its inputs, in their order; those that follow, which are captured variables, keep theirs.

    Raises:
        ValueError: the function does not take such inputs together.
    """
    operations = _sized_operations(function, shapes)
    last_use = {tensor: number for number, (_, taken, _) in enumerate(operations) for tensor in taken}
    sizes: dict[str, int] = {}
    alive = most = 0
    for number, (made, taken, known) in enumerate(operations):
        # Where a shape cannot be told, the output is taken to be as large as the largest input.
        guess = max((sizes.get(tensor, 0) for tensor in taken), default=0)
        sizes.update({tensor: guess if size is None else size for tensor, size in zip(made, known)})
        alive += sum(sizes[tensor] for tensor in made)
        most = max(most, alive)
        alive -= sum(sizes.get(tensor, 0) for tensor in set(taken) if last_use[tensor] == number)
    return most


def _sized_operations(
    function: Any, shapes: Sequence[Sequence[int]]
) -> list[tuple[list[str], list[str], list[int | None]]]:
    """The operations in the order they can run: tensors made, tensors taken, and the bytes of those made."""
    with tf.Graph().as_default() as graph:
        fixed = {}
        for tensor, shape in zip_longest(function.inputs, shapes):
            fixed[tensor.name] = tf.compat.v1.placeholder(tensor.dtype, tensor.shape if shape is None else shape)
        tf.graph_util.import_graph_def(function.graph.as_graph_def(), fixed, name='')
    return [
        (
            [tensor.name for tensor in operation.outputs],
            [tensor.name for tensor in operation.inputs],
            [_bytes(tensor) for tensor in operation.outputs],
        )
        for operation in graph.get_operations()
        if operation.type != 'Const'
    ]


def _bytes(tensor: Any) -> int | None:
    """Size of a tensor whose shape is known."""
    count = tensor.shape.num_elements()
    return None if count is None else count * tensor.dtype.size
