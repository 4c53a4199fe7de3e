"""Toolbox: patches and labels at points, as a dataset."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterVectorDestination,
)

from ...engine.errors import EngineError
from ...engine.jobs import ExtractPatchesJob
from .. import labelled, sources
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr
from ..sourcelist import ZONE_KEYS, read_zones


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
        labelled.add_points(self)
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
        sources.add_more(self, sources.Patches())
        self._add_zones()
        self._add_outputs()

    def _add_labels(self):
        labelled.add_labels(self)
        self.add(
            QgsProcessingParameterBoolean('LABEL_VALUES', tr('Labels are values'), False),
            'For regression: the field of the points, or the raster, holds values of any numbers that are to be '
            'predicted, not classes. The dataset has them as a source called values.',
            advanced=True,
        )
        self.add(
            shared.integer('UNLABELLED', 'Stored value of pixels without label', None, optional=True),
            'Empty: 255, or another value that is no class. The manifest of the dataset names it.',
            advanced=True,
        )

    def _add_details(self):
        labelled.add_border(self)
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
        zones = shared.text_value(self, parameters, 'ZONES', context)
        problem = labelled.problem(self, parameters, context, bool(zones))
        problem = problem or shared.layout_problem(self, parameters, context)
        if not problem and zones:
            try:
                self._zones(parameters, context, sources.count(self, parameters, context))
            except EngineError as error:
                return str(error)
        return problem

    def prepare(self, parameters, context, feedback):
        self.patches = labelled.LabelledPatches(self, parameters, context, feedback)
        self.classes = shared.classes(self, parameters, context)
        self.zones = self._zones(parameters, context, len(self.patches.sources))

    def job(self, parameters, context, feedback):
        output = shared.output_folder(self, parameters, 'OUTPUT', context)
        return ExtractPatchesJob(
            **self.patches.details(context, feedback, output),
            output=output,
            zones=self.zones,
            values=self.parameterAsBool(parameters, 'LABEL_VALUES', context),
            classes=self.classes,
            otbtf=self.parameterAsBool(parameters, 'OTBTF', context),
            unlabelled=shared.optional_integer(self, parameters, 'UNLABELLED', context),
            layout=shared.layout(self, parameters, context),
            accepted=shared.output_path(self, parameters, 'ACCEPTED', context),
            rejected=shared.output_path(self, parameters, 'REJECTED', context),
        )

    def _zones(self, parameters, context, count):
        """The further zones; `InvalidJob` says what is wrong with them."""
        text = shared.text_value(self, parameters, 'ZONES', context)
        if not text:
            return ()
        nodata = shared.text_value(self, parameters, 'LABEL_NODATA', context)
        return read_zones(
            text, count, nodata, lambda vector: labelled.polygon_labels(self, parameters, context, vector)
        )
