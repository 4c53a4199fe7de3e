"""Install the engine: make or repair its Python environment."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
)

from ...engine.errors import EngineError
from ...plugin import environment, pip, runner
from ...plugin.installation import Installer
from ..base import QuadratAlgorithm, tr


class InstallEngine(QuadratAlgorithm):
    NAME = 'installengine'
    LABEL = 'Install the engine'
    GROUP = 'setup'
    TAGS = 'tensorflow,keras,python,environment,pip,repair,update,offline,set-up'
    SUMMARY = (
        'Installs TensorFlow and what else the engine needs into a Python environment of its own in the QGIS profile. '
        'QGIS and other plugins are left as they are. Takes a few minutes, about 2 GB on the disk and a download of '
        'about 300 MB. Run it again to repair or update the engine; nothing happens if it is complete and works. '
        'Tried on Linux only; on macOS, name a Python of your own in the options of the provider.'
    )
    CACHE = 'CACHE'
    WHEELS = 'WHEELS'
    GPU = 'GPU'
    PYTHON = 'PYTHON'

    def initAlgorithm(self, configuration=None):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile(self.WHEELS, tr('Folder with wheels (offline)'), folder, optional=True),
            'For computers without a network: a folder with all packages as wheels (*.whl), from which alone the '
            'engine is installed. Make it on a similar computer with a network, same system and same Python: '
            'pip wheel -r requirements-engine.txt -w FOLDER. The file is in the folder "resources" of the plugin. '
            '("pip download" will not do: one package exists as source only, and pip wheel builds it.)',
        )
        self.add(
            QgsProcessingParameterFile(self.CACHE, tr('Folder for downloads'), folder, optional=True),
            'Where downloaded packages are kept, so that another installation need not download them again. '
            'If empty, where pip usually keeps them.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.GPU, tr('Support for NVIDIA GPUs (Linux)'), False),
            'Installs TensorFlow with CUDA for NVIDIA GPUs: Linux only, 9 GB on the disk; needs a recent NVIDIA '
            'driver. This has not been tried yet. Without it, the processor does the work.',
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, tr('Python of the engine')))

    def processAlgorithm(self, parameters, context, feedback):
        options = pip.Options(
            cache=self.parameterAsString(parameters, self.CACHE, context),
            wheels=self.parameterAsString(parameters, self.WHEELS, context),
            gpu=self.parameterAsBoolean(parameters, self.GPU, context),
        )
        hear, cancelled = runner.listener(feedback), runner.asker(feedback)
        try:
            with runner.interruptible(feedback):
                found = Installer(environment.managed_folder(), options, hear, cancelled).install()
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        self._warn_if_unused(found['PYTHON'], feedback)
        return {self.PYTHON: found['PYTHON']}

    def _warn_if_unused(self, python, feedback):
        """Somebody who has chosen another interpreter should know that it goes first."""
        try:
            used = environment.find()
        except EngineError as error:
            feedback.pushWarning(tr('The engine is installed, but: {}').format(error))
            return
        if used.path != python:
            text = tr('The engine is installed, but Quadrat uses another one: {}, {}.')
            feedback.pushWarning(text.format(used.path, used.origin))
