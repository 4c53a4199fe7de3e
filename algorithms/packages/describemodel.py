"""Toolbox: what a model is."""

from __future__ import annotations

import os

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from ...engine.jobs import DescribeJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

_SAVEDMODEL = 'saved_model.pb'


class DescribeModel(QuadratAlgorithm):
    NAME = 'describemodel'
    LABEL = 'Describe a model'
    GROUP = 'packages'
    TAGS = (
        'deep learning,neural network,info,metadata,receptive field,stride,classes,summary,layers,memory,SavedModel,'
        'Keras,STAC,MLM'
    )
    SUMMARY = (
        'Tells what a model is: inputs and outputs with their bands and types, receptive field and stride, classes, '
        'layers and parameters, the memory it takes, and, of a model package, the accuracies it had when it was '
        'trained. What a bare model does not say of itself is measured: parts of random images are replaced, and where '
        'the output changes shows what it looks at. The essentials are in the log; the report and the JSON file have '
        'all.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterFile(
                'MODEL',
                tr('Model'),
                QgsProcessingParameterFile.Behavior.File,
                fileFilter=tr('Models') + ' (item.json *.zip *.keras saved_model.pb);;' + tr('All files') + ' (*)',
            ),
            'A model package: the folder that "Train a model" made, the item.json in it, or the folder as a .zip. Or '
            'the folder of a SavedModel of TensorFlow 1 or 2, the saved_model.pb in it, or a .keras file of Keras 3.',
        )
        for name, label, kind, text in (
            ('REPORT', 'Report', 'HTML files (*.html)', 'The description as a page.'),
            ('JSON', 'Description as JSON', 'JSON files (*.json)', 'The description for programs.'),
        ):
            self.add(QgsProcessingParameterFileDestination(name, tr(label), tr(kind), None, True, False), text)
        for name, label in (
            ('RECEPTIVE_FIELD', 'Receptive field (full width in pixels; 0 if unknown)'),
            ('STRIDE', 'Total stride (pixels)'),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, tr(label)))

    def check(self, parameters, context):
        path = shared.model(self, parameters, context)
        return '' if _is_bare(path) else shared.model_problem(self, parameters, context)

    def job(self, parameters, context, feedback):
        return DescribeJob(
            model=shared.model(self, parameters, context),
            report=shared.output_path(self, parameters, 'REPORT', context),
            json=shared.output_path(self, parameters, 'JSON', context),
        )


def _is_bare(path: str) -> bool:
    """Whether a model without a package may lie at a path, as far as names tell."""
    if not os.path.isdir(path):
        return path.endswith('.keras') or os.path.basename(path) == _SAVEDMODEL
    folders = [path, *(os.path.join(path, name) for name in os.listdir(path))]
    return not os.path.isfile(os.path.join(path, 'item.json')) and any(
        os.path.isfile(os.path.join(folder, _SAVEDMODEL)) for folder in folders
    )
