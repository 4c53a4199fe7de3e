"""What the algorithms that train classifiers share: parameters, and how their values become fields of a job."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, Dict, Optional

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from ..engine.errors import EngineError, InvalidJob
from ..engine.jobs import CLASSIFIER_OPTIONS, CLASSIFIERS, VectorSpec, classifier_options
from ..plugin import inputs
from . import parameters as shared
from .base import tr

EXTENSION = '.skops'
FILTER = 'Classifiers (*.skops)'
VALIDATION = 'VALIDATION_VECTOR'
_OUTPUTS = (
    ('CONFUSION', 'Confusion matrix', 'CSV files (*.csv)', 'The confusion matrix as CSV: two lines with the labels '
     'of rows (reference) and columns (classifier), then the counts; of the validation samples where there are any.'),
    ('REPORT', 'Report', 'HTML files (*.html)', 'The report as a page: precision, recall, F1 and intersection over '
     'union of each class, overall accuracy, kappa, confusion matrix, and the importance of features where the '
     'classifier has it.'),
)  # fmt: skip


def add_classifier(algorithm) -> None:
    """CLASSIFIER."""
    algorithm.add(
        shared.choice('CLASSIFIER', 'Classifier', CLASSIFIERS, CLASSIFIERS[0]),
        'rf: random forest. extratrees: extremely randomised trees. gbt: gradient boosting. dt: decision tree. svm: '
        'support vector machine. knn: nearest neighbours. logistic: logistic regression. ann: multi-layer perceptron. '
        'bayes: naive Bayes. kmeans: k-means, which finds clusters of its own and does not look at the classes.',
    )


def add_details(algorithm) -> None:
    """CLASSES, OPTIONS, STATISTICS and SEED; advanced."""
    shared.add_classes(
        algorithm,
        'A CSV table with the columns value, name and colour (#rrggbb), for names and colours on the map. Classes that '
        'are text get the value of the class of that name. Empty: the symbology of the layer; text is numbered from 1 '
        'in alphabetical order.',
        advanced=True,
    )
    algorithm.add(
        shared.text('OPTIONS', 'Options of the classifier (JSON)'),
        'What the classifier is told, as JSON such as {"n_estimators": 300}; the names are those of scikit-learn. '
        f'Known are, with their defaults: {_options_help()}.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterFile(
            'STATISTICS',
            tr('Statistics of the features'),
            QgsProcessingParameterFile.Behavior.File,
            optional=True,
            fileFilter=tr('XML files (*.xml)') + ';;' + tr('All files') + ' (*)',
        ),
        'An XML file with the mean and standard deviation of each feature, as OTB\'s "ComputeImagesStatistics" writes '
        'it, by which features are normalised; they are kept in the classifier. Empty: those of the training samples.',
        advanced=True,
    )
    shared.add_seed(algorithm, 'the samples that are taken and what is random in the training of the classifier')


def add_outputs(algorithm) -> None:
    """OUTPUT, CONFUSION, REPORT and CONFIGURATION, and the numbers ACCURACY and KAPPA."""
    algorithm.add(
        QgsProcessingParameterFileDestination('OUTPUT', tr('Classifier'), tr(FILTER)),
        'The file of the classifier, whose name ends in .skops, for "Map with a classifier". Opening it runs no code.',
    )
    for name, label, kind, text in _OUTPUTS:
        algorithm.add(QgsProcessingParameterFileDestination(name, tr(label), tr(kind), None, True, False), text)
    shared.add_configuration(algorithm)
    algorithm.addOutput(QgsProcessingOutputNumber('ACCURACY', tr('Overall accuracy')))
    algorithm.addOutput(QgsProcessingOutputNumber('KAPPA', tr('Kappa')))


def problem(algorithm, parameters: dict, context) -> str:
    """What is wrong with these parameters, as one line; empty if nothing is."""
    try:
        options(algorithm, parameters, context)
        shared.classes(algorithm, parameters, context)
    except EngineError as error:
        return str(error)
    return ''


def options(algorithm, parameters: dict, context) -> Dict[str, Any]:
    """The options that OPTIONS gives; `InvalidJob` says what is wrong with them."""
    text = shared.text_value(algorithm, parameters, 'OPTIONS', context)
    try:
        given = json.loads(text) if text else {}
    except ValueError as error:
        raise InvalidJob(f'OPTIONS: not JSON ({error}); it should look like {{"n_estimators": 300}}.') from error
    kind = algorithm.parameterAsEnumString(parameters, 'CLASSIFIER', context)
    if not isinstance(given, dict):
        raise InvalidJob('OPTIONS: should be an object in JSON, such as {"n_estimators": 300}.')
    classifier_options(kind, given)
    return given


def values(algorithm, parameters: dict, context) -> Dict[str, Any]:
    """The fields of a job that these parameters make. Raises `EngineError`."""
    output = shared.output_path(algorithm, parameters, 'OUTPUT', context)
    statistics = algorithm.parameterAsFile(parameters, 'STATISTICS', context)
    return {
        'output': output if os.path.splitext(output)[1] == EXTENSION else output + EXTENSION,
        'classifier': algorithm.parameterAsEnumString(parameters, 'CLASSIFIER', context),
        'options': options(algorithm, parameters, context),
        'seed': algorithm.parameterAsInt(parameters, 'SEED', context),
        'classes': shared.classes(algorithm, parameters, context),
        'statistics': os.path.abspath(statistics) if statistics else '',
        'confusion': shared.output_path(algorithm, parameters, 'CONFUSION', context),
        'report': shared.output_path(algorithm, parameters, 'REPORT', context),
        'configuration': shared.output_path(algorithm, parameters, 'CONFIGURATION', context),
    }


def legend(algorithm, parameters: dict, name: str, context) -> tuple:
    """Names and colours of classes from the symbology of the layer that a parameter names; for `prepare`."""
    field = algorithm.parameterAsString(parameters, 'FIELD', context) or ''
    layer = inputs.vector_layer(algorithm, parameters, name, context) if field else None
    return inputs.vector_legend(layer, field) if layer else ()


def vector(
    algorithm, parameters: dict, name: str, file: Optional[VectorSpec], context, feedback, output: str
) -> Optional[VectorSpec]:
    """The layer that a parameter names: the file found in `prepare`, else its features in a file beside the output."""
    if not parameters.get(name):
        return None
    return file or inputs.vector_export(algorithm, parameters, name, context, feedback, output, None)


def _options_help() -> str:
    """The options of each classifier with their defaults, for the help text."""
    found: Dict[str, str] = {}
    for name, cls in CLASSIFIER_OPTIONS.items():
        text = ', '.join(f'{key} {json.dumps(value)}' for key, value in dataclasses.asdict(cls()).items())
        found[text] = f'{found[text]} and {name}' if text in found else name
    return '; '.join(f'{names}: {text}' for text, names in found.items())
