"""What becomes of a run: the job, with defaults, absolute paths, and code only where it is trusted."""

from __future__ import annotations

import os

import pytest

from quadrat.engine.errors import ConfigurationError, InputMissing
from quadrat.engine.experiments.configuration import open_configuration
from quadrat.engine.experiments.origins import DEFAULT
from quadrat.engine.experiments.sweepspec import Range, SweepSpec
from quadrat.engine.jobs import (
    ClassDef,
    ExtractPatchesJob,
    Feeders,
    FeederSpec,
    GraphValidation,
    LabelPolygons,
    LabelRaster,
    ServeJob,
    SourceSpec,
    TrainDeepFeaturesJob,
    TrainJob,
    TrainOptions,
    TrainSavedModelJob,
    TrainVectorClassifierJob,
    VectorSpec,
    Zone,
)

DATA = 'data: {dataset: samples}\n'


def test_what_is_not_said_is_the_default(opened, place):
    run = opened(DATA)
    assert run.job == TrainJob(str(place / 'samples'), '')
    assert (run.file, run.output, run.keep_best, run.sweep) == (str(place / 'run.yaml'), '', 1, None)
    assert run.values['model'] == {'type': 'unet', 'task': 'segmentation', 'filters': 16, 'depth': 4, 'dropout': 0.0}
    assert run.values['train']['learning_rate'] == 3e-3
    # The same, all of it told; sections may be empty.
    text = 'algorithm: trainmodel\nmodel: {type: unet, filters: 16}\ntrain:\noutput:\n' + DATA
    assert opened(text).job == run.job


def test_sections_become_the_job(opened, place):
    text = """\
        model: {type: encoder, task: regression, filters: 8, backbone: resnet50, weights: weights.h5}
        data:
          dataset: samples
          classes: classes.csv
          sources: image
          target: height
          augment: {gain: 1}
          validation_share: 0.25
          validation_block: 100
        train:
          epochs: 3
          loss: huber
          loss_options: {delta: 2}
          class_weights: {11: 2, 12: 0.5}
          freeze: a.*
          validation_epochs: 2
        output: {folder: out/run, keep_best: 3}
    """
    run = opened(text, 'train.seed=7')
    assert run.job == TrainJob(
        str(place / 'samples'),
        '',
        'regression',
        'encoder',
        (ClassDef(11, 'water', '#0000ff'), ClassDef(12, 'land, dry')),
        epochs=3,
        seed=7,
        loss='huber',
        validation_share=0.25,
        options=TrainOptions(
            filters=8,
            network={'backbone': 'resnet50', 'weights': str(place / 'weights.h5')},
            sources=('image',),
            target='height',
            class_weights={'11': 2.0, '12': 0.5},
            loss={'delta': 2.0},
            augment={'gain': 1.0},
            freeze=('a.*',),
            validation_epochs=2,
            validation_block=100.0,
        ),
    )
    assert (run.output, run.keep_best) == (str(place / 'out' / 'run'), 3)
    assert opened(text, output='else').output == str(place / 'else')
    assert opened(DATA + 'output: ???\n', output='else').output == str(place / 'else')


def test_rasters_become_windows(opened, place):
    text = """\
        model: {task: regression}
        data:
          classes: [1, {value: 2, name: land}]
          rasters:
            sources:
              - [image.tif, /vsizip/a.zip/b.tif]
              - {rasters: labels.tif, patch_size: 32, nodata: 0}
              - {rasters: 'GPKG:x.gpkg:y', name: third, patch_size: [8, 4]}
            points: {path: points.gpkg, layer: split}
            labels: labels.tif
            polygons: {vector: points.gpkg, outside: 3}
            zones: [{sources: [image.tif, image.tif, image.tif], points: points.gpkg}]
            layout: {compression: gzip}
    """
    image, labels, points = (str(place / name) for name in ('image.tif', 'labels.tif', 'points.gpkg'))
    zone = tuple(SourceSpec((image,), f'source{number}') for number in (1, 2, 3))
    windows = ExtractPatchesJob(
        (
            SourceSpec((image, '/vsizip/a.zip/b.tif')),
            SourceSpec((labels,), 'source2', patch_size=(32, 32), nodata='0'),
            SourceSpec(('GPKG:x.gpkg:y',), 'third', patch_size=(8, 4)),
        ),
        VectorSpec(points, 'split'),
        '',
        LabelRaster(labels),
        LabelPolygons(VectorSpec(points), outside=3),
        zones=(Zone(zone, VectorSpec(points)),),
        # These follow from the rest of the run where rasters say nothing else.
        classes=(ClassDef(1), ClassDef(2, 'land')),
        values=True,
    )
    found = opened(text).job.windows
    assert (found.layout.compression, found.layout.layout) == ('gzip', 'numpy')
    assert found.__class__(**{**vars(found), 'layout': windows.layout}) == windows
    said = opened(text, 'data.rasters.classes=[]', 'data.rasters.values=false').job.windows
    assert (said.classes, said.values) == ((), False)


