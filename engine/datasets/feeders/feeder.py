"""A feeder: samples in batches, again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Optional

import numpy as np

from ...errors import InvalidJob
from ..readahead import read_ahead
from .options import BatchOptions
from .order import batch_indices, total_steps
from .source import Source, chosen_samples

Columns = dict[str, np.ndarray]
FeederBatch = tuple[Columns, Optional[Columns]]
_AHEAD = 4  # batches, where nobody says


class Feeder:
    """Samples of a source in batches.

    Args:
        source: gives them by number.
        options: which ones, in which order, how many at a time.
        threads: that read batches.
        prefetch: batches ready before they are asked for; -1: a few.

    Attributes:
        chosen: numbers in the source of the samples that are used, ascending.
        count: how many these are.

    Raises:
        InvalidJob: fewer samples than `max_examples` or a batch asks for.
    """

    def __init__(self, source: Source, options: BatchOptions, threads: int = 1, prefetch: int = -1) -> None:
        self.source, self.options = source, options
        self.chosen = chosen_samples(source.count, options.max_examples, options.seed, source.name)
        self.count = len(self.chosen)
        if options.batch_size > self.count:
            raise InvalidJob(
                f'{source.name}: batch_size {options.batch_size}, and there are {self.count} samples. Give '
                f'{self.count} or less.'
            )
        self._threads, self._ahead = threads, _AHEAD if prefetch < 0 else prefetch

    def total_steps(self, epochs: int | None) -> int | None:
        """Number of the batches of so many epochs; None for no end.

        Raises:
            InvalidJob: fewer epochs than 1.
        """
        return total_steps(self.count, epochs, self.options)

    def batches(self, epochs: int | None = 1) -> Iterator[FeederBatch]:
        """Batches of (features, labels), each name -> array with the samples along the first axis; labels are None
        where there are none.

        Batches go on over the end of an epoch; only the last one may be smaller, or is left out.

        Args:
            epochs: how often each sample is given; None: without end.

        Raises:
            InvalidJob: fewer epochs than 1.
            DatasetError: a sample cannot be read; the message says where it lies.
        """
        self.total_steps(epochs)
        parts = batch_indices(self.count, epochs, self.options)
        return read_ahead(self._read, parts, self._ahead, self._threads, 'feeder')

    def get_input_fn(self, epochs: int | None = 1) -> Callable[[], Any]:
        """A function that gives these batches as a ``tf.data.Dataset``."""
        self.total_steps(epochs)

        def input_fn() -> Any:
            from ..pipelines.feeding import stream

            return stream(self, epochs)

        return input_fn

    def _read(self, indices: np.ndarray) -> FeederBatch:
        numbers = self.chosen[indices]
        features, labels = (
            {name: column.read(numbers) for name, column in columns.items()}
            for columns in (self.source.features, self.source.labels)
        )
        return features, labels or None
