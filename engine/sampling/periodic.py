"""Every so many pixels: samples spread evenly over a sequence."""

from __future__ import annotations

import numpy as np


class Periodic:
    """`target` of the numbers below `count`, at even distances.

    The k-th taken, from 0, is the first number i, from 1, for which (i - offset) * target / count exceeds k. The offset
    is 0; with jitter it is drawn anew for each, evenly from 0 to the jitter or count / target - 1, whichever is less,
    so that exactly `target` are taken all the same. Without jitter nothing is kept in memory.

    Args:
        count, target: of a sequence; target is at most count.
        jitter: in numbers of the sequence.
        rng: where offsets come from.
    """

    def __init__(self, count: int, target: int, jitter: float, rng: np.random.Generator) -> None:
        self._count, self._target = count, target
        reach = min(jitter, count / target - 1) if target else 0.0
        self._offsets = rng.uniform(0, reach, target) if reach > 0 else None

    def within(self, start: int, stop: int) -> np.ndarray:
        """The chosen numbers from `start` up to, not including, `stop`, ascending and counted from `start`."""
        if not self._target:
            return np.zeros(0, np.int64)
        first = start * self._target // self._count
        end = min(-(-stop * self._target // self._count), self._target)
        k = np.arange(first, max(end, first))
        chosen = self._place(k)
        if self._offsets is not None:
            late = (k * (self._count % self._target)) % self._target / self._target + self._offsets[first:end]
            chosen = np.minimum(chosen + np.floor(late).astype(np.int64), self._place(k + 1) - 1)
        return chosen[(chosen >= start) & (chosen < stop)] - start

    def _place(self, k: np.ndarray) -> np.ndarray:
        """k * count / target rounded down; in two parts, since the product may have more than 64 bits."""
        return k * (self._count // self._target) + k * (self._count % self._target) // self._target
