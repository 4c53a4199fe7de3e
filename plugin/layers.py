"""Outputs as layers: their names, styles and groups in the project."""

from __future__ import annotations

import collections
import os
from typing import Deque

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
)


class StyleClasses(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded class map the style beside its file. Processing does not look for it; by itself it lists all
    entries of the file's colour table, without names.

    Args:
        style: path of the .qml.
    """

    def __init__(self, style: str) -> None:
        super().__init__()
        self._style = style

    def postProcessLayer(self, layer, context, feedback):
        if isinstance(layer, QgsRasterLayer):
            layer.loadNamedStyle(self._style)
            layer.triggerRepaint()


# QGIS holds no reference to them, and calls them when the algorithm is over and gone.
_kept: Deque[StyleClasses] = collections.deque(maxlen=64)


def present(context: QgsProcessingContext, path: str, name: str, group: str = '', classes: bool = False) -> None:
    """Say how an output appears in the project, if Processing is going to load it.

    Args:
        path: the file.
        name: of the layer, unless the user, or a model, has given it one.
        group: of the layer tree; needs QGIS 3.32.
        classes: it is a class map with a .qml beside it.
    """
    for loaded in context.layersToLoadOnCompletion():
        if os.path.abspath(loaded) != os.path.abspath(path):
            continue
        details = context.layerToLoadOnCompletionDetails(loaded)
        if not details.forceName:
            details.name = name
        if group and hasattr(details, 'groupName'):
            details.groupName = group
        if classes:
            _kept.append(StyleClasses(os.path.splitext(path)[0] + '.qml'))
            details.setPostProcessor(_kept[-1])
