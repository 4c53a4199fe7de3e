"""The engine of Quadrat: a plain Python library that knows nothing of QGIS.

>>> from quadrat import engine
>>> from quadrat.engine import jobs
>>> engine.run(jobs.DemoSceneJob(output='scene'), on_event=print)  # doctest: +SKIP

Importing it loads nothing heavy: GDAL, numpy and TensorFlow come with the modules that need them.
"""

from __future__ import annotations

import importlib

_LAZY = {'run': 'registry'}

__all__ = ['run']


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f'.{_LAZY[name]}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
