"""TensorFlow's devices and threads, set up before its first use in a process."""

from __future__ import annotations

import contextlib

from ..events import Reporter


def prepare_devices(threads: int, reporter: Reporter) -> str:
    """Take GPU memory only as it is needed, and set the number of threads; returns what will compute, in words.

    Args:
        threads: intra-op threads; 0 leaves the number to TensorFlow.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices('GPU')
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # an earlier job of this process has the device already
            tf.config.experimental.set_memory_growth(gpu, True)
    if threads and tf.config.threading.get_intra_op_parallelism_threads() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            reporter.warn(f'threads {threads}: TensorFlow has been started by an earlier job and keeps its threads.')
    return ', '.join(device.name for device in gpus) or 'the CPU'
