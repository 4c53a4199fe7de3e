"""Toolbox: several datasets as one."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from ...engine.jobs import MergeDatasetsJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class MergeDatasets(QuadratAlgorithm):
    NAME = 'mergedatasets'
    LABEL = 'Merge datasets'
    GROUP = 'sampling'
    TAGS = 'join,combine,concatenate,append,union,several areas,zones,TFRecords,patches-images,OTBTF,shards,samples'
    SUMMARY = (
        'Joins datasets with the same sources and labels into one: all samples of the first, then all of the second, '
        'and so on, each in the split it was in. Classes are those of all datasets, statistics are computed anew. '
        'Places in another reference system are transformed to that of the first dataset; pixels stay as they are. '
        'Where an id occurs twice, the ids of the later dataset get its number in front, as in 2-17.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterMultipleLayers('INPUT', tr('Datasets'), QgsProcessing.SourceType.TypeFile),
            'The folders of two or more datasets of any format, or the manifest.json in each of them, which is what '
            'the file dialog can choose. Their order is that of the samples.',
        )
        shared.add_layout(self)
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Merged dataset')),
            'The folder of the new dataset. It must be new, empty, or a dataset that is to be replaced, and none of '
            'those that are merged.',
        )
        self.addOutput(QgsProcessingOutputNumber('COUNT', tr('Number of samples')))

    def check(self, parameters, context):
        if len(self._folders(parameters, context)) < 2:
            return tr('INPUT: two or more datasets are needed to make one of them.')
        return shared.layout_problem(self, parameters, context)

    def job(self, parameters, context, feedback):
        return MergeDatasetsJob(
            datasets=self._folders(parameters, context),
            output=shared.output_folder(self, parameters, 'OUTPUT', context),
            layout=shared.layout(self, parameters, context),
        )

    def _folders(self, parameters, context):
        return tuple(map(shared.dataset_folder, self.parameterAsFileList(parameters, 'INPUT', context)))
