"""Quadrat: deep networks on map patches, inside QGIS.

The same folder is the QGIS plugin and the Python package ``quadrat``. Importing it loads neither QGIS nor
TensorFlow: the engine is under :mod:`quadrat.engine`, the QGIS side under :mod:`quadrat.plugin` and
:mod:`quadrat.algorithms`.
"""

from __future__ import annotations

__version__ = '0.1.0'


def classFactory(iface):  # noqa: N802  (the name QGIS looks for)
    """Called by QGIS when it loads the plugin. `iface` is None under qgis_process."""
    from .plugin.main import QuadratPlugin

    return QuadratPlugin(iface)
