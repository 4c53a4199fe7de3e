"""What a training says while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..events import Reporter
from ..jobs import TrainJob
from ..reports.accuracy import WORDS
from .history import PARTS
from .monitor import MEASURES, Monitor
from .opening import TRAIN, Material
from .outcome import Outcome
from .results import Choice
from .state import State

_OF_ALL_STEPS = ('cosine', 'onecycle')  # schedules whose rates depend on how many steps there are to be


def describe(
    job: TrainJob, material: Material, weights: np.ndarray, parameters: int, devices: str, reporter: Reporter
) -> None:
    """Say what is about to be trained.

    Args:
        weights: of classes in the loss.
        parameters: of the network.
        devices: what computes, in words.
    """
    counts = ', '.join(f'{split.count} {name}' for name, split in material.splits.items())
    sizes = ' and '.join(
        f'{source.shape[1]} x {source.shape[0]} pixels and {source.shape[2]} '
        + ('bands' if source.shape[2] != 1 else 'band')
        for source in material.sources
    )
    reporter.log(f'{job.architecture} with {parameters} parameters on {devices}; samples of {sizes}: {counts}')
    for definition, weight, pixels in zip(material.classes, weights, material.splits[TRAIN].pixels):
        reporter.log(
            f'Class {definition.value} ({definition.name}): {pixels} training pixels, weight {weight:.3f}', detail=True
        )


def tell_resumed(job: TrainJob, state: State, steps: int, place: str, reporter: Reporter) -> None:
    """Say from where a training goes on.

    Args:
        steps: of an epoch.
    """
    midway = f' and {state.position} of {steps} steps' if state.position else ''
    reporter.log(f'Resumed after epoch {state.epoch} of {job.epochs}{midway}, from {place}')
    if state.epochs != job.epochs and job.options.schedule in _OF_ALL_STEPS:
        reporter.warn(
            f'The training was begun for {state.epochs} epochs; from here on the learning rate is that of '
            f'{job.epochs}. With schedule {job.options.schedule} that is not the same as having begun for so many.'
        )


def tell_row(job: TrainJob, monitor: Monitor, row: Mapping[str, Any], best: bool, reporter: Reporter) -> None:
    """Say what a row of the history holds, and whether it is the best so far."""
    names = dict.fromkeys(('loss', MEASURES[job.task], monitor.name))
    parts = []
    for part in PARTS:
        if part in row:
            parts.append(f'{part} ' + ', '.join(f'{WORDS[name]} {row[part][name]:.4f}' for name in names))
    mark = ' (best)' if best else ''
    midway = '' if 'training' in row else f', step {row["step"]}'
    reporter.log(f'Epoch {row["epoch"]}/{job.epochs}{midway}: {"; ".join(parts)}{mark}, {row["seconds"]:.1f} s')


def tell_result(
    choice: Choice, steps: int, split: str, outcome: Outcome, material: Material, reporter: Reporter
) -> None:
    """Say how good weights are.

    Args:
        steps: of an epoch.
    """
    scores = ', '.join(f'{WORDS.get(key, key)} {value:.4f}' for key, value in outcome.scores().items())
    midway = f', step {choice.step},' if choice.step % steps else ''
    reporter.log(f'Epoch {choice.epoch}{midway} on {split}: {scores}')
    record = outcome.record()
    for number, definition in enumerate(material.classes):
        f1, iou = (record[key][number] for key in ('f1', 'iou'))
        if f1 is not None:
            reporter.log(f'  {definition.value} ({definition.name}): F1 {f1:.4f}, IoU {iou:.4f}')
