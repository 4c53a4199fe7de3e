"""The order in which a feeder gives samples, and how batches are cut from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...errors import InvalidJob
from .options import BatchOptions


def batch_indices(count: int, epochs: int | None, options: BatchOptions) -> Iterator[np.ndarray]:
    """Numbers of the samples of each batch. Batches go on over the end of an epoch; only the last may be smaller.

    Args:
        count: number of samples.
        epochs: how often each is given; None: endlessly.
    """
    left, epoch = np.empty(0, np.int64), 0
    while epochs is None or epoch < epochs:
        left = np.concatenate([left, epoch_order(count, epoch, options)])
        epoch += 1
        whole = len(left) // options.batch_size * options.batch_size
        yield from left[:whole].reshape(-1, options.batch_size)
        left = left[whole:]
    if len(left) and not options.drop_remainder:
        yield left


def total_steps(count: int, epochs: int | None, options: BatchOptions) -> int | None:
    """Number of those batches; None: without end.

    Raises:
        InvalidJob: the number of epochs makes no sense.
    """
    if epochs is None:
        return None
    if epochs < 1:
        raise InvalidJob(f'{epochs} epochs: give 1 or more, or none for no end.')
    return count * epochs // options.batch_size if options.drop_remainder else -(-count * epochs // options.batch_size)


def epoch_order(count: int, epoch: int, options: BatchOptions) -> np.ndarray:
    """The samples of an epoch, each once, in an order that is a function of seed and epoch alone."""
    order = np.arange(count)
    if not options.shuffle:
        return order
    random = np.random.default_rng((options.seed, epoch))
    if options.shuffle_buffer_size >= count:
        return random.permutation(order)
    return through_buffer(order, options.shuffle_buffer_size, random)


def through_buffer(order: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """What comes out of a buffer of `size` from which one is drawn at random, for the next one to take its place."""
    buffer, rest = order[:size].copy(), order[size:]
    drawn = random.integers(len(buffer), size=len(rest)).tolist() if len(buffer) else []
    out = np.empty_like(order)
    for number, (place, following) in enumerate(zip(drawn, rest)):
        out[number], buffer[place] = buffer[place], following
    out[len(rest) :] = random.permutation(buffer)
    return out
