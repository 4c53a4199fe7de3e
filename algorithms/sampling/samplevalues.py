"""Toolbox: the values of rasters at points."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterVectorDestination,
)

from ...engine.jobs import SampleValuesJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class SampleValues(QuadratAlgorithm):
    NAME = 'samplevalues'
    LABEL = 'Sample raster values'
    GROUP = 'sampling'
    TAGS = 'extract,attributes,pixel values,point sampling,features,bands,SampleExtraction,OTB'
    SUMMARY = (
        'Gives points the values of rasters as attributes, one for each band. '
        'A point gets the value of the pixel that holds it; the value is empty where the point lies outside the raster '
        'or on no-data. The rasters may have any grids and CRS, and the points another. All attributes of the points '
        'are kept.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterMultipleLayers('INPUT', tr('Input rasters'), QgsProcessing.SourceType.TypeRaster),
            'One raster or several. All their bands are used, in the order given here.',
        )
        self.add(
            QgsProcessingParameterFeatureSource('POINTS', tr('Points'), [QgsProcessing.SourceType.TypeVectorPoint]),
            'Where values are taken. Each part of a multipoint becomes a point of its own.',
        )
        self.add(
            shared.text('PREFIX', 'Prefix of the new fields', 'value_'),
            'The fields are called by this text and a number, which counts from 0 on through the bands of all rasters: '
            'value_0, value_1 and so on. Fields of these names that the points have already are replaced.',
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                'OUTPUT', tr('Points with values'), QgsProcessing.SourceType.TypeVectorPoint
            ),
            'The points in their own CRS and order, with their attributes and the new fields.',
        )

    def prepare(self, parameters, context, feedback):
        layers = self.parameterAsLayerList(parameters, 'INPUT', context)
        if not layers:
            raise QgsProcessingException(tr('INPUT: no raster given, or none that can be read.'))
        self.rasters = tuple(inputs.raster_path(layer) for layer in layers)
        self.nodata = tuple(inputs.raster_nodata([layer]) for layer in layers)
        self.points = inputs.vector_file(self, parameters, 'POINTS', context)

    def job(self, parameters, context, feedback):
        output = shared.output_path(self, parameters, 'OUTPUT', context)
        points = self.points or inputs.vector_export(self, parameters, 'POINTS', context, feedback, output, None)
        prefix = shared.text_value(self, parameters, 'PREFIX', context)
        return SampleValuesJob(self.rasters, points, output, prefix, self.nodata)
