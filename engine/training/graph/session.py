"""A SavedModel in a session of TensorFlow 1, where any operation of its graph can be run and any tensor be fed.

Graphs that TensorFlow 2 wrote run there as well: their functions are operations of the graph, and how variables are
saved and restored is part of it (``SaverDef``), as it is of those of TensorFlow 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

from ...errors import InputMissing, ModelError, OutOfMemory, write_error
from ...events import Reporter
from ...runtimes import savedmodel
from ...runtimes.graphs import first_line
from ...runtimes.names import find, unknown_name
from ...runtimes.savedmodel import MetaGraph, Signature
from ..devices import prepare_devices
from .seeding import seed_random_operations

VARIABLES = 'variables'  # the folder of the checkpoint in a SavedModel, and how its files begin
_LONGEST = 160  # letters of what TensorFlow says
_CHOICE = ('train', 'serve')  # of several graphs, where nobody says which


class GraphSession:
    """A SavedModel, its variables restored; a context manager.

    Args:
        path: the folder of the SavedModel, or one right above it.
        tags: tag set of the graph; None: the only one there is, else ``train``, else ``serve``.
        seed: of all that is random in the graph and has no seed of its own.
        reporter: hears which graph is used.

    Attributes:
        path: as given.
        folder: where its files lie.
        meta: what the graph says of itself.
        device: what computes, in words.

    Raises:
        InputMissing, ModelError: it cannot be loaded.
    """

    def __init__(self, path: str, tags: Sequence[str] | None, seed: int, reporter: Reporter) -> None:
        self.path, self.folder = path, savedmodel.locate(path)
        self.meta = _choose(path, self.folder, tags)
        reporter.resolve('tags', ','.join(self.meta.tags))
        tf.get_logger().setLevel('ERROR')
        self.device = prepare_devices(0, reporter)
        options = tf.compat.v1.ConfigProto(allow_soft_placement=True)
        options.gpu_options.allow_growth = True
        self.graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self.graph, config=options)
        try:
            self._load(seed)
        except BaseException:
            self._session.close()
            raise

    def _load(self, seed: int) -> None:
        try:
            loader = SavedModelLoader(self.folder)
            definition = loader.get_meta_graph_def_from_tags(self.meta.tags)
            seed_random_operations(definition, seed)
            with self.graph.as_default():
                loader.load(self._session, list(self.meta.tags))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, tf.errors.OpError) as error:
            raise ModelError(
                f'{self.path}: not a SavedModel that TensorFlow can load ({first_line(error)}).'
            ) from error
        self._saver = definition.saver_def

    def require_variables(self) -> None:
        """Raise `ModelError` where the graph has nothing that could be trained."""
        if not self._saver.save_tensor_name:
            raise ModelError(f'{self.path}: the graph has no variables, so there is nothing to train.')

    # -- names --------------------------------------------------------------------------------------------------------

    def signatures(self, first: Sequence[str] = ()) -> list[Signature]:
        """The signatures: those named, the one of serving, the others; where there are none, what the graph has."""
        known = self.meta.signatures
        if not known:
            return [self.meta.signature(self.path)]
        order = [*first, *(name for name in [savedmodel.SERVING] if name in known), *known]
        return [known[name] for name in dict.fromkeys(order)]

    def target(self, name: str) -> tuple[list[tf.Operation], str]:
        """What is run where people name an operation or a signature.

        Returns:
            The operations, and the name of the signature; empty where it is none.

        Raises:
            ModelError: there is neither.
        """
        try:
            return [self.graph.get_operation_by_name(savedmodel.operation(name))], ''
        except KeyError:
            if name not in self.meta.signatures:
                known = [*(key for key in self.meta.signatures), *self.trainers()]
                raise unknown_name(self.path, 'operation or signature', name, known, self.meta.nodes) from None
        places = [tensor.name for tensor in self.meta.signatures[name].outputs.values()]
        return [self.graph.get_tensor_by_name(place).op for place in places], name

    def trainers(self) -> list[str]:
        """Names of operations that look as if they trained: they wait for updates of variables, and nothing waits for
        them."""
        operations = self.graph.get_operations()
        waited = {before.name for item in operations for before in (*item.control_inputs, *(t.op for t in item.inputs))}
        found = []
        for item in operations:
            before = [*item.control_inputs, *(tensor.op for tensor in item.inputs)]
            # Steps are counted after the updates, by an operation that waits for all of them.
            further = [earlier for one in before for earlier in one.control_inputs]
            updates = any('Apply' in one.type for one in (*before, *further))
            if updates and item.name not in waited and item.type in ('NoOp', 'AssignAdd', 'AssignAddVariableOp'):
                found.append(item.name)
        return found

    def feedable(self, name: str, signatures: Sequence[Signature], what: str = 'input') -> list[tf.Tensor]:
        """The tensors that a name may mean: inputs of signatures by their keys, or a tensor of the graph.

        Raises:
            ModelError: there is none.
        """
        places = []
        for signature in signatures:
            key = find(name, signature.inputs)
            if key is not None:
                places.append(signature.inputs[key].name)
        found = [self.graph.get_tensor_by_name(place) for place in dict.fromkeys(places)]
        if not found:
            found = [tensor for tensor in [self._inner(name)] if tensor is not None and self.graph.is_feedable(tensor)]
        if not found:
            known = dict.fromkeys(key for signature in signatures for key in signature.inputs)
            placeholders = [node.name for node in self.meta.nodes.values() if node.op in savedmodel.PLACEHOLDERS]
            raise unknown_name(self.path, what, name, known or placeholders, self.meta.nodes)
        return found

    def fetchable(self, name: str, signatures: Sequence[Signature]) -> tf.Tensor:
        """The tensor that a name means: the output of a signature by its key, or one of the graph.

        Raises:
            ModelError: there is none.
        """
        for signature in signatures:
            key = find(name, signature.outputs)
            if key is not None:
                return self.graph.get_tensor_by_name(signature.outputs[key].name)
        found = self._inner(name)
        if found is None:
            known = dict.fromkeys(key for signature in signatures for key in signature.outputs)
            raise unknown_name(self.path, 'output', name, known, self.meta.nodes)
        return found

    def _inner(self, name: str) -> tf.Tensor | None:
        try:
            return self.graph.get_tensor_by_name(name if ':' in name else f'{name}:0')
        except (KeyError, ValueError):
            return None

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, fetches: Any, feeds: Mapping[tf.Tensor, np.ndarray]) -> Any:
        """Run operations and compute tensors.

        Raises:
            OutOfMemory: the batch is too large for this machine.
            ModelError: the graph does not take it.
        """
        try:
            return self._session.run(fetches, dict(feeds))
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfMemory(
                f'{self.path}: not enough memory for a step of training ({first_line(error)}). Use a smaller '
                'BATCH_SIZE.'
            ) from error
        except (tf.errors.OpError, ValueError, TypeError) as error:
            shapes = ', '.join(f'{tensor.name} {np.shape(value)}' for tensor, value in feeds.items())
            raise ModelError(f'{self.path}: cannot be run on {shapes}: {_reason(error)}') from error

    def run_named(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str], operations: Sequence[str] = ()
    ) -> list[np.ndarray]:
        """The same by the names of tensors (``x:0``) and of operations of the graph.

        Raises:
            ModelError: they also depend on placeholders that are not fed; or as `run`.
        """
        fed = {self.graph.get_tensor_by_name(name): value for name, value in feeds.items()}
        fetches = [self.graph.get_tensor_by_name(name) for name in outputs]
        actions = [self.graph.get_operation_by_name(savedmodel.operation(name)) for name in operations]
        missing = missing_values([*fetches, *actions], fed)
        if missing:
            raise ModelError(f'{self.path}: needs values for {", ".join(missing)} as well.')
        values, _ = self.run([fetches, actions], fed)
        return [np.asarray(value) for value in values]

    def restore(self, prefix: str) -> None:
        """Give the variables the values of a checkpoint.

        Raises:
            InputMissing: there is no such checkpoint.
            ModelError: it is damaged, or of another model.
        """
        if not os.path.isfile(f'{prefix}.index'):
            raise InputMissing(
                f'{prefix}: no such checkpoint, as there is no {os.path.basename(prefix)}.index. Give what its files '
                'have in common, such as …/variables/variables.'
            )
        own = os.path.join(self.folder, VARIABLES, VARIABLES)
        try:
            known, found = (dict(tf.train.list_variables(place)) for place in (own, prefix))
            wrong = next((name for name, shape in known.items() if found.get(name) != shape), '')
            if not wrong:
                self._session.run(self._saver.restore_op_name, {self._saver.filename_tensor_name: prefix})
        except (tf.errors.OpError, ValueError) as error:
            raise ModelError(f'{prefix}: not a checkpoint of {self.path} ({_reason(error)}).') from error
        if wrong:
            what = f'is of the shape {found[wrong]}, and should be {known[wrong]}' if wrong in found else 'is missing'
            raise ModelError(f'{prefix}: not a checkpoint of {self.path}: {wrong} {what}.')

    def save(self, prefix: str) -> None:
        """Write the variables as a checkpoint.

        Raises:
            OutputRefused, DiskFull: it cannot be written.
        """
        try:
            self._session.run(self._saver.save_tensor_name, {self._saver.filename_tensor_name: prefix})
        except (tf.errors.OpError, OSError) as error:
            raise write_error(prefix, error) from error

    def close(self) -> None:
        """Let go of the graph and of all it has learnt."""
        self._session.close()

    def __enter__(self) -> GraphSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def missing_values(fetches: Iterable[tf.Tensor | tf.Operation], fed: Iterable[tf.Tensor]) -> list[str]:
    """Names of the placeholders that fetches depend on and that are not fed."""
    tensors = list(fed)
    needed = reached(fetches, tensors) - {tensor.op for tensor in tensors}
    # Functions have placeholders for their variables too.
    return sorted(
        item.name
        for item in needed
        if item.type == 'Placeholder' and item.outputs[0].dtype not in (tf.resource, tf.variant)
    )


def reached(fetches: Iterable[tf.Tensor | tf.Operation], stops: Iterable[tf.Tensor]) -> set[tf.Operation]:
    """The operations that fetches depend on; what stands before the tensors `stops`, which are fed, does not count."""
    fed = {tensor.op for tensor in stops if len(tensor.op.outputs) == 1}
    pending = [item if isinstance(item, tf.Operation) else item.op for item in fetches]
    found: set[tf.Operation] = set()
    while pending:
        item = pending.pop()
        if item in found:
            continue
        found.add(item)
        if item not in fed:
            pending += [*item.control_inputs, *(tensor.op for tensor in item.inputs)]
    return found


def _choose(path: str, folder: str, tags: Sequence[str] | None) -> MetaGraph:
    if tags is None:
        sets = [graph.tags for graph in savedmodel.read(folder)]
        tags = sets[0] if len(sets) == 1 else next(((tag,) for tag in _CHOICE if (tag,) in sets), _CHOICE[-1:])
    return savedmodel.choose(path, tags)


def _reason(error: Exception) -> str:
    """What TensorFlow says is wrong, without where, and not with all the values that are."""
    lines = [line.strip() for line in (getattr(error, 'message', None) or str(error)).splitlines() if line.strip()]
    named = [number for number, line in enumerate(lines[:-1]) if line.startswith('Node: ')]
    text = lines[named[0] + 1] if named else first_line(error)
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…'
