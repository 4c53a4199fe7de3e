"""Models run by TensorFlow: the reference."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import InvalidJob, ModelError, OutOfMemory
from ..events import Reporter
from .arrays import check_rank, feeds_for, shape_of
from .arrays import sizes as sizes_of
from .spec import ModelSpec, TensorInfo
from .strips import Network
from .windows import random_windows, report_error, windows_taken

_WORKSPACE = 1.75  # kernels keep inputs and outputs in layouts of their own as well (measured: 1.6 to 1.7 on U-Nets)
_LOWER = {  # what grappler calls the use of shorter numbers, by kind of device
    'CPU': 'auto_mixed_precision_onednn_bfloat16',
    'GPU': 'auto_mixed_precision',
}


class TensorFlowRuntime:
    """A model, its variables made constants, which lets TensorFlow fold and fuse more of it.

    Args:
        spec: which part of which model.
        precision: ``float32``, or ``bfloat16`` for shorter numbers where the device has them (on a GPU, float16).
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
        threads: within an operation; 0 leaves it to TensorFlow.
        reporter: hears of what is not as usual.

    Attributes:
        graph: what is run; see `graphs.Graph`.

    Raises:
        InputMissing, ModelError: it cannot be loaded, or lacks what was asked for.
        InvalidJob: there is no such device, or a constant is not what the model wants.
    """

    def __init__(
        self,
        spec: ModelSpec,
        precision: str = 'float32',
        device: str = 'auto',
        threads: int = 0,
        reporter: Reporter | None = None,
    ) -> None:
        tf = _tensorflow()
        reporter = reporter or Reporter()
        _set_up(tf, threads, reporter)
        self._device = _place(tf, device)
        from .opening import open_graph

        self.name = f'tensorflow {tf.__version__}'
        with tf.device(self._device):
            self.graph = open_graph(spec)
        if not self.graph.frozen:
            reporter.log(
                f'{spec.path}: runs as it is, its variables not made constants: {self.graph.why_not_frozen}',
                detail=True,
            )
        self.inputs, self.outputs = self.graph.inputs, self.graph.outputs
        self._constants = {name: tf.constant(value) for name, value in self.graph.constants.items()}
        gpu = 'GPU' in self._device or (not self._device and bool(tf.config.list_logical_devices('GPU')))
        self._lower = ''
        if precision != 'float32':
            shapes = windows_taken(self.run, self.inputs, list(self.outputs))
            window = random_windows(self.inputs, shapes)
            exact, self._lower = self.run(window), _LOWER['GPU' if gpu else 'CPU']
            report_error(precision, self.run(window), exact, reporter)

    @staticmethod
    def has_gpu() -> bool:
        """Whether there is a GPU that TensorFlow can use."""
        return bool(_tensorflow().config.get_visible_devices('GPU'))

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `base.Runtime`."""
        return self._run(self.graph.function, feeds_for(self.inputs, feeds))

    def visible(self) -> tuple[Network, dict[str, TensorInfo]]:
        """A network, and its inputs, whose outputs show every change of an input, for `field.measure`."""
        from .probing import visible

        function, inputs = visible(self.graph)
        return lambda feeds: self._run(function, feeds_for(inputs, feeds)), inputs

    def _run(self, function: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tf = _tensorflow()
        try:
            with tf.device(self._device), _shorter(tf, self._lower):
                tensors = {**self._constants, **{name: tf.constant(array) for name, array in arrays.items()}}
                values = function(*(tensors[name] for name in self.graph.feeds))
            # Not by numpy(), which copies.
            results = {name: np.asarray(value) for name, value in zip(self.outputs, values)}
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfMemory(
                f'Not enough memory for TensorFlow to compute {sizes_of(arrays)} values at once. Use a smaller '
                'TILE_SIZE or BATCH_SIZE.'
            ) from error
        except (tf.errors.OpError, ValueError) as error:
            from .graphs import first_line

            shapes = ', '.join(f'{name} {array.shape}' for name, array in arrays.items())
            raise ModelError(f'The model cannot be run on {shapes}: {first_line(error)}') from error
        check_rank(results)
        return results

    def window_bytes(self, sizes: Mapping[str, tuple[int, int]]) -> float:
        """See `base.Runtime`."""
        from .graphs import first_line
        from .memory import most_alive

        shapes = {name: value.shape for name, value in self._constants.items()}
        shapes.update({name: shape_of(info, 1, *sizes[name]) for name, info in self.inputs.items()})
        try:
            function = self.graph.for_shapes(shapes)
            return _WORKSPACE * most_alive(function, [shapes[name] for name in self.graph.feeds])
        except (TypeError, ValueError) as error:
            windows = ', '.join(f'{name} {cols} x {rows}' for name, (rows, cols) in sizes.items())
            raise ModelError(f'The model cannot be run on {windows} pixels: {first_line(error)}') from error


def _tensorflow() -> Any:
    """TensorFlow, which says much on the standard error that is no concern of the user's."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    import tensorflow as tf

    return tf


def _set_up(tf: Any, threads: int, reporter: Reporter) -> None:
    """Take GPU memory as it is needed, compute float32 as float32, and use so many threads."""
    tf.get_logger().setLevel('ERROR')
    for device in tf.config.get_visible_devices('GPU'):
        with contextlib.suppress(RuntimeError):  # an earlier job of this process has the device already
            tf.config.experimental.set_memory_growth(device, True)
    # Ten bits of mantissa would make results depend on the size of the tiles.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if threads and threads != tf.config.threading.get_intra_op_parallelism_threads():
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            reporter.log('TensorFlow has started in this process before, and keeps its number of threads.', detail=True)


def _place(tf: Any, device: str) -> str:
    """How TensorFlow calls a device; empty where it shall choose."""
    if device == 'auto':
        return ''
    seen = tf.config.get_visible_devices()
    found = [item.name.removeprefix('/physical_device:').lower() for item in seen]
    wanted = device.lower() if ':' in device else f'{device.lower()}:0'
    if wanted not in found:
        raise InvalidJob(f'Device {device!r}: TensorFlow does not see it; it sees {", ".join(found)}.')
    # Those that it sees are counted anew.
    kind = wanted.partition(':')[0]
    number = [name for name in found if name.startswith(kind)].index(wanted)
    return f'/{kind.upper()}:{number}'


@contextlib.contextmanager
def _shorter(tf: Any, option: str) -> Iterator[None]:
    """Let TensorFlow use shorter numbers, within a block; `option` names how, empty not at all."""
    if not option:
        yield
        return
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: False})
