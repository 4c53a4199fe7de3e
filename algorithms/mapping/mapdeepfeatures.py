"""Toolbox: a map of the classes that a classifier tells from what a network gives."""

from __future__ import annotations

import os

from qgis.core import QgsProcessingParameterFile, QgsProcessingParameterRasterDestination

from ...engine.jobs import MapDeepFeaturesJob
from ...plugin import inputs, layers
from .. import classifiers, servejob, serving
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

RASTERS = {'OUTPUT': 'Class map', 'CONFIDENCE': 'Confidence', 'PROBABILITIES': 'Class probabilities'}


class MapDeepFeatures(QuadratAlgorithm):
    NAME = 'mapdeepfeatures'
    LABEL = 'Map with a classifier'
    GROUP = 'mapping'
    TAGS = (
        'predict,prediction,inference,classify,classification,deep features,embeddings,transfer learning,random forest,'
        'scikit-learn,land cover,ImageClassifierFromDeepFeatures,ImageClassifier,OTBTF,OTB'
    )
    SUMMARY = (
        'Applies a model to rasters of any size, and a classifier that "Train a classifier on deep features" made to '
        'what the model gives, tile by tile: the features are never written. The map has the names and colours of the '
        'classes. Give the model, the rasters and the settings that the classifier was trained with. A run that was '
        'ended can be resumed.'
    )

    def initAlgorithm(self, configuration=None):
        serving.add_inputs(self)
        self.add(
            QgsProcessingParameterFile(
                'CLASSIFIER',
                tr('Classifier'),
                QgsProcessingParameterFile.Behavior.File,
                fileFilter=tr(classifiers.FILTER) + ';;' + tr('All files') + ' (*)',
            ),
            'The file that "Train a classifier on deep features" made, or "Train a classifier on attributes" on values '
            'of the outputs of the model. Opening it runs no code.',
        )
        serving.add_options(self)
        for name, text in (
            (
                'OUTPUT',
                'GeoTIFF of class values with names, colours and a .qml style. Pixels without data, and those outside '
                'of a mask, get the value of pixels without data.',
            ),
            (
                'CONFIDENCE',
                'GeoTIFF of the probability of the class that the map shows; of forests and nearest neighbours the '
                'share of the votes. Not of k-means, and of svm only with the option probability.',
            ),
            ('PROBABILITIES', 'GeoTIFF with a band for each class, named after it, of its probability.'),
        ):
            by_default = name == 'OUTPUT'
            destination = QgsProcessingParameterRasterDestination(
                name, tr(RASTERS[name]), optional=True, createByDefault=by_default
            )
            self.add(destination, text)

    def check(self, parameters, context):
        if not any(parameters.get(name) for name in RASTERS):
            return tr('No output asked for; name one of {}.').format(', '.join(RASTERS))
        return servejob.problem(self, parameters, context)

    def prepare(self, parameters, context, feedback):
        self.given = servejob.layers(self, parameters, context, feedback)

    def job(self, parameters, context, feedback):
        wanted = {name.lower(): shared.output_path(self, parameters, name, context) for name in RASTERS}
        if parameters.get('MASK_LAYER') and not self.given['mask_layer']:
            first = next(path for path in wanted.values() if path)
            self.given['mask_layer'] = inputs.vector_export(self, parameters, 'MASK_LAYER', context, feedback, first)
        return MapDeepFeaturesJob(
            **self.given,
            **servejob.values(self, parameters, context),
            **wanted,
            classifier=os.path.abspath(self.parameterAsFile(parameters, 'CLASSIFIER', context)),
        )

    def results(self, values, parameters, context, feedback):
        model = values.pop('MODEL_NAME')
        values.pop('CLASS_MAP')
        shown = [name for name in RASTERS if name in values]
        for name in shown:
            group = model if len(shown) > 1 else ''
            layers.present(context, values[name], f'{tr(RASTERS[name])} ({model})', group, name == 'OUTPUT')
        return values
