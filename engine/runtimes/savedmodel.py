"""What a SavedModel says of itself: tag sets, signatures, the nodes of its graph. Read without TensorFlow, whose import
takes seconds.

Source: TensorFlow's ``saved_model.proto``, ``meta_graph.proto``, ``graph.proto``, ``node_def.proto`` and
``types.proto``.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from .. import wire
from ..datasets.example import decode_tensor
from ..errors import InputMissing, ModelError
from .names import unknown_name

FILE = 'saved_model.pb'
SERVING = 'serving_default'
DTYPES = {  # `DataType` -> the name of numpy's type
    1: 'float32',
    2: 'float64',
    3: 'int32',
    4: 'uint8',
    5: 'int16',
    6: 'int8',
    7: 'string',
    9: 'int64',
    10: 'bool',
    14: 'bfloat16',
    17: 'uint16',
    19: 'float16',
    22: 'uint32',
    23: 'uint64',
}
_DEEDS = ('Assert', 'Assign', 'Apply', 'NoOp', 'Print', 'Resource', 'Save', 'Scatter')  # operations that give nothing
PLACEHOLDERS = ('Placeholder', 'PlaceholderWithDefault')


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: in the graph, such as ``x:0``.
        dtype: name of numpy's type, or ``string``; empty where it is another or unknown.
        shape: None for any length; None as a whole where even the number of axes is unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """Inputs and outputs by their keys, without the ``:0`` that some exporters leave on them."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Node:
    """An operation of the graph.

    Attributes:
        inputs: as the file writes them: ``name``, ``name:1``, or ``^name`` for what must only come before.
        attributes: by name, serialised.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, memoryview]

    @property
    def parents(self) -> tuple[str, ...]:
        """The operations that it takes tensors from."""
        return tuple(operation(name) for name in self.inputs if not name.startswith('^'))

    @property
    def tensor(self) -> Tensor:
        """Its first output, as far as its attributes tell it."""
        kind = wire.integer(self.attributes.get('dtype', memoryview(b'')), 6)
        shape = self.attributes.get('shape') if self.op in PLACEHOLDERS else None
        return Tensor(f'{self.name}:0', DTYPES.get(kind, ''), None if shape is None else _shape(wire.last(shape, 7)))


class MetaGraph:
    """One of the graphs of a SavedModel, which has one for each of its tag sets.

    Attributes:
        tags: its tag set.
        version: of the TensorFlow that wrote it.
        signatures: by name, without those that only initialise.
    """

    def __init__(self, message: memoryview) -> None:
        info = wire.last(message, 1)
        self.tags = tuple(bytes(tag).decode() for tag in wire.messages(info, 4))
        self.version = wire.text(info, 5)
        self.signatures = {
            name: _signature(item)
            for name, item in sorted(wire.entries(message, 5).items())
            if not name.startswith('__saved_model_')
        }
        self._graph = wire.last(message, 2)

    @functools.cached_property
    def nodes(self) -> dict[str, Node]:
        """The operations by name, but for those inside functions."""
        return {node.name: node for node in map(_node, wire.messages(self._graph, 1))}

    def signature_name(self, path: str, name: str = '') -> str:
        """The name of the signature that is meant: `name`; if empty, `SERVING`, or else the first; empty where there
        are none.

        Args:
            path: of the model, for messages.
            name: that was asked for.

        Raises:
            ModelError: there is no such signature.
        """
        if name and name not in self.signatures:
            raise unknown_name(path, 'signature', name, self.signatures)
        return name or (SERVING if SERVING in self.signatures else min(self.signatures, default=''))

    def signature(self, path: str, name: str = '') -> Signature:
        """The signature that `signature_name` names; where there are none, what the graph itself has."""
        name = self.signature_name(path, name)
        return self.signatures[name] if name else self._signature_of_graph()

    def placeholders(self, fetches: Iterable[str]) -> list[Node]:
        """The placeholders that tensors, or operations, depend on."""
        found, seen, pending = [], set(), [operation(name) for name in fetches]
        while pending:
            name = pending.pop()
            if name in seen or name not in self.nodes:
                continue
            seen.add(name)
            node = self.nodes[name]
            if node.op in PLACEHOLDERS:
                found.append(node)
            else:
                pending.extend(node.parents)
        return sorted(found, key=lambda node: node.name)

    def default(self, node: Node) -> np.ndarray | None:
        """The value that a placeholder has where it is given none; None where it has to be given one."""
        source = self.nodes.get(node.parents[0]) if node.op == 'PlaceholderWithDefault' else None
        if source is None or source.op != 'Const':
            return None
        return decode_tensor(wire.last(source.attributes['value'], 8))

    def _signature_of_graph(self) -> Signature:
        """All placeholders, and what is made of them and is not used any further."""
        inputs = {name: node.tensor for name, node in self.nodes.items() if node.op == 'Placeholder'}
        made, grown = set(inputs), True
        while grown:  # the nodes of a file stand in no order
            fresh = {name for name, node in self.nodes.items() if name not in made and made.intersection(node.parents)}
            made |= fresh
            grown = bool(fresh)
        used = {parent for node in self.nodes.values() for parent in node.parents}
        ends = {name for name in made - used - set(inputs) if not self.nodes[name].op.startswith(_DEEDS)}
        outputs = {name: Tensor(f'{name}:0', '', None) for name in sorted(ends)}
        return Signature(inputs, outputs)


def locate(path: str) -> str:
    """The folder with the file of a SavedModel: `path`, or a folder right below it.

    Raises:
        InputMissing: there is nothing at `path`.
        ModelError: no SavedModel lies there, or several do.
    """
    if not os.path.exists(path):
        raise InputMissing(f'{path}: no such file or folder. Give the folder of a SavedModel.')
    if os.path.basename(path) == FILE:
        return os.path.dirname(path) or '.'
    folders = [path]
    if os.path.isdir(path) and not os.path.isfile(os.path.join(path, FILE)):
        folders = [os.path.join(path, name) for name in sorted(os.listdir(path))]
    found = [folder for folder in folders if os.path.isfile(os.path.join(folder, FILE))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ModelError(f'{path}: holds several SavedModels ({", ".join(map(os.path.basename, found))}). Give one.')
    raise ModelError(f'{path}: not a SavedModel, as there is no {FILE} in it or in a folder right below it.')


def is_there(path: str) -> bool:
    """Whether a SavedModel, or several, lie at a path."""
    if not os.path.isdir(path):
        return os.path.basename(path) == FILE and os.path.isfile(path)
    folders = [path, *(os.path.join(path, name) for name in os.listdir(path))]
    return any(os.path.isfile(os.path.join(folder, FILE)) for folder in folders)


def read(folder: str) -> list[MetaGraph]:
    """The graphs of a SavedModel. `ModelError` where its file cannot be read."""
    file = os.path.join(folder, FILE)
    try:
        with open(file, 'rb') as stream:
            graphs = [MetaGraph(message) for message in wire.messages(memoryview(stream.read()), 2)]
    except (OSError, ValueError) as error:
        raise ModelError(f'{file}: not a SavedModel, or a damaged one ({error}).') from error
    if not graphs:
        raise ModelError(f'{file}: not a SavedModel, as it holds no graph.')
    return graphs


def choose(path: str, tags: Collection[str]) -> MetaGraph:
    """The graph of a SavedModel that has this tag set.

    Raises:
        InputMissing, ModelError: there is no SavedModel, or none with these tags.
    """
    graphs = read(locate(path))
    for graph in graphs:
        if set(graph.tags) == set(tags):
            return graph
    asked = ','.join(tags) or 'none'
    known = '; '.join(','.join(graph.tags) or 'none' for graph in graphs)
    raise ModelError(f'{path}: the SavedModel has no graph with the tags {asked}; it has {known}.')


def operation(tensor: str) -> str:
    """The name of the operation that makes a tensor: ``x`` of ``x``, ``x:0`` and ``^x``."""
    return tensor.lstrip('^').partition(':')[0]


def _node(message: memoryview) -> Node:
    inputs = tuple(bytes(name).decode() for name in wire.messages(message, 3))
    return Node(wire.text(message, 1), wire.text(message, 2), inputs, wire.entries(message, 5))


def _signature(message: memoryview) -> Signature:
    return Signature(_tensors(wire.entries(message, 1)), _tensors(wire.entries(message, 2)))


def _tensors(entries: Mapping[str, memoryview]) -> dict[str, Tensor]:
    """Tensors by key, in alphabetical order."""
    found = {}
    for key in sorted(entries):
        info, plain = entries[key], key.removesuffix(':0')
        name = key if plain != key and plain in entries else plain
        found[name] = Tensor(wire.text(info, 1), DTYPES.get(wire.integer(info, 2), ''), _shape(wire.last(info, 3)))
    return found


def _shape(message: memoryview) -> tuple[int | None, ...] | None:
    """A ``TensorShapeProto``."""
    if wire.integer(message, 3):
        return None
    sizes = (wire.integer(dimension, 1) for dimension in wire.messages(message, 2))
    return tuple(None if size < 0 else size for size in sizes)
