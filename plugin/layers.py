"""Outputs as layers: their names, styles and groups in the project."""

from __future__ import annotations

import collections
import os
from typing import Deque

from qgis.core import QgsMapLayer, QgsProcessingContext, QgsProcessingLayerPostProcessorInterface


class OwnStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded layer the style that comes with its file: a .qml beside it, or one in the GeoPackage.

    Processing does not look for it; by itself it lists all entries of a raster's colour table, without names.
    """

    def postProcessLayer(self, layer, context, feedback):
        if isinstance(layer, QgsMapLayer):
            layer.loadDefaultStyle()
            layer.triggerRepaint()


# QGIS calls them when the algorithm is over and gone, and the context deletes each: there is one for each layer, and
# Python must not let go of it before.
_kept: Deque[OwnStyle] = collections.deque(maxlen=64)


def present(context: QgsProcessingContext, path: str, name: str, group: str = '', styled: bool = False) -> None:
    """Say how an output appears in the project, if Processing is going to load it.

    Args:
        path: the file.
        name: of the layer, unless the user, or a model, has given it one.
        group: of the layer tree; needs QGIS 3.32.
        styled: a style comes with the file.
    """
    for loaded in context.layersToLoadOnCompletion():
        if os.path.abspath(loaded) != os.path.abspath(path):
            continue
        details = context.layerToLoadOnCompletionDetails(loaded)
        if not details.forceName:
            details.name = name
        if group and hasattr(details, 'groupName'):
            details.groupName = group
        if styled:
            _kept.append(OwnStyle())
            details.setPostProcessor(_kept[-1])
