"""SavedModels run by TensorFlow: the reference."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

import numpy as np

from ..errors import ModelError, OutOfMemory
from .base import TensorInfo

SIGNATURE = 'serving_default'
_WORKSPACE = 1.75  # kernels keep inputs and outputs in layouts of their own as well (measured: 1.6 to 1.7 on U-Nets)


class TensorFlowRuntime:
    """A SavedModel, its variables made constants, which lets TensorFlow fold and fuse more of it.

    Args:
        savedmodel: its folder.
        outputs: names of the outputs to compute; empty: all.

    Raises:
        ModelError: it cannot be loaded, or lacks the signature ``serving_default`` or one of the outputs.
    """

    def __init__(self, savedmodel: str, outputs: tuple[str, ...] = ()) -> None:
        # Its C++ code says much on the standard error that is no concern of the user's.
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
        import tensorflow as tf

        _set_up_devices(tf)
        self.name = f'tensorflow {tf.__version__}'
        try:
            # The signature keeps no reference to the model whose variables it uses.
            self._model = tf.saved_model.load(savedmodel)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise ModelError(f'{savedmodel}: not a SavedModel that TensorFlow can load ({_line(error)}).') from error
        if SIGNATURE not in self._model.signatures:
            raise ModelError(f'{savedmodel}: the SavedModel has no signature {SIGNATURE}; export it with one.')
        signature = self._model.signatures[SIGNATURE]
        specs = signature.structured_input_signature[1]
        for name in outputs:
            if name not in signature.structured_outputs:
                known = ', '.join(signature.structured_outputs)
                raise ModelError(f'{savedmodel}: the model has no output {name!r}; it has {known}.')
        self._names = outputs or tuple(signature.structured_outputs)
        self._graph = _freeze(tf, signature, specs, self._names)
        self.inputs = {name: _info(spec) for name, spec in specs.items()}
        self.outputs = {name: _info(signature.structured_outputs[name]) for name in self._names}

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `base.Runtime`."""
        import tensorflow as tf

        try:
            values = self._graph(*(tf.constant(feeds[name]) for name in self.inputs))
            return {name: value.numpy() for name, value in zip(self._names, values)}
        except tf.errors.ResourceExhaustedError as error:
            sizes = ', '.join(' x '.join(map(str, array.shape)) for array in feeds.values())
            raise OutOfMemory(
                f'Not enough memory for TensorFlow to compute {sizes} values at once. Use a smaller TILE_SIZE or '
                'BATCH_SIZE.'
            ) from error
        except tf.errors.OpError as error:
            sizes = ', '.join(f'{name} {array.shape}' for name, array in feeds.items())
            raise ModelError(f'The model cannot be run on {sizes}: {_line(error)}') from error

    def window_bytes(self, sizes: Mapping[str, tuple[int, int]]) -> float:
        """See `base.Runtime`: the largest sum of tensors alive together, when the operations run one by one."""
        operations = self._sized_operations([sizes[name] for name in self.inputs])
        last_use = {tensor: number for number, (_, taken, _) in enumerate(operations) for tensor in taken}
        known_sizes: dict[str, int] = {}
        alive = most = 0
        for number, (made, taken, known) in enumerate(operations):
            # Where a shape cannot be told, the output is taken to be as large as the largest input.
            guess = max((known_sizes.get(tensor, 0) for tensor in taken), default=0)
            known_sizes.update({tensor: guess if size is None else size for tensor, size in zip(made, known)})
            alive += sum(known_sizes[tensor] for tensor in made)
            most = max(most, alive)
            alive -= sum(known_sizes.get(tensor, 0) for tensor in set(taken) if last_use[tensor] == number)
        return _WORKSPACE * most

    def _sized_operations(self, sizes: list[tuple[int, int]]) -> list[tuple[list[str], list[str], list[int | None]]]:
        """The operations in the order they can run: tensors made, tensors taken, and the bytes of those made."""
        import tensorflow as tf

        with tf.Graph().as_default() as graph:
            fixed = {}
            for tensor, size in zip(self._graph.inputs, sizes):
                shape = [1, *size, *tensor.shape[3:]]
                fixed[tensor.name] = tf.compat.v1.placeholder(tensor.dtype, shape)
            tf.graph_util.import_graph_def(self._graph.graph.as_graph_def(), fixed, name='')
        return [
            (
                [tensor.name for tensor in operation.outputs],
                [tensor.name for tensor in operation.inputs],
                [_bytes(tensor) for tensor in operation.outputs],
            )
            for operation in graph.get_operations()
            if operation.type != 'Const'
        ]


def _set_up_devices(tf) -> None:
    """Take GPU memory as it is needed, and compute float32 as float32."""
    for device in tf.config.list_physical_devices('GPU'):
        with contextlib.suppress(RuntimeError):  # an earlier job of this process has the device already
            tf.config.experimental.set_memory_growth(device, True)
    # Ten bits of mantissa would make results depend on the size of the tiles.
    tf.config.experimental.enable_tensor_float_32_execution(False)


def _freeze(tf, signature, specs: dict, outputs: tuple[str, ...]):
    """A function of positional tensors, in the order of `specs`, with constants for variables; gives a list."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def call(*tensors):
        values = signature(**dict(zip(specs, tensors)))
        return [values[name] for name in outputs]

    arguments = [tf.TensorSpec(spec.shape, spec.dtype, f'input_{i}') for i, spec in enumerate(specs.values())]
    function = tf.function(call, input_signature=arguments, autograph=False)
    return convert_variables_to_constants_v2(function.get_concrete_function())


def _info(spec) -> TensorInfo:
    return TensorInfo(np.dtype(spec.dtype.as_numpy_dtype), tuple(spec.shape.as_list()) if spec.shape.rank else ())


def _bytes(tensor) -> int | None:
    """Size of a tensor whose shape is known."""
    count = tensor.shape.num_elements()
    return None if count is None else count * tensor.dtype.size


def _line(error: Exception) -> str:
    """What TensorFlow says, without where: the last line but for those that name nodes of the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith('[[')), type(error).__name__)
