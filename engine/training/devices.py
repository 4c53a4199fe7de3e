"""What computes: TensorFlow's devices and threads, set up before its first use in a process, and one training on
several of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import select_device
from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import TrainOptions
from .pipeline import Batch

if TYPE_CHECKING:
    import tensorflow as tf

_SLURM_PORT = 13565


def prepare_devices(threads: int, reporter: Reporter, device: str = 'auto') -> str:
    """Take GPU memory only as it is needed, and set the number of threads; returns what will compute, in words.

    Args:
        threads: intra-op threads; 0 leaves the number to TensorFlow.
        device: see `device.select_device`.

    Raises:
        DeviceMissing: there is no such device.
    """
    select_device(device)
    import tensorflow as tf

    gpus = tf.config.get_visible_devices('GPU')
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # an earlier job of this process has the device already
            tf.config.experimental.set_memory_growth(gpu, True)
    if threads and threads_used() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            reporter.warn(f'threads {threads}: TensorFlow has been started by an earlier job and keeps its threads.')
    return ', '.join(device.name for device in gpus) or 'the CPU'


def threads_used() -> int:
    """The number of intra-op threads that TensorFlow has, or will have."""
    import tensorflow as tf

    known = tf.config.threading.get_intra_op_parallelism_threads()
    if known:
        return known
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def is_chief(options: TrainOptions) -> bool:
    """Whether this process writes, as far as its environment tells."""
    if options.strategy != 'workers':
        return True
    task = json.loads(os.environ.get('TF_CONFIG') or '{}').get('task', {})
    return int(task.get('index', os.environ.get('SLURM_PROCID', 0))) == 0


class Devices:
    """One device: everything is computed here and now.

    Attributes:
        words: what computes, in words.
        replicas: devices that share a batch.
        share: (number, count) of this process' part of a batch; None where it takes all of it.
        chief: whether this process writes.
    """

    replicas = 1
    share: tuple[int, int] | None = None
    chief = True

    def __init__(self, words: str) -> None:
        self.words = words

    def scope(self) -> Any:
        """Where variables are made."""
        return contextlib.nullcontext()

    def call(self, step: Callable, batch: Batch) -> tuple[tf.Tensor, ...]:
        """Do a compiled step with a batch; each of its results is for all samples of this process."""
        return step(*batch)

    def compiled(self, function: Callable, signature: Sequence[Any]) -> Callable:
        """A step as a graph."""
        import tensorflow as tf

        return tf.function(function, input_signature=signature, jit_compile=False)

    def total(self, array: np.ndarray) -> np.ndarray:
        """The sum over all processes."""
        return array

    def agree(self, number: int) -> int:
        """The chief's number, in all processes."""
        return number

    def summed(self, tensor: tf.Tensor) -> tf.Tensor:
        """Within a step: the sum over all devices."""
        return tensor


class ManyDevices(Devices):
    """Several devices that share each batch, under a strategy of TensorFlow."""

    def __init__(self, words: str, strategy: Any) -> None:
        super().__init__(words)
        self._strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        resolver = strategy.cluster_resolver
        workers = len(resolver.cluster_spec().as_dict().get('worker', ())) if resolver else 0
        if workers > 1:
            self.share = resolver.task_id, workers
            self.chief = resolver.task_id == 0
        self._local = self.replicas // max(workers, 1)

    def scope(self) -> Any:
        return self._strategy.scope()

    def compiled(self, function: Callable, signature: Sequence[Any]) -> Callable:
        import tensorflow as tf

        # A signature cannot describe what lies on several devices: there is a graph for each size of batches, of which
        # there are two.
        return tf.function(lambda *batch: self._strategy.run(function, args=batch), autograph=False, jit_compile=False)

    def call(self, step: Callable, batch: Batch) -> tuple[tf.Tensor, ...]:
        import tensorflow as tf

        places = np.array_split(np.arange(len(batch.labels)), self._local)
        parts = [batch.part(place) for place in places]

        def spread(*arrays: np.ndarray) -> Any:
            return self._strategy.experimental_distribute_values_from_function(
                lambda context: tf.convert_to_tensor(arrays[context.replica_id_in_sync_group % self._local])
            )

        images = tuple(spread(*arrays) for arrays in zip(*(part.images for part in parts)))
        results = step(images, *(spread(*arrays) for arrays in zip(*(part[1:] for part in parts))))
        local = [self._strategy.experimental_local_results(result) for result in results]
        return tuple(tf.concat(items, 0) if items[0].shape.rank else sum(items) for items in local)

    def total(self, array: np.ndarray) -> np.ndarray:
        if self.share is None:
            return array
        import tensorflow as tf

        # Each process has the same share of the devices, and only the first of them brings what there is.
        def bring() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group % self._local == 0
            return tf.constant(array if first else np.zeros_like(array), tf.float64)

        summed = self._strategy.reduce('SUM', self._strategy.run(bring), axis=None)
        return summed.numpy().astype(array.dtype)

    def agree(self, number: int) -> int:
        return int(self.total(np.array([number if self.chief else 0], np.int64))[0])

    def summed(self, tensor: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def open_devices(options: TrainOptions, words: str, reporter: Reporter) -> Devices:
    """The devices that options ask for.

    Args:
        words: what `prepare_devices` found.

    Raises:
        InvalidJob: several computers are asked for, and nobody says which.
    """
    import tensorflow as tf

    kind = options.strategy
    gpus = tf.config.get_visible_devices('GPU')
    if kind == 'workers':
        return ManyDevices(f'{words} of each of several workers', _workers(tf))
    if kind == 'mirrored' or (kind == 'auto' and len(gpus) > 1):
        names = [device.name for device in tf.config.list_logical_devices('GPU' if gpus else 'CPU')]
        if len(names) > 1:
            return ManyDevices(', '.join(names), tf.distribute.MirroredStrategy(names))
        reporter.log(f'strategy {kind}: there is only one device, {names[0]}')
    return Devices(words)


def _workers(tf: Any) -> Any:
    """The strategy for several processes, on this computer or on others."""
    if json.loads(os.environ.get('TF_CONFIG') or '{}').get('cluster'):
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif os.environ.get('SLURM_STEP_ID') or os.environ.get('SLURM_JOBID'):
        options: dict[str, Any] = {}
        if not tf.config.list_physical_devices('GPU'):
            # The resolver counts tasks by the GPUs that they have, and asks a program of NVIDIA's otherwise.
            tasks = os.environ.get('SLURM_STEP_TASKS_PER_NODE') or os.environ.get('SLURM_TASKS_PER_NODE') or '1'
            most = max(int(number) for number in re.findall(r'(\d+)(?:\(x\d+\))?', tasks))
            options = {'gpus_per_node': most, 'gpus_per_task': 1, 'auto_set_gpu': False}
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(port_base=_SLURM_PORT, **options)
    else:
        raise InvalidJob(
            'strategy workers: neither TF_CONFIG nor Slurm says which workers there are. Start the job with one of '
            'them, on each of the computers.'
        )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)
