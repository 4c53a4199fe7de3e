"""What a reader of samples is."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np

from ...errors import DatasetError
from ..statistics import RunningStatistics

_AT_ONCE = 64  # samples; fixed, so that statistics do not depend on where the samples are read from


class PatchesReaderBase(abc.ABC):
    """Gives samples by their numbers. Subclass it to read your own."""

    @abc.abstractmethod
    def get_sample(self, index: int) -> dict[str, np.ndarray]:
        """One sample: key -> array. Types and shapes are the same for all samples."""

    @abc.abstractmethod
    def get_stats(self) -> dict[str, dict[str, np.ndarray]]:
        """Of each source the ``min``, ``max``, ``mean`` and ``std`` of each channel."""

    @abc.abstractmethod
    def get_size(self) -> int:
        """The number of samples."""

    def get_samples(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Several samples: key -> array with the samples along the first axis, in the order of `indices`.

        It calls `get_sample` for each. A reader that can do better overrides it: it is then called by several threads
        at the same time, and should give arrays that nobody else writes to.
        """
        samples = [self.get_sample(index) for index in indices.tolist()]
        for index, sample in zip(indices.tolist(), samples):
            if sample.keys() != samples[0].keys():
                raise DatasetError(f'Sample {index} has {sorted(sample)}, another {sorted(samples[0])}.')
        try:
            return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}
        except ValueError as error:
            raise DatasetError(f'Samples of different shapes: {error}') from error


def measure(reader: PatchesReaderBase, keys: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Statistics of some keys of a reader, over all pixels of all samples.

    Returns:
        key -> ``min``, ``max``, ``mean`` and ``std`` (of the population), each float64 of one number a channel.
    """
    running: dict[str, RunningStatistics] = {}
    for first in range(0, reader.get_size(), _AT_ONCE):
        indices = np.arange(first, min(first + _AT_ONCE, reader.get_size()))
        samples = reader.get_samples(indices)
        for key in keys:
            pixels = samples[key].reshape(1, -1, samples[key].shape[-1])
            running.setdefault(key, RunningStatistics(pixels.shape[-1])).add(pixels, np.ones(pixels.shape[:2], bool))
    results = {key: statistics.result() for key, statistics in running.items()}
    return {
        key: {
            'min': np.array(result.minimum),
            'max': np.array(result.maximum),
            'mean': np.array(result.mean),
            'std': np.array(result.stddev),
        }
        for key, result in results.items()
    }