def test_feeders_and_what_they_say_for_the_run(opened, place):
    text = """\
        data:
          train:
            type: TFRecordExamplesFeeder
            batch_size: 10
            shuffle: false
            file_patterns: '*.tfrecord'
            labels_map: {number: {type: FixedLenFeature, shape: [], dtype: int64}}
            features_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
            compression: ''
          validation: {type: MemorySamplesFeeder, csv: table.csv, labels: [b], batch_size: 4}
          test: samples
        train: {drop_remainder: true}
    """
    run = opened(text)
    number = {'type': 'FixedLenFeature', 'shape': [1], 'dtype': 'int64'}
    maps = {'features_map': {'number': number}, 'labels_map': {'number': {**number, 'shape': []}}}
    memory = {'csv': str(place / 'table.csv'), 'labels': ['b'], 'batch_size': 4}
    assert run.job.feeders == Feeders(
        FeederSpec('TFRecordExamplesFeeder', {'file_patterns': [str(place / '*.tfrecord')], **maps}),
        FeederSpec('MemorySamplesFeeder', memory),
        FeederSpec('Dataset', {'folder': str(place / 'samples')}),
    )
    assert (run.job.dataset, run.job.windows) == ('', None)
    options = run.job.options
    assert (run.job.batch_size, options.shuffle, options.drop_remainder) == (10, False, True)
    assert str(run.origin(('train', 'batch_size'))) == 'run.yaml:4'
    assert opened(text, 'train.batch_size=10').job == run.job


def test_other_algorithms(opened, place):
    at = {name: str(place / name) for name in ('package', 'samples', 'points.gpkg', 'bundle', 'image.tif')}
    graph = """\
        algorithm: trainsavedmodel
        parameters:
          model: package
          dataset: samples
          epochs: 3
          restore_from: bundle/ckpt
          save_to: new/ckpt
          validation: {mode: class, step: 2}
    """
    assert opened(graph).job == TrainSavedModelJob(
        at['package'],
        '',
        dataset=at['samples'],
        epochs=3,
        restore_from=os.path.join(at['bundle'], 'ckpt'),
        save_to=str(place / 'new' / 'ckpt'),
        validation=GraphValidation('class', 2),
    )
    vector = """\
        algorithm: trainvectorclassifier
        parameters: {vector: points.gpkg, field: class, classifier: svm, options: {C: 2, gamma: 0.5}, classes: 2}
    """
    job = TrainVectorClassifierJob(VectorSpec(at['points.gpkg']), '', 'class', classifier='svm')
    job = job.__class__(**{**vars(job), 'options': {'C': 2.0, 'gamma': 0.5}, 'classes': (ClassDef(0), ClassDef(1))})
    assert opened(vector).job == job
    deep = """\
        algorithm: traindeepfeatures
        parameters: {serving: {model: package, sources: [image.tif]}, vector: points.gpkg, field: class, mt: 10}
    """
    serving = ServeJob(at['package'], (SourceSpec((at['image.tif'],)),))
    assert opened(deep).job == TrainDeepFeaturesJob(serving, VectorSpec(at['points.gpkg']), 'class', '', mt=10)


def test_paths_start_where_they_are_told(write, place, monkeypatch):
    """In a file from its folder, in an override from the current one."""
    (place / 'deep' / 'samples').mkdir(parents=True)
    write('extend: ../more.yaml\ndata: {dataset: samples}\noutput: run\n', 'deep/run.yaml')
    write('data: {validation_datasets: [more, samples], classes: classes.csv}\n', 'more.yaml')
    monkeypatch.chdir(place / 'code')
    run = open_configuration('../deep/run.yaml', ['train.warm_start=../package'])
    assert run.job.dataset == str(place / 'deep' / 'samples')
    assert run.job.validation == (str(place / 'more'), str(place / 'samples'))
    assert run.job.warm_start == str(place / 'package')
    assert run.output == str(place / 'deep' / 'run')
    assert open_configuration('../deep/run.yaml', ['output=run'], output='').output == str(place / 'code' / 'run')
    with pytest.raises(InputMissing):
        open_configuration('no.yaml')


