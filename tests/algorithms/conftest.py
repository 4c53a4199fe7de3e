"""Running an algorithm of the real provider, with the real worker, in this process."""

from __future__ import annotations

import pytest

from quadrat import engine
from quadrat.engine import jobs


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


@pytest.fixture(scope='session')
def demo_dataset():
    """A function: a folder, side of a demo scene and of its blocks in pixels -> a dataset of patches of 16 pixels, with
    scene and points beside it."""

    def make(folder, size, block):
        image, points = str(folder / 'scene/ms.tif'), str(folder / 'points.gpkg')
        engine.run(jobs.DemoSceneJob(str(folder / 'scene'), size, 3))
        engine.run(jobs.SelectPatchesJob(image, points, patch_size=16, block_size=block))
        engine.run(
            jobs.ExtractPatchesJob(
                (jobs.SourceSpec((image,), patch_size=(16, 16)),),
                jobs.VectorSpec(points),
                str(folder / 'dataset'),
                labels=jobs.LabelRaster(str(folder / 'scene/truth.tif')),
            )
        )
        return folder / 'dataset'

    return make
