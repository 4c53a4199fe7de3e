"""How the fitting of a network begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ..events import Reporter
from ..jobs import TrainJob
from ..networks.losses import loss as loss_of
from .devices import Devices
from .loop import Fitting
from .network import build_network, logits_of, precision_policy, synchronise
from .opening import TRAIN, Material
from .optimizing import add_optimizers, groups_of
from .schedule import Schedule
from .warmstart import warm_start


def start_fitting(
    job: TrainJob,
    material: Material,
    weights: np.ndarray,
    schedule: Schedule,
    devices: Devices,
    before_step: Callable[[], None],
    reporter: Reporter,
) -> tuple[keras.Model, Fitting, dict[str, Any] | None]:
    """The network with its first weights, and what trains it.

    Args:
        weights: of classes in the loss.
        before_step: called before each step.

    Returns:
        The whole network, its fitting, and what a warm start took over (None without one).

    Raises:
        InvalidJob, ModelError: options or weights that do not fit the network.
    """
    options = job.options
    loss = loss_of(job.loss, options.loss, regression=not material.classes)
    policy = precision_policy(job)
    with devices.scope():
        model = build_network(job, material, policy)
        transfer = warm_start(job.warm_start, model, material, options, reporter) if job.warm_start else None
        network = logits_of(model)
        if devices.replicas > 1:
            synchronise(network)
        groups = groups_of(network, options, transfer.known if transfer else ())
        add_optimizers(groups, options, policy == 'mixed_float16')
        spread = material.splits[TRAIN].spread
        fitting = Fitting(network, loss, weights, spread, groups, schedule, options.clip_norm, devices, before_step)
    return model, fitting, dataclasses.asdict(transfer) if transfer else None
