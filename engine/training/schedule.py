"""The learning rate over the steps of a training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ..errors import InvalidJob
from ..jobs import TrainOptions

_ONE_CYCLE = (0.3, 25.0, 1e4)  # share of the rise; the peak is so many times the start; the start so many times the end


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the learning rate goes: a function of the step, and for ``plateau`` of the scores before it.

    ``cosine`` falls to nothing along a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017); ``onecycle`` rises and falls
    once (Smith and Topin, "Super-Convergence", 2018); ``cyclical`` falls along a cosine again and again. While it warms
    up, the rate is a growing share of what it would be; ``cosine`` begins to fall after that.

    Attributes:
        kind: one of `jobs.SCHEDULES`.
        peak: the largest learning rate.
        steps: of the whole training.
        warm_up: share of them in which the rate rises from nothing.
        patience, factor: of ``plateau``.
        period: steps of ``exponential`` and ``cyclical``, see `TrainOptions`.
        decay, staircase: of ``exponential``.
        minimum: of ``cyclical``.
        pieces: of ``piecewise``: the step from which each learning rate holds, ascending from 0.
    """

    kind: str
    peak: float
    steps: int
    warm_up: float
    patience: int = 5
    factor: float = 0.5
    period: int = 1
    decay: float = 1.0
    staircase: bool = True
    minimum: float = 0.0
    pieces: tuple[tuple[int, float], ...] = ()

    @classmethod
    def of(cls, options: TrainOptions, peak: float, epoch: int, epochs: int) -> Schedule:
        """The schedule that options ask for.

        Args:
            epoch: steps of an epoch.
            epochs: of the whole training.
        """
        pieces = pieces_of(options.piecewise) if options.schedule == 'piecewise' else ()
        return cls(
            options.schedule,
            peak,
            epoch * epochs,
            options.warm_up,
            options.plateau_patience,
            options.plateau_factor,
            options.schedule_steps or epoch,
            options.decay_rate,
            options.staircase,
            options.minimum_rate,
            tuple((after * epoch, rate) for after, rate in pieces),
        )

    def rate(self, step: int, scores: Sequence[float] = ()) -> float:
        """The learning rate of a step.

        Args:
            step: counted from 0.
            scores: of the epochs that are done, higher ones better.
        """
        if self.kind == 'onecycle':
            return self._one_cycle(step)
        warm_up = int(self.steps * self.warm_up)
        share = min((step + 1) / (warm_up + 1), 1.0)
        if self.kind == 'cosine':
            return share * self.peak * _falling(max(step - warm_up, 0) / max(self.steps - warm_up, 1))
        return share * self._unwarmed(step, scores)

    def _unwarmed(self, step: int, scores: Sequence[float]) -> float:
        if self.kind == 'plateau':
            return self.peak * self.factor ** self._reductions(scores)
        if self.kind == 'exponential':
            return self.peak * self.decay ** (step // self.period if self.staircase else step / self.period)
        if self.kind == 'cyclical':
            return self.minimum + (self.peak - self.minimum) * _falling(step % self.period / self.period)
        if self.kind == 'piecewise':
            return next(rate for first, rate in reversed(self.pieces) if step >= first)
        return self.peak

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


def pieces_of(text: str) -> tuple[tuple[int, float], ...]:
    """The epochs after which each learning rate of ``0.01:5:0.001:10:0.0001`` holds: here 0, 5 and 10.

    Raises:
        InvalidJob: it is no such text.
    """
    parts = text.split(':')
    try:
        rates, after = [float(part) for part in parts[::2]], [0, *(int(part) for part in parts[1::2])]
    except ValueError:
        rates, after = [], []
    rising = all(a < b for a, b in zip(after, after[1:]))
    if not rates or len(parts) % 2 == 0 or not rising or not all(0 < rate < math.inf for rate in rates):
        raise InvalidJob(
            f'piecewise {text!r}: the schedule needs learning rates and, between them, the epochs after which they '
            'change, such as 0.01:5:0.001:10:0.0001.'
        )
    return tuple(zip(after, rates))


def _falling(part: float) -> float:
    """From 1 to 0 along half a cosine, while `part` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
