"""A ``.keras`` file: what it says of its model, and the model; no code that it holds is run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

from ..errors import InputMissing, ModelError
from .savedmodel import Signature, Tensor

EXTENSION = '.keras'
_CONFIG = 'config.json'
# Where the layers and models of ours lie; what they save are names and numbers, no code.
_OWN = tuple(f'quadrat.engine.networks.{name}' for name in ('layers', 'network', 'tensorflowcalls'))
_WIDTHS = ('filters', 'units')  # how layers call the number of their output's channels


def read_signature(path: str) -> Signature:
    """Inputs and outputs, without loading Keras; the number of the outputs' bands only where it stands in the layer.

    Raises:
        InputMissing, ModelError: there is no such file, or one that cannot be used.
    """
    config = _config(path)
    try:
        layers = {layer['config']['name']: layer for layer in config['config']['layers']}
        inputs = {name: layer['config'] for name, layer in layers.items() if layer['class_name'] == 'InputLayer'}
        ends = config['config'].get('output_layers', [list(layers)[-1], 0, 0])
        outputs = {name: _width(layers[layer]['config']) for name, layer in _ends(ends)}
        return Signature(
            {
                name: Tensor(name, item['dtype'], tuple(item['batch_shape']) if item['batch_shape'] else None)
                for name, item in sorted(inputs.items())
            },
            {name: Tensor(name, '', (None, None, None, width) if width else None) for name, width in outputs.items()},
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ModelError(
            f'{path}: the model is no functional or sequential one of Keras 3, so its inputs and outputs cannot be '
            'told; export it as a SavedModel.'
        ) from error


def load_keras(path: str) -> Any:
    """The Keras model.

    Raises:
        InputMissing, ModelError: it cannot be loaded, or not without running code that it holds.
    """
    config, own = _config(path), False
    for part in _parts(config):
        if part['class_name'] in ('Lambda', '__lambda__'):
            raise ModelError(
                f'{path}: the model holds a Lambda layer, that is, code, which is not run. Write the layer with Keras '
                'operations, or export the model as a SavedModel.'
            )
        module = part.get('module') or ''
        own = own or module in _OWN
        if module.partition('.')[0] not in ('', 'builtins', 'keras') and module not in _OWN:
            raise ModelError(
                f'{path}: the model needs {part["class_name"]} of the module {module}, which is not run. Export it as '
                'a SavedModel.'
            )
    import keras

    if own:
        from ..networks import layers, network, tensorflowcalls  # noqa: F401  # which make themselves known to Keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f'{path}: cannot be loaded as a Keras model ({line}).') from error


def _config(path: str) -> dict[str, Any]:
    """What config.json holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(_CONFIG))
    except FileNotFoundError:
        raise InputMissing(f'{path}: no such file.') from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ModelError(f'{path}: not a Keras 3 model file, or a damaged one ({error}).') from error
    if not isinstance(config, dict):
        raise ModelError(f'{path}: not a Keras 3 model file: its {_CONFIG} holds no model.')
    return config


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that names a class or function."""
    if isinstance(config, dict):
        if isinstance(config.get('class_name'), str):
            yield config
        for value in config.values():
            yield from _parts(value)
    elif isinstance(config, list):
        for value in config:
            yield from _parts(value)


def _ends(value: Any) -> Iterator[tuple[str, str]]:
    """(name of the output, layer) of ``output_layers``: [layer, node, tensor], a list of them, or a dictionary."""
    if isinstance(value, dict):
        yield from ((name, end[0]) for name, end in value.items())
    elif isinstance(value[0], str):
        yield value[0], value[0]
    else:
        yield from ((end[0], end[0]) for end in value)


def _width(config: dict[str, Any]) -> int | None:
    return next((config[key] for key in _WIDTHS if isinstance(config.get(key), int)), None)
