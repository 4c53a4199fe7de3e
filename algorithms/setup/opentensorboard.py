"""Toolbox: TensorBoard on the logs of trainings."""

from __future__ import annotations

import os

from qgis.core import QgsProcessingException, QgsProcessingOutputString, QgsProcessingParameterFile
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.utils import iface

from ...engine.errors import EngineError
from ...plugin import board, runner
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class OpenTensorBoard(QuadratAlgorithm):
    NAME = 'opentensorboard'
    LABEL = 'Open tensorboard'
    GROUP = 'setup'
    TAGS = 'TensorBoard,training,curves,loss,logs,monitor,history,deep learning'
    SUMMARY = (
        'Starts TensorBoard, which shows the course of trainings while they run and afterwards, on a free port of this '
        'computer, and opens it in the browser. It ends with QGIS, or after a time. Model packages hold the logs of '
        'their training; while it runs, they are in the folder of the package with .part at the end.'
    )

    def initAlgorithm(self, configuration=None):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile('FOLDER', tr('Folder'), folder),
            'A model package, or any folder that holds some: the logs of all trainings in it are shown together.',
        )
        self.add(
            shared.real('SECONDS', 'End after (seconds)', 0.0, 0.0),
            'TensorBoard ends after so many seconds, be QGIS still there or not; 0: when QGIS does. Give a time with '
            'qgis_process, which ends at once.',
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString('URL', tr('Address')))

    def processAlgorithm(self, parameters, context, feedback):
        folder = os.path.abspath(self.parameterAsFile(parameters, 'FOLDER', context))
        seconds = self.parameterAsDouble(parameters, 'SECONDS', context)
        if not os.path.isdir(folder):
            raise QgsProcessingException(f'FOLDER: {folder}: ' + tr('no such folder.'))
        try:
            with runner.interruptible(feedback):
                url = board.start(folder, seconds, runner.asker(feedback))
                feedback.pushInfo(tr('TensorBoard: {}').format(url))
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        if iface is not None:
            QDesktopServices.openUrl(QUrl(url))
        return {'URL': url}
