"""Toolbox: patches and labels at points, as a dataset."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...engine.errors import EngineError
from ...engine.jobs import BORDERS, ExtractPatchesJob, LabelPolygons, LabelRaster
from ...plugin import inputs
from .. import parameters as shared
from .. import sources
from ..base import QuadratAlgorithm, tr
from ..sourcelist import ZONE_KEYS, read_zones

LABELS = ('LABEL_FIELD', 'LABEL_RASTER', 'LABEL_POLYGONS')


class ExtractPatches(QuadratAlgorithm):
    NAME = 'extractpatches'
    LABEL = 'Extract patches'
    GROUP = 'sampling'
    TAGS = (
        'sample,dataset,tiles,chips,labels,ground truth,burn,rasterize,numpy,TFRecords,patches image,multi-source,'
        'mosaic,zones,PatchesExtraction,OTBTF'
    )
    SUMMARY = (
        'Cuts patches of images at points, with their labels, into a dataset for training. There may be several '
        'sources of different resolution, and several zones. Labels come from a field of the points, from a raster of '
        'classes or from polygons. Patches that reach over the edge of an image, hold no-data or have no label are '
        'rejected, and the log says how many for which reason. Every raster is read once, whatever the order of the '
        'points, and the samples stay in that order. The dataset is a folder; training reads it, and its manifest says '
        'what is in it.'
    )

    def initAlgorithm(self, config=None):
        sources.add_first(self)
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
        shared.add_layout(self)
        shared.add_nodata(self)
        shared.add_nodata_policy(self)
        self._add_details()
        sources.add_more(self)
        self._add_zones()
        self._add_outputs()

    def _add_points(self):
        self.add(
            QgsProcessingParameterFeatureSource('POINTS', tr('Points'), [QgsProcessing.SourceType.TypeVectorPoint]),
            'Where the patches lie: the layer that "Select patches" makes, or any other points. A patch of N pixels '
            'starts N/2 pixels, rounded down, before the pixel that holds the point. With several sources that places '
            'the patch of the coarsest one; the others are centred on its ground.',
        )
        self.add(
            QgsProcessingParameterField('SPLIT_FIELD', tr('Field with the split'), None, 'POINTS', optional=True),
            'Field of the points that says train, validation or test. Empty: the field "split" if there is one, else '
            'all samples are for training.',
            advanced=True,
        )

    def _add_labels(self):
        self.add(
            QgsProcessingParameterField(
                'LABEL_FIELD', tr('Labels: field of the points'), None, 'POINTS', optional=True
            ),
            'For one label a patch: field of the points with the class, whole numbers or text, as for polygons. Points '
            'without a value are rejected.',
        )
        self.add(
            QgsProcessingParameterRasterLayer('LABEL_RASTER', tr('Labels: raster of classes'), optional=True),
            'Whole numbers, in the CRS of the image. Its pixels may be smaller or larger than those of the image by a '
            'whole factor; the labels of a patch cover its ground in their own pixels.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'LABEL_POLYGONS', tr('Labels: polygons'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
            ),
            'Polygons in any CRS, drawn on the grid of the image; the last feature wins where they overlap. '
            'Give either these, a raster of classes or a field of the points.',
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
            QgsProcessingParameterBoolean('ALL_TOUCHED', tr('All pixels that polygons touch'), False),
            'Pixels belong to a polygon if it touches them; else if their centre lies inside.',
            advanced=True,
        )
        self.add(
            shared.text('LABEL_NODATA', 'No-data value of the label raster'),
            'Pixels of this value have no label. Empty takes what the file (or the settings of its layer) declares; '
            '"none" makes the declared value a class like any other.',
            advanced=True,
        )
        self.add(
            shared.integer('UNLABELLED', 'Stored value of pixels without label', None, optional=True),
            'Empty: 255, or another value that is no class. The manifest of the dataset names it.',
            advanced=True,
        )

    def _add_details(self):
        self.add(
            shared.choice('BORDER', 'Patches over the edge of an image', BORDERS, BORDERS[0]),
            'reject: they are left out. reflect: image and labels are mirrored there. Points outside an image are left '
            'out in any case.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean('OTBTF', tr('As OTBTF does'), False),
            "The patches of OTBTF's PatchesExtraction: each source is placed by the point alone, so that patches of "
            'different resolution may lie up to half a coarse pixel apart; sources need no common grid; numbers with '
            'a fraction in LABEL_FIELD lose it.',
            advanced=True,
        )

    def _add_zones(self):
        self.add(
            shared.text('ZONES', 'Further zones (JSON)'),
            'Other areas that go into the same dataset: a list in JSON, or the path of a file of it, of objects such '
            'as {"sources": ["b.tif"], "points": "b.gpkg", "label_raster": "b_labels.tif"}. The item of sources for '
            'each source is a path, a list of paths, or an object with rasters, bands and nodata. Known are '
            f'{", ".join(ZONE_KEYS)}. A zone without points takes those of POINTS that lie on it, one without labels '
            'those given above. Paths in a file start from its folder.',
            advanced=True,
        )

    def _add_outputs(self):
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Dataset')),
            'The folder of the dataset: samples.csv, manifest.json and the files of the format. It must be new, empty, '
            'or a dataset that is to be replaced.',
        )
        for name, label, text in (
            ('ACCEPTED', 'Accepted points', 'Points whose patches are in the dataset, with the pixel that holds them.'),
            ('REJECTED', 'Rejected points', 'Points whose patches are not, with the reason in a field.'),
        ):
            kind = QgsProcessing.SourceType.TypeVectorPoint
            self.add(QgsProcessingParameterVectorDestination(name, tr(label), kind, None, True, False), text)
        self.addOutput(QgsProcessingOutputNumber('COUNT', tr('Number of samples')))

    def check(self, parameters, context):
        given = [name for name in LABELS if parameters.get(name)]
        if len(given) > 1:
            return tr('Labels come from {}; give one of them.').format(' or '.join(given))
        zones = shared.text_value(self, parameters, 'ZONES', context)
        if 'LABEL_POLYGONS' not in given and not zones and parameters.get('CLASS_FIELD'):
            return tr('CLASS_FIELD is a field of LABEL_POLYGONS, which are not given.')
        problem = sources.problem(self, parameters, context) or shared.layout_problem(self, parameters, context)
        if not problem and zones:
            try:
                self._zones(parameters, context, sources.count(self, parameters, context))
            except EngineError as error:
                return str(error)
        return problem

    def prepare(self, parameters, context, feedback):
        if parameters.get('SOURCES') and parameters.get('INPUT'):
            feedback.pushInfo(tr('SOURCES takes the place of INPUT.'))
        self.sources = sources.read(self, parameters, context)
        self.classes = shared.classes(self, parameters, context)
        self.points = inputs.vector_file(self, parameters, 'POINTS', context)
        self.labels, self.polygons, self.legend = None, None, ()
        self.class_field = self.parameterAsString(parameters, 'CLASS_FIELD', context) or ''
        self.label_field = self.parameterAsString(parameters, 'LABEL_FIELD', context) or ''
        self.zones = self._zones(parameters, context, len(self.sources))
        if parameters.get('LABEL_RASTER'):
            layer = self.parameterAsRasterLayer(parameters, 'LABEL_RASTER', context)
            nodata = shared.text_value(self, parameters, 'LABEL_NODATA', context) or inputs.band_nodata(layer, 1)
            self.labels = LabelRaster(inputs.raster_path(layer), nodata=nodata)
            self.legend = inputs.raster_legend(layer)
        elif parameters.get('LABEL_POLYGONS'):
            self.polygons = inputs.vector_file(self, parameters, 'LABEL_POLYGONS', context)
            self.legend = self._vector_legend(parameters, 'LABEL_POLYGONS', self.class_field, context)
        elif self.label_field:
            self.legend = self._vector_legend(parameters, 'POINTS', self.label_field, context)

    def _vector_legend(self, parameters, name, field, context):
        """Names and colours of classes from the symbology of a layer."""
        layer = inputs.vector_layer(self, parameters, name, context)
        return inputs.vector_legend(layer, field) if layer and field else ()

    def job(self, parameters, context, feedback):
        output = shared.output_folder(self, parameters, 'OUTPUT', context)
        split_field = self.parameterAsString(parameters, 'SPLIT_FIELD', context) or ''
        fields = tuple(filter(None, ('id', split_field or 'split', self.label_field)))
        points = self.points or inputs.vector_export(self, parameters, 'POINTS', context, feedback, output, fields)
        return ExtractPatchesJob(
            sources=self.sources,
            points=points,
            output=output,
            labels=self.labels,
            polygons=self._polygons(parameters, context, feedback, output),
            label_field=self.label_field,
            zones=self.zones,
            classes=self.classes,
            legend=self.legend,
            split_field=split_field,
            nodata_policy=self.parameterAsEnumString(parameters, 'NODATA_POLICY', context),
            border=self.parameterAsEnumString(parameters, 'BORDER', context),
            otbtf=self.parameterAsBool(parameters, 'OTBTF', context),
            unlabelled=shared.optional_integer(self, parameters, 'UNLABELLED', context),
            layout=shared.layout(self, parameters, context),
            accepted=shared.output_path(self, parameters, 'ACCEPTED', context),
            rejected=shared.output_path(self, parameters, 'REJECTED', context),
        )

    def _polygons(self, parameters, context, feedback, output):
        """The polygons as the engine gets them, or None where there are none."""
        if not parameters.get('LABEL_POLYGONS'):
            return None
        fields = (self.class_field,) if self.class_field else ()
        vector = self.polygons or inputs.vector_export(
            self, parameters, 'LABEL_POLYGONS', context, feedback, output, fields
        )
        return self._labels_of(vector, parameters, context)

    def _labels_of(self, vector, parameters, context):
        """Labels that a layer of polygons gives."""
        return LabelPolygons(
            vector,
            self.parameterAsString(parameters, 'CLASS_FIELD', context) or '',
            shared.optional_integer(self, parameters, 'OUTSIDE', context),
            self.parameterAsBool(parameters, 'ALL_TOUCHED', context),
        )

    def _zones(self, parameters, context, count):
        """The further zones; `InvalidJob` says what is wrong with them."""
        text = shared.text_value(self, parameters, 'ZONES', context)
        if not text:
            return ()
        nodata = shared.text_value(self, parameters, 'LABEL_NODATA', context)
        return read_zones(text, count, nodata, lambda vector: self._labels_of(vector, parameters, context))
