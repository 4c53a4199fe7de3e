"""Architectures of the user's own, from a folder that the user trusts."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidJob, ModelError
from .shapes import Head, SourceShape

if TYPE_CHECKING:
    import keras


def own_builder(architecture: str, folder: str) -> Callable[..., Any]:
    """The class or function that `architecture`, ``module:Name``, names.

    The module is a file or package of that folder, never of another place; while it is imported, the folder is first on
    the path, so that it may import its neighbours.

    Raises:
        InvalidJob: there is none, or importing it failed.
    """
    module_name, _, name = architecture.partition(':')
    parts = module_name.split('.')
    if not all(part.isidentifier() for part in [*parts, name]):
        raise InvalidJob(f'Architecture {architecture!r}: write it as module:Class, a class or function of a module.')
    path = os.path.join(os.path.abspath(folder), *parts)
    places = [f'{path}.py', os.path.join(path, '__init__.py')]
    file = next((place for place in places if os.path.isfile(place)), None)
    if file is None:
        raise InvalidJob(f'Architecture {architecture!r}: there is no module {module_name} in the folder {folder}.')
    try:
        module = _imported(file, module_name, os.path.abspath(folder))
    except Exception as error:  # whatever the user's code raises
        raise InvalidJob(f'Architecture {architecture!r}: {file} cannot be imported ({_line(error)}).') from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InvalidJob(f'Architecture {architecture!r}: {file} has no class or function {name}.')
    return found


def build_own(
    architecture: str, folder: str, sources: Sequence[SourceShape], head: Head, options: Mapping[str, Any]
) -> keras.Model:
    """Call the user's class or function with sources, head and options, and see that what it gives can be trained.

    Raises:
        InvalidJob: it cannot be called.
        ModelError: it failed, or gives something else than `registry.build` describes.
    """
    builder = own_builder(architecture, folder)
    try:
        model = builder(sources, head, dict(options))
    except Exception as error:  # whatever the user's code raises
        raise ModelError(f'Architecture {architecture}: building it failed ({_line(error)}).') from error
    _require_model(model, architecture, sources, head)
    return model


def _imported(file: str, name: str, folder: str) -> types.ModuleType:
    """The module that a file holds, under a name that hides no other module."""
    unique = f'quadrat_own_{name.replace(".", "_")}'
    package = os.path.basename(file) == '__init__.py'
    places = [os.path.dirname(file)] if package else None
    spec = importlib.util.spec_from_file_location(unique, file, submodule_search_locations=places)
    if spec is None or spec.loader is None:
        raise ImportError(f'{file} is no Python module')
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    finally:
        sys.path.remove(folder)
    return module


def _require_model(model: Any, architecture: str, sources: Sequence[SourceShape], head: Head) -> None:
    """Raise `ModelError` where a model is not what `registry.build` describes."""
    import keras

    what = f'Architecture {architecture}'
    if not isinstance(model, keras.Model) or not getattr(model, 'inputs', None):
        raise ModelError(f'{what}: it must give a functional Keras model, not {type(model).__name__}.')
    names = [tensor.name for tensor in model.inputs]
    if names != [source.name for source in sources]:
        raise ModelError(f'{what}: its inputs must be {", ".join(source.name for source in sources)}, not {names}.')
    if not isinstance(model.output, dict) or list(model.output) != [head.output]:
        raise ModelError(f'{what}: its outputs must be the dictionary {{{head.output!r}: …}}.')
    for name, tensor in (('logits', None), (head.output, model.output[head.output])):
        if tensor is None:
            layer = next((layer for layer in model.layers if layer.name == name), None)
            if layer is None:
                raise ModelError(f'{what}: it has no layer named {name}, whose output the loss is computed from.')
            tensor = layer.output
        if tensor.shape[-1] != head.channels:
            raise ModelError(f'{what}: {name} has {tensor.shape[-1]} channels instead of {head.channels}.')


def _line(error: Exception) -> str:
    return next(iter(f'{type(error).__name__}: {error}'.strip().splitlines()))
