"""Toolbox: points on a label raster, so many of each class."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...engine.jobs import LABEL_STRATEGIES, LabelRaster, SampleLabelImageJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class SampleLabelImage(QuadratAlgorithm):
    NAME = 'samplelabelimage'
    LABEL = 'Sample a label raster'
    GROUP = 'sampling'
    TAGS = (
        'sample,points,classes,ground truth,reference,balanced,proportional,random points,stratified,'
        'LabelImageSampleSelection,OTBTF'
    )
    SUMMARY = (
        'Chooses pixels of a raster of classes, so many of each class, and writes their centres as points. '
        'The pixels of each class are drawn at random from the whole raster, none twice, and the points come row by '
        'row. Any whole numbers are classes: they may have gaps and be negative, and keep their value. The log has a '
        'table of the pixels available and taken of each class. The result is a layer of points for "Extract patches" '
        'or "Sample raster values".'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterRasterLayer('INPUT', tr('Label raster')),
            'A raster whose first band holds classes as whole numbers.',
        )
        self.add(
            shared.choice('STRATEGY', 'Strategy', LABEL_STRATEGIES, 'constant'),
            'constant: the same number of each class, or all pixels of a class that has fewer. total: so many in all, '
            'dealt out to the classes in proportion to their pixels. smallest: of each class as many as the smallest '
            'one has. all: every pixel that has a label.',
        )
        self.add(
            shared.integer('COUNT', 'Number of samples', 1000, 1),
            'With the strategy constant, samples of each class; with total, samples of all classes together.',
        )
        self.add(
            shared.integer('PAD', 'Border to leave out (pixels)', 0, 0),
            'No point lies so near the edges of the raster. Half the patch size keeps all patches inside.',
        )
        shared.add_seed(self, 'which pixels are drawn')
        self.add(
            shared.text('NODATA', 'No-data value of the label raster'),
            'Pixels of this value are in no class. Empty takes what the file (or the settings of its layer) declares; '
            '"none" makes the declared value a class like any other.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean('OTBTF', tr('Choose like OTBTF'), False),
            "Gives the points of OTBTF's LabelImageSampleSelection: every n-th pixel of each class from the top on, "
            'no class more often than the smallest has pixels, and classes counted from 0 (the lowest becomes 0). An '
            'empty NODATA then means -1 where the file declares none.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterVectorDestination('OUTPUT', tr('Samples'), QgsProcessing.SourceType.TypeVectorPoint),
            'Points with the fields id, class, row and col (the pixel, counted from 0).',
        )

    def prepare(self, parameters, context, feedback):
        layer = self.parameterAsRasterLayer(parameters, 'INPUT', context)
        nodata = shared.text_value(self, parameters, 'NODATA', context) or inputs.band_nodata(layer, 1)
        self.labels = LabelRaster(inputs.raster_path(layer), nodata=nodata)

    def job(self, parameters, context, feedback):
        return SampleLabelImageJob(
            labels=self.labels,
            output=shared.output_path(self, parameters, 'OUTPUT', context),
            strategy=self.parameterAsEnumString(parameters, 'STRATEGY', context),
            count=self.parameterAsInt(parameters, 'COUNT', context),
            pad=self.parameterAsInt(parameters, 'PAD', context),
            otbtf=self.parameterAsBool(parameters, 'OTBTF', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
        )
