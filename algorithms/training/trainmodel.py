"""Toolbox: a model package from a dataset, or straight from rasters."""

from __future__ import annotations

import dataclasses
import json
import os

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from ...engine.errors import EngineError, InvalidJob
from ...engine.jobs import ARCHITECTURES, LOSSES, TASKS, ExtractPatchesJob, TrainJob, TrainOptions, from_dict
from .. import labelled, sources
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

_EXPLAINED = (
    'filters, depth and dropout: channels of the first level, how often the resolution is halved, share of channels '
    'left out at the lowest level; null: what the architecture takes. network: further options of the architecture. '
    'folder: of architectures of your own, whose code is run; "architecture" names one of them, as module:Class. '
    'sources: which sources of the dataset the network takes, all if empty. target: the source that a regression '
    'predicts; the labels if empty. class_weights: "auto" gives rare classes more weight, "none" does not, '
    '{"11": 2.5} says which. loss: options of the loss, such as gamma; errors of values are in their standard '
    'deviations. augment: turn and mirror, or what else is done, such as {"flips": true, "rotations": true, "gain": '
    '0.1, "offset": 0.1, "noise": 0.05, "band_drop": 0.1, "crop": 48}. optimizer: "adamw", "adam" or "sgd"; '
    'weight_decay: pull towards small weights. schedule: "cosine", "constant", "onecycle", "plateau", "exponential", '
    '"piecewise" or "cyclical", after a share of warm_up; plateau_patience, plateau_factor: epochs without a better '
    'score, and what the learning rate is multiplied with then; schedule_steps, decay_rate, staircase: exponential '
    'multiplies it with decay_rate after each so many steps (0: an epoch), in stairs or along a curve; cyclical falls '
    'from it to minimum_rate in each so many steps; piecewise: learning rates and the epochs after which they change, '
    'such as "0.01:5:0.001". clip_norm: largest norm of the gradients, 0 for any. patience: stop after so many epochs '
    'without a better validation score, 0 never; minimum_epochs: not before so many; min_delta: by how much better '
    'counts. monitor, monitor_mode: another number of the history that tells which epoch is the best, such as '
    '"loss", and whether it should be small or large ("min", "max", "auto"). validation_epochs, validation_steps, '
    'validation_secs: judge after so many epochs, steps or seconds; save_checkpoint_epochs, save_checkpoint_steps, '
    'save_checkpoint_secs: keep the state to go on from (steps or seconds, not both); save_summary_epochs, '
    'save_summary_steps: write numbers for TensorBoard; where none is given, all three after each epoch. shuffle: a '
    'new order of the samples in each epoch; shuffle_buffer: as through a buffer of so many, 0 for all. '
    'drop_remainder: leave the samples of an epoch out that fill no batch. device: "auto", "cpu", "gpu:0" or '
    '"gpu:0,1"; one that is not there is an error. precision: "mixed" computes in 16 bits where that will do. '
    'strategy: "one" device, "mirrored" for all GPUs, "workers" for several computers. freeze: regular expressions of '
    'layers that are not trained, until unfreeze_after epochs if that is not 0. fine_tune: factor on the learning '
    'rate of layers that WARM_START gave; warm_start_include, warm_start_exclude: regular expressions of the layers '
    'that take weights over, and of those that do not, by how their names begin. validation_block: side of the blocks '
    'of VALIDATION_SHARE in map units, 0 for four patches. threads: 0 takes all cores.'
)


