"""Toolbox: a classifier from the attributes of a vector layer."""

from __future__ import annotations

from qgis.core import QgsProcessing, QgsProcessingParameterFeatureSource, QgsProcessingParameterField

from ...engine.jobs import UNSUPERVISED, TrainVectorClassifierJob
from ...plugin import inputs
from .. import classifiers
from ..base import QuadratAlgorithm, tr


class TrainVectorClassifier(QuadratAlgorithm):
    NAME = 'trainvectorclassifier'
    LABEL = 'Train a classifier on attributes'
    GROUP = 'training'
    TAGS = (
        'machine learning,random forest,support vector machine,SVM,gradient boosting,k-nearest neighbours,k-means,'
        'scikit-learn,supervised classification,samples,TrainVectorClassifier,OTB'
    )
    SUMMARY = (
        'Trains a classifier on attributes of a layer, such as the raster values at points that "Sample raster values" '
        'adds. Features without a class, or without one of the attributes, are left out. The classifier is judged by '
        'another layer; without one by the samples it was trained with, which says how well it remembers. With values '
        'of outputs of a model as attributes, "Map with a classifier" applies it to images.'
    )

    def initAlgorithm(self, config=None):
        vector = [QgsProcessing.SourceType.TypeVector]
        self.add(
            QgsProcessingParameterFeatureSource('INPUT', tr('Samples'), vector),
            'A layer, or a table, with a feature for each sample.',
        )
        self.add(
            QgsProcessingParameterField(
                'FEATURES',
                tr('Fields to learn from'),
                None,
                'INPUT',
                QgsProcessingParameterField.DataType.Numeric,
                True,
                True,
            ),
            'Fields of numbers; their order is that of the bands when a map is made. Empty: value_0, value_1 and so '
            'on, as "Sample raster values" names them.',
        )
        self.add(
            QgsProcessingParameterField('FIELD', tr('Class field'), None, 'INPUT', optional=True),
            'Field with the class: whole numbers or text. Only k-means does without.',
        )
        classifiers.add_classifier(self)
        self.add(
            QgsProcessingParameterFeatureSource(
                classifiers.VALIDATION, tr('Samples for validation'), vector, optional=True
            ),
            'A layer with the same fields to judge the classifier by. Empty: the training samples, with a warning.',
        )
        classifiers.add_details(self)
        classifiers.add_outputs(self)

    def check(self, parameters, context):
        kind = self.parameterAsEnumString(parameters, 'CLASSIFIER', context)
        if not self.parameterAsString(parameters, 'FIELD', context) and kind not in UNSUPERVISED:
            return tr('FIELD: the field with the class is needed; only k-means does without.')
        return classifiers.problem(self, parameters, context)

    def prepare(self, parameters, context, feedback):
        self.legend = classifiers.legend(self, parameters, 'INPUT', context)
        self.files = {name: inputs.vector_file(self, parameters, name, context) for name in self._layers()}

    def job(self, parameters, context, feedback):
        fields = classifiers.values(self, parameters, context)
        vectors = [
            classifiers.vector(self, parameters, name, self.files[name], context, feedback, fields['output'])
            for name in self._layers()
        ]
        return TrainVectorClassifierJob(
            vector=vectors[0],
            validation=vectors[1],
            field=self.parameterAsString(parameters, 'FIELD', context) or '',
            features=tuple(self.parameterAsFields(parameters, 'FEATURES', context)),
            legend=self.legend,
            **fields,
        )

    def _layers(self):
        return 'INPUT', classifiers.VALIDATION
