"""Training of SavedModels as Processing runs it, on OTBTF's first model."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

pytest.importorskip('qgis.core')

from qgis.core import QgsProcessing, QgsProcessingException

pytestmark = pytest.mark.baseline


@pytest.fixture
def parameters(shared, tmp_path):
    data = shared / 'data/otbtf-suite/data'
    images, labels = data / 'Sentinel-2_B4328_10m_patches_{}.jp2', data / 'Sentinel-2_B4328_10m_labels_{}.tif'
    return {
        'MODEL': str(shared / 'data/otbtf-suite/models/model1/saved_model.pb'),
        'TARGET_NODES': 'optimizer',
        'INPUT': [str(images).format('A')],
        'PATCH_SIZE': 16,
        'PLACEHOLDER': 'x',
        'INPUT_2': [str(labels).format('A')],
        'PLACEHOLDER_2': 'y',
        'EPOCHS': 2,
        'USER_PLACEHOLDERS': 'lr=1e-3',
        'OUTPUT_TENSORS': 'sparse_softmax_cross_entropy_loss/value',
        'VALIDATION_MODE': 'class',
        'VALIDATION_STEP': 1,
        'VALIDATION_INPUT': [str(images).format('B')],
        'VALIDATION_INPUT_2': [str(labels).format('B')],
        'VALIDATION_PLACEHOLDER_2': 'prediction',
        'OUTPUT': str(tmp_path / 'trained'),
    }


def test_train_validate_and_report(run, parameters, tmp_path):
    checkpoint = tmp_path / 'checkpoint'
    listed = [
        {'rasters': parameters[f'INPUT{suffix}'], 'patch_size': size, 'placeholder': name}
        for suffix, size, name in (('', 16, 'x'), ('_2', 1, 'y'))
    ]
    more = {'REPORT': QgsProcessing.TEMPORARY_OUTPUT, 'CONFUSION': str(tmp_path / 'c.csv'), 'SAVE_TO': str(checkpoint)}
    results, said = run('trainsavedmodel', {**parameters, **more})
    losses = [float(value) for value in re.findall(r'Epoch \d/2: sparse_softmax\S+ ([\d.]+)', said)]
    assert len(losses) == 2 and losses[1] < losses[0] and 'kappa' in said
    assert results['OUTPUT'] == parameters['OUTPUT'] and os.path.isfile(tmp_path / 'trained/saved_model.pb')
    assert '<svg' in Path(results['REPORT']).read_text() and os.path.isfile(f'{checkpoint}.index')
    head, _, *rows = Path(results['CONFUSION']).read_text().splitlines()
    labels = head.partition(':')[2].split(',')
    assert set(labels) >= set('012345') and len(rows) == len(labels)
    assert sum(int(value) for row in rows for value in row.split(',')) == 3000
    record = json.loads((tmp_path / 'trained.json').read_text())
    assert record['resolved']['tags'] == 'serve' and record['job']['batch_size'] == 100

    # Sources as a list, from the checkpoint: the losses go on where they ended.
    for suffix in ('', '_2'):
        for name in ('INPUT', 'PATCH_SIZE', 'PLACEHOLDER', 'VALIDATION_INPUT', 'VALIDATION_PLACEHOLDER'):
            parameters.pop(name + suffix, None)
    more = {'SOURCES': json.dumps(listed), 'VALIDATION_MODE': 'none', 'RESTORE_FROM': str(checkpoint), 'EPOCHS': 1}
    _, said = run('trainsavedmodel', {**parameters, **more})
    assert float(re.search(r'Epoch 1/1: sparse_softmax\S+ ([\d.]+)', said)[1]) < losses[1]


def test_what_is_wrong_is_said_in_one_line(run, parameters, tmp_path):
    def refused(words, **more):
        with pytest.raises(QgsProcessingException, match=words) as caught:
            run('trainsavedmodel', {**parameters, **more})
        assert '\n' not in str(caught.value) and not os.path.exists(tmp_path / 'trained')

    refused('one of DATASET, INPUT and SOURCES', DATASET=str(tmp_path))
    refused('INPUT_3 is given', INPUT_2=None, INPUT_3=parameters['INPUT_2'])
    refused("VALIDATION_SOURCES.*'raster'", VALIDATION_SOURCES='[{"raster": "a.tif"}]')
    refused("'optimiser'; did you mean 'optimizer'", TARGET_NODES='optimiser')
    refused('PATCH_SIZE 16', PATCH_SIZE=32)
