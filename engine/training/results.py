"""What came out of a training."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .training import Training


@dataclasses.dataclass(frozen=True)
class Choice:
    """Weights that a training had.

    Attributes:
        epoch, step: after which.
        best: whether they are there for what they score, and not for being the last ones.
    """

    epoch: int
    step: int
    best: bool


def stopped(training: Training) -> dict[str, str]:
    """Why it ended: the ``reason``, one of ``epochs`` and ``patience``, and a ``text``."""
    epochs, patience = training.job.epochs, training.job.options.patience
    if training.state.epoch >= epochs:
        return {'reason': 'epochs', 'text': f'all {epochs} epochs are done'}
    return {'reason': 'patience', 'text': f'no better {training.judge.monitor.words} for {patience} epochs'}


def outcome_of(training: Training) -> dict[str, Any]:
    """For the record: how it went, and how good the weights are that were taken."""
    judge, choice = training.judge, training.choice
    return {
        'history': training.history,
        'best': {
            'epoch': choice.epoch,
            'step': choice.step,
            'score': training.score,
            'measure': judge.monitor.name,
            'split': judge.split,
            'chosen': choice.best,
        },
        'results': {name: outcome.record() for name, outcome in training.results.items()},
        'monitor': judge.monitor.record(),
        'cadences': training.cadences.record(),
        'stopped': stopped(training),
        'resumed': training.state.resumed,
        'warm_start': training.transfer,
        'seconds': round(training.seconds, 3),
        'device': training.devices.words,
    }
