"""Which number tells how good an epoch is, which weights are therefore the best, and when to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InvalidJob
from ..jobs import TrainOptions
from ..reports.accuracy import WORDS

MEASURES = {'segmentation': 'mean_iou', 'classification': 'macro_f1', 'regression': 'r2'}  # unless options say others
CLASS_NUMBERS = ('overall_accuracy', 'mean_iou', 'macro_f1')
VALUE_NUMBERS = ('rmse', 'mae', 'bias', 'r2')
_FALLING = ('loss', 'rmse', 'mae')
_NEITHER = 'bias'


@dataclasses.dataclass(frozen=True)
class Monitor:
    """What epochs are judged by.

    Attributes:
        name: of the number, one of those of the history.
        rising: whether large ones are good.
        min_delta: by how much it must be better for `patience` to begin anew; for the choice of the best weights any
            difference counts.
        patience: epochs without a better one after which the training stops; 0: it does not.
        minimum_epochs: that it has in any case.
    """

    name: str
    rising: bool = True
    min_delta: float = 0.0
    patience: int = 0
    minimum_epochs: int = 0

    @classmethod
    def of(cls, options: TrainOptions, task: str) -> Monitor:
        """The one that options ask for.

        Raises:
            InvalidJob: there is no such number, or nobody says whether it should be small or large.
        """
        known = ('loss', *(VALUE_NUMBERS if task == 'regression' else CLASS_NUMBERS))
        name = options.monitor or MEASURES[task]
        if name not in known:
            raise InvalidJob(f'monitor {name!r}: unknown; for {task} known are {", ".join(known)}.')
        if options.monitor_mode == 'auto' and name == _NEITHER:
            raise InvalidJob(
                f'monitor {name}: is good where it is near 0, neither small nor large. Take rmse or mae, or say with '
                'monitor_mode which is meant.'
            )
        rising = name not in _FALLING if options.monitor_mode == 'auto' else options.monitor_mode == 'max'
        return cls(name, rising, options.min_delta, options.patience, options.minimum_epochs)

    @property
    def words(self) -> str:
        """What people call it."""
        return WORDS[self.name]

    def score(self, numbers: Mapping[str, Any]) -> float:
        """How good an epoch is, higher being better."""
        value = float(numbers[self.name])
        return value if self.rising else -value

    def better(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether the first numbers are better; if the others are none, any are."""
        a, b = self.score(one), self.score(other)
        return math.isnan(b) or a > b

    def exhausted(self, judged: Sequence[tuple[int, float]], steps: int, epoch: int) -> bool:
        """Whether there was nothing better for long enough.

        Args:
            judged: the step and the score of each time that was looked, in their order.
            steps: of an epoch.
            epoch: epochs that are done.
        """
        if not self.patience or not judged or epoch < self.minimum_epochs:
            return False
        at, best = judged[0]
        for step, score in judged[1:]:
            if math.isnan(best) or score > best + self.min_delta:
                at, best = step, score
        return judged[-1][0] - at >= self.patience * steps

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)


class Ranking:
    """The best epochs, the best one first.

    Args:
        monitor: tells which is better.
        size: how many at most.
        entries: those that are known: ``epoch``, ``step`` and the monitored number of each.
    """

    def __init__(self, monitor: Monitor, size: int, entries: Sequence[Mapping[str, Any]] = ()) -> None:
        self._monitor, self._size = monitor, size
        self.entries = [dict(entry) for entry in entries][:size]

    @property
    def steps(self) -> list[int]:
        """After which the weights were these."""
        return [entry['step'] for entry in self.entries]

    def add(self, epoch: int, step: int, numbers: Mapping[str, Any]) -> bool:
        """Take part; returns whether it is among the best."""
        name = self._monitor.name
        entry = {'epoch': epoch, 'step': step, name: float(numbers[name])}
        better = (place for place, other in enumerate(self.entries) if self._monitor.better(entry, other))
        place = next(better, len(self.entries))
        self.entries.insert(place, entry)
        del self.entries[self._size :]
        return place < self._size
