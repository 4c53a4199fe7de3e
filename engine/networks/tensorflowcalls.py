"""Functions of TensorFlow on the symbolic tensors of Keras 3, which refuses them.

Networks written for Keras 2 use them freely: ``tf.cast(inputs['x'], tf.float32) * 0.0001``. TensorFlow asks whoever
has registered for it what to do with arguments that it does not know; here such a call becomes a step of the network,
as it did in Keras 2. The step is saved as the function's public name and its arguments, so no code is in the file.
"""

from __future__ import annotations

import contextlib
import functools
import numbers
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.util import dispatch, tf_export

from ..errors import InvalidJob, ModelError

# What a file may name: nothing that reads or writes files, or calls Python.
_NAMESPACES = ('bitwise', 'dtypes', 'image', 'linalg', 'math', 'nn', 'signal')
_REFUSED = ('numpy_function', 'print', 'py_function')
_OLD = 'compat.v1.'  # functions of today call their former selves, which are the same
_VALUES = (numbers.Number, np.ndarray, tf.Tensor)


@keras.saving.register_keras_serializable('quadrat')
class TensorFlowCall(keras.Operation):
    """A step of a Keras network that calls a function of TensorFlow with the step's own arguments.

    Args:
        function: the function, or its public name without ``tf.``, such as ``math.reduce_mean``.

    Raises:
        ModelError: there is no such function, or it is none that a file may name.
    """

    def __init__(self, function: Callable[..., Any] | str, name: str | None = None) -> None:
        super().__init__(name=name)
        self._function = _function(function) if isinstance(function, str) else function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(_dense, (args, kwargs))
        return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        function = _public_name(self._function)
        if not _may_be_named(function):
            raise ModelError(
                f'The network calls {function or self._function}, which a .keras file cannot hold. Save it as a '
                'SavedModel, or write this step as a Keras layer.'
            )
        return {'function': function, 'name': self.name}


@keras.saving.register_keras_serializable('quadrat')
class Product(keras.Operation):
    """A step of a Keras network: ``tensor * value``.

    Keras' own takes the product with a value for a sparse tensor, and many a step that follows fails on it.
    """

    def call(self, x: Any, value: Any) -> Any:
        return keras.ops.multiply(x, value)


@contextlib.contextmanager
def tensorflow_calls() -> Iterator[None]:
    """Within it, functions of TensorFlow take Keras' symbolic tensors.

    So do, as in Keras 2, comparisons ``tensor == value``, arrays of numpy on the left of an operator, and slices of
    vectors.
    """
    with _OPERATORS:
        yield


class _Dispatcher(tf.__internal__.dispatch.GlobalOpDispatcher):
    """What TensorFlow asks when a function does not know its arguments."""

    def handle(self, op: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        values = tf.nest.flatten([args, kwargs])
        if not _OPERATORS.active or not any(isinstance(value, keras.KerasTensor) for value in values):
            return self.NOT_SUPPORTED
        name = _public_name(op).removeprefix(_OLD)
        if any(isinstance(value, (tf.Variable, keras.Variable)) for value in values):
            raise InvalidJob(
                f'tf.{name} is called with a variable, which would not be trained or saved. Make it a weight of a '
                'Keras layer.'
            )
        prefix = 'tf_' + (name.replace('.', '_') or 'function')
        return TensorFlowCall(op, name=f'{prefix}_{keras.backend.get_uid(prefix)}')(*args, **kwargs)


class _Operators:
    """Operators of Keras' symbolic tensors, changed as long as any thread is within."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._own: dict[str, Any] = {}

    @property
    def active(self) -> bool:
        return self._count > 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._count:
                changed: dict[str, Any] = {'__eq__': _equal, '__getitem__': _item, '__array_ufunc__': None}
                changed.update(__mul__=_product, __rmul__=_product)
                self._own = {name: vars(keras.KerasTensor).get(name, self) for name in changed}
                for name, value in changed.items():
                    setattr(keras.KerasTensor, name, value)
            self._count += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                for name, value in self._own.items():
                    if value is self:  # there was none
                        delattr(keras.KerasTensor, name)
                    else:
                        setattr(keras.KerasTensor, name, value)


def _equal(tensor: keras.KerasTensor, other: Any) -> Any:
    """``tensor == value``; two symbolic tensors still are the same or not, on which Keras itself relies."""
    return keras.ops.equal(tensor, other) if isinstance(other, _VALUES) else NotImplemented


def _item(tensor: keras.KerasTensor, key: Any) -> keras.KerasTensor:
    """``tensor[key]``, where Keras takes a slice only among others."""
    return keras.ops.get_item(tensor, (key,) if isinstance(key, slice) else key)


def _product(tensor: keras.KerasTensor, other: Any) -> keras.KerasTensor:
    """``tensor * other`` and ``other * tensor``."""
    both = isinstance(other, keras.KerasTensor)
    return keras.ops.multiply(tensor, other) if both else Product()(tensor, other)


def _dense(value: Any) -> Any:
    """A tensor that Keras takes for sparse though it is not: see `Product`."""
    symbolic = isinstance(value, keras.KerasTensor) and value.sparse
    return keras.KerasTensor(value.shape, value.dtype) if symbolic else value


def _public_name(function: Callable[..., Any]) -> str:
    """A function's name without ``tf.``; empty where it has none."""
    name = tf_export.get_canonical_name_for_symbol(function, api_name='tensorflow', add_prefix_to_v1_names=True)
    return name or ''


def _function(name: str) -> Callable[..., Any]:
    """The function of a public name."""
    if _may_be_named(name):
        with contextlib.suppress(AttributeError):
            function = functools.reduce(getattr, name.split('.'), tf)
            if hasattr(function, dispatch.FALLBACK_DISPATCH_ATTR):  # it works on tensors
                return function
    raise ModelError(f'The model calls tf.{name}, which is no function of TensorFlow that a model file may call.')


def _may_be_named(name: str) -> bool:
    *namespace, function = name.removeprefix(_OLD).split('.')
    if namespace:
        return len(namespace) == 1 and namespace[0] in _NAMESPACES
    return hasattr(tf, function) and function not in _REFUSED


_OPERATORS = _Operators()
_Dispatcher().register()
