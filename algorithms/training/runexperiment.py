"""Toolbox: a run, or a sweep of runs, that a file describes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Tuple

from qgis.core import (
    QgsProcessingOutputFolder,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
)

from ...engine.errors import EngineError, InputMissing, InvalidJob
from ...engine.jobs import RunExperimentJob
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

PRESETS = Path(__file__).resolve().parents[2] / 'resources' / 'presets'
_ENDINGS = ('.yaml', '.yml')


class RunExperiment(QuadratAlgorithm):
    NAME = 'runexperiment'
    LABEL = 'Run an experiment'
    GROUP = 'training'
    TAGS = (
        'YAML,configuration,variant,preset,deep learning,neural network,train,fit,reproducible,repeat,sweep,grid '
        'search,random search,hyperparameters,tuning,Deephub'
    )
    SUMMARY = (
        'Trains as a YAML file says: model, data, training and output in one place, to be kept, shared and done again. '
        'Files can extend others and refer to their own values; single values can be overridden here; a sweep trains '
        'with many. What is misspelt is refused with file and line before anything starts. The run folder holds the '
        'best and the last model package, checkpoints, history, report and the configuration as it was used. The same '
        'run again goes on where it was. Every training algorithm can write such a file (parameter CONFIGURATION).'
    )

    def initAlgorithm(self, configuration=None):
        self._add_what()
        self.add(
            QgsProcessingParameterFile(
                'TRUSTED', tr('Folder of trusted code'), QgsProcessingParameterFile.Behavior.Folder, optional=True
            ),
            'A file can name an architecture of your own (module:Class of a folder), whose code is run. That is '
            'refused unless the folder is this one, or within it. Empty: no code is run.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean('RESTART', tr('Start over'), False),
            'Forget what an earlier run left in the folder. Off: a run that was cancelled or killed goes on, and one '
            'that is finished trains on if it has more epochs now.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFolderDestination(
                'OUTPUT', tr('Run folder (empty: as the file says)'), None, True, False
            ),
            'The folder of the run, which is made. Give the same one to go on with a run. Empty: the one that the file '
            'names (output).',
        )
        self.addOutput(QgsProcessingOutputFolder('BEST', tr('Best model package')))
        self.addOutput(QgsProcessingOutputNumber('BEST_EPOCH', tr('Its epoch')))
        self.addOutput(QgsProcessingOutputNumber('BEST_SCORE', tr('Its score: mean IoU, mean F1 or R²')))
        self.addOutput(QgsProcessingOutputHtml('REPORT', tr('Report')))

    def _add_what(self):
        """FILE and OVERRIDES."""
        names = ', '.join(path.stem for path in presets())
        self.add(
            QgsProcessingParameterFile(
                'FILE',
                tr('Run configuration'),
                QgsProcessingParameterFile.Behavior.File,
                fileFilter=tr('YAML files') + ' (*.yaml *.yml);;' + tr('All files') + ' (*)',
            ),
            f'A YAML file, or the name of a preset that comes with Quadrat: {names}. Presets say with ??? what has to '
            'be given, such as data.dataset, in the values below.',
        )
        self.add(
            QgsProcessingParameterString('OVERRIDES', tr('Values that replace those of the file'), None, True, True),
            'One a line, such as train.epochs=20 or data.dataset=/data/patches: the place of the value with dots, and '
            'the value as in the file. +train.freeze=[down.*] appends to a list, ~train.freeze=[down.*] takes out of '
            'it, ~train.patience deletes a value that the file gives. Empty lines, and those that begin with #, do not '
            'count. Paths are relative to the current folder; give absolute ones in QGIS.',
        )

    def check(self, parameters, context):
        try:
            self._file(parameters, context)
            self._overrides(parameters, context)
        except EngineError as error:
            return str(error)
        return ''

    def job(self, parameters, context, feedback):
        trusted = self.parameterAsFile(parameters, 'TRUSTED', context)
        named = bool(parameters.get('OUTPUT'))
        return RunExperimentJob(
            file=self._file(parameters, context),
            output=shared.output_folder(self, parameters, 'OUTPUT', context) if named else '',
            overrides=self._overrides(parameters, context),
            trusted=(os.path.abspath(trusted),) if trusted else (),
            restart=self.parameterAsBool(parameters, 'RESTART', context),
        )

    def _file(self, parameters, context):
        return file_of(self.parameterAsFile(parameters, 'FILE', context))

    def _overrides(self, parameters, context):
        return override_lines(self.parameterAsString(parameters, 'OVERRIDES', context) or '')


def presets() -> Tuple[Path, ...]:
    """The run configurations that come with Quadrat."""
    return tuple(sorted(PRESETS.glob('*.yaml')))


def file_of(text: str) -> str:
    """The absolute path of a configuration that is named by its path, or by its name if it is a preset.

    Raises:
        InputMissing: there is no such file.
    """
    for path in (text, PRESETS / (text + _ENDINGS[0])):
        if os.path.isfile(path):
            return os.path.abspath(path)
    names = ', '.join(path.stem for path in presets())
    raise InputMissing(f'FILE: {text}: ' + tr('no such file, and no such preset; presets are {}.').format(names))


def override_lines(text: str) -> Tuple[str, ...]:
    """The overrides of a text of lines.

    Raises:
        InvalidJob: a line is none.
    """
    found = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line and not line.startswith('#'):
            if '=' not in line and not line.startswith('~'):
                problem = tr('not of the form key=value, as in train.epochs=20.')
                raise InvalidJob(f'OVERRIDES, {tr("line")} {number}: {line!r}: {problem}')
            found.append(line)
    return tuple(found)
