"""Seeds for what is random in a graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zlib import crc32

_RANDOM = (  # operations that draw another seed in each session where they are given none
    'Multinomial', 'ParameterizedTruncatedNormal', 'RandomGamma', 'RandomPoisson', 'RandomPoissonV2', 'RandomShuffle',
    'RandomStandardNormal', 'RandomUniform', 'RandomUniformInt', 'TruncatedNormal',
)  # fmt: skip


def seed_random_operations(definition: Any, seed: int) -> None:
    """Give seeds to the random operations of a graph, and of its functions, that have none.

    Args:
        definition: a ``MetaGraphDef``; changed.
    """
    for node in _nodes(definition.graph_def):
        if node.op in _RANDOM and not node.attr['seed'].i and not node.attr['seed2'].i:
            node.attr['seed'].i, node.attr['seed2'].i = seed + 1, crc32(node.name.encode()) + 1


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def
