"""Toolbox: the pixels of each class of a vector layer."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)

from ...engine.jobs import PolygonStatisticsJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class PolygonClassStatistics(QuadratAlgorithm):
    NAME = 'polygonclassstatistics'
    LABEL = 'Count pixels of classes'
    GROUP = 'sampling'
    TAGS = (
        'class statistics,zonal histogram,samples per class,samplesPerClass,samplesPerVector,polygons,training data,'
        'PolygonClassStatistics,DensePolygonClassStatistics,OTB,OTBTF'
    )
    SUMMARY = (
        'Counts how many pixels of an image each class, and each geometry, of a vector layer has. '
        'A polygon has the pixels whose centre lies in it, a line those whose square it touches, a point the one that '
        'holds it; each part of a multi-geometry counts by itself. The table is in the log. The XML file is for '
        '"Select samples", which chooses as many as you like of these pixels, and has the layout of OTB.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterRasterLayer('INPUT', tr('Input raster')),
            'The image. Only its grid is used: its values are not read, so pixels without data count too. To leave '
            'them out, give a mask.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'VECTOR', tr('Vector layer'), [QgsProcessing.SourceType.TypeVectorAnyGeometry]
            ),
            'Polygons, lines or points in any CRS. What lies outside the image has no pixels. A centre exactly on the '
            'upper or right edge of a polygon is in it, one on the lower or left edge is not; a polygon that crosses '
            'itself has what an odd number of its turns enclose.',
        )
        self.add(
            QgsProcessingParameterField('FIELD', tr('Class field'), None, 'VECTOR'),
            'Field of the layer with the class: text or whole numbers. Features without a value are left out.',
        )
        self.add(
            QgsProcessingParameterRasterLayer('MASK', tr('Mask'), optional=True),
            'A raster on the very grid of the image, whose first band counts: only pixels above 0 are counted. No-data '
            'counts as 0.',
        )
        self.add(
            QgsProcessingParameterBoolean('DENSE', tr('Count pixels in several polygons once'), False),
            'Without it each geometry is counted by itself, so that a pixel in two polygons counts for both. With it '
            'the geometries are drawn on the image, the later over the earlier ones, and what is seen of each is '
            'counted. Where none overlap both give the same.',
        )
        kind = tr('XML files (*.xml)')
        self.add(
            QgsProcessingParameterFileDestination('OUTPUT', tr('Statistics'), kind),
            'The pixels of each class and of each feature, by its id, as XML; the name must end in .xml.',
        )
        kind = tr('CSV files (*.csv)')
        self.add(
            QgsProcessingParameterFileDestination('TABLE', tr('Table'), kind, None, True, False),
            'The same for people, as CSV: class, pixels, features, and the area of the pixels in square map units '
            '(empty where the CRS of the image measures degrees).',
        )

    def prepare(self, parameters, context, feedback):
        self.raster = inputs.raster_path(self.parameterAsRasterLayer(parameters, 'INPUT', context))
        self.mask = shared.optional_raster(self, parameters, 'MASK', context)
        self.vector = inputs.vector_file(self, parameters, 'VECTOR', context)

    def job(self, parameters, context, feedback):
        output = shared.output_path(self, parameters, 'OUTPUT', context)
        vector = self.vector or inputs.vector_export(self, parameters, 'VECTOR', context, feedback, output, None)
        return PolygonStatisticsJob(
            raster=self.raster,
            vector=vector,
            field=self.parameterAsString(parameters, 'FIELD', context),
            output=output,
            table=shared.output_path(self, parameters, 'TABLE', context),
            mask=self.mask,
            dense=self.parameterAsBool(parameters, 'DENSE', context),
        )
