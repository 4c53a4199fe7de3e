"""Architectures by name: the one place that knows which function builds which."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import InvalidJob

if TYPE_CHECKING:
    import keras

_BUILDERS = {'unet': ('unet', 'build_unet')}  # the names are those of jobs.ARCHITECTURES


def builder(architecture: str) -> Callable[..., keras.Model]:
    """The function that builds `architecture`; see `unet.build_unet` for what it takes and returns."""
    if architecture not in _BUILDERS:
        raise InvalidJob(f'Architecture {architecture!r}: unknown; known are {", ".join(_BUILDERS)}.')
    module, name = _BUILDERS[architecture]
    return getattr(importlib.import_module(f'.{module}', __package__), name)
