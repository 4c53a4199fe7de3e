"""Toolbox: what a model is."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
)

from ...engine.jobs import DescribeJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


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
        shared.add_model(self)
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
        return shared.model_problem('MODEL', shared.model(self, parameters, context))

    def job(self, parameters, context, feedback):
        return DescribeJob(
            model=shared.model(self, parameters, context),
            report=shared.output_path(self, parameters, 'REPORT', context),
            json=shared.output_path(self, parameters, 'JSON', context),
        )
