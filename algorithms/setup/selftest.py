"""Toolbox: a small training and a map, to see that everything is installed."""

from __future__ import annotations

from qgis.core import QgsProcessingOutputHtml, QgsProcessingOutputNumber, QgsProcessingParameterFolderDestination

from ...engine.jobs import SelfTestJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class SelfTest(QuadratAlgorithm):
    NAME = 'selftest'
    LABEL = 'Test the installation'
    GROUP = 'setup'
    TAGS = 'toy,example,demo,tensorflow,keras,GDAL,self-test,installation,check,diagnose,set-up'
    SUMMARY = (
        'Does in less than a minute what a user does in a day: makes a tiny dataset, trains a network on it from a run '
        'configuration, and applies the model. Needs no data and no network connection. Run it after the installation; '
        'it fails with the reason where something is wrong. "Check the engine" looks at less, and tells versions.'
    )

    def initAlgorithm(self, configuration=None):
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Folder')),
            'Where the dataset, the run configuration and the run are put, to be looked at. It must be new or empty, '
            'or one of an earlier test.',
        )
        self.addOutput(QgsProcessingOutputHtml('REPORT', tr('Report of the training')))
        self.addOutput(QgsProcessingOutputNumber('SCORE', tr('Score of the model')))

    def job(self, parameters, context, feedback):
        return SelfTestJob(shared.output_folder(self, parameters, 'OUTPUT', context))
