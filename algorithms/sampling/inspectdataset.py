"""Toolbox: what is in a dataset, and whether it is whole."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from ...engine.jobs import CHECKS, InspectDatasetJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class InspectDataset(QuadratAlgorithm):
    NAME = 'inspectdataset'
    LABEL = 'Inspect a dataset'
    GROUP = 'sampling'
    TAGS = (
        'contact sheet,quality check,integrity,checksum,SHA-256,preview,show,describe,statistics,classes,balance,info,'
        'TFRecords,patches-images,OTBTF,shards,samples'
    )
    SUMMARY = (
        'Tells what a dataset holds: samples of each split, pixels of each class, sources and their statistics. Draws '
        'a contact sheet of patches beside their labels in the colours of the classes. Checks that the dataset is '
        'whole: all that is wrong is listed, with the name of the file, and makes the algorithm fail at its end. '
        'Folders of TFRecords or patches-images that OTBTF made are read, too.'
    )

    def initAlgorithm(self, config=None):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile('INPUT', tr('Dataset'), folder),
            'The folder of a dataset of any format.',
        )
        self.add(
            shared.choice('CHECK', 'Check', CHECKS, CHECKS[0]),
            'quick: files are there, have their size and form, and hold as many samples as they should. full: reads '
            'everything as well, and compares checksums, label values, class counts and ids; that takes as long as '
            'reading the files does.',
        )
        self.add(
            shared.integer('PATCHES', 'Patches on the contact sheet', 48, 1, 1000),
            'How many samples the contact sheet shows: of each split some, and within it every class in turn.',
        )
        shared.add_seed(self, 'which samples the contact sheet shows')
        for name, label, kind, text in (
            ('REPORT', 'Report', 'HTML files (*.html)', 'All of it as a page, with the contact sheet.'),
            ('CONTACT_SHEET', 'Contact sheet', 'PNG files (*.png)', 'Patches beside their labels, as a picture.'),
        ):
            self.add(QgsProcessingParameterFileDestination(name, tr(label), tr(kind), None, True, False), text)
        self.addOutput(QgsProcessingOutputNumber('COUNT', tr('Number of samples')))

    def job(self, parameters, context, feedback):
        return InspectDatasetJob(
            dataset=shared.dataset(self, parameters, 'INPUT', context),
            report=shared.output_path(self, parameters, 'REPORT', context),
            contact_sheet=shared.output_path(self, parameters, 'CONTACT_SHEET', context),
            check=self.parameterAsEnumString(parameters, 'CHECK', context),
            patches=self.parameterAsInt(parameters, 'PATCHES', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
        )
