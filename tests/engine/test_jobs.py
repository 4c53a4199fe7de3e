"""Jobs: exact round trips through JSON, and one clear line for what cannot be understood."""

from __future__ import annotations

import dataclasses
import json

import pytest

from quadrat.engine.datasets.feeders.options import OPTIONS
from quadrat.engine.errors import EngineError, InvalidJob
from quadrat.engine.jobs import (
    FEEDERS,
    CheckEngineJob,
    ClassDef,
    ConvertDatasetJob,
    DemoSceneJob,
    DescribeJob,
    EvaluateJob,
    ExtractPatchesJob,
    Feeders,
    FeederSpec,
    InspectDatasetJob,
    LabelPolygons,
    LabelRaster,
    LayoutOptions,
    MapDeepFeaturesJob,
    MergeDatasetsJob,
    PolygonStatisticsJob,
    RunExperimentJob,
    SampledImage,
    SampleLabelImageJob,
    SampleValuesJob,
    SelectPatchesJob,
    SelectSamplesJob,
    SelfTestJob,
    ServeJob,
    SourceSpec,
    SplitSamplesJob,
    TrainDeepFeaturesJob,
    TrainJob,
    TrainOptions,
    TrainVectorClassifierJob,
    VectorSpec,
    Zone,
    dumps,
    job_from_dict,
)

SOURCE = SourceSpec(('/data/a b.tif', 'ä.vrt'), 'ms', (3, 1), (32, 48), 'nan, 0')
EXTRACT = ExtractPatchesJob(
    sources=(SOURCE, SourceSpec(('pan.tif',))),
    points=VectorSpec('points.gpkg', 'points'),
    output='dataset',
    labels=LabelRaster('truth.tif', 2, 'none'),
    polygons=LabelPolygons(VectorSpec('polygons.gpkg'), 'class', -1, True),
    classes=(ClassDef(11, 'forêt', '#00ff00'), ClassDef(0)),
    accepted='accepted.gpkg',
)
ZONE = Zone((SourceSpec(('b.tif',)),), VectorSpec('b.gpkg'), LabelRaster('b_labels.tif'))
IMAGES = (
    SampledImage('a.tif', VectorSpec('a.gpkg', 'a'), 'mask.tif', 'a.xml'),
    SampledImage('b.tif', VectorSpec('b.gpkg'), count=7, percent=0.5, by_class='b.csv'),
)
LAYOUT = LayoutOptions('tfrecords', 100, 'gzip')
JOBS = [
    DemoSceneJob('scene', 512, 7),
    PolygonStatisticsJob('a.tif', VectorSpec('a.gpkg'), 'class', 's.xml', 's.csv', 'mask.tif', True),
    SelectSamplesJob(IMAGES, 'class', 'out.gpkg', 'byclass', by_class='n.csv', image_rates='custom', rates='r.csv'),
    SampleValuesJob(('a.tif', 'b.tif'), VectorSpec('p.gpkg'), 'out.gpkg', 'b_'),
    SampleLabelImageJob(LabelRaster('t.tif', 2, '255'), 'out.gpkg', 'total', 50, 3, True, 4),
    SplitSamplesJob(VectorSpec('p.gpkg'), 'out.gpkg', 'kfold', 'date', 7),
    dataclasses.replace(EXTRACT, zones=(ZONE,), layout=LAYOUT, unlabelled=-1, label_field='class'),
    MergeDatasetsJob(('a', 'b'), 'both', LAYOUT),
    ConvertDatasetJob('a', 'b', LAYOUT, 'truth'),
    InspectDatasetJob('a', 'r.html', 's.png', 'full', 12, 3),
    SelectPatchesJob('a.tif', 'points.gpkg', strategy='all', train=0.5),
    EXTRACT,
    TrainJob('dataset', 'package', classes=(ClassDef(1),), options=TrainOptions(filters=8, weight_decay=0.0)),
    ServeJob('package', (SOURCE,), 'map.tif', creation_options=('BIGTIFF=YES',)),
    TrainVectorClassifierJob(VectorSpec('a.gpkg'), 'c.skops', 'class', ('value_0',), options={'n_estimators': 5}),
    TrainDeepFeaturesJob(ServeJob('package', (SOURCE,)), VectorSpec('a.gpkg', 'a'), 'class', 'c.skops', mt=-1, vtr=0.0),
    MapDeepFeaturesJob('package', (SOURCE,), 'map.tif', classifier='c.skops', classes=(ClassDef(1),)),
    DescribeJob('package', json='model.json'),
    EvaluateJob('package', 'dataset', 'all', target='nir', table='t.csv'),
    EvaluateJob('package', sources=(SOURCE,), points=VectorSpec('p.gpkg'), label_field='class', report='r.html'),
    TrainJob('', 'package', feeders=Feeders(FeederSpec('Dataset', {'folder': 'a'}), test=FeederSpec('Dataset'))),
    RunExperimentJob('run.yaml', 'run', ('train.epochs=3', '~train.patience'), ('nets',), True),
    SelfTestJob('test'),
    CheckEngineJob(),
]


