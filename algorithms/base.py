"""What all algorithms share: texts, parameters with help, and the way from parameters to a job to outputs."""

from __future__ import annotations

import html

from qgis.core import QgsProcessingAlgorithm, QgsProcessingException, QgsProcessingParameterDefinition
from qgis.PyQt.QtCore import QCoreApplication

from ..engine.errors import EngineError
from ..plugin import inputs, runner

GROUPS = {
    'sampling': 'Sampling',
    'training': 'Training',
    'mapping': 'Mapping',
    'packages': 'Model packages',
    'accuracy': 'Accuracy',
    'setup': 'Set-up',
}


def tr(text: str) -> str:
    """Translated text; all texts that people see go through here."""
    return QCoreApplication.translate('Quadrat', text)


class QuadratAlgorithm(QgsProcessingAlgorithm):
    """Parameters -> job -> outputs.

    A subclass sets the class attributes, adds its parameters in `initAlgorithm` with `add`, and builds its job in
    `job`. What touches layers of the project (they belong to the main thread) is read in `prepare` and kept.

    Class attributes:
        NAME: the id, frozen.
        LABEL: what the toolbox shows; sentence case, verb first.
        GROUP: key of `GROUPS`.
        TAGS: synonyms and jargon people search for, separated by commas.
        SUMMARY: a paragraph: what it does, what it needs, what comes out.
    """

    NAME = ''
    LABEL = ''
    GROUP = ''
    TAGS = ''
    SUMMARY = ''

    def name(self):
        return self.NAME

    def displayName(self):
        return tr(self.LABEL)

    def group(self):
        return tr(GROUPS[self.GROUP])

    def groupId(self):
        return self.GROUP

    def tags(self):
        return [tag.strip() for tag in tr(self.TAGS).split(',')]

    def shortDescription(self):
        return tr(self.SUMMARY).split('. ')[0].rstrip('.') + '.'

    def shortHelpString(self):
        """The summary, then the help of each parameter: one source for the dialog and for the command line."""
        parts = [f'<p>{html.escape(tr(self.SUMMARY))}</p>']
        for definition in self.parameterDefinitions():
            if definition.help():
                name, text = html.escape(definition.description()), html.escape(definition.help())
                parts.append(f'<p><b>{name}</b> ({definition.name()})<br>{text}</p>')
        return ''.join(parts)

    def createInstance(self):
        inputs.begin_without_sidecars()
        return type(self)()

    def add(self, definition, text: str, advanced: bool = False):
        """Add a parameter with its help text; `advanced` ones are folded away in the dialog."""
        definition.setHelp(tr(text))
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            definition.setFlags(definition.flags() | flag)
        self.addParameter(definition)

    def check(self, parameters, context) -> str:
        """What is wrong with the parameters, as one line; empty if nothing is. It must be quick: no data is read."""
        return ''

    def checkParameterValues(self, parameters, context):
        missing = inputs.missing_file(self.parameterDefinitions(), parameters)
        if missing:
            return False, missing
        with inputs.no_sidecars():
            fine, text = super().checkParameterValues(parameters, context)
            if fine:
                problem = self.check(parameters, context)
            else:
                problem = inputs.unreadable_layer(self.parameterDefinitions(), parameters, context) or text
        return not problem and fine, problem

    def prepare(self, parameters, context, feedback) -> None:
        """Read what belongs to the main thread (raster layers, their symbology) into attributes."""

    def job(self, parameters, context, feedback):
        """The job that the parameters describe. `EngineError` and `QgsProcessingException` are shown to the user."""
        raise NotImplementedError

    def results(self, values: dict, parameters, context, feedback) -> dict:
        """Processing outputs from what the job gave; by default the same."""
        return values

    def prepareAlgorithm(self, parameters, context, feedback):
        try:
            with inputs.no_sidecars():
                self.prepare(parameters, context, feedback)
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        return True

    def processAlgorithm(self, parameters, context, feedback):
        try:
            job = self.job(parameters, context, feedback)
            values = runner.run(job, feedback)
        except EngineError as error:
            raise QgsProcessingException(str(error)) from error
        return self.results(values, parameters, context, feedback)
