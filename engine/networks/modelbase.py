"""`ModelBase`: a network written as a class, with the hooks and names of OTBTF's Python interface, on Keras 3."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ..errors import EngineMissing, InvalidJob, OutputRefused, write_error
from ..folder import OutputFolder
from .network import Network
from .tensorflowcalls import tensorflow_calls

if TYPE_CHECKING:
    Tensors = Mapping[str, keras.KerasTensor]

CROPPINGS = (16, 32, 64, 96, 128)  # pixels that the outputs for inference lack on each side
_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')  # what a SavedModel keeps as it is
_WIDTH = 150  # characters of a line of the summary
_KERAS_FILES = ('.keras', '.h5', '.hdf5')
_SAVEDMODEL = ('assets', 'assets.extra', 'fingerprint.pb', 'keras_metadata.pb', 'saved_model.pb', 'variables')


class ModelBase(abc.ABC):
    """A network for samples of a dataset: subclasses say how inputs are normalised and what the outputs are.

    Make it within the scope of the strategy that it trains with. It does all that a Keras model does: `compile`, `fit`,
    `evaluate`, `predict` and the rest are those of `model`. It trains on the outputs that have targets of their name.

    Args:
        dataset_element_spec: `element_spec` of a dataset of pairs (inputs, targets), both by name and in batches.
        input_keys: the inputs that the network takes; None: all.
        inference_cropping: pixels to be cut off from each side of an output, for outputs beside it that have no
            border effects; none: those of `CROPPINGS`.

    Attributes:
        dataset_input_keys, inference_cropping: as given, or the default.
        inputs_shapes: shape of each input, without the axis of the batch.
        model: the Keras model.

    Raises:
        InvalidJob: the dataset has no such inputs, a name could not be saved, or a method gives no tensors.
    """

    def __init__(
        self,
        dataset_element_spec: Sequence[Mapping[str, tf.TensorSpec]],
        input_keys: Sequence[str] | None = None,
        inference_cropping: Sequence[int] | None = None,
    ) -> None:
        specs = _input_specs(dataset_element_spec, input_keys)
        self.dataset_input_keys = list(specs)
        self.inputs_shapes = {key: tuple(spec.shape[1:]) for key, spec in specs.items()}
        self.inference_cropping = list(inference_cropping or CROPPINGS)
        if min(self.inference_cropping) < 1:
            raise InvalidJob(f'inference_cropping is {self.inference_cropping}; give whole numbers, 1 or more.')
        self.model = self.create_network()

    # -- what a subclass says ------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def get_outputs(self, normalized_inputs: Tensors) -> dict[str, keras.KerasTensor]:
        """The outputs of the network by name; an output is trained where the dataset has a target of its name.

        Functions of TensorFlow may be used as well as layers and operations of Keras.
        """

    def normalize_inputs(self, inputs: Tensors) -> Tensors:
        """What `get_outputs` is given: the inputs, normalised. This is part of the network, also of the saved one."""
        warnings.warn(
            f'{type(self).__name__} has no normalize_inputs of its own, so the network gets the values as they are in '
            'the images. Training mostly needs values around 0 to 1.',
            stacklevel=2,
        )
        return inputs

    def postprocess_outputs(
        self, outputs: Tensors, inputs: Tensors | None = None, normalized_inputs: Tensors | None = None
    ) -> dict[str, keras.KerasTensor]:
        """Further outputs, for inference: by default each image among `outputs`, cropped.

        Of an output ``y`` that comes from a layer ``l``, ``y_crop32`` lacks 32 pixels on each side; its layer is named
        ``l_crop32``.
        """
        cropped = {}
        taken = set()
        for key, output in outputs.items():
            if len(output.shape) != 4:
                continue
            producer = output._keras_history.operation.name
            producer = key if producer in taken else producer
            taken.add(producer)
            for crop in self.inference_cropping:
                layer = keras.layers.Activation('linear', name=cropped_tensor_name(producer, crop))
                cropped[cropped_tensor_name(key, crop)] = layer(output[:, crop:-crop, crop:-crop, :])
        return cropped

    # -- the network ---------------------------------------------------------------------------------------------------

    def get_inputs(self) -> dict[str, keras.KerasTensor]:
        """The inputs by name, float32. Images may have any numbers of rows and columns."""
        return {
            key: keras.Input((None, None, *shape[2:]) if len(shape) > 2 else shape, name=key)
            for key, shape in self.inputs_shapes.items()
        }

    def create_network(self) -> keras.Model:
        """The Keras model, with the outputs of `get_outputs` and `postprocess_outputs`."""
        inputs = self.get_inputs()
        with tensorflow_calls():
            normalized = self.normalize_inputs(inputs)
            outputs = _named(self.get_outputs(normalized), 'get_outputs')
            further = self.postprocess_outputs(outputs, inputs=inputs, normalized_inputs=normalized)
        further = _named(further, 'postprocess_outputs')
        return Network(inputs, {**outputs, **further}, name=type(self).__name__)

    def summary(self, strategy: tf.distribute.Strategy | None = None) -> None:
        """Print the layers; among several workers only the chief does."""
        if is_chief(strategy):
            with _wide_output(_WIDTH):
                self.model.summary(line_length=_WIDTH)

    def plot(self, output_path: str, strategy: tf.distribute.Strategy | None = None, show_shapes: bool = False) -> None:
        """Write a picture of the network; among several workers only the chief does.

        Raises:
            EngineMissing: pydot or Graphviz is not installed.
        """
        if is_chief(strategy):
            try:
                keras.utils.plot_model(self.model, output_path, show_shapes=show_shapes)
            except ImportError as error:
                raise EngineMissing(f'A picture of the network needs pydot and Graphviz: {error}') from error

    # -- saving --------------------------------------------------------------------------------------------------------

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Save the model: a SavedModel in a folder, or, by the name's ending, a ``.keras`` file.

        The SavedModel takes inputs by their names and gives each output under its key and under the name of the layer
        that it comes from: ``y_crop32`` and ``l_crop32``. A ``.keras`` file can be trained further.

        Args:
            filepath: folder or file; a SavedModel that is there is replaced once the new one is whole.
            overwrite: whether anything may be replaced.
            **kwargs: for Keras, if it is a file. ``save_format='tf'`` says that it is a folder.

        Raises:
            OutputRefused, DiskFull: it cannot be written, or would replace something else.
        """
        path = os.fspath(filepath)
        if not overwrite and os.path.lexists(path):
            raise OutputRefused(f'{path}: exists. Choose another name, or overwrite=True.')
        ending = os.path.splitext(path)[1].lower()
        if ending in _KERAS_FILES and kwargs.get('save_format') != 'tf':
            part = f'{path.removesuffix(ending)}.part{ending}'
            try:
                self.model.save(part, **kwargs)
                os.replace(part, path)
            except OSError as error:
                raise write_error(path, error) from error
            finally:
                if os.path.exists(part):
                    os.remove(part)
        else:
            self._export(path, **kwargs)

    def _export(self, path: str, save_format: str = 'tf') -> None:
        """Write a SavedModel."""
        if save_format != 'tf':
            raise InvalidJob(f'{path}: save_format={save_format!r} does not make a folder; end the name in .keras.')
        outputs = dict(self.model.output)
        for tensor in self.model.output.values():
            history = tensor._keras_history
            if not history.tensor_index and _NAME.fullmatch(history.operation.name):
                outputs.setdefault(history.operation.name, tensor)
        exported = keras.Model(self.model.input, outputs, name=self.model.name)
        with OutputFolder(path, 'SavedModel', _SAVEDMODEL.__contains__) as folder:
            try:
                exported.export(folder.part, format='tf_saved_model', verbose=False)
            except (OSError, tf.errors.OpError) as error:
                raise write_error(path, error) from error
            folder.finish()

    def __getattr__(self, name: str) -> Any:
        if name == 'model':  # it is not made yet
            raise AttributeError(f'{type(self).__name__} has no network before __init__ of ModelBase is done.')
        return getattr(self.model, name)


