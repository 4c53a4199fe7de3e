"""Jobs as files: the file is the same job, whatever its fields are."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from quadrat.engine import registry
from quadrat.engine.errors import InvalidJob
from quadrat.engine.experiments.configuration import open_configuration
from quadrat.engine.experiments.exporting import configuration_text
from quadrat.engine.experiments.fields import LEFT_OUT
from quadrat.engine.jobs import (
    ARCHITECTURES,
    CLASSIFIER_OPTIONS,
    ClassDef,
    ExtractPatchesJob,
    Feeders,
    FeederSpec,
    GraphValidation,
    LabelPolygons,
    LabelRaster,
    LayoutOptions,
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
from quadrat.engine.networks.registry import known

CLASSES = (ClassDef(11, 'wáter: "a, b" #1', '#0000FF'), ClassDef(-12, '007'), ClassDef(0))


@pytest.fixture
def at(place):
    """Paths of what is in the place."""
    return lambda *names: str(place.joinpath(*names))


@pytest.fixture
def sources(at):
    """Two sources with everything that a source can have."""
    return (
        SourceSpec((at('image.tif'), '/vsizip/a.zip/b.tif'), 'first', (1, 3), (32, 16), '0', 'all', ('b', 'nir')),
        SourceSpec((at('labels.tif'),), 'source2', placeholder='x', receptive_field=(5, 3), nodata='nan'),
    )


@pytest.fixture
def windows(at, sources):
    return ExtractPatchesJob(
        sources,
        VectorSpec(at('points.gpkg'), 'layer'),
        '',
        labels=LabelRaster(at('labels.tif'), 2, 'none'),
        polygons=LabelPolygons(VectorSpec(at('points.gpkg')), 'field', 3, True),
        label_field='label',
        zones=(Zone((SourceSpec((at('image.tif'),)),), VectorSpec(at('points.gpkg'))),),
        classes=(ClassDef(3),),
        legend=CLASSES,
        split_field='part',
        nodata_policy='ignore',
        border='reflect',
        otbtf=True,
        unlabelled=255,
        layout=LayoutOptions('tfrecords', 10, 'gzip'),
        values=True,
    )


def trainings(at, windows):
    """Trainings that between them have every field away from its default."""
    common = TrainJob(
        '',
        '',
        classes=CLASSES,
        epochs=3,
        batch_size=5,
        learning_rate=1e-5,
        seed=2**40,
        loss='focal',
        warm_start=at('package'),
        options=TrainOptions(
            filters=4,
            depth=2,
            dropout=0.25,
            sources=('a', 'true'),
            class_weights={'11': 2.5, '0': 0.0},
            loss={'gamma': 3.0},
            augment={'flips': False, 'noise': 0.5},
            optimizer='sgd',
            weight_decay=0.0,
            schedule='piecewise',
            warm_up=0.125,
            plateau_patience=2,
            plateau_factor=0.25,
            schedule_steps=7,
            decay_rate=0.5,
            staircase=False,
            minimum_rate=1e-7,
            piecewise='0.01:5:0.001',
            clip_norm=1.0,
            patience=3,
            monitor='loss',
            monitor_mode='min',
            min_delta=0.01,
            minimum_epochs=4,
            validation_epochs=2,
            validation_steps=11,
            validation_secs=1.5,
            save_checkpoint_epochs=2,
            save_checkpoint_steps=12,
            save_summary_epochs=3,
            save_summary_steps=13,
            shuffle_buffer=14,
            drop_remainder=True,
            device='gpu:0,1',
            precision='mixed',
            strategy='one',
            freeze=('a.*', '${x}'),
            unfreeze_after=1,
            fine_tune=0.5,
            warm_start_include=('b', '1e-3'),
            warm_start_exclude=('c\n',),
            threads=2,
        ),
    )
    yield dataclasses.replace(common, dataset=at('samples'), validation=(at('more'), at('samples')))
    options = dataclasses.replace(
        common.options, save_checkpoint_steps=0, save_checkpoint_secs=60.0, augment=False, validation_block=10.0
    )
    yield dataclasses.replace(common, windows=windows, validation_share=0.125, options=options)
    options = dataclasses.replace(
        TrainOptions(), shuffle=False, target='height', network={'backbone': 'resnet50', 'weights': at('weights.h5')}
    )
    yield TrainJob('', '', 'regression', 'encoder', windows=windows, classes=windows.classes, options=options)
    options = TrainOptions(folder=at('code'), filters=3, network={'odd': [1, {'a': None}], 'text': '2020-01-05'})
    feature = {'type': 'FixedLenFeature', 'shape': [], 'dtype': 'int64', 'default_value': 3}
    records = {
        'file_patterns': [at('*.tfrecord')],
        'features_map': {'x': {'type': 'ImageFeature', 'channels': 1}, 'y': feature},
        'labels_map': {'true': feature},
        'compression': 'GZIP',
        'max_examples': 4,
    }
    memory = {'csv': at('table.csv'), 'labels': ['b'], 'delimiter': ';', 'batch_size': 3, 'shuffle': False}
    feeders = Feeders(
        FeederSpec('TFRecordExamplesFeeder', records),
        FeederSpec('MemorySamplesFeeder', memory),
        FeederSpec('Dataset', {'folder': at('samples'), 'split': 'test'}),
    )
    yield TrainJob('', '', 'classification', 'own:Net', feeders=feeders, options=options)


def graphs(at, sources):
    common = TrainSavedModelJob(
        at('package'),
        '',
        ('train', 'a b'),
        placeholders=('x', ''),
        output_tensors=('loss:0',),
        user_placeholders='rate=1e-3; a=(1, 2)',
        tags='serve,train',
        batch_size=3,
        epochs=4,
        streaming=True,
        restore_from=at('bundle', 'ckpt'),
        save_to=at('new', 'ckpt'),
        seed=5,
        validation=GraphValidation('class', 2, sources, ('y',), 'a=1', True),
    )
    yield dataclasses.replace(common, dataset=at('samples'))
    yield dataclasses.replace(common, sources=sources)


def classifiers(at):
    common = TrainVectorClassifierJob(
        VectorSpec(at('points.gpkg')),
        '',
        'class',
        ('a', '007'),
        VectorSpec(at('points.gpkg'), 'other'),
        'gbt',
        {'max_iter': 7, 'max_leaf_nodes': None},
        3,
        CLASSES,
        CLASSES[:1],
        at('statistics.xml'),
    )
    yield common
    yield dataclasses.replace(common, classifier='rf', options={'max_features': 0.5, 'class_weight': 'balanced'})


def deep(at, sources):
    serving = ServeJob(
        at('package'),
        sources,
        ensemble=(at('package'),),
        output_names=('a',),
        user_placeholders='a=1',
        tags='serve',
        signature='s',
        classes=CLASSES,
        mode='otbtf-patch',
        expression_field=(2, 3),
        spacing_scale=2.0,
        fill_value=-1.0,
        output_type='uint8',
        probability_type='uint16',
        threshold=0.5,
        tile_size=64,
        batch_size=2,
        memory=10,
        blend='cosine',
        padding='constant',
        padding_value=1.0,
        tta='d4',
        runtime='openvino',
        precision='bfloat16',
        device='cpu',
        extent=(0.0, 1.5, 2.0, 3.0),
        window=(1, 2, 3, 4),
        mask=at('labels.tif'),
        mask_layer=VectorSpec(at('points.gpkg')),
        sieve=2,
        connectivity=8,
        resume=False,
        cog=True,
        overviews=True,
        creation_options=('COMPRESS=ZSTD',),
    )
    vector = VectorSpec(at('points.gpkg'))
    validation = VectorSpec(at('points.gpkg'), 'other')
    rest = {'classes': CLASSES, 'legend': CLASSES, 'statistics': at('statistics.xml'), 'seed': 4}
    yield TrainDeepFeaturesJob(
        serving, vector, 'class', '', validation, 'knn', {'n_neighbors': 3}, 1, 2, 0, 0.25, **rest
    )


@pytest.fixture
def jobs(at, sources, windows):
    return {
        TrainJob: list(trainings(at, windows)),
        TrainSavedModelJob: list(graphs(at, sources)),
        TrainVectorClassifierJob: list(classifiers(at)),
        TrainDeepFeaturesJob: list(deep(at, sources)),
    }


def reopened(text, trusted=('code',)):
    with open('again.yaml', 'w', encoding='utf-8') as file:
        file.write(text)
    return open_configuration('again.yaml', trusted=trusted)


@pytest.mark.parametrize('cls', [TrainJob, TrainSavedModelJob, TrainVectorClassifierJob, TrainDeepFeaturesJob])
def test_the_file_is_the_job(cls, jobs):
    for job in jobs[cls]:
        assert reopened(configuration_text(job)).job == job


def away(cls, items):
    """Fields of a dataclass that one of the items has away from its default."""
    return {
        field.name
        for field in dataclasses.fields(cls)
        if any(getattr(item, field.name) != (_default(field)) for item in items)
    }


def _default(field):
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def test_no_field_was_forgotten(jobs):
    """Every field that a run can say is away from its default in one of the jobs above."""
    trained = jobs[TrainJob]
    groups = {cls: [*found] for cls, found in jobs.items()}
    groups[TrainOptions] = [job.options for job in trained]
    groups[ExtractPatchesJob] = [job.windows for job in trained if job.windows]
    groups[GraphValidation] = [job.validation for job in jobs[TrainSavedModelJob]]
    groups[ServeJob] = [job.serving for job in jobs[TrainDeepFeaturesJob]]
    groups[SourceSpec] = list(jobs[TrainDeepFeaturesJob][0].serving.sources)
    for cls, items in groups.items():
        names = {field.name for field in dataclasses.fields(cls)} - set(LEFT_OUT.get(cls, ()))
        assert away(cls, items) >= names, cls


def test_only_what_matters_is_told(at):
    assert configuration_text(TrainJob(at('samples'), 'package')).splitlines()[1:] == [
        '',
        'algorithm: trainmodel',
        '',
        'model:',
        '  type: unet',
        '',
        'data:',
        f'  dataset: {at("samples")}',
        '',
        'train:',
        '  epochs: 50',
        '  batch_size: 16',
        '  learning_rate: 0.003',
        '  seed: 0',
    ]


def test_relative_paths_become_absolute(at):
    """The file may lie anywhere."""
    options = TrainOptions(folder='code')
    job = TrainJob('samples', '', architecture='own:Net', warm_start='package', options=options)
    found = reopened(configuration_text(job)).job
    assert (found.dataset, found.warm_start, found.options.folder) == (at('samples'), at('package'), at('code'))
    spec = FeederSpec('MemorySamplesFeeder', {'csv': 'table.csv', 'labels': ['b']})
    assert reopened(configuration_text(TrainJob('', '', feeders=Feeders(spec)))).job.feeders.train.options['csv'] == at(
        'table.csv'
    )


def test_options_that_are_the_defaults_are_the_same_job(at):
    """Those of architectures, feeders, losses and classifiers may be told, or not."""
    for architecture in ARCHITECTURES:
        options = dataclasses.asdict(known(architecture).options())
        own = {name: options.pop(name) for name in ('filters', 'depth', 'dropout') if name in options}
        task = 'segmentation' if known(architecture).pixels else 'classification'
        job = TrainJob(at('samples'), '', task, architecture)
        told = dataclasses.replace(job, options=TrainOptions(**own, network=options))
        text = configuration_text(told)
        assert reopened(text).job == job
    for classifier, cls in CLASSIFIER_OPTIONS.items():
        job = TrainVectorClassifierJob(VectorSpec(at('points.gpkg')), '', classifier=classifier)
        told = dataclasses.replace(job, options=json.loads(json.dumps(dataclasses.asdict(cls()))))
        assert reopened(configuration_text(told)).job == job


def test_the_file_is_written_when_the_job_is_done(at, place, monkeypatch):
    job = TrainVectorClassifierJob(VectorSpec(at('points.gpkg')), at('out'), configuration=at('done.yaml'))
    done = {'OUTPUT': job.output}
    monkeypatch.setattr(registry, 'function_for', lambda job: lambda job, reporter: done)
    assert registry.run(job) == {**done, 'CONFIGURATION': job.configuration}
    expected = dataclasses.replace(job, output='', configuration='')
    assert open_configuration(at('done.yaml')).job == expected
    assert json.loads((place / 'done.yaml.json').read_text())['job']['configuration'] == job.configuration

    def fail(job, reporter):
        raise InvalidJob('no')

    monkeypatch.setattr(registry, 'function_for', lambda job: fail)
    with pytest.raises(InvalidJob):
        registry.run(dataclasses.replace(job, configuration=at('failed.yaml')))
    assert not os.path.exists('failed.yaml')
