"""Tensor/IO bundles as Python objects that predict, and train on the spot."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidJob, TrainingDiverged
from ..events import Reporter
from .batch import Batch
from .description import Description, Layer
from .feeding import results, tensor
from .folder import BundleFolder, open_bundle

if TYPE_CHECKING:
    from ..training.graph.session import GraphSession

Item = Mapping[str, Any]


class Bundle:
    """A Tensor/IO bundle; a context manager. Its model is loaded when it is first run.

    >>> with Bundle('cats-vs-dogs.tiobundle') as bundle:  # doctest: +SKIP
    ...     batch = Batch(['image', 'labels'], [{'image': pixels, 'labels': 0}])
    ...     bundle.train(batch)
    ...     bundle.save('trained.tiobundle')
    {'sigmoid_cross_entropy_loss/value': 0.69}

    Items are dictionaries by the names of the inputs; how images are scaled says the bundle. Results are dictionaries
    by the names of the outputs: numbers for single values, label -> number for vectors with labels, else arrays.

    Args:
        path: folder, model.json in it, or .zip.
        seed: of what is random in the graph.

    Raises:
        InputMissing, ModelError: it is no bundle that is whole.
    """

    def __init__(self, path: str | os.PathLike[str], seed: int = 0) -> None:
        self._files = open_bundle(os.fspath(path))
        self._seed = seed
        self._session: GraphSession | None = None

    @property
    def description(self) -> Description:
        """What the bundle says of itself."""
        return self._files.description

    # -- running ------------------------------------------------------------------------------------------------------

    def predict(self, item: Item | Batch, placeholders: Mapping[str, Any] | None = None) -> Any:
        """What the model says of an item.

        Args:
            item: by the names of the inputs; or several, for models that take several at once.
            placeholders: values of what is no input, by name.

        Returns:
            The outputs by name; of a batch a list with those of each item. Nothing for bundles without a model.

        Raises:
            InvalidJob: an item is not what the bundle says.
            ModelError, OutOfMemory: the model cannot be run.
        """
        batch = item if isinstance(item, Batch) else Batch(list(item), [item])
        if self.description.empty:
            return [{} for _ in batch] if isinstance(item, Batch) else {}
        found = self._run(batch, placeholders or {}, ())
        rows = [{name: values[row % len(values)] for name, values in found.items()} for row in range(len(batch))]
        return rows if isinstance(item, Batch) else rows[0]

    def train(self, batch: Batch, placeholders: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One step of training on a batch.

        Args:
            batch: with a column for each input.
            placeholders: values of what is no input, by name, such as a rate of learning.

        Returns:
            The outputs by name, computed in the same run as the step: what it was made of. Of outputs with a value for
            each item a list.

        Raises:
            InvalidJob: an item is not what the bundle says, or the bundle does not train.
            ModelError, OutOfMemory: the model cannot be run.
        """
        self._require_training()
        if not len(batch):
            raise InvalidJob('The batch is empty.')
        found = self._run(batch, placeholders or {}, self.description.ops)
        batched = {layer.name for layer in self.description.outputs if layer.batched is not None}
        return {name: values if name in batched else values[0] for name, values in found.items()}

    def fit(
        self,
        items: Sequence[Item] | Batch,
        epochs: int,
        batch_size: int,
        placeholders: Mapping[str, Any] | None = None,
        shuffle: bool = True,
        on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    ) -> list[dict[str, float]]:
        """Train on all items, several times over; the last batch of an epoch takes what is left.

        Args:
            items: anything that has a length and gives items by number.
            batch_size: items a step.
            placeholders: as in `train`.
            shuffle: take them in an order that follows from the seed and the epoch, else in their own.
            on_epoch: called after each epoch with its number, from 1 on, and its means; what it raises ends the
                training.

        Returns:
            For each epoch the mean over the items of each output that is a number.

        Raises:
            TrainingDiverged: a loss is not a number any more.
        """
        from ..training.pipeline import shuffled

        if epochs < 1 or batch_size < 1 or not len(items):
            raise InvalidJob(f'{epochs} epochs of batches of {batch_size} out of {len(items)} items: none may be 0.')
        keys, history = list(items[0]), []
        for epoch in range(1, epochs + 1):
            order = np.arange(len(items))
            order = shuffled(order, self._seed, epoch) if shuffle else order
            totals: dict[str, float] = {}
            for start in range(0, len(order), batch_size):
                batch = Batch(keys, [items[number] for number in order[start : start + batch_size].tolist()])
                for name, value in self.train(batch, placeholders).items():
                    if not isinstance(value, (int, float)):
                        continue
                    if 'loss' in name.lower() and not math.isfinite(value):
                        raise TrainingDiverged(f'{name} is {value} in epoch {epoch}, batch {start // batch_size + 1}.')
                    totals[name] = totals.get(name, 0.0) + value * len(batch)
            history.append({name: total / len(order) for name, total in totals.items()})
            if on_epoch is not None:
                on_epoch(epoch, history[-1])
        return history

    def _run(self, batch: Batch, placeholders: Mapping[str, Any], ops: Sequence[str]) -> dict[str, list[Any]]:
        """The outputs of a batch: name -> values of the items, or the one of all."""
        session, description = self._loaded(), self.description
        given = {layer.name: layer for layer in description.placeholders}
        inputs = {layer.name: layer for layer in description.inputs}
        _require_known('input', batch.keys, inputs)
        _require_known('placeholder', placeholders, given)
        feeds = {_place(name): tensor(inputs[name], batch.column(name)) for name in batch.keys}
        feeds.update({_place(name): tensor(given[name], [value]) for name, value in placeholders.items()})
        found = session.run_named(feeds, [_place(layer.name) for layer in description.outputs], ops)
        return {
            layer.name: results(layer, array, len(batch), self._labels(layer))
            for layer, array in zip(description.outputs, found)
        }

    def _labels(self, layer: Layer) -> tuple[str, ...]:
        return self._files.labels(layer.labels) if layer.labels else ()

    # -- keeping ------------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a bundle with the model as it is trained now.

        Args:
            folder: its name ends in .tiobundle; it must be new, empty, or a bundle, which is replaced in the end.

        Raises:
            OutputRefused, DiskFull: it cannot be written.
        """
        from ..training.graph.saving import write_savedmodel

        session = self._loaded()
        session.require_variables()
        target = BundleFolder(os.fspath(folder), self._files)
        with target:
            target.copy()
            write_savedmodel(session, target.savedmodel)
            target.finish()

    def unload(self) -> None:
        """Let go of the model; what it has learnt and was not saved is lost."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def close(self) -> None:
        """Let go of everything."""
        self.unload()
        self._files.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loaded(self) -> GraphSession:
        if self._session is None:
            from ..training.graph.session import GraphSession

            self._session = GraphSession(self._files.savedmodel, self._files.tags, self._seed, Reporter())
        return self._session

    def _require_training(self) -> None:
        if not self.description.trains:
            raise InvalidJob(f'{self._files.path}: the bundle has no mode "train" in its model.json.')


def _place(name: str) -> str:
    """The name of a tensor as a graph has it."""
    return name if ':' in name else f'{name}:0'


def _require_known(what: str, names: Sequence[str] | Mapping[str, Any], known: Mapping[str, Layer]) -> None:
    for name in names:
        if name not in known:
            raise InvalidJob(f'{name}: no {what} of the bundle; it has {", ".join(known) or "none"}.')