BaseModel = ModelBase


def cropped_tensor_name(tensor_name: str, crop: int) -> str:
    """Name of an output without `crop` pixels on each side."""
    return f'{tensor_name}_crop{crop}'


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether this process writes and prints for all that train together: the chief, or the first worker, or alone."""
    resolver = strategy.cluster_resolver if strategy else None
    if resolver is None or resolver.task_type is None:
        return True
    return resolver.task_type == 'chief' or (resolver.task_type == 'worker' and resolver.task_id == 0)


_is_chief = is_chief  # as OTBTF calls it


@contextlib.contextmanager
def _wide_output(width: int) -> Iterator[None]:
    """Within it, tables that are not printed to a terminal are as wide as this instead of 80 characters."""
    if 'COLUMNS' in os.environ:
        yield
        return
    os.environ['COLUMNS'] = str(width)
    try:
        yield
    finally:
        del os.environ['COLUMNS']


def _input_specs(element_spec: Any, keys: Sequence[str] | None) -> dict[str, tf.TensorSpec]:
    """The inputs of a dataset that the network takes."""
    if not isinstance(element_spec, (tuple, list)) or not element_spec or not isinstance(element_spec[0], Mapping):
        raise InvalidJob(
            'The element_spec is none of pairs (inputs, targets) by name: name the targets of the dataset with '
            'targets_keys.'
        )
    specs = element_spec[0]
    unknown = [key for key in keys or () if key not in specs]
    if unknown:
        raise InvalidJob(f'The dataset has no input {unknown[0]!r}; it has {", ".join(sorted(specs))}.')
    specs = {_valid(key): specs[key] for key in keys or specs}
    texts = [key for key, spec in specs.items() if spec.dtype == tf.string]
    if texts:
        raise InvalidJob(f'The input {texts[0]!r} is text, which no network takes; leave it out of input_keys.')
    return specs


def _named(outputs: Any, method: str) -> dict[str, keras.KerasTensor]:
    """The outputs that a method gives, checked."""
    if not isinstance(outputs, Mapping) or not all(isinstance(item, keras.KerasTensor) for item in outputs.values()):
        raise InvalidJob(f'{method} gives no dictionary of the tensors of the network by name.')
    return {_valid(key): output for key, output in outputs.items()}


def _valid(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidJob(f'{name!r} cannot be saved as the name of an input or output: take letters, digits and _.')
    return name
