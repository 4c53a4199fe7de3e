"""The order in which samples are read."""

from __future__ import annotations

import abc
import itertools
import secrets
from collections.abc import Iterator

import numpy as np

from ...errors import InvalidJob, NoSamples
from .readers import PatchesReaderBase


class IteratorBase(abc.ABC):
    """Gives numbers of samples, one after the other. Subclass it for an order of your own.

    It may go on for ever or end; where it ends, the next pass begins with another ``iter()`` of it.

    Args:
        patches_reader: the reader whose samples are numbered.
    """

    def __init__(self, patches_reader: PatchesReaderBase) -> None:
        self.patches_reader = patches_reader

    def __iter__(self) -> Iterator[int]:
        return self

    @abc.abstractmethod
    def __next__(self) -> int:
        """The number of the next sample."""

    def take(self, count: int) -> np.ndarray:
        """The next `count` numbers, as int64."""
        taken: list[int] = []
        while len(taken) < count:
            before = len(taken)
            taken.extend(itertools.islice(iter(self), count - before))
            if len(taken) == before:
                raise InvalidJob(f'{type(self).__name__} gives no number of a sample.')
        return np.asarray(taken, np.int64)


class RandomIterator(IteratorBase):
    """All samples in random order, again and again, each pass in another order.

    Args:
        patches_reader: the reader whose samples are numbered.
        seed: the order of a pass is a function of this seed and the number of the pass alone; None: another order
            each time.
    """

    def __init__(self, patches_reader: PatchesReaderBase, seed: int | None = None) -> None:
        super().__init__(patches_reader)
        self._count = patches_reader.get_size()
        if not self._count:
            raise NoSamples('There is no sample to give the number of.')
        self._seed = secrets.randbits(64) if seed is None else seed
        self._pass = 0
        self._left = np.empty(0, np.int64)

    def __next__(self) -> int:
        return int(self.take(1)[0])

    def take(self, count: int) -> np.ndarray:
        parts = []
        while count:
            if not len(self._left):
                self._left = np.random.default_rng((self._seed, self._pass)).permutation(self._count)
                self._pass += 1
            parts.append(self._left[:count])
            self._left = self._left[count:]
            count -= len(parts[-1])
        return np.concatenate(parts) if parts else np.empty(0, np.int64)
