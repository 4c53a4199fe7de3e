"""Toolbox: patches and labels at points, as a dataset."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...engine.jobs import ExtractPatchesJob, LabelPolygons, LabelRaster
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class ExtractPatches(QuadratAlgorithm):
    NAME = 'extractpatches'
    LABEL = 'Extract patches'
    GROUP = 'sampling'
    TAGS = 'sample,dataset,tiles,chips,labels,ground truth,burn,rasterize,numpy,PatchesExtraction,OTBTF'
    SUMMARY = (
        'Cuts patches of an image at points, with their labels, into a dataset for training. '
        'Labels come from a raster of classes or from polygons. Patches that reach over the edge of the image, hold '
        'no-data or have no labelled pixel are rejected, and the log says how many for which reason. The dataset is a '
        'folder; training reads it, and its manifest says what is in it.'
    )

    def initAlgorithm(self, config=None):
        shared.add_sources(self)
        self._add_points()
        shared.add_patch_size(self)
        self._add_labels()
        shared.add_classes(
            self,
            'A CSV table with the columns value, name and colour (#rrggbb). With it, any other value in the labels is '
            'an error; without it, every value found is a class, and names and colours come from the symbology of the '
            'layer, or a .qml, attribute table or colour table of the raster. A value named here is a class even if '
            'the label raster declares it as no-data.',
        )
        shared.add_nodata(self)
        shared.add_nodata_policy(self)
        self._add_outputs()

    def _add_points(self):
        self.add(
            QgsProcessingParameterFeatureSource('POINTS', tr('Points'), [QgsProcessing.SourceType.TypeVectorPoint]),
            'Where the patches lie: the layer that "Select patches" makes, or any other points. A patch of N pixels '
            'starts N/2 pixels, rounded down, before the pixel that holds the point.',
        )
        self.add(
            QgsProcessingParameterField('SPLIT_FIELD', tr('Field with the split'), None, 'POINTS', optional=True),
            'Field of the points that says train, validation or test. Empty: the field "split" if there is one, else '
            'all samples are for training.',
            advanced=True,
        )

    def _add_labels(self):
        self.add(
            QgsProcessingParameterRasterLayer('LABEL_RASTER', tr('Labels: raster of classes'), optional=True),
            'Whole numbers, in the CRS of the image. Its pixels may be smaller or larger than those of the image by a '
            'whole factor.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'LABEL_POLYGONS', tr('Labels: polygons'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
            ),
            'Polygons in any CRS, drawn on the grid of the image; the last feature wins where they overlap. '
            'Give either these or a raster of classes.',
        )
        self.add(
            QgsProcessingParameterField('CLASS_FIELD', tr('Class field'), None, 'LABEL_POLYGONS', optional=True),
            'Field of the polygons with the class: whole numbers, or text (which is numbered from 1 in alphabetical '
            'order, or as the table of classes says). Empty: every polygon is 1.',
        )
        self.add(
            shared.integer('OUTSIDE', 'Class of pixels in no polygon', None, optional=True),
            'Empty: such pixels have no label, and training passes over them. Give a value, such as 0, where the '
            'polygons show all there is of their classes.',
        )
        self.add(
            shared.text('LABEL_NODATA', 'No-data value of the label raster'),
            'Pixels of this value have no label. Empty takes what the file (or the settings of its layer) declares; '
            '"none" makes the declared value a class like any other.',
            advanced=True,
        )

    def _add_outputs(self):
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Dataset')),
            'The folder of the dataset: samples.csv, manifest.json and numpy files. It must be new, empty, or a '
            'dataset that is to be replaced.',
        )
        for name, label, text in (
            ('ACCEPTED', 'Accepted points', 'Points whose patches are in the dataset.'),
            ('REJECTED', 'Rejected points', 'Points whose patches are not, with the reason in a field.'),
        ):
            kind = QgsProcessing.SourceType.TypeVectorPoint
            self.add(QgsProcessingParameterVectorDestination(name, tr(label), kind, None, True, False), text)
        self.addOutput(QgsProcessingOutputNumber('COUNT', tr('Number of samples')))

    def check(self, parameters, context):
        raster, polygons = parameters.get('LABEL_RASTER'), parameters.get('LABEL_POLYGONS')
        if raster and polygons:
            return tr('Labels come from LABEL_RASTER or from LABEL_POLYGONS; give one of them.')
        if not polygons and parameters.get('CLASS_FIELD'):
            return tr('CLASS_FIELD is a field of LABEL_POLYGONS, which are not given.')
        return ''

    def prepare(self, parameters, context, feedback):
        size = self.parameterAsInt(parameters, 'PATCH_SIZE', context)
        self.sources = shared.sources(self, parameters, context, size)
        self.classes = shared.classes(self, parameters, context)
        self.points = inputs.vector_file(self, parameters, 'POINTS', context)
        self.labels, self.polygons, self.legend = None, None, ()
        self.field = self.parameterAsString(parameters, 'CLASS_FIELD', context) or ''
        if parameters.get('LABEL_RASTER'):
            layer = self.parameterAsRasterLayer(parameters, 'LABEL_RASTER', context)
            nodata = shared.text_value(self, parameters, 'LABEL_NODATA', context) or inputs.band_nodata(layer, 1)
            self.labels = LabelRaster(inputs.raster_path(layer), nodata=nodata)
            self.legend = inputs.raster_legend(layer)
        elif parameters.get('LABEL_POLYGONS'):
            self.polygons = inputs.vector_file(self, parameters, 'LABEL_POLYGONS', context)
            layer = inputs.vector_layer(self, parameters, 'LABEL_POLYGONS', context)
            self.legend = inputs.vector_legend(layer, self.field) if layer and self.field else ()

    def job(self, parameters, context, feedback):
        output = shared.output_folder(self, parameters, 'OUTPUT', context)
        split_field = self.parameterAsString(parameters, 'SPLIT_FIELD', context) or ''
        points = self.points or inputs.vector_export(
            self, parameters, 'POINTS', context, feedback, output, ('id', split_field or 'split')
        )
        return ExtractPatchesJob(
            sources=self.sources,
            points=points,
            output=output,
            labels=self.labels,
            polygons=self._polygons(parameters, context, feedback, output),
            classes=self.classes,
            legend=self.legend,
            split_field=split_field,
            nodata_policy=self.parameterAsEnumString(parameters, 'NODATA_POLICY', context),
            accepted=shared.output_path(self, parameters, 'ACCEPTED', context),
            rejected=shared.output_path(self, parameters, 'REJECTED', context),
        )

    def _polygons(self, parameters, context, feedback, output):
        """The polygons as the engine gets them, or None where there are none."""
        if not parameters.get('LABEL_POLYGONS'):
            return None
        vector = self.polygons or inputs.vector_export(
            self, parameters, 'LABEL_POLYGONS', context, feedback, output, (self.field,) if self.field else ()
        )
        outside = shared.optional_integer(self, parameters, 'OUTSIDE', context)
        return LabelPolygons(vector, self.field, outside)