class TrainModel(QuadratAlgorithm):
    NAME = 'trainmodel'
    LABEL = 'Train a model'
    GROUP = 'training'
    TAGS = (
        'deep learning,neural network,segmentation,classification,regression,unet,keras,tensorflow,fit,learn,'
        'fine-tune,transfer learning,TensorflowModelTrain'
    )
    SUMMARY = (
        'Trains a network and writes a model package: the network, what it expects, and a report. Samples come from a '
        'dataset, such as "Extract patches" makes, or straight from rasters at points. Each epoch is judged on the '
        'validation split, and the package holds the best one; the report gives accuracies on the validation and test '
        'splits. The pixel values are normalised inside the network, so that it takes raw images. A training that was '
        'cancelled or killed goes on where it was when it is started again with the same parameters. The same samples, '
        'seed and number of threads give the same model on the processor of one computer.'
    )

    def initAlgorithm(self, config=None):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile('DATASET', tr('Dataset'), folder, optional=True),
            'A folder with labels and a training split: a dataset of any format that "Extract patches" made, or '
            'TFRecords or patches-images of OTBTF. Empty: patches are read from the input rasters at POINTS while '
            'training. Without a validation split that has all classes, the last epoch is kept.',
        )
        self._add_network()
        self._add_training()
        self._add_validation()
        self._add_rasters()
        self.add(
            QgsProcessingParameterString('OPTIONS', tr('Options (JSON)'), None, True, True),
            'What few people change, as JSON such as {"filters": 32, "patience": 10}. ' + _options_help(),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFolderDestination('OUTPUT', tr('Model package')),
            'The folder of the package. It must be new, empty, or a model package that is to be replaced. While the '
            'training runs, its state is in a folder of this name with .part at the end.',
        )
        self.add(
            QgsProcessingParameterFileDestination('REPORT', tr('Report'), tr('HTML files (*.html)'), None, True, False),
            'The report of the training as a page. The package holds it too, as report.html.',
        )
        shared.add_configuration(self)
        self.addOutput(QgsProcessingOutputNumber('BEST_EPOCH', tr('Epoch whose weights were kept')))
        self.addOutput(QgsProcessingOutputNumber('BEST_SCORE', tr('Its score: mean IoU, mean F1 or R²')))

    def _add_network(self):
        self.add(
            shared.choice('TASK', 'Task', TASKS, TASKS[0]),
            'What the model is to say. segmentation: the class of each pixel. classification: the class of a patch, '
            'from one label a patch. regression: a value for each pixel or for a patch, as there are '
            'labels; in a dataset they are values if it was extracted so.',
        )
        self.add(
            shared.choice('ARCHITECTURE', 'Architecture', ARCHITECTURES, ARCHITECTURES[0]),
            'The kind of network. unet: U-Net, which sees fine detail and wide context together. resunet: the same of '
            'residual blocks. fcnn: strided convolutions, small and fast. dilated: without any loss of resolution. '
            'patchcnn: one answer a patch. twobranch: sources of two resolutions. temporal: a stack of dates. encoder: '
            'a well-known network such as ResNet, with weights from a file if there are any. dense: a multi-layer '
            'perceptron, on each pixel by itself or on all numbers of a patch.',
        )
        shared.add_classes(
            self,
            'A CSV table with the columns value, name and colour (#rrggbb). Empty: the classes of the dataset. With '
            'it, any other value in the labels is an error. A value named here is a class even if the label raster '
            'declared it as no-data: that is how a background becomes a class.',
        )
        self.add(
            shared.choice('LOSS', 'Loss', LOSSES, LOSSES[0]),
            'What the network makes as small as it can. auto: crossentropy for classes, huber for values. focal looks '
            'at what is not known yet; dice and tversky at the overlap of each class, for classes that cover little. '
            'mse and mae: squared and absolute error of values.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(
                'WARM_START',
                tr('Start from a model'),
                QgsProcessingParameterFile.Behavior.File,
                optional=True,
                fileFilter=tr('Models') + ' (item.json *.zip);;' + tr('All files') + ' (*)',
            ),
            'A model package whose weights are the first ones, as far as they fit: layers by name, also for other '
            'bands or classes. The log says which layers fit.',
            advanced=True,
        )

    def _add_training(self):
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
        shared.add_seed(self, 'the first weights, the order of the samples and how they are changed')
        self.add(
            QgsProcessingParameterBoolean('RESUME', tr('Go on with an interrupted training'), True),
            'If a training with the same parameters was cancelled or killed, it goes on after the last epoch that was '
            'done. Off: it starts over.',
            advanced=True,
        )

    def _add_validation(self):
        self.add(
            QgsProcessingParameterMultipleLayers(
                'VALIDATION_DATASET', tr('Validation datasets'), QgsProcessing.SourceType.TypeFile, None, True
            ),
            'Folders of datasets, or the manifest.json in each, whose samples all judge the epochs, in place of the '
            'validation split.',
            advanced=True,
        )
        self.add(
            shared.real('VALIDATION_SHARE', 'Share for validation', 0.0, 0.0, 0.9),
            'Takes so much of the training split for validation, a fraction such as 0.2, in blocks of ground, so that '
            'no pixel is in both. 0: the split of the samples counts.',
            advanced=True,
        )

    def _add_rasters(self):
        """What samples are read from where there is no dataset."""
        sources.add_first(
            self,
            'Where no dataset is given: the image, one raster, or several on the same grid, whose bands are stacked in '
            'the order given here.',
        )
        labelled.add_points(self, optional=True)
        shared.add_patch_size(self)
        labelled.add_labels(self, advanced=True)
        shared.add_nodata(self)
        shared.add_nodata_policy(self)
        labelled.add_border(self)
        sources.add_more(self, sources.Patches())

    def _from_rasters(self, parameters):
        return not parameters.get('DATASET')

    def check(self, parameters, context):
        given = [name for name in ('INPUT', 'SOURCES', 'POINTS') if parameters.get(name)]
        if not self._from_rasters(parameters) and given:
            return tr('DATASET and {} are given; samples come from one of them.').format(' and '.join(given))
        if self._from_rasters(parameters):
            if not parameters.get('POINTS'):
                return tr('Give a DATASET, or rasters (INPUT), POINTS and labels to read samples from.')
            problem = labelled.problem(self, parameters, context)
            if problem:
                return problem
        path = self.parameterAsFile(parameters, 'WARM_START', context)
        if path:
            problem = shared.model_problem('WARM_START', shared.model_path(path))
            if problem:
                return problem
        try:
            self._options(parameters, context)
        except EngineError as error:
            return str(error)
        return ''

    def prepare(self, parameters, context, feedback):
        self.patches = None
        if self._from_rasters(parameters):
            self.patches = labelled.LabelledPatches(self, parameters, context, feedback)

    def job(self, parameters, context, feedback):
        output = shared.output_folder(self, parameters, 'OUTPUT', context)
        classes = shared.classes(self, parameters, context)
        own, options = self._options(parameters, context)
        warm = self.parameterAsFile(parameters, 'WARM_START', context)
        windows = None
        if self.patches:
            windows = ExtractPatchesJob(
                **self.patches.details(context, feedback, output),
                output='',
                classes=classes,
                values=self.parameterAsEnumString(parameters, 'TASK', context) == 'regression',
            )
        return TrainJob(
            dataset='' if windows else shared.dataset(self, parameters, 'DATASET', context),
            output=output,
            task=self.parameterAsEnumString(parameters, 'TASK', context),
            architecture=own or self.parameterAsEnumString(parameters, 'ARCHITECTURE', context),
            classes=classes,
            epochs=self.parameterAsInt(parameters, 'EPOCHS', context),
            batch_size=self.parameterAsInt(parameters, 'BATCH_SIZE', context),
            learning_rate=self.parameterAsDouble(parameters, 'LEARNING_RATE', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
            options=options,
            report=shared.output_path(self, parameters, 'REPORT', context),
            loss=self.parameterAsEnumString(parameters, 'LOSS', context),
            resume=self.parameterAsBool(parameters, 'RESUME', context),
            warm_start=shared.model_path(warm) if warm else '',
            windows=windows,
            validation=self._validation(parameters, context),
            validation_share=self.parameterAsDouble(parameters, 'VALIDATION_SHARE', context),
            configuration=shared.output_path(self, parameters, 'CONFIGURATION', context),
        )

    def _validation(self, parameters, context):
        """The folders of the datasets for validation."""
        if not parameters.get('VALIDATION_DATASET'):
            return ()
        return tuple(map(shared.dataset_folder, self.parameterAsFileList(parameters, 'VALIDATION_DATASET', context)))

    def _options(self, parameters, context):
        """The user's own architecture (empty for none) and the options that OPTIONS gives, the others with their
        defaults; `InvalidJob` says what is wrong with them."""
        text = shared.text_value(self, parameters, 'OPTIONS', context)
        if not text:
            return '', TrainOptions()
        try:
            given = json.loads(text)
        except ValueError as error:
            raise InvalidJob(f'OPTIONS: not JSON ({error}); it should look like {{"filters": 32}}.') from error
        own = given.pop('architecture', '') if isinstance(given, dict) else ''
        options = from_dict(TrainOptions, given, 'OPTIONS.')
        if not isinstance(own, str) or bool(own) != bool(options.folder):
            raise InvalidJob('OPTIONS: "architecture" is "module:Class" of a "folder"; both must be given, or neither.')
        network = dict(options.network)
        if network.get('weights') and isinstance(network['weights'], str):  # a file, named from this folder on
            network['weights'] = os.path.abspath(network['weights'])
        return own, dataclasses.replace(options, folder=os.path.abspath(options.folder) if own else '', network=network)


def _options_help():
    """The options and their defaults, for the help text."""
    defaults = ', '.join(f'{key} {json.dumps(value)}' for key, value in dataclasses.asdict(TrainOptions()).items())
    return f'Known are, with their defaults: {defaults}. {_EXPLAINED}'
