"""The learning rate over the steps of a training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ..jobs import TrainOptions

_ONE_CYCLE = (0.3, 25.0, 1e4)  # share of the rise; the peak is so many times the start; the start so many times the end


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the learning rate goes: a function of the step, and for ``plateau`` of the scores before it.

    ``cosine`` falls to nothing along a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017); ``onecycle`` rises and falls
    once (Smith and Topin, "Super-Convergence", 2018).

    Attributes:
        kind: one of `jobs.SCHEDULES`.
        peak: the largest learning rate.
        steps: of the whole training.
        warm_up: share of them in which the rate rises from nothing.
        patience, factor: of ``plateau``.
    """

    kind: str
    peak: float
    steps: int
    warm_up: float
    patience: int = 5
    factor: float = 0.5

    @classmethod
    def of(cls, options: TrainOptions, peak: float, steps: int) -> Schedule:
        """The schedule that options ask for."""
        return cls(options.schedule, peak, steps, options.warm_up, options.plateau_patience, options.plateau_factor)

    def rate(self, step: int, scores: Sequence[float] = ()) -> float:
        """The learning rate of a step.

        Args:
            step: counted from 0.
            scores: of the epochs that are done, higher ones better.
        """
        if self.kind == 'onecycle':
            return self._one_cycle(step)
        warm_up = int(self.steps * self.warm_up)
        if step < warm_up:
            return self.peak * (step + 1) / (warm_up + 1)
        if self.kind == 'cosine':
            return self.peak * _falling((step - warm_up) / max(self.steps - warm_up, 1))
        return self.peak * self.factor ** self._reductions(scores) if self.kind == 'plateau' else self.peak

    def _one_cycle(self, step: int) -> float:
        rise, start, end = _ONE_CYCLE
        first, last = self.peak / start, self.peak / start / end
        top = rise * max(self.steps - 1, 1)
        if step < top:
            return self.peak + (first - self.peak) * _falling(step / top)
        return last + (self.peak - last) * _falling((step - top) / max(self.steps - 1 - top, 1))

    def _reductions(self, scores: Sequence[float]) -> int:
        """How often there was no better score for `patience` epochs."""
        best, waiting, count = -math.inf, 0, 0
        for score in scores:
            if score > best:
                best, waiting = score, 0
            else:
                waiting += 1
            if waiting == self.patience:
                waiting, count = 0, count + 1
        return count


def _falling(part: float) -> float:
    """From 1 to 0 along half a cosine, while `part` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
