"""Toolbox: a classifier from what a network gives for pixels of polygons."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
)

from ...engine.jobs import ServeJob, TrainDeepFeaturesJob
from ...plugin import inputs
from .. import classifiers, servejob, serving
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

# Parameters of serving that concern maps alone: scripts may give them, people need not see them.
_OF_MAPS = (
    'FILL_VALUE',
    'THRESHOLD',
    'SIEVE',
    'CONNECTIVITY',
    'OUTPUT_TYPE',
    'PROBABILITY_TYPE',
    'RESUME',
    'COG',
    'OVERVIEWS',
    'CREATION_OPTIONS',
)


class TrainDeepFeatures(QuadratAlgorithm):
    NAME = 'traindeepfeatures'
    LABEL = 'Train a classifier on deep features'
    GROUP = 'training'
    TAGS = (
        'machine learning,deep learning,embeddings,transfer learning,random forest,support vector machine,SVM,'
        'scikit-learn,polygons,few samples,TrainClassifierFromDeepFeatures,TrainImagesClassifier,OTBTF,OTB'
    )
    SUMMARY = (
        'Trains a classifier on what a model gives for pixels of polygons, lines or points of known classes. Any '
        'outputs of any model serve as features: inner layers that it has as outputs, embeddings, class probabilities. '
        'The model is only applied where samples lie. Some of them are kept to judge the classifier by, or other '
        'polygons are given for it. "Map with a classifier" makes the map.'
    )

    def initAlgorithm(self, configuration=None):
        serving.add_inputs(self)
        self._add_samples()
        classifiers.add_classifier(self)
        self._add_numbers()
        serving.add_options(self)
        classifiers.add_details(self)
        classifiers.add_outputs(self)

    def add(self, definition, text, advanced=False):
        if definition.name() == 'CLASSES' and self.parameterDefinition('CLASSES'):
            return  # declared by serving too
        if definition.name() in _OF_MAPS:
            definition.setFlags(definition.flags() | QgsProcessingParameterDefinition.Flag.FlagHidden)
            text = 'Of maps; it changes nothing in the training of a classifier. ' + text
        super().add(definition, text, advanced)

    def _add_samples(self):
        vector = [QgsProcessing.SourceType.TypeVectorAnyGeometry]
        self.add(
            QgsProcessingParameterFeatureSource('VECTOR', tr('Polygons of known classes'), vector),
            'Polygons, lines or points in any CRS. A polygon has the pixels whose centre lies in it, a line those '
            'whose square it touches, a point the one that holds it.',
        )
        self.add(
            QgsProcessingParameterField('FIELD', tr('Class field'), None, 'VECTOR'),
            'Field with the class: whole numbers or text. Features without a value are left out.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                classifiers.VALIDATION, tr('Polygons for validation'), vector, optional=True
            ),
            'Other polygons with the same field to judge the classifier by. Empty: a share of the samples is kept for '
            'it, which lie beside those of the training, so that a map is less accurate than they say.',
        )

    def _add_numbers(self):
        self.add(
            shared.integer('BM', 'As many samples of each class as of the smallest', 1, 0, 1),
            '1: of each class as many pixels as the smallest class has, whatever the numbers below are. 0: the numbers '
            'below count.',
            advanced=True,
        )
        for name, words in (('MT', 'training'), ('MV', 'validation')):
            self.add(
                shared.integer(name, f'Most samples of a class for {words}', 1000, -1),
                f'Pixels of each class for {words} at most; -1: all. Without polygons for validation so many are taken '
                'together that neither number is exceeded. Only where BM is 0.',
                advanced=True,
            )
        self.add(
            shared.real('VTR', 'Share of the samples for validation', 0.5, 0.0, 1.0),
            'Without polygons for validation: the share of the samples of each class that the classifier is not '
            'trained with, but judged by. 0: it is judged by what it was trained with.',
            advanced=True,
        )

    def check(self, parameters, context):
        return servejob.problem(self, parameters, context) or classifiers.problem(self, parameters, context)

    def prepare(self, parameters, context, feedback):
        self.given = servejob.layers(self, parameters, context, feedback)
        self.legend = classifiers.legend(self, parameters, 'VECTOR', context)
        self.files = {name: inputs.vector_file(self, parameters, name, context) for name in self._layers()}

    def job(self, parameters, context, feedback):
        fields = classifiers.values(self, parameters, context)
        output = fields['output']
        vectors = [
            classifiers.vector(self, parameters, name, self.files[name], context, feedback, output)
            for name in self._layers()
        ]
        if parameters.get('MASK_LAYER') and not self.given['mask_layer']:
            self.given['mask_layer'] = inputs.vector_export(self, parameters, 'MASK_LAYER', context, feedback, output)
        applied = {**servejob.values(self, parameters, context), 'classes': ()}
        return TrainDeepFeaturesJob(
            serving=ServeJob(**self.given, **applied),
            vector=vectors[0],
            validation=vectors[1],
            field=self.parameterAsString(parameters, 'FIELD', context),
            legend=self.legend,
            vtr=self.parameterAsDouble(parameters, 'VTR', context),
            **{name.lower(): self.parameterAsInt(parameters, name, context) for name in ('MT', 'MV', 'BM')},
            **fields,
        )

    def _layers(self):
        return 'VECTOR', classifiers.VALIDATION
