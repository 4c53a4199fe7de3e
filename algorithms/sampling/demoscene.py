"""A procedural landscape to try things out."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterFolderDestination, QgsProcessingParameterNumber

from ...engine.jobs import DemoSceneJob
from ..base import QuadratAlgorithm, tr


class DemoScene(QuadratAlgorithm):
    NAME = 'demoscene'
    LABEL = 'Make a demo scene'
    GROUP = 'sampling'
    TAGS = 'synthetic, simulated, example, test data, landscape, tutorial'
    SUMMARY = (
        'Makes a procedural landscape with fields, forest, water, roads and buildings, to try Quadrat without data. '
        'The folder holds a multispectral image (ms.tif: blue, green, red, near infrared), a panchromatic one of the '
        'same ground at four times the resolution (pan.tif), the truth as raster (truth.tif) and as polygons '
        '(polygons.gpkg, field "class"), and the classes with names and colours (classes.csv). '
        'The same seed gives the same scene.'
    )

    def initAlgorithm(self, configuration=None):
        integer = QgsProcessingParameterNumber.Type.Integer
        self.add(
            QgsProcessingParameterNumber('SIZE', tr('Size in pixels'), integer, 1024, minValue=64, maxValue=8192),
            'Width and height of the multispectral image in pixels of 6 m.',
        )
        self.add(
            QgsProcessingParameterNumber('SEED', tr('Seed'), integer, 0, minValue=0),
            'Another number gives another landscape; the same number the same one.',
        )
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Demo scene')),
            'Folder to make. A demo scene that is there already is replaced; any other folder must be empty.',
        )

    def job(self, parameters, context, feedback):
        return DemoSceneJob(
            output=self.parameterAsString(parameters, 'OUTPUT', context),
            size=self.parameterAsInt(parameters, 'SIZE', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
        )
