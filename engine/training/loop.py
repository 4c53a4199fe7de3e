"""Fitting a network: the steps that TensorFlow does, and passes over samples that are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from ..accuracy.confusion import ConfusionMatrix, Scores
from ..errors import TrainingDiverged
from ..networks.losses import masked_cross_entropy
from .pipeline import Batch

_WARM_UP = 0.05  # of all steps, in which the learning rate rises from nothing


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a pass over samples gave: the mean loss over the pixels that count, and the confusion matrix."""

    loss: float
    matrix: ConfusionMatrix

    @property
    def scores(self) -> Scores:
        return self.matrix.scores()

    def summary(self) -> dict[str, float]:
        """The numbers shown for each epoch."""
        scores = self.scores.summary()
        return {'loss': self.loss, **{key: scores[key] for key in ('overall_accuracy', 'mean_iou', 'macro_f1')}}


class Fitting:
    """A network being fitted with AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019),
    its learning rate rising for a short while and then falling to nothing along a cosine.

    Args:
        model: gives ``probabilities`` and has a layer ``logits``.
        class_weights: what a pixel of each class weighs in the loss.
        steps: of the whole training.
        before_step: called before each step, for progress and cancel.
    """

    def __init__(
        self,
        model: keras.Model,
        class_weights: np.ndarray,
        learning_rate: float,
        weight_decay: float,
        steps: int,
        before_step: Callable[[], None],
    ) -> None:
        self.model = model
        self._network = keras.Model(model.input, model.get_layer('logits').output)
        self._classes = len(class_weights)
        self._weights = tf.constant(class_weights, tf.float32)
        self._before_step = before_step
        warm_up = int(steps * _WARM_UP)
        schedule = keras.optimizers.schedules.CosineDecay(
            learning_rate / (warm_up + 1), steps - warm_up, warmup_target=learning_rate, warmup_steps=warm_up
        )
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay)
        # Decay would only pull what normalises and shifts away from where the data wants it.
        self._optimizer.exclude_from_weight_decay(var_names=['bias', 'gamma', 'beta'])
        self._optimizer.build(self._network.trainable_variables)
        bands = model.inputs[0].shape[-1]
        signature = [
            tf.TensorSpec((None, None, None, bands), tf.float32),
            tf.TensorSpec((None, None, None), tf.int32),
            tf.TensorSpec((None, None, None), tf.bool),
        ]
        self._train_step = tf.function(self._train, input_signature=signature, jit_compile=False)
        self._test_step = tf.function(self._test, input_signature=signature, jit_compile=False)
        self._predict_step = tf.function(
            lambda images: tf.argmax(self._network(images, training=False), -1, tf.int32),
            input_signature=signature[:1],
            jit_compile=False,
        )

    def train(self, samples: Iterable[Batch], epoch: int) -> Outcome:
        """One epoch; the outcome is that of the batches as they were trained with.

        Raises:
            TrainingDiverged: the loss is not a number any more.
        """
        return self._pass(samples, self._train_step, f'epoch {epoch}')

    def evaluate(self, samples: Iterable[Batch]) -> Outcome:
        """A pass that changes nothing."""
        return self._pass(samples, self._test_step, 'evaluation')

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The class index of every pixel of (samples, rows, columns, bands) images."""
        return self._predict_step(images).numpy()

    def _pass(self, samples: Iterable[Batch], step: Callable, what: str) -> Outcome:
        matrix, total, pixels = ConfusionMatrix(self._classes), 0.0, 0
        for number, batch in enumerate(samples, 1):
            self._before_step()
            loss, predicted = step(*batch)
            loss = float(loss)
            if not np.isfinite(loss):
                raise TrainingDiverged(
                    f'The loss is {loss} in {what}, batch {number}. Train with a lower LEARNING_RATE; if that does '
                    'not help, look for extreme values in the images.'
                )
            matrix.update(batch.labels, predicted.numpy(), batch.counted)
            total += loss
            pixels += int(batch.counted.sum())
        return Outcome(total / pixels if pixels else float('nan'), matrix)

    def _train(self, images: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, predicted = self._loss(images, labels, counted, True)
            pixels = tf.reduce_sum(tf.cast(counted, tf.float32))
            mean = loss / tf.maximum(pixels, 1.0)
        variables = self._network.trainable_variables
        self._optimizer.apply(tape.gradient(mean, variables), variables)
        return loss, predicted

    def _test(self, images: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._loss(images, labels, counted, False)

    def _loss(
        self, images: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss summed over the pixels that count, and the predicted classes."""
        logits = self._network(images, training=training)
        weights = tf.where(counted, tf.gather(self._weights, labels), 0.0)
        return masked_cross_entropy(logits, labels, weights), tf.argmax(logits, -1, tf.int32)
