"""Train a model and describe it as Processing runs them, in QGIS and through qgis_process."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip('qgis.core')

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
)

OPTIONS = '{"filters": 4, "depth": 2}'


@pytest.fixture(scope='module')
def dataset(demo_dataset, tmp_path_factory):
    """A demo scene in patches of 16 pixels."""
    return demo_dataset(tmp_path_factory.mktemp('data'), 256, 64)


def test_train_and_describe(run, dataset, tmp_path):
    results, said = run(
        'trainmodel',
        {
            'DATASET': str(dataset),
            'CLASSES': str(dataset.parent / 'scene/classes.csv'),
            'EPOCHS': 2,
            'SEED': 5,
            'OPTIONS': OPTIONS,
            'OUTPUT': QgsProcessing.TEMPORARY_OUTPUT,
            'REPORT': QgsProcessing.TEMPORARY_OUTPUT,
        },
    )
    assert 'Epoch 2/2: ' in said and results['BEST_EPOCH'] in (1, 2) and 0 < results['BEST_SCORE'] < 1
    package = Path(results['OUTPUT'])
    assert package.is_absolute() and (package / 'item.json').is_file()
    assert results['REPORT'].endswith('.html') and os.path.isfile(results['REPORT'])
    record = json.loads((package / 'training.json').read_text())
    assert record['job']['seed'] == 5 and record['job']['options']['filters'] == 4
    assert [item['name'] for item in record['classes']] == ['field', 'forest', 'water', 'road', 'building']

    archive = shutil.make_archive(str(tmp_path / 'packed'), 'zip', package.parent, package.name)
    page, file = tmp_path / 'd.html', tmp_path / 'd.json'
    results, said = run('describemodel', {'MODEL': archive, 'JSON': str(file), 'REPORT': str(page)})
    assert (results['RECEPTIVE_FIELD'], results['STRIDE']) == (45, 4)
    assert 'receptive field 45 pixels' in said and '52 building' in said and 'near infrared' in said
    description = json.loads(file.read_text())
    assert description['inputs'][0]['receptive_field'] == {'left': 22, 'top': 22, 'right': 22, 'bottom': 22}
    assert description['layers'] and 'Layers' in page.read_text()


def test_straight_from_rasters_and_from_another_model(run, dataset, tmp_path):
    """Without a dataset, and the second time with the weights of the first."""
    scene = dataset.parent / 'scene'
    common = {
        'INPUT': str(scene / 'ms.tif'),
        'POINTS': str(dataset.parent / 'points.gpkg'),
        'PATCH_SIZE': 16,
        'LABEL_RASTER': str(scene / 'truth.tif'),
        'EPOCHS': 1,
        'OPTIONS': OPTIONS,
    }
    _, said = run('trainmodel', {**common, 'OUTPUT': str(tmp_path / 'a')})
    record = json.loads((tmp_path / 'a/training.json').read_text())
    known = json.loads((dataset / 'manifest.json').read_text())
    assert record['dataset']['splits']['train']['samples'] == known['splits']['train']['count']
    assert record['classes'][0]['name'] == 'field' and not [name for name in os.listdir(tmp_path) if 'part' in name]
    _, said = run(
        'trainmodel',
        {
            'DATASET': str(dataset),
            'WARM_START': str(tmp_path / 'a/item.json'),
            'LOSS': 'dice',
            'VALIDATION_DATASET': [str(dataset / 'manifest.json')],
            'EPOCHS': 1,
            'OPTIONS': '{"filters": 4, "depth": 2, "freeze": ["down.*"], "fine_tune": 0.5}',
            'OUTPUT': str(tmp_path / 'b'),
        },
    )
    record = json.loads((tmp_path / 'b/training.json').read_text())
    assert 'Warm start: ' in said and record['dataset']['splits']['validation']['samples'] == known['count']
    assert record['job']['loss'] == 'dice' and not record['warm_start']['skipped']


def test_what_is_wrong_is_said_in_one_line(run, dataset, tmp_path):
    def refused(name, words, **parameters):
        with pytest.raises(QgsProcessingException, match=words) as caught:
            run(name, {'OUTPUT': str(tmp_path / 'out'), **parameters} if name == 'trainmodel' else parameters)
        assert '\n' not in str(caught.value) and not os.path.exists(tmp_path / 'out')

    data = str(dataset)
    refused('trainmodel', 'DATASET.*nowhere', DATASET=str(tmp_path / 'nowhere'))
    refused('trainmodel', "did you mean 'filters'", DATASET=data, OPTIONS='{"filter": 3}')
    refused('trainmodel', 'OPTIONS.depth: expected int', DATASET=data, OPTIONS='{"depth": "x"}')
    refused('trainmodel', 'OPTIONS: not JSON', DATASET=data, OPTIONS='filters=3')
    refused('trainmodel', 'largest that works', DATASET=data, OPTIONS='{"depth": 5}')
    refused('trainmodel', 'Give a DATASET, or rasters')
    refused('trainmodel', 'DATASET and POINTS are given', DATASET=data, POINTS=str(dataset.parent / 'points.gpkg'))
    refused('trainmodel', 'WARM_START: .*no model', DATASET=data, WARM_START=data)
    refused('trainmodel', 'both must be given', DATASET=data, OPTIONS='{"architecture": "mine:Net"}')
    refused('describemodel', 'no model', MODEL=data)
    refused('describemodel', 'MODEL.*nowhere', MODEL=str(tmp_path / 'nowhere'))


def test_a_model_passes_the_package_on(provider, dataset):
    """In the graphical modeler the folder that training makes can be the MODEL of the next step."""
    model = QgsProcessingModelAlgorithm('chain')
    for name in ('trainmodel', 'describemodel'):
        child = QgsProcessingModelChildAlgorithm(f'quadrat:{name}')
        child.setChildId(name)
        model.addChildAlgorithm(child)
    from qgis.gui import QgsGui, QgsProcessingParameterWidgetContext

    definition = next(
        item for item in provider.algorithm('describemodel').parameterDefinitions() if item.name() == 'MODEL'
    )
    widget = QgsGui.processingGuiRegistry().createModelerParameterWidget(
        model, 'describemodel', definition, QgsProcessingContext()
    )
    context = QgsProcessingParameterWidgetContext()
    context.setModel(model)
    context.setModelChildAlgorithmId('describemodel')
    widget.setWidgetContext(context)
    widget.setWidgetValue(QgsProcessingModelChildParameterSource.fromChildOutput('trainmodel', 'OUTPUT'))
    assert (widget.value().outputChildId(), widget.value().outputName()) == ('trainmodel', 'OUTPUT')
    assert all(definition.checkValueIsAcceptable(text) for text in ('/a/folder', '/a.b/item.json', '/a/b.zip'))


def test_through_qgis_process(qgis_process, dataset, tmp_path):
    done = qgis_process('trainmodel', DATASET=dataset, EPOCHS=1, BATCH_SIZE=64, OPTIONS=OPTIONS, OUTPUT=tmp_path / 'p')
    assert done.returncode == 0 and 'Epoch 1/1' in done.stdout and (tmp_path / 'p/report.html').exists(), done.stdout
    done = qgis_process('describemodel', MODEL=tmp_path / 'p/item.json')
    assert done.returncode == 0 and 'RECEPTIVE_FIELD:\t45' in done.stdout, done.stdout
    done = qgis_process('trainmodel', DATASET=dataset, EPOCHS=1, OPTIONS='{"batch": 1}', OUTPUT=tmp_path / 'q')
    assert done.returncode != 0 and 'OPTIONS.batch' in done.stdout and not (tmp_path / 'q').exists()
