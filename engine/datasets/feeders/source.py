"""What a feeder takes its samples from: columns of features and of labels."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import InvalidJob
from ...events import Reporter
from ..manifest import Shard


class Column(abc.ABC):
    """One feature, or one kind of label, of all samples.

    Attributes:
        shape: of one sample's.
        dtype: as it is read; object for bytes.
        bands: what its last axis means; empty where nobody says.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    bands: tuple[str, ...] = ()

    @abc.abstractmethod
    def read(self, indices: np.ndarray) -> np.ndarray:
        """(len(indices), *shape) in the order asked for. Threads may call it at the same time."""


class Source(abc.ABC):
    """Samples by their numbers.

    Attributes:
        name: what messages call it.
        count: number of samples.
        features, labels: their columns by name.
    """

    name: str
    count: int
    features: Mapping[str, Column]
    labels: Mapping[str, Column]

    def where(self, index: int) -> str:
        """A sample, for messages."""
        return f'{self.name}: sample {index}'

    @abc.abstractmethod
    def shards(self, reporter: Reporter) -> tuple[Shard, ...]:
        """What it is made of, with checksums: two sources with the same hold the same samples."""


class ArrayColumn(Column):
    """A column that is an array, samples along its first axis."""

    def __init__(self, values: np.ndarray, bands: Sequence[str] = ()) -> None:
        self.values, self.bands = values, tuple(bands)
        self.shape, self.dtype = values.shape[1:], values.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.values[indices])


def chosen_samples(count: int, most: int, seed: int, where: str) -> np.ndarray:
    """Numbers of the samples that are used, ascending: `most` of them drawn at random, or all where it is -1.

    Raises:
        InvalidJob: there are fewer.
    """
    if most < 0:
        return np.arange(count)
    if most > count:
        raise InvalidJob(f'{where}: max_examples {most}, and there are {count}. Give {count} or less, or -1 for all.')
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