def test_origins(write, place):
    write('train: {epochs: 3, seed: 1}\n', 'base.yaml')
    write('extend: base.yaml\ndata: {dataset: samples, classes: 3}\ntrain:\n  freeze: [a]\n')
    run = open_configuration('run.yaml', ['train.seed=2', '+train.freeze=[b]'])
    told = {
        ('train', 'epochs'): 'base.yaml:1',
        ('train', 'seed'): '-p train.seed=2',
        ('train', 'freeze', 0): 'run.yaml:4',
        ('train', 'freeze', 1): '-p +train.freeze=[b]',
        ('data', 'classes', 2, 'value'): 'run.yaml:2',
        ('train', 'batch_size'): 'default',
        ('model', 'type'): 'default',
    }
    assert {path: str(run.origin(path)) for path in told} == told
    assert run.origin(('model', 'type')) is DEFAULT


SWEEP = """\
data: {dataset: samples}
sweep:
  parameters:
    train.learning_rate: [1, 0.01]
    train.warm_start: [package, samples]
    data.augment: [true, {gain: 1}]
"""


def test_sweeps(opened, place):
    grid = opened(SWEEP).sweep
    assert (grid.method, grid.count, grid.seed) == ('grid', 0, 0)
    assert grid.parameters['train.learning_rate'] == [1.0, 0.01]
    assert all(isinstance(value, float) for value in grid.parameters['train.learning_rate'])
    assert grid.parameters['train.warm_start'] == [str(place / 'package'), str(place / 'samples')]
    assert grid.parameters['data.augment'][1]['gain'] == 1.0
    random = """\
        data: {dataset: samples}
        sweep:
          method: random
          count: 5
          seed: 3
          parameters:
            train.learning_rate: {minimum: 1e-4, maximum: 1, scale: log}
            train.epochs: {minimum: 1, maximum: 9}
            train.schedule: [cosine, constant]
    """
    found = opened(random).sweep
    tried = {'train.learning_rate': Range(1e-4, 1.0, 'log'), 'train.epochs': Range(1, 9), 'train.schedule': None}
    assert found == SweepSpec('random', {**tried, 'train.schedule': ['cosine', 'constant']}, 5, 3)
    assert isinstance(found.parameters['train.epochs'].minimum, int)
    assert isinstance(found.parameters['train.learning_rate'].maximum, float)


OWN = 'model: {type: "own:Net", folder: %s, filters: 3, odd: {a: [1, x]}}\ndata: {dataset: samples}\n'


def test_code_is_told_of_only_in_trusted_folders(opened, place):
    job = opened(OWN % 'code', trusted=['code']).job
    assert (job.architecture, job.options.folder) == ('own:Net', str(place / 'code'))
    assert (job.options.filters, job.options.network) == (3, {'odd': {'a': [1, 'x']}})
    assert opened(OWN % 'code', trusted=[str(place)]).job == job
    assert not (place / 'ran').exists()


def untrusted(opened, text, **options):
    with pytest.raises(ConfigurationError) as error:
        opened(text, **options)
    return ' '.join(error.value.faults)


def test_other_code_is_refused(opened, place):
    (place / 'trusted').mkdir()
    os.symlink(place / 'code', place / 'trusted' / 'inside')
    os.symlink(place / 'code' / 'own.py', place / 'trusted' / 'own.py')
    advice = 'give --trust FOLDER'
    for text, trusted in (
        (OWN % 'code', []),
        (OWN % 'code', ['samples', '']),
        (OWN % 'code', ['cod']),
        (OWN % 'trusted/inside', ['trusted']),
        (OWN % 'trusted', ['trusted']),
        (DATA + 'model: {type: "own:Net"}', ['code']),
        (DATA + 'model: {folder: code}', []),
        (DATA + 'model: {type: "os:system", command: "touch ran"}', ['code']),
        (DATA + 'sweep: {parameters: {model.folder: [code]}}', []),
    ):
        assert advice in untrusted(opened, text, trusted=trusted), text
    assert 'is not of the form module:Class' in untrusted(
        opened, (OWN % 'code').replace('own:', '../own:'), trusted=['code']
    )
    assert 'there is no module' in untrusted(opened, (OWN % 'code').replace('own:', 'other:'), trusted=['code'])
    assert not (place / 'ran').exists()


@pytest.mark.parametrize(
    'evil',
    [
        'model: !!python/object/apply:os.system ["touch ran"]\n',
        "train: {epochs: \"${__import__('os').system('touch ran')}\"}\n",
        'train: {epochs: "${oc.env:HOME}"}\n',
        'train: {monitor: "{{ self.__init__.__globals__ }}", epochs: "{{ 3 }}"}\n',
        'train: {epochs: "${train.__class__.__mro__}"}\n',
        'model: {type: "os:system", folder: /usr/lib/python3, command: "touch ran"}\n',
    ],
)
def test_nothing_in_a_file_is_run(evil, faults, place):
    assert faults(evil if 'data' in evil else evil + DATA)
    assert not (place / 'ran').exists()
