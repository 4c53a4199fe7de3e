"""Losses: sums over the pixels that count, each with a weight; the others have no part in them, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from ..errors import InvalidJob
from ..options import checked_options
from .lossoptions import OF_CLASSES, OF_VALUES, DiceOptions, FocalOptions, HuberOptions, NoOptions, TverskyOptions

Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def loss(kind: str, options: Mapping[str, Any], *, regression: bool = False) -> Loss:
    """A loss by its name.

    Args:
        kind: one of `jobs.LOSSES`; ``auto`` is cross-entropy, or Huber for a regression.
        options: plain values by name; see `lossoptions`.
        regression: values are to be predicted, not classes.

    Returns:
        A function of (logits or values, labels, weights) that gives a float32 scalar: the sum over the pixels, which
        divided by the number of those that count is their mean. Logits or values are (…, channels), labels (…) class
        indices, or values (…) or (…, channels); weights (…), 0 for pixels that do not count. The dimensions before the
        channels may be any, as long as they hold as many pixels.

    Raises:
        InvalidJob: an unknown name or option, or a loss for something else.
    """
    table = OF_VALUES if regression else OF_CLASSES
    name = kind if kind != 'auto' else next(iter(table))
    if name not in table:
        what = 'a regression' if regression else 'classes'
        raise InvalidJob(f'LOSS {kind!r}: no loss for {what}; those are auto, {", ".join(table)}.')
    function, chosen = _FUNCTIONS[name], checked_options(table[name], options, f'the loss {name}')
    return lambda found, labels, weights: function(found, labels, weights, chosen)


def _cross_entropy(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: NoOptions) -> tf.Tensor:
    logits, labels, weights = _of_classes(logits, labels, weights)
    return tf.reduce_sum(weights * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _focal(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: FocalOptions) -> tf.Tensor:
    """Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection" (ICCV 2017)."""
    logits, labels, weights = _of_classes(logits, labels, weights)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    wrong = tf.maximum(-tf.math.expm1(-losses), 1e-7)  # the slope of a power has no bounds at 0
    return tf.reduce_sum(weights * losses * wrong**options.gamma)


def _dice(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: DiceOptions) -> tf.Tensor:
    """Milletari, Navab and Ahmadi, "V-Net" (3DV 2016), for several classes; see `_overlap`."""
    return _overlap(logits, labels, weights, 0.5, 0.5, options.smooth / 2)


def _tversky(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: TverskyOptions) -> tf.Tensor:
    """Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks" (MLMI 2017), for several classes; see `_overlap`."""
    return _overlap(logits, labels, weights, options.alpha, options.beta, options.smooth)


def _overlap(
    logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, alpha: float, beta: float, smooth: float
) -> tf.Tensor:
    """One minus the Tversky index of the batch, the mean over the classes that it has, for each pixel that counts."""
    logits, labels, weights = _of_classes(logits, labels, weights)
    truth = tf.one_hot(labels, logits.shape[-1])
    found = tf.nn.softmax(logits)
    right = tf.reduce_sum(weights[:, None] * truth * found, 0)
    many = tf.reduce_sum(weights[:, None] * (1 - truth) * found, 0)
    few = tf.reduce_sum(weights[:, None] * truth * (1 - found), 0)
    index = tf.math.divide_no_nan(right + smooth, right + alpha * many + beta * few + smooth)
    present = tf.cast(right + few > 0, tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(present * (1 - index)), tf.reduce_sum(present))
    return mean * tf.reduce_sum(tf.cast(weights > 0, tf.float32))


def _huber(values: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: HuberOptions) -> tf.Tensor:
    """Huber, "Robust Estimation of a Location Parameter" (Annals of Mathematical Statistics 35(1), 1964)."""
    errors, weights = _of_values(values, labels, weights)
    size = tf.abs(errors)
    near = tf.minimum(size, options.delta)
    return tf.reduce_sum(weights * tf.reduce_mean(near * (size - near / 2), -1))


def _mse(values: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: NoOptions) -> tf.Tensor:
    errors, weights = _of_values(values, labels, weights)
    return tf.reduce_sum(weights * tf.reduce_mean(errors**2, -1))


def _mae(values: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, options: NoOptions) -> tf.Tensor:
    errors, weights = _of_values(values, labels, weights)
    return tf.reduce_sum(weights * tf.reduce_mean(tf.abs(errors), -1))


def _of_classes(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """(pixels, classes) logits, (pixels,) indices and weights; zeros where the weight is zero, so that what is there
    reaches neither the sum nor its gradient, not even where it is not a number."""
    logits, weights, counts = _flat(logits, weights)
    labels = tf.where(counts, tf.reshape(tf.cast(labels, tf.int32), (-1,)), 0)
    return tf.where(counts[:, None], logits, 0.0), labels, weights


def _of_values(values: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(pixels, channels) errors and (pixels,) weights; zeros where the weight is zero."""
    values, weights, counts = _flat(values, weights)
    labels = tf.reshape(tf.cast(labels, tf.float32), (-1, values.shape[-1]))
    zero = tf.zeros_like(values)
    return tf.where(counts[:, None], values, zero) - tf.where(counts[:, None], labels, zero), weights


def _flat(found: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """(pixels, channels), (pixels,) weights, and where they are not zero."""
    weights = tf.reshape(tf.cast(weights, tf.float32), (-1,))
    return tf.reshape(tf.cast(found, tf.float32), (-1, found.shape[-1])), weights, weights > 0


_FUNCTIONS: dict[str, Callable[..., tf.Tensor]] = {
    'crossentropy': _cross_entropy,
    'focal': _focal,
    'dice': _dice,
    'tversky': _tversky,
    'huber': _huber,
    'mse': _mse,
    'mae': _mae,
}
