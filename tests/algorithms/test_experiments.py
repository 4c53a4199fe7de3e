"""Runs in files as Processing does them, and the files that the training algorithms write."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import pytest

pytest.importorskip('qgis.core')

import numpy as np
from osgeo import ogr
from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
)

from quadrat.engine import jobs

PRESETS = Path(__file__).resolve().parents[2] / 'resources/presets'
TRAINING = ('trainmodel', 'trainsavedmodel', 'trainvectorclassifier', 'traindeepfeatures')


@pytest.fixture(scope='module')
def dataset(demo_dataset, tmp_path_factory):
    """A small demo scene in patches of 16 pixels, its points beside it."""
    return demo_dataset(tmp_path_factory.mktemp('data'), 192, 48)


@pytest.fixture
def job_of(run, monkeypatch):
    """A function: id, parameters -> the job that they make, which is not done."""
    from quadrat.algorithms import base

    made = []

    def keep(job, feedback):
        made.append(job)
        return {name: path for name, path in job.outputs().items() if path}

    def make(name, **parameters):
        run(name, parameters)
        return made.pop()

    monkeypatch.setattr(base.runner, 'run', keep)
    return make


def weights(package) -> dict[str, bytes]:
    """All weights of a package, bit by bit."""
    with zipfile.ZipFile(Path(package) / 'model/model.keras') as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith('.h5')}


def test_parameters_become_a_job(job_of, tmp_path):
    file = tmp_path / 'a.yaml'
    file.write_text('data: {dataset: x}\n')
    text = 'train.epochs=3\n\n  # a note\n  ~train.patience  \n+train.freeze=[down.*]\n'
    made = job_of(
        'runexperiment',
        FILE=str(file),
        OVERRIDES=text,
        OUTPUT=str(tmp_path / 'run'),
        TRUSTED=str(tmp_path),
        RESTART=True,
    )
    overrides = ('train.epochs=3', '~train.patience', '+train.freeze=[down.*]')
    assert made == jobs.RunExperimentJob(str(file), str(tmp_path / 'run'), overrides, (str(tmp_path),), True)
    made = job_of('runexperiment', FILE='buildings-vhr')
    assert made == jobs.RunExperimentJob(str(PRESETS / 'buildings-vhr.yaml'), '')
    assert os.path.isabs(job_of('runexperiment', FILE=str(file), OUTPUT=QgsProcessing.TEMPORARY_OUTPUT).output)
    assert job_of('selftest', OUTPUT=str(tmp_path / 'test')) == jobs.SelfTestJob(str(tmp_path / 'test'))


def test_configurations_are_asked_for_everywhere(provider):
    """Advanced, optional, and not made unless somebody names a file."""
    flags = QgsProcessingParameterDefinition.Flag
    for name in TRAINING:
        definition = provider.algorithm(name).parameterDefinition('CONFIGURATION')
        assert definition.flags() & flags.FlagAdvanced and definition.flags() & flags.FlagOptional
        assert not definition.createByDefault() and definition.defaultFileExtension() == 'yaml'


def test_what_is_wrong_is_said_at_once(run, tmp_path):
    file = tmp_path / 'a.yaml'
    file.write_text('data: {dataset: nowhere}\nmodel: {filter: 3}\n')

    def refused(words, faults=1, **parameters):
        with pytest.raises(QgsProcessingException, match=f'(?s){words}') as caught:
            run('runexperiment', {'OUTPUT': str(tmp_path / 'out'), **parameters})
        assert len(str(caught.value).splitlines()) == faults and not os.path.exists(tmp_path / 'out')

    refused('no such preset; presets are buildings-vhr, ', FILE='building')
    refused(r'FILE: .*b\.yaml', FILE=str(tmp_path / 'b.yaml'))
    refused("OVERRIDES, line 2: 'epochs 3': not of the form key=value", FILE=str(file), OVERRIDES='# note\nepochs 3')
    refused('2 faults: .*a.yaml:2.*filter.*filters', 2, FILE=str(file))
    refused('data.dataset: must be given', FILE='land-cover-sentinel2')
    refused('train.epohcs.*did you mean epochs', 2, FILE='land-cover-sentinel2', OVERRIDES='train.epohcs=3')


def test_from_the_dialog_to_a_file_and_back(run, dataset, tmp_path):
    """The same weights, bit by bit."""
    file = tmp_path / 'run.yaml'
    dialog, _ = run(
        'trainmodel',
        {
            'DATASET': str(dataset),
            'CLASSES': str(dataset.parent / 'scene/classes.csv'),
            'EPOCHS': 2,
            'BATCH_SIZE': 8,
            'SEED': 5,
            'LOSS': 'dice',
            'OPTIONS': '{"filters": 4, "depth": 2, "augment": {"gain": 0.1}, "patience": 7}',
            'OUTPUT': str(tmp_path / 'dialog'),
            'CONFIGURATION': str(file),
        },
    )
    assert dialog['CONFIGURATION'] == str(file) and 'seed: 5' in file.read_text()
    results, _ = run('runexperiment', {'FILE': str(file), 'OUTPUT': str(tmp_path / 'run')})
    assert results['BEST'] == str(tmp_path / 'run/best') and os.path.isfile(results['REPORT'])
    assert (results['BEST_EPOCH'], results['BEST_SCORE']) == (dialog['BEST_EPOCH'], dialog['BEST_SCORE'])
    assert weights(results['BEST']) == weights(dialog['OUTPUT']) and weights(results['BEST'])


def test_a_classifier_through_a_file(run, tmp_path):
    samples, file = str(tmp_path / 'samples.gpkg'), tmp_path / 'run.yaml'
    source = ogr.GetDriverByName('GPKG').CreateDataSource(samples)
    layer = source.CreateLayer('samples', None, ogr.wkbNone)
    for name, kind in (('class', ogr.OFTInteger), ('value_0', ogr.OFTReal), ('value_1', ogr.OFTReal)):
        layer.CreateField(ogr.FieldDefn(name, kind))
    for number, values in enumerate(np.random.default_rng(0).normal(size=(40, 2))):
        feature = ogr.Feature(layer.GetLayerDefn())
        for name, value in zip(('class', 'value_0', 'value_1'), (number % 2, number % 2 + values[0], values[1])):
            feature.SetField(name, float(value))
        layer.CreateFeature(feature)
    del layer, source
    parameters = {'INPUT': samples, 'FIELD': 'class', 'CLASSIFIER': 'rf', 'OPTIONS': '{"n_estimators": 5}', 'SEED': 3}
    outputs = {'OUTPUT': str(tmp_path / 'c.skops'), 'CONFUSION': str(tmp_path / 'c.csv'), 'CONFIGURATION': str(file)}
    dialog, _ = run('trainvectorclassifier', {**parameters, **outputs})
    results, _ = run('runexperiment', {'FILE': str(file), 'OUTPUT': str(tmp_path / 'run')})
    assert results['BEST'].endswith('.skops') and results['BEST_SCORE'] == dialog['ACCURACY']
    found = Path(results['BEST']).parent / 'confusion.csv'
    assert found.read_text() == (tmp_path / 'c.csv').read_text()


def test_others_through_a_file(job_of, dataset, tmp_path):
    """The job that the file describes is that of the parameters, so that it gives the same."""
    from quadrat.engine.experiments.configuration import open_configuration
    from quadrat.engine.experiments.exporting import configuration_text

    scene, model, file = dataset.parent / 'scene', tmp_path / 'model', tmp_path / 'run.yaml'
    model.mkdir()
    (model / 'saved_model.pb').write_bytes(b'')
    image, polygons = [str(scene / 'ms.tif')], str(scene / 'polygons.gpkg')
    points, label = str(dataset.parent / 'points.gpkg'), {'LABEL_POLYGONS': polygons, 'CLASS_FIELD': 'class'}
    for name, parameters in (
        ('trainmodel', {'INPUT': image, 'POINTS': points, 'PATCH_SIZE': 16, **label, 'OUTSIDE': 0, 'EPOCHS': 7}),
        ('trainsavedmodel', {'INPUT': image, 'PATCH_SIZE': 16, 'VALIDATION_MODE': 'class', 'VALIDATION_INPUT': image}),
        ('traindeepfeatures', {'INPUT': image, 'VECTOR': polygons, 'FIELD': 'class', 'BM': 0, 'RECEPTIVE_FIELD': 3}),
    ):
        parameters |= {'MODEL': str(model)} if name != 'trainmodel' else {'ARCHITECTURE': 'dilated'}
        made = job_of(name, **parameters, SEED=4, OUTPUT=str(tmp_path / 'out'), CONFIGURATION=str(file))
        assert made.configuration == str(file) and made.seed == 4
        file.write_text(configuration_text(made))
        found = open_configuration(str(file)).job
        assert found == dataclasses.replace(made, output='', configuration=''), name


def test_a_preset_through_qgis_process(qgis_process, dataset, tmp_path):
    lines = f'data.dataset={dataset}\ntrain.epochs=1\nmodel.filters=4\nmodel.depth=1'
    done = qgis_process('runexperiment', FILE='land-cover-sentinel2', OVERRIDES=lines, OUTPUT=tmp_path / 'run')
    assert done.returncode == 0 and 'Epoch 1/1' in done.stdout, done.stdout
    assert f'BEST:\t{tmp_path}/run/best' in done.stdout and 'BEST_SCORE:\t' in done.stdout
    record = json.loads((tmp_path / 'run/best/training.json').read_text())
    assert record['job']['options']['filters'] == 4 and record['job']['options']['patience'] == 15
    done = qgis_process('runexperiment', FILE='land-cover-sentinel2', OVERRIDES=lines)
    assert done.returncode != 0 and 'output' in done.stdout


def test_the_installation_is_tested(run, tmp_path):
    results, said = run('selftest', {'OUTPUT': str(tmp_path / 'test')})
    assert 0 < results['SCORE'] <= 1 and os.path.isfile(results['REPORT'])
    assert 'passed' in said.lower()
