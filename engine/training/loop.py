"""Fitting a network: the steps that TensorFlow does, and passes over samples that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Optional

import keras
import numpy as np
import tensorflow as tf

from ..errors import TrainingDiverged
from .devices import Devices
from .optimizing import Group, clipped
from .outcome import ClassOutcome, Outcome, ValueOutcome
from .pipeline import Batch
from .schedule import Schedule
from .splits import ValueSpread

Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class Fitting:
    """A network being fitted.

    Args:
        network: gives the logits of classes, or values in standard deviations from the mean of `spread`.
        loss: of (logits or values, labels, weights), summed over the pixels.
        weights: what a pixel of each class weighs in the loss; empty for values.
        spread: of the values; None for classes.
        groups: the layers by how they learn, with their optimisers.
        schedule: the learning rate.
        clip_norm: of gradients; 0 leaves them.
        devices: what computes.
        before_step: called before each step, for progress and cancel.

    Attributes:
        steps: of training that are done.
        rate: the learning rate of the last of them.
    """

    def __init__(
        self,
        network: keras.Model,
        loss: Loss,
        weights: np.ndarray,
        spread: ValueSpread | None,
        groups: Sequence[Group],
        schedule: Schedule,
        clip_norm: float,
        devices: Devices,
        before_step: Callable[[], None],
    ) -> None:
        self.network, self.groups, self.devices = network, list(groups), devices
        self.steps, self.rate = 0, 0.0
        self._loss, self._classes, self._spread = loss, len(weights), spread
        self._weights = tf.constant(weights, tf.float32)
        self._schedule, self._clip_norm, self._before_step = schedule, clip_norm, before_step
        labels = tf.TensorSpec((None, None, None), tf.int32 if spread is None else tf.float32)
        self._signature = [
            tuple(tf.TensorSpec((None, None, None, tensor.shape[-1]), tf.float32) for tensor in network.inputs),
            labels,
            tf.TensorSpec((None, None, None), tf.bool),
        ]
        self._learning: tuple[Group, ...] = ()
        self._test_step = devices.compiled(self._test, self._signature)
        self._look_step = devices.compiled(self._look, self._signature)

    def nothing(self) -> Outcome:
        """The outcome of no batch at all."""
        return self._outcome(False)

    def train(
        self,
        samples: Iterable[Batch],
        epoch: int,
        scores: Sequence[float] = (),
        done: int = 0,
        outcome: Optional[Outcome] = None,
        after_step: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """One epoch, or the rest of one; the outcome is that of the batches as they were trained with.

        Args:
            scores: of the epochs before.
            done: batches of this epoch before these.
            outcome: of those, which goes on.
            after_step: called after each step, when the outcome has it.

        Raises:
            TrainingDiverged: the loss is not a number any more.
        """
        self._begin(epoch)

        def step(batch: Batch) -> tuple[tf.Tensor, ...]:
            self.rate = self._schedule.rate(self.steps, scores)
            for group in self._learning:
                group.optimizer.learning_rate = self.rate * group.factor
            self.steps += 1
            return self.devices.call(self._train_step, batch)

        return self._pass(samples, step, outcome or self.nothing(), f'epoch {epoch}', done, after_step)

    def evaluate(self, samples: Iterable[Batch]) -> Outcome:
        """A pass that changes nothing."""
        return self._pass(
            samples, lambda batch: self.devices.call(self._test_step, batch), self.nothing(), 'evaluation'
        )

    def examine(self, samples: Iterable[Batch]) -> Outcome:
        """As `evaluate`, and also how sure the network is, or what it says for which value."""
        return self._pass(
            samples, lambda batch: self.devices.call(self._look_step, batch), self._outcome(True), 'evaluation'
        )

    def predict(self, batch: Batch) -> np.ndarray:
        """The class index or the value of every pixel: (samples, rows, columns)."""
        return self._found(self._logits(batch.images, batch.labels, False))[0].numpy()

    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the network by their place."""
        return {f'network-{number}': value for number, value in enumerate(self.network.get_weights())}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Go back to what `weights` gave."""
        self.network.set_weights([weights[f'network-{number}'] for number in range(len(weights))])

    def arrays(self) -> dict[str, np.ndarray]:
        """All that the next step depends on, by name: weights, states of random generators, and optimisers."""
        return {name: np.asarray(variable) for name, variable in self._variables().items()}

    def restore(self, arrays: Mapping[str, np.ndarray], steps: int, rate: float) -> None:
        """Go back to what `arrays` gave, after so many steps, the last one with this learning rate."""
        for name, variable in self._variables().items():
            variable.assign(arrays[name])
        self.steps, self.rate = steps, rate

    def _variables(self) -> dict[str, Any]:
        optimizers = {
            f'optimizer-{group}-{number}': variable
            for group, item in enumerate(self.groups)
            for number, variable in enumerate(item.optimizer.variables)
        }
        return {f'network-{number}': item for number, item in enumerate(self.network.variables)} | optimizers

    def _begin(self, epoch: int) -> None:
        """Make the step of an epoch, in which other layers may learn than in the one before."""
        learning = tuple(group for group in self.groups if group.learns(epoch))
        if learning == self._learning:
            return
        self._learning = learning
        for group in self.groups:
            for layer in group.layers:
                layer.trainable = group in learning
        self._train_step = self.devices.compiled(self._train, self._signature)
        # Normalisation of frozen layers does as it does in a test.
        self._test_step = self.devices.compiled(self._test, self._signature)

    def _outcome(self, whole: bool) -> Outcome:
        return ClassOutcome(self._classes, whole) if self._spread is None else ValueOutcome(self._spread, whole)

    def _pass(
        self,
        samples: Iterable[Batch],
        step: Callable[[Batch], tuple[tf.Tensor, ...]],
        outcome: Outcome,
        what: str,
        done: int = 0,
        after_step: Callable[[], None] = lambda: None,
    ) -> Outcome:
        for number, batch in enumerate(samples, done + 1):
            self._before_step()
            found = step(batch)
            loss = float(found[0])
            if not np.isfinite(loss):
                raise TrainingDiverged(
                    f'The loss is {loss} in {what}, batch {number}. Train with a lower LEARNING_RATE; if that does '
                    'not help, look for extreme values in the images.'
                )
            outcome.add(loss, batch.labels, batch.counted, [item.numpy() for item in found[1:]])
            after_step()
        outcome.gather(self.devices)
        return outcome

    def _train(self, images: Any, labels: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, ...]:
        optimizers = [group.optimizer for group in self._learning]
        pixels = self.devices.summed(tf.reduce_sum(tf.cast(counted, tf.float32)))
        with tf.GradientTape() as tape:
            logits = self._logits(images, labels, True)
            loss = self._sum(logits, labels, counted)
            mean = optimizers[0].scale_loss(loss / tf.maximum(pixels, 1.0))
        gradients = tape.gradient(mean, [variable for group in self._learning for variable in group.variables])
        if self._clip_norm:
            gradients = self._clipped(gradients, getattr(optimizers[0], 'dynamic_scale', 1.0))
        rest = iter(gradients)
        for group in self._learning:
            group.optimizer.apply([next(rest) for _ in group.variables], group.variables)
        return loss, self._found(logits)[0]

    def _clipped(self, gradients: Sequence[tf.Tensor], scale: Any) -> list[tf.Tensor]:
        """Gradients of all devices clipped together: what each applies is summed by the optimiser."""
        whole = [self.devices.summed(tf.convert_to_tensor(item)) for item in gradients]
        return [item / self.devices.replicas for item in clipped(whole, self._clip_norm, scale)]

    def _test(self, images: Any, labels: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, ...]:
        logits = self._logits(images, labels, False)
        return self._sum(logits, labels, counted), self._found(logits)[0]

    def _look(self, images: Any, labels: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, ...]:
        logits = self._logits(images, labels, False)
        return self._sum(logits, labels, counted), *self._found(logits)

    def _logits(self, images: Any, labels: tf.Tensor, training: bool) -> tf.Tensor:
        """What the network says, (samples, rows, columns, channels) as the labels have rows and columns."""
        logits = self.network(images[0] if len(images) == 1 else list(images), training=training)
        return tf.reshape(tf.cast(logits, tf.float32), tf.concat([tf.shape(labels), tf.shape(logits)[-1:]], 0))

    def _sum(self, logits: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
        """The loss summed over the pixels that count."""
        if self._spread is not None:
            labels = (labels - self._spread.mean) / self._spread.stddev
            return self._loss(logits, labels, tf.cast(counted, tf.float32))
        return self._loss(logits, labels, tf.where(counted, tf.gather(self._weights, labels), 0.0))

    def _found(self, logits: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The predicted classes and their probabilities, or the predicted values."""
        if self._spread is not None:
            return (logits[..., 0] * self._spread.stddev + self._spread.mean,)
        return tf.argmax(logits, -1, tf.int32), tf.reduce_max(tf.nn.softmax(logits), -1)
