"""Toolbox: a model package from a dataset."""

from __future__ import annotations

import dataclasses
import json
import os

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
)

from ...engine.errors import EngineError, InvalidJob
from ...engine.jobs import ARCHITECTURES, TASKS, TrainJob, TrainOptions, from_dict
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class TrainModel(QuadratAlgorithm):
    NAME = 'trainmodel'
    LABEL = 'Train a model'
    GROUP = 'training'
    TAGS = (
        'deep learning,neural network,segmentation,classification,unet,keras,tensorflow,fit,learn,TensorflowModelTrain'
    )
    SUMMARY = (
        'Trains a network on a dataset that "Extract patches" made, and writes a model package: the network, what it '
        'expects, and a report. Each epoch is judged on the validation split, and the package holds the best one; the '
        'report gives accuracies of each class on the validation and test splits. The pixel values are normalised '
        'inside the network, so that it takes raw images. Patches are turned and mirrored at random while training. '
        'The same dataset, seed and number of threads give the same model on the processor of one computer.'
    )

    def initAlgorithm(self, config=None):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile('DATASET', tr('Dataset'), folder),
            'The folder that "Extract patches" made, with labels and a training split. Without a validation split that '
            'has all classes, the last epoch is kept.',
        )
        self.add(
            shared.choice('TASK', 'Task', TASKS, TASKS[0]),
            'What the model is to say. segmentation: the class of each pixel.',
        )
        self.add(
            shared.choice('ARCHITECTURE', 'Architecture', ARCHITECTURES, ARCHITECTURES[0]),
            'The kind of network. unet: U-Net, which sees fine detail and wide context together.',
        )
        shared.add_classes(
            self,
            'A CSV table with the columns value, name and colour (#rrggbb). Empty: the classes of the dataset. With '
            'it, any other value in the labels is an error. A value named here is a class even if the label raster '
            'declared it as no-data: that is how a background becomes a class.',
        )
        self.add(
            shared.integer('EPOCHS', 'Epochs', 50, 1),
            'How many times all training samples are seen. The learning rate falls to nothing over them, so a shorter '
            'training is not the beginning of a longer one.',
        )
        self.add(
            shared.integer('BATCH_SIZE', 'Batch size', 16, 1),
            'Samples that a step of training sees together. Smaller ones need less memory.',
        )
        self.add(
            shared.real('LEARNING_RATE', 'Learning rate', 0.003, 0.0),
            'Length of the steps at their longest. Lower it where the loss jumps or is no number any more.',
            advanced=True,
        )
        shared.add_seed(self, 'the first weights, the order of the samples and how they are turned')
        self.add(
            QgsProcessingParameterString('OPTIONS', tr('Options (JSON)'), None, True, True),
            'What few people change, as JSON such as {"filters": 32, "patience": 10}. ' + _options_help(),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Model package')),
            'The folder of the package. It must be new, empty, or a model package that is to be replaced.',
        )
        self.add(
            QgsProcessingParameterFileDestination('REPORT', tr('Report'), tr('HTML files (*.html)'), None, True, False),
            'The report of the training as a page. The package holds it too, as report.html.',
        )
        self.addOutput(QgsProcessingOutputNumber('BEST_EPOCH', tr('Epoch whose weights were kept')))
        self.addOutput(QgsProcessingOutputNumber('BEST_SCORE', tr('Its mean intersection over union')))

    def check(self, parameters, context):
        try:
            self._options(parameters, context)
        except EngineError as error:
            return str(error)
        return ''

    def job(self, parameters, context, feedback):
        return TrainJob(
            dataset=os.path.abspath(self.parameterAsFile(parameters, 'DATASET', context)),
            output=shared.output_folder(self, parameters, 'OUTPUT', context),
            task=self.parameterAsEnumString(parameters, 'TASK', context),
            architecture=self.parameterAsEnumString(parameters, 'ARCHITECTURE', context),
            classes=shared.classes(self, parameters, context),
            epochs=self.parameterAsInt(parameters, 'EPOCHS', context),
            batch_size=self.parameterAsInt(parameters, 'BATCH_SIZE', context),
            learning_rate=self.parameterAsDouble(parameters, 'LEARNING_RATE', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
            options=self._options(parameters, context),
            report=shared.output_path(self, parameters, 'REPORT', context),
        )

    def _options(self, parameters, context):
        """The options that OPTIONS gives, the others with their defaults; `InvalidJob` says what is wrong with them."""
        text = shared.text_value(self, parameters, 'OPTIONS', context)
        if not text:
            return TrainOptions()
        try:
            given = json.loads(text)
        except ValueError as error:
            raise InvalidJob(f'OPTIONS: not JSON ({error}); it should look like {{"filters": 32}}.') from error
        return from_dict(TrainOptions, given, 'OPTIONS.')


def _options_help():
    """The options and their defaults, for the help text."""
    defaults = ', '.join(f'{key} {json.dumps(value)}' for key, value in dataclasses.asdict(TrainOptions()).items())
    return (
        f'Known are, with their defaults: {defaults}. filters: channels of the first level; depth: how often the '
        'resolution is halved; dropout: share of channels left out at the lowest level; class_weights: "auto" gives '
        'rare classes more weight, "none" does not; augment: turn and mirror; weight_decay: pull towards small '
        'weights; patience: stop after so many epochs without a better validation score, 0 never; threads: 0 takes '
        'all cores.'
    )
