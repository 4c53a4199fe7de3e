"""Check the engine: does it work, and with what."""

from __future__ import annotations

import html
import os

from qgis.core import (
    Qgis,
    QgsProcessingException,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)

from ... import __version__
from ...engine.jobs import CheckEngineJob
from ...plugin import environment
from ..base import QuadratAlgorithm, tr


class CheckEngine(QuadratAlgorithm):
    NAME = 'checkengine'
    LABEL = 'Check the engine'
    GROUP = 'setup'
    TAGS = 'tensorflow,keras,python,environment,gpu,version,diagnose,set-up'
    SUMMARY = (
        'Tells whether the engine is installed and works: starts it, loads TensorFlow, runs a small network, and lists '
        'the interpreter, versions, devices and folders. Fails, and says what to do, if it does not work. '
        'Please add the report when you report a problem.'
    )
    REPORT = 'REPORT'
    PYTHON = 'PYTHON'

    def initAlgorithm(self, configuration=None):
        self.add(
            QgsProcessingParameterFileDestination(
                self.REPORT,
                tr('Report'),
                tr('HTML files (*.html);;Text files (*.txt)'),
                optional=True,
                createByDefault=False,
            ),
            'What was found, as a page (.html) or as plain text (.txt). If empty, it is in the log only.',
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, tr('Python of the engine')))

    def job(self, parameters, context, feedback):
        return CheckEngineJob()

    def results(self, values, parameters, context, feedback):
        used = environment.find()
        facts = [
            (tr('Interpreter'), values['PYTHON']),
            (tr('Chosen because'), used.origin),
            *((name, version) for name, version in values['VERSIONS'].items()),
            *((tr('Device'), device) for device in values['DEVICES']),
            ('QGIS', Qgis.QGIS_VERSION),
            (tr('Plugin'), f'{__version__}, {os.path.dirname(environment.REQUIREMENTS.parent)}'),
            (tr('Folder for the engine'), str(environment.managed_folder())),
        ]
        outputs = {self.PYTHON: values['PYTHON']}
        report = self.parameterAsFileOutput(parameters, self.REPORT, context)
        if report:
            _write(report, facts)
            outputs[self.REPORT] = report
        feedback.pushInfo(tr('The engine works.'))
        return outputs


def _write(path, facts):
    """The report as text or, by default, as a page of its own."""
    if path.lower().endswith('.txt'):
        text = ''.join(f'{name}: {value}\n' for name, value in facts)
    else:
        rows = ''.join(f'<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>\n' for name, value in facts)
        text = (
            '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>Quadrat</title>\n'
            '<style>body{font-family:sans-serif}th{text-align:left;padding-right:2em}</style></head>\n'
            f'<body><h1>{html.escape(tr("The engine works"))}</h1>\n<table>\n{rows}</table></body></html>\n'
        )
    try:
        with open(path + '.part', 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(path + '.part', path)
    except OSError as error:
        raise QgsProcessingException(tr('{}: cannot be written ({}).').format(path, error.strerror)) from error
