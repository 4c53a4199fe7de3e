"""The plugin comes and goes, and brings the models made of its own algorithms."""

from __future__ import annotations

import pytest

pytest.importorskip('qgis.core')

from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterNumber,
)

from quadrat.plugin import provider as provider_module


def write_model(path) -> None:
    """A model whose only step is Quadrat's `demoscene`."""
    model = QgsProcessingModelAlgorithm('Just a scene', 'Quadrat models')
    model.setName('justascene')
    size = QgsProcessingParameterNumber('size', 'Size', QgsProcessingParameterNumber.Type.Integer, 64)
    model.addModelParameter(size, QgsProcessingModelParameter('size'))
    child = QgsProcessingModelChildAlgorithm('quadrat:demoscene')
    child.setChildId('scene')
    child.addParameterSources('SIZE', [QgsProcessingModelChildParameterSource.fromModelParameter('size')])
    output = QgsProcessingModelOutput('Scene')
    output.setChildId('scene')
    output.setChildOutputName('OUTPUT')
    child.setModelOutputs({'Scene': output})
    model.addChildAlgorithm(child)
    assert model.toFile(str(path))


def test_models_of_own_algorithms(provider, monkeypatch, tmp_path):
    write_model(tmp_path / 'a.model3')
    (tmp_path / 'broken.model3').write_text('no model')
    monkeypatch.setattr(provider_module, 'WORKFLOWS', tmp_path)
    provider.refreshAlgorithms()
    model = QgsApplication.processingRegistry().algorithmById('quadrat:justascene')
    assert model is not None
    (output,) = [definition.name() for definition in model.destinationParameterDefinitions()]
    assert output == 'scene:Scene'
    _, fine = model.create().run(
        {'size': 64, output: str(tmp_path / 'scene')}, QgsProcessingContext(), QgsProcessingFeedback(False), {}, False
    )
    assert fine and (tmp_path / 'scene' / 'ms.tif').exists()
    monkeypatch.undo()
    provider.refreshAlgorithms()
    assert provider.algorithm('justascene') is None and provider.algorithm('demoscene') is not None


def test_the_plugin_leaves_nothing_behind(provider):
    from processing.core.ProcessingConfig import ProcessingConfig

    class Other(provider_module.QuadratProvider):
        """A second one, so that the one of the other tests stays."""

        def id(self):
            return 'quadrat2'

    registry = QgsApplication.processingRegistry()
    before = dict(ProcessingConfig.settings)
    other = Other()
    assert registry.addProvider(other)
    assert registry.algorithmById('quadrat2:demoscene') is not None
    assert registry.removeProvider(other)
    assert registry.providerById('quadrat2') is None
    assert 'QUADRAT_PYTHON' not in ProcessingConfig.settings
    ProcessingConfig.settings.update(before)
