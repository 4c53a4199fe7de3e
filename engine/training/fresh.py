"""One training after another in one process, each as if it were the first."""

from __future__ import annotations

import gc
import logging
import sys


def forget_networks() -> None:
    """Let go of the networks of earlier trainings: their memory, and the numbers in the names of their layers.

    To be called while none is in use.
    """
    if 'keras' in sys.modules:
        import keras

        keras.utils.clear_session()
        _forget_gradients()
    # TensorFlow warns of functions that it traces again and again; here it does so for other networks.
    logging.getLogger('tensorflow').addFilter(_is_news)
    gc.collect()


def _is_news(record: logging.LogRecord) -> bool:
    return 'triggered tf.function retracing' not in record.getMessage()


def _forget_gradients() -> None:
    """Let go of the functions by which gradients pass through sums over devices.

    Each optimiser's step has one, on a single device, too. TensorFlow registers them for ever, and with each of them
    the whole graph of its step; there is no public way to take them out.
    """
    from tensorflow.python.framework import ops

    registry = getattr(getattr(ops, 'gradient_registry', None), '_registry', {})
    for name in [name for name in registry if name.startswith('CustomGradient-')]:
        del registry[name]
