"""The parameters of training a SavedModel by its own graph, as they are declared."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from ..engine.jobs import VALIDATION_MODES
from . import parameters as shared
from .base import tr
from .sources import SUFFIXES

VALIDATION = 'VALIDATION_'
_SHOWN = 2  # sources that are not folded away: images and labels
_PLACEHOLDER_LABELS = {'': 'input of the model', VALIDATION: 'input or output of the model, for validation'}
_PLACEHOLDER_HELP = {
    '': 'What the patches are fed to: the key of an input in the signature, or the name of a tensor. Empty: the input '
    'of the name of the source, or the next one by alphabet. With a dataset, PLACEHOLDER, PLACEHOLDER_2 and so on are '
    'for its keys, sources first and then labels; more than four names are given with commas between them.',
    VALIDATION: 'The same name as in training (or empty): the source is fed. Another name: the source is the reference '
    'that the output of this name is compared with.',
}
_CSV, _HTML = 'CSV files (*.csv)', 'HTML files (*.html)'


def add_model(algorithm) -> None:
    """MODEL, what trains it, and DATASET."""
    algorithm.add(
        QgsProcessingParameterFile(
            'MODEL',
            tr('Model that can be trained'),
            QgsProcessingParameterFile.Behavior.File,
            fileFilter=tr('Models') + ' (saved_model.pb model.json *.zip);;' + tr('All files') + ' (*)',
        ),
        'The folder of a SavedModel whose graph has operations that train it, or the saved_model.pb in it. Or a '
        'Tensor/IO bundle: its folder, the model.json in it, or its .zip.',
    )
    algorithm.add(
        shared.text('TARGET_NODES', 'Operations that train'),
        'Names of the operations of the graph that are run with each batch, separated by commas, such as '
        'optimizer; or of signatures that are called, as models of TensorFlow 2 have them. Bundles name their own.',
    )
    algorithm.add(
        QgsProcessingParameterFile('DATASET', tr('Dataset'), QgsProcessingParameterFile.Behavior.Folder, optional=True),
        'The folder of a dataset; the model is trained on its split train, and validated on its split validation. '
        'In place of patches-images.',
    )


def add_samples(algorithm, prefix: str = '', words: str = '') -> None:
    """The patches-images of each source, and what they are fed to; for training or for validation."""
    for number, suffix in enumerate(SUFFIXES, 1):
        advanced = bool(prefix) or number > _SHOWN
        algorithm.add(
            QgsProcessingParameterMultipleLayers(
                f'{prefix}INPUT{suffix}',
                _label(number, f'{words}patches-images'),
                QgsProcessing.SourceType.TypeRaster,
                None,
                True,
            ),
            'A raster in which patches stand below one another, as OTBTF writes them; of several the bands are '
            'stacked. The n-th patches of all sources belong together. Labels are a source too.'
            if not prefix
            else f'The patches to validate on that go with source {number}.',
            advanced,
        )
        algorithm.add(
            shared.integer(
                f'{prefix}PATCH_SIZE{suffix}',
                _label(number, f'{words}patch size (pixels)'),
                None,
                1,
                1 << 16,
                optional=True,
            ),
            f'Side of the patches of source {number}. Empty: '
            + ('as wide as the image.' if not prefix else 'as in training.'),
            advanced=True,
        )
        algorithm.add(
            shared.text(f'{prefix}PLACEHOLDER{suffix}', _label(number, _PLACEHOLDER_LABELS[prefix])),
            _PLACEHOLDER_HELP[prefix],
            advanced,
        )
    algorithm.add(
        shared.text(f'{prefix}SOURCES', 'Validation sources (JSON)' if prefix else 'Sources (JSON)'),
        f'A list of sources in JSON, or the path of a file of it, in place of all {prefix}INPUT: for more than '
        'four, for bands and oblong patches. Each is an object such as {"rasters": ["patches.tif"], "patch_size": '
        '[64, 32], "placeholder": "x"}.',
        advanced=True,
    )


def add_training(algorithm) -> None:
    """How it is trained."""
    algorithm.add(
        shared.integer('EPOCHS', 'Epochs', 100, 1),
        'How many times all samples are seen.',
    )
    algorithm.add(
        shared.integer('BATCH_SIZE', 'Batch size', 100, 1),
        'Samples that a step sees together; the last step of an epoch takes what is left.',
    )
    algorithm.add(
        shared.text('OUTPUT_TENSORS', 'Outputs to report'),
        'Names of outputs of the model, or of tensors of its graph, separated by commas, such as '
        'sparse_softmax_cross_entropy_loss/value. Their means over each epoch go to the log and into the report. '
        'If one with "loss" in its name is no number any more, the training stops.',
    )
    algorithm.add(
        shared.text('USER_PLACEHOLDERS', 'Constants while training'),
        'Values of inputs or placeholders of the graph that are no samples: name=value, separated by semicolons, '
        'such as lr=1e-4; dropout=0.5. The model says of what type they are.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean('STREAMING', tr('Read patches while training'), False),
        'Reads patches when they are needed. Otherwise all of them are read into memory first, which is faster '
        'where they fit.',
        advanced=True,
    )
    algorithm.add(
        shared.text('TAGS', 'Tag set of the SavedModel'),
        'Which graph of a SavedModel is trained: its tags, separated by commas. Empty: the only graph there is, '
        'else train, else serve.',
        advanced=True,
    )
    shared.add_seed(algorithm, 'the order of the samples, and what is random in the graph')


def add_validation(algorithm) -> None:
    """How it is judged meanwhile."""
    algorithm.add(
        shared.choice('VALIDATION_MODE', 'Validation', VALIDATION_MODES, VALIDATION_MODES[0]),
        'none. class: outputs and references are labels; accuracies of each class, kappa and a confusion matrix '
        'come out, on the training and on the validation samples. rmse: they are measured values; RMSE, MAE and '
        'R² come out.',
    )
    algorithm.add(
        shared.integer('VALIDATION_STEP', 'Epochs between validations', 10, 1),
        'Validates after each so many epochs, and after the last.',
        advanced=True,
    )
    add_samples(algorithm, VALIDATION, 'validation ')
    algorithm.add(
        shared.text('VALIDATION_USER_PLACEHOLDERS', 'Constants for validation'),
        'The same for validation, where those of the training do not count: such as dropout=0.',
        advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean('VALIDATION_STREAMING', tr('Read patches while validating'), False),
        'Reads patches to validate on when they are needed, not all into memory first.',
        advanced=True,
    )


def add_checkpoints(algorithm) -> None:
    """RESTORE_FROM and SAVE_TO."""
    algorithm.add(
        shared.text('RESTORE_FROM', 'Checkpoint to start from'),
        'What the files of a checkpoint have in common, such as /models/a/variables/variables. Empty: the '
        'variables of the model.',
        advanced=True,
    )
    algorithm.add(
        shared.text('SAVE_TO', 'Checkpoint to write'),
        'The same for a checkpoint to write after the last epoch besides the output; one that is there is '
        'replaced when the new one is whole. May be …/variables/variables of the model itself.',
        advanced=True,
    )


def add_outputs(algorithm) -> None:
    """OUTPUT, REPORT, CONFUSION and CONFIGURATION."""
    algorithm.add(
        QgsProcessingParameterFolderDestination('OUTPUT', tr('Trained model')),
        'The folder of the trained SavedModel: new, empty, or a SavedModel that is to be replaced, which may be '
        'the model itself. Of a bundle, a folder that ends in .tiobundle becomes a bundle.',
    )
    for name, label, filter_, text in (
        ('REPORT', 'Report', _HTML, 'The course of the training and the accuracies as a page.'),
        (
            'CONFUSION',
            'Confusion matrix',
            _CSV,
            'Counts of labels after the last epoch, of the validation samples: rows are the reference. Of the '
            'validation class.',
        ),
    ):
        algorithm.add(QgsProcessingParameterFileDestination(name, tr(label), tr(filter_), None, True, False), text)
    shared.add_configuration(algorithm)


def _label(number: int, words: str) -> str:
    """What a parameter of a source is called."""
    return tr('Source {}: {}').format(number, tr(words))
