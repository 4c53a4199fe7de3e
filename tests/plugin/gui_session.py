"""Runs inside QGIS (``qgis --code``): what a person does with "Map with a model", and what they see then.

Takes its inputs from the environment: QUADRAT_TEST_MODEL, QUADRAT_TEST_IMAGE, QUADRAT_TEST_FOLDER. Leaves pictures and
`result.json` in that folder.
"""

from __future__ import annotations

import json
import os
import pathlib
import time
import traceback

import processing
from qgis.core import QgsApplication, QgsPalettedRasterRenderer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtGui import QImage
from qgis.utils import iface

FOLDER = pathlib.Path(os.environ['QUADRAT_TEST_FOLDER'])


def wait(ready, seconds):
    """Let QGIS work until `ready` is true."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f'not within {seconds} s')
        QCoreApplication.processEvents()
        time.sleep(0.02)


def shot(name):
    QCoreApplication.processEvents()
    iface.mainWindow().screen().grabWindow(0).save(str(FOLDER / name))


def session():
    project = QgsProject.instance()
    image = QgsRasterLayer(os.environ['QUADRAT_TEST_IMAGE'], 'image')
    project.addMapLayer(image)
    iface.mainWindow().showMaximized()
    provider = QgsApplication.processingRegistry().providerById('quadrat')
    dialog = processing.createAlgorithmDialog(
        'quadrat:servemodel', {'MODEL': os.environ['QUADRAT_TEST_MODEL'], 'INPUT': [image.id()]}
    )
    dialog.show()
    wait(dialog.isVisible, 10)
    shot('dialog.png')
    seen = []
    dialog.algorithmFinished.connect(lambda ok, results: seen.append((ok, results)))
    dialog.runButton().click()
    ticks = [0]
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.__setitem__(0, ticks[0] + 1))
    timer.start(50)
    wait(lambda: seen and len(project.mapLayers()) > 1, 120)
    timer.stop()
    dialog.close()
    layer = next(item for item in project.mapLayers().values() if item.id() != image.id())
    renderer = layer.renderer()
    project.layerTreeRoot().findLayer(layer.id()).setExpanded(True)
    drawn = []
    iface.mapCanvas().mapCanvasRefreshed.connect(lambda: drawn.append(True))
    iface.mapCanvas().setExtent(image.extent())
    iface.mapCanvas().refresh()
    wait(lambda: drawn, 30)
    shot('map.png')
    seen_there = QImage(str(FOLDER / 'map.png'))
    colours = {
        seen_there.pixelColor(x, y).name()
        for x in range(0, seen_there.width(), 4)
        for y in range(0, seen_there.height(), 4)
    }
    paletted = isinstance(renderer, QgsPalettedRasterRenderer)
    return {
        'ok': seen[0][0],
        'algorithms': sorted(algorithm.name() for algorithm in provider.algorithms()),
        'ticks': ticks[0],
        'layer': layer.name(),
        'renderer': type(renderer).__name__,
        'labels': {c.label: c.color.name() for c in renderer.classes()} if paletted else {},
        'size': [layer.width(), layer.height()],
        'colours': sorted(colours),
    }


def main():
    try:
        result = session()
    except Exception:
        result = {'error': traceback.format_exc()}
        shot('error.png')
    (FOLDER / 'result.json').write_text(json.dumps(result))
    QgsProject.instance().clear()
    os._exit(0)  # no question about saving the project


QTimer.singleShot(1000, main)
