"""When what recurs in a training happens: validations, kept states, summaries."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Optional

from ..jobs import TrainOptions

Clock = Callable[[], float]  # seconds from some moment on
# Options of each: epochs, steps and seconds.
VALIDATION_OPTIONS = ('validation_epochs', 'validation_steps', 'validation_secs')
CHECKPOINT_OPTIONS = ('save_checkpoint_epochs', 'save_checkpoint_steps', 'save_checkpoint_secs')
SUMMARY_OPTIONS = ('save_summary_epochs', 'save_summary_steps')


@dataclasses.dataclass
class Cadence:
    """After so many epochs, steps or seconds, whichever are given (0: not for their sake).

    Seconds are counted from `begin`, and then from the last time that it happened.
    """

    epochs: int = 0
    steps: int = 0
    secs: float = 0.0
    clock: Clock = time.monotonic
    _last: float = 0.0

    @classmethod
    def of(cls, epochs: Optional[int], steps: int, secs: float, clock: Clock) -> Cadence:
        """As options say it: where `epochs` is None, every epoch if nothing else is given."""
        if epochs is None:
            epochs = 0 if steps or secs else 1
        return cls(epochs, steps, secs, clock)

    @property
    def midway(self) -> bool:
        """Whether it may happen within an epoch."""
        return bool(self.steps or self.secs)

    def begin(self) -> None:
        """The training starts, or goes on."""
        self._last = self.clock()

    def due(self, step: int, epoch: int = 0) -> bool:
        """Whether it happens after a step; to be asked once after each.

        Args:
            step: steps that are done, counted over all epochs.
            epoch: the epoch that ended with it; 0 within one.
        """
        late = bool(self.secs) and self.clock() - self._last >= self.secs
        found = late or self.ends(epoch) or bool(self.steps and step % self.steps == 0)
        if found:
            self._last = self.clock()
        return found

    def ends(self, epoch: int) -> bool:
        """Whether it happens at the end of an epoch for the epoch's sake."""
        return bool(epoch and self.epochs and epoch % self.epochs == 0)


@dataclasses.dataclass
class Cadences:
    """Of one training. None has an influence on another one."""

    validation: Cadence
    checkpoint: Cadence
    summary: Cadence

    @classmethod
    def of(cls, options: TrainOptions, clock: Clock = time.monotonic) -> Cadences:
        """Those that options ask for."""
        return cls(
            Cadence.of(options.validation_epochs, options.validation_steps, options.validation_secs, clock),
            Cadence.of(
                options.save_checkpoint_epochs, options.save_checkpoint_steps, options.save_checkpoint_secs, clock
            ),
            Cadence.of(options.save_summary_epochs, options.save_summary_steps, 0.0, clock),
        )

    def begin(self) -> None:
        """The training starts, or goes on."""
        for cadence in (self.validation, self.checkpoint, self.summary):
            cadence.begin()

    @property
    def by_steps(self) -> bool:
        """Whether numbers are told within epochs, so that steps, and not epochs, are the axis of curves."""
        return self.validation.midway or self.summary.midway

    def record(self) -> dict[str, dict[str, float]]:
        """As plain values."""
        parts = {'validation': self.validation, 'checkpoint': self.checkpoint, 'summary': self.summary}
        return {name: {'epochs': part.epochs, 'steps': part.steps, 'secs': part.secs} for name, part in parts.items()}
