"""The optimisers of a training: one for each group of layers that learns in its own way."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ..errors import InvalidJob
from ..jobs import TrainOptions

# Decay would only pull what normalises and shifts away from where the data wants it.
_NO_DECAY = ['bias', 'gamma', 'beta']
_MOMENTUM = 0.9  # of SGD, after Nesterov


@dataclasses.dataclass
class Group:
    """Layers that learn alike.

    Attributes:
        layers: those with weights.
        factor: on the learning rate.
        after: epochs after which they are trained; None for never.
        variables: what is trained of them.
        optimizer: of these.
    """

    layers: list[keras.layers.Layer]
    factor: float
    after: int | None
    variables: list[Any] = dataclasses.field(default_factory=list)
    optimizer: Any = None

    def __post_init__(self) -> None:
        self.variables = [variable for layer in self.layers for variable in layer.trainable_variables]

    def learns(self, epoch: int) -> bool:
        """Whether they are trained in an epoch, counted from 1."""
        return self.after is not None and epoch > self.after


def groups_of(network: keras.Model, options: TrainOptions, loaded: Sequence[str]) -> list[Group]:
    """The layers of a network by how they learn; groups without layers are left out.

    Args:
        loaded: names of layers whose weights come from another model.

    Raises:
        InvalidJob: a pattern that no layer matches, or nothing is left to be trained.
    """
    layers = [layer for layer in layers_of(network) if layer.weights]
    for pattern in options.freeze:
        if not any(re.fullmatch(pattern, layer.name) for layer in layers):
            some = ', '.join(layer.name for layer in layers[:6])
            raise InvalidJob(f'freeze: no layer is called {pattern!r}; the first ones are {some}.')
    kinds: dict[str, list[keras.layers.Layer]] = {'new': [], 'loaded': [], 'frozen': [], 'thawed': []}
    for layer in layers:
        frozen = any(re.fullmatch(pattern, layer.name) for pattern in options.freeze)
        known = layer.name in loaded and options.fine_tune != 1
        kinds[('thawed' if known else 'frozen') if frozen else 'loaded' if known else 'new'].append(layer)
    late = options.unfreeze_after or None
    found = [
        Group(kinds['new'], 1.0, 0),
        Group(kinds['loaded'], options.fine_tune, 0),
        Group(kinds['frozen'], 1.0, late),
        Group(kinds['thawed'], options.fine_tune, late),
    ]
    found = [group for group in found if group.variables]
    if not any(group.learns(1) for group in found):
        raise InvalidJob('freeze: no layer is left to be trained. Give fewer patterns.')
    return found


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model, those of models within it too."""
    found = []
    for layer in model.layers:
        found += layers_of(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def add_optimizers(groups: Sequence[Group], options: TrainOptions, scaled: bool) -> None:
    """Give each group an optimiser with all its state.

    AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Args:
        scaled: the loss is scaled up, since gradients in half precision would vanish.
    """
    for group in groups:
        group.optimizer = _optimizer(options)
        if scaled:
            group.optimizer = keras.optimizers.LossScaleOptimizer(group.optimizer)
        group.optimizer.build(group.variables)


def _optimizer(options: TrainOptions) -> keras.optimizers.Optimizer:
    decay = options.weight_decay or None
    if options.optimizer == 'adam':
        return keras.optimizers.Adam(0.0)
    if options.optimizer == 'sgd':
        found = keras.optimizers.SGD(0.0, _MOMENTUM, nesterov=True, weight_decay=decay)
    else:
        found = keras.optimizers.AdamW(0.0, decay or 0.0)
    if decay:
        found.exclude_from_weight_decay(var_names=_NO_DECAY)
    return found


def clipped(gradients: Sequence[tf.Tensor], norm: float, scale: tf.Tensor | float = 1.0) -> list[tf.Tensor]:
    """Gradients scaled down so that their global norm is `norm` at most; `scale` is what they are multiplied with."""
    return tf.clip_by_global_norm(gradients, norm * scale)[0]
