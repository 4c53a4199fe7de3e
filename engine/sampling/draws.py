"""Which of a class's pixels are taken: numbers chosen out of many without holding the many in memory."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Every:
    """Every `step`-th of a sequence, until `target` are taken: the numbers step - 1, 2 * step - 1, …"""

    step: int
    target: int

    def within(self, start: int, stop: int) -> np.ndarray:
        """The chosen numbers from `start` up to, not including, `stop`, ascending and counted from `start`."""
        return np.arange(start // self.step + 1, min(stop // self.step, self.target) + 1) * self.step - 1 - start


class Drawn:
    """`target` of the numbers below `count`, drawn at random without replacement; every choice is as likely.

    Memory grows with the smaller of those taken and those left, never with `count`.
    """

    def __init__(self, count: int, target: int, rng: np.random.Generator) -> None:
        self._left = target > count - target  # what is kept in memory are those that are not taken
        few = count - target if self._left else target
        numbers = np.zeros(0, np.int64)
        while len(numbers) < few:
            more = rng.integers(0, count, few - len(numbers) + 16)
            together = np.concatenate([numbers, more])
            first = np.unique(together, return_index=True)[1]
            numbers = together[np.sort(first)][:few]
        self._numbers = np.sort(numbers)

    def within(self, start: int, stop: int) -> np.ndarray:
        """As `Every.within`."""
        first, last = np.searchsorted(self._numbers, [start, stop])
        here = self._numbers[first:last] - start
        return np.setdiff1d(np.arange(stop - start), here, assume_unique=True) if self._left else here
