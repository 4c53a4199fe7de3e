"""Running an algorithm of the real provider, with the real worker, in this process."""

from __future__ import annotations

import pytest


@pytest.fixture
def run(provider, engine_python, monkeypatch):
    """A function that runs an algorithm: ``(id, parameters) -> (results, all that was said)``.

    Errors raise QgsProcessingException. A context may be given, for a project or for what happens afterwards.
    """
    from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingException, QgsProcessingFeedback

    class Feedback(QgsProcessingFeedback):
        def __init__(self):
            super().__init__(False)
            self.texts = []

        def pushInfo(self, info):  # noqa: N802
            self.texts.append(info)

        def pushWarning(self, warning):  # noqa: N802
            self.texts.append(warning)

        def reportError(self, error, fatalError=False):  # noqa: N802, N803
            self.texts.append(error)

    monkeypatch.setenv('QUADRAT_PYTHON', engine_python)

    def go(name, parameters, context=None):
        algorithm = QgsApplication.processingRegistry().algorithmById(f'quadrat:{name}').create()
        context, feedback = context or QgsProcessingContext(), Feedback()
        fine, text = algorithm.checkParameterValues(parameters, context)
        if not fine:
            raise QgsProcessingException(text)
        results, fine = algorithm.run(parameters, context, feedback)
        if not fine:
            raise QgsProcessingException(' | '.join(feedback.texts))
        return results, '\n'.join(feedback.texts)

    return go
