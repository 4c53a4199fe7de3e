"""Losses."""

from __future__ import annotations

import tensorflow as tf


def masked_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted cross-entropy summed over the pixels; those of weight 0 have no part in it, whatever they hold.

    Args:
        logits: (batch, rows, columns, classes).
        labels: (batch, rows, columns), class indices; at pixels of weight 0 any valid index.
        weights: (batch, rows, columns) float32.

    Returns:
        A float32 scalar. Divide it by the number of pixels that count for a mean.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), tf.cast(logits, tf.float32))
    return tf.reduce_sum(tf.where(weights > 0, losses * weights, 0.0))
