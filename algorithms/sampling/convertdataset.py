"""Toolbox: a dataset in another layout."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

from ...engine.jobs import ConvertDatasetJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class ConvertDataset(QuadratAlgorithm):
    NAME = 'convertdataset'
    LABEL = 'Convert a dataset'
    GROUP = 'sampling'
    TAGS = 'TFRecords,TFRecord,patches-images,patches images,OTBTF,shards,numpy,npy,export,import,format,layout,samples'
    SUMMARY = (
        'Writes a dataset in another format: numpy arrays, TFRecords or patches-images. The samples, their order, '
        'splits, classes and statistics stay the same. Folders of TFRecords or patches-images that OTBTF made are '
        'converted, too, with train, validation (or valid) and test folders or without: what is in them is found out, '
        'and training on the result works as on any other dataset.'
    )

    def initAlgorithm(self, config=None):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile('INPUT', tr('Dataset'), folder),
            'The folder of a dataset; or of TFRecords (0.records, 1.records, … with output_types.json and '
            'output_shapes.json); or of rasters with square patches below one another, one raster for each source and '
            'one for the labels.',
        )
        self.add(
            shared.text('LABELS', 'Which are the labels'),
            'For folders that Quadrat did not make: the key, or the name of the raster without its ending, that holds '
            'the labels. Empty: the one with "label" in its name; "none": there are no labels.',
            advanced=True,
        )
        shared.add_layout(self)
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Converted dataset')),
            'The folder of the new dataset. It must be new, empty, or a dataset that is to be replaced, and not the '
            'one that is converted.',
        )
        self.addOutput(QgsProcessingOutputNumber('COUNT', tr('Number of samples')))

    def check(self, parameters, context):
        return shared.layout_problem(self, parameters, context)

    def job(self, parameters, context, feedback):
        return ConvertDatasetJob(
            dataset=shared.dataset(self, parameters, 'INPUT', context),
            output=shared.output_folder(self, parameters, 'OUTPUT', context),
            layout=shared.layout(self, parameters, context),
            labels=shared.text_value(self, parameters, 'LABELS', context),
        )