@pytest.mark.parametrize('job', JOBS, ids=lambda job: job.kind)
def test_jobs_survive_json(job):
    assert job_from_dict(json.loads(dumps(job))) == job
    assert dataclasses.replace(job) == job
    hash(job)  # frozen, all through


def test_inputs_and_outputs():
    files = FeederSpec('TFRecordExamplesFeeder', {'file_patterns': ['a/*', 'b'], 'batch_size': 3})
    table = FeederSpec('MemorySamplesFeeder', {'csv': 'c.csv'})
    assert TrainJob('', 'package', feeders=Feeders(files, table)).inputs() == ('a/*', 'b', 'c.csv')
    assert EXTRACT.inputs() == ('/data/a b.tif', 'ä.vrt', 'pan.tif', 'points.gpkg', 'truth.tif', 'polygons.gpkg')
    assert EXTRACT.outputs() == {'OUTPUT': 'dataset', 'ACCEPTED': 'accepted.gpkg', 'REJECTED': ''}
    for job in JOBS:
        assert not set(job.inputs()) & set(job.outputs().values())


@pytest.mark.parametrize('kind', FEEDERS)
def test_feeders_tell_of_all_their_files(kind):
    names = {field.name for field in dataclasses.fields(OPTIONS[kind]) if field.metadata.get('path')}
    assert names and {*FeederSpec(kind, {name: name for name in names}).inputs()} == names


def test_whole_numbers_pass_for_real_ones():
    data = {**SelectPatchesJob('a.tif', 'p.gpkg').to_dict(), 'train': 60}
    job = job_from_dict(data)
    assert isinstance(job.train, float)


@pytest.mark.parametrize(
    ('change', 'texts'),
    [
        ({'job': 'trian'}, ["'trian'", 'trainmodel']),
        ({'epochz': 3}, ['epochz', "'epochs'"]),
        ({'epochs': '3'}, ['epochs', 'int', "'3'"]),
        ({'epochs': True}, ['epochs', 'int', 'True']),
        ({'learning_rate': None}, ['learning_rate', 'float', 'None']),
        ({'classes': [{'value': 1}, {'name': 'x'}]}, ['classes[1].value', 'missing']),
        ({'classes': [{'value': 1, 'color': ''}]}, ['classes[0].color', "'colour'"]),
        ({'classes': 'forest'}, ['classes', 'list', "'forest'"]),
        ({'options': {'filters': 1.5}}, ['options.filters', 'int', '1.5']),
        ({'options': []}, ['options', 'object']),
    ],
)
def test_errors_name_the_field(change, texts):
    data = {**TrainJob('dataset', 'package').to_dict(), **change}
    with pytest.raises(InvalidJob) as caught:
        job_from_dict(data)
    message = str(caught.value)
    assert '\n' not in message
    for text in texts:
        assert text in message


@pytest.mark.parametrize('data', [None, [], 'x', {}, {'job': None}, {'job': 'trainmodel'}])
def test_what_is_no_job(data):
    with pytest.raises(EngineError):
        job_from_dict(data)
