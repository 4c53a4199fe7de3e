"""Faults of runs: every one is found, and told with its place, its key and what to do."""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
import subprocess
import sys
import typing

import pytest

from quadrat.engine.datasets.feeders.descriptors import DESCRIPTORS
from quadrat.engine.datasets.feeders.options import OPTIONS as FEEDERS
from quadrat.engine.experiments.fields import CHOICES, LEFT_OUT, NUMBERS, PATHS
from quadrat.engine.experiments.reading import read_run
from quadrat.engine.experiments.schema import FORMER, JOBS, places, run_record, shared_options
from quadrat.engine.experiments.tree import BROKEN, load_tree
from quadrat.engine.experiments.tryouts import SweepReader
from quadrat.engine.jobs import ARCHITECTURES, ServeJob, TrainJob, TrainOptions
from quadrat.engine.networks.registry import known

DATA = 'data: {dataset: samples}\n'
RASTERS = 'data: {rasters: {sources: [image.tif], points: points.gpkg, labels: labels.tif, %s}}\n'
RECORDS = 'type: TFRecordExamplesFeeder, file_patterns: a.tfrecord, features_map: {x: {type: ImageFeature}}'
FEEDER = 'data: {train: {%s}}\n'
VECTOR = 'algorithm: trainvectorclassifier\nparameters: {vector: points.gpkg, %s}\n'
GRAPH = 'algorithm: trainsavedmodel\nparameters: {model: package, dataset: samples, %s}\n'
SWEEP = DATA + 'sweep: {%s}\n'

# What is wrong with one thing in a run: text, line, key, what is said of it.
ONE = [
    # keys
    (DATA + 'train: {epohcs: 3}', 2, 'train.epohcs', 'no such key; did you mean epochs?'),
    (DATA + 'trian: {epochs: 3}', 2, 'trian', 'did you mean train?'),
    (DATA + 'extends: base.yaml', 2, 'extends', 'no such key; write the files that this one builds on as extend'),
    (DATA + 'defaults: [base]', 2, 'defaults', 'as extend'),
    (DATA + 'learning_rate: 1', 2, 'learning_rate', 'write it as train.learning_rate'),
    (DATA + 'train: {filters: 3}', 2, 'train.filters', 'write it as model.filters'),
    (DATA + 'train: {augment: true}', 2, 'train.augment', 'write it as data.augment'),
    (DATA + 'model: {epochs: 3}', 2, 'model.epochs', 'no such option of unet; write it as train.epochs'),
    (DATA + 'model: {rates: [1]}', 2, 'model.rates', 'no such option of unet; it is one of dilated'),
    (DATA + 'train: {optimiser_: 1}', 2, 'train.optimiser_', 'did you mean optimizer?'),
    (DATA + 'train:\n  loss: focal\n  loss_options: {gama: 1}', 4, 'train.loss_options.gama', 'did you mean gamma?'),
    (DATA + 'train: {loss_options: {gamma: 1}}', 2, 'train.loss_options.gamma', 'loss auto; there are none'),
    (DATA + 'train: {resume: true}', 2, 'train.resume', 'no such key'),
    (DATA + 'parameters: {}', 2, 'parameters', 'trainmodel takes model, data and train in its place'),
    (VECTOR % 'field: c' + 'train: {}', 3, 'train', 'trainvectorclassifier takes parameters in its place'),
    (VECTOR % 'report: r.html', 2, 'parameters.report', 'no such key'),
    (VECTOR % 'options: {C: 1}', 2, 'parameters.options.C', 'no such option of the classifier rf'),
    (RASTERS % 'labls: x', 1, 'data.rasters.labls', 'did you mean labels?'),
    ('data: {rasters: {sources: [image.tif]}}', 1, 'data.rasters', 'points is missing'),
    (RASTERS % 'output: x', 1, 'data.rasters.output', 'no such key'),
    (DATA + 'output: {keepbest: 2}', 2, 'output.keepbest', 'did you mean keep_best?'),
    # types
    (DATA + 'train: {epochs: three}', 2, 'train.epochs', "must be a whole number, not 'three'"),
    (DATA + "train: {epochs: '3'}", 2, 'train.epochs', "must be a whole number, not '3'; take the quotes off"),
    (DATA + 'train: {epochs: 3.0}', 2, 'train.epochs', 'must be a whole number, not 3.0'),
    (DATA + 'train: {epochs: true}', 2, 'train.epochs', 'must be a whole number, not true'),
    (DATA + 'train: {epochs: null}', 2, 'train.epochs', 'not null; leave the key out for its default'),
    (DATA + 'train: {epochs: [3]}', 2, 'train.epochs', 'must be a whole number, not a list of 1 values'),
    (DATA + "train: {learning_rate: '1e-3'}", 2, 'train.learning_rate', 'take the quotes off'),
    (DATA + 'train: {staircase: yes}', 2, 'train.staircase', "must be true or false, not 'yes'"),
    (DATA + 'train: {monitor: 3}', 2, 'train.monitor', 'must be text, not 3; put it in quotes'),
    (DATA + 'train: {freeze: {a: b}}', 2, 'train.freeze', 'must be a list, not a mapping'),
    (DATA + 'train: {freeze: [a, 3]}', 2, 'train.freeze.1', 'must be text, not 3'),
    (DATA + 'train: 3', 2, 'train', 'must be a mapping, not 3'),
    (DATA + 'train: {class_weights: none_}', 2, 'train.class_weights', 'must be one of auto, none or a mapping'),
    (DATA + 'train: {class_weights: {11: much}}', 2, 'train.class_weights.11', "must be a number, not 'much'"),
    (RASTERS % 'layout: {compression: zip}', 1, 'data.rasters.layout.compression', 'must be one of none, gzip'),
    ('data: {augment: maybe, dataset: samples}', 1, 'data.augment', "must be true or false or a mapping, not 'maybe'"),
    ('data: {sources: [[a]], dataset: samples}', 1, 'data.sources.0', 'must be text, not a list'),
    ('algorithm: trainmodl\n' + DATA, 1, 'algorithm', 'did you mean trainmodel?'),
    # values and bounds
    (DATA + 'model: {type: unett}', 2, 'model.type', "not 'unett'; did you mean unet?"),
    (DATA + 'model: {type: UNet}', 2, 'model.type', "not 'UNet'; did you mean unet?"),
    (DATA + 'train: {monitor: val_loss}', 2, 'train.monitor', "'val_loss': unknown; for segmentation known are loss, "),
    (DATA + 'model: {task: segment}', 2, 'model.task', 'must be one of segmentation, classification, regression'),
    (DATA + 'model: {filters: 0}', 2, 'model.filters', 'must be at least 1, not 0'),
    (DATA + 'model: {dropout: 1}', 2, 'model.dropout', 'must be less than 1, not 1'),
    (DATA + 'model: {type: encoder, backbone: resnet5}', 2, 'model.backbone', 'did you mean resnet50?'),
    (DATA + 'model: {type: patchcnn}', 2, 'model.type', 'patchcnn gives a label for the whole patch'),
    (DATA + 'train: {epochs: 0}', 2, 'train.epochs', 'must be 1 or more, not 0'),
    (DATA + 'train: {optimizer: adamm}', 2, 'train.optimizer', "not 'adamm'; did you mean adam?"),
    (DATA + 'train: {device: tpu}', 2, 'train.device', "'tpu': unknown; write auto, cpu"),
    (DATA + 'train: {loss: mse}', 2, 'train.loss', 'mse is no loss for segmentation; those are auto, crossentropy'),
    (DATA + 'train: {fine_tune: 0.1}', 2, 'train.fine_tune', 'give train.warm_start'),
    (DATA + 'train:\n  learning_rate: 0.1\n  minimum_rate: 0.2', 4, 'train.minimum_rate', 'less than the learning'),
    (DATA + "train: {freeze: ['a(']}", 2, 'train.freeze', 'is no regular expression'),
    (DATA + 'train: {learning_rate: .nan}', 2, 'train.learning_rate', 'must be greater than 0'),
    (GRAPH % 'epochs: 0', 2, 'parameters.epochs', 'must be 1 or more, not 0'),
    (GRAPH % 'validation: {step: 0}', 2, 'parameters.validation.step', 'must be 1 or more, not 0'),
    (GRAPH % 'sources: [image.tif]', 2, 'parameters.dataset', 'Give either parameters.dataset or parameters.sources'),
    ('data: {augment: {gain: -1}, dataset: samples}', 1, 'data.augment', 'gain -1.0: must be at least 0'),
    ('data: {classes: 0, dataset: samples}', 1, 'data.classes', 'must be 1 to 65536 classes, not 0'),
    ('data: {classes: [1, 2, 1], dataset: samples}', 1, 'data.classes.2', 'the value 1 stands there twice'),
    ('data: {classes: [{value: 1, colour: red}], dataset: samples}', 1, 'data.classes.0', "colour 'red' is not of"),
    ('data: {classes: [{valu: 1}], dataset: samples}', 1, 'data.classes.0.valu', 'did you mean value?'),
    ('data: {classes: image.tif, dataset: samples}', 1, 'data.classes', 'no classes in it'),
    # where samples come from
    ('data: {}', 1, 'data', 'give dataset, train or rasters'),
    ('train: {epochs: 3}', 1, 'data', 'give dataset, train or rasters'),
    ('data:\n  dataset: samples\n  train: more', 3, 'data.train', 'samples come from data.dataset already'),
    ('data:\n  dataset: samples\n  validation: more', 3, 'data.validation', 'goes with data.train'),
    ('data: {train: {folder: more}}', 1, 'data.train', 'type is missing; it is one of Dataset'),
    ('data: {train: {type: Datasets, folder: more}}', 1, 'data.train.type', 'did you mean Dataset?'),
    (FEEDER % f'{RECORDS}, batch: 3', 1, 'data.train.batch', 'no such option of TFRecordExamplesFeeder'),
    (FEEDER % f'{RECORDS}, max_examples: 0', 1, 'data.train', 'max_examples 0'),
    (
        'data:\n  train: {type: Dataset, folder: more, batch_size: 3}\ntrain: {batch_size: 4}', 2,
        'data.train.batch_size', 'is 3, and train.batch_size is 4; give one of them',
    ),
    ('data:\n  train:\n    type: Dataset\n    folder: more\n    batch_size: 0', 5, 'data.train.batch_size', 'at least'),
    ('data: {train: samples, validation_datasets: [more]}', 1, 'data.validation_datasets', 'with feeders'),
    (
        'data: {train: {type: MemorySamplesFeeder, csv: table.csv, npz: x.npy}}', 1,
        'data.train', 'give one of csv, npz and x; csv and npz is given',
    ),
    # paths
    ('data: {dataset: nowhere}', 1, 'data.dataset', 'no such folder: '),
    ('data: {dataset: image.tif}', 1, 'data.dataset', 'is a file, and a folder is wanted'),
    ("data: {dataset: ''}", 1, 'data.dataset', 'must be a path, and is empty'),
    ('data: {validation_datasets: [more, less], dataset: samples}', 1, 'data.validation_datasets.1', 'no such folder'),
    ('data: {classes: no.csv, dataset: samples}', 1, 'data.classes', 'no such file: '),
    (RASTERS % 'zones: [{sources: [no.tif]}]', 1, 'data.rasters.zones.0.sources.0', 'no such file: '),
    (RASTERS % 'zones: [{sources: []}]', 1, 'data.rasters.zones.0.sources', 'must not be empty'),
    (DATA + 'train: {warm_start: no}', 2, 'train.warm_start', 'no such file or folder: '),
    (DATA + 'model: {type: encoder, weights: code}', 2, 'model.weights', 'is a folder, and a file is wanted'),
    (FEEDER % 'type: MemorySamplesFeeder, csv: t.csv', 1, 'data.train.csv', 'no file is called'),
    (GRAPH % 'restore_from: bundle/no', 2, 'parameters.restore_from', 'no checkpoint begins with '),
    # values that must be given
    (DATA + 'train:\n  seed: ???', 3, 'train.seed', 'must be given, in the file or as -p train.seed='),
    ('data:\n  dataset: ???', 2, 'data.dataset', 'must be given'),
    ('data:\n  dataset: samples\n  classes:\n    - value: ???', 4, 'data.classes.0.value', 'must be given'),
    (DATA + 'model:\n  type: ???', 3, 'model.type', 'must be given'),
    # sweeps
    (SWEEP % 'parameters: {}', 2, 'sweep.parameters', 'name the settings to try'),
    (SWEEP % 'method: grid', 2, 'sweep', 'parameters is missing'),
    (SWEEP % 'parameters: {train.epohcs: [1]}', 2, 'sweep.parameters[train.epohcs].0', 'did you mean epochs?'),
    (SWEEP % 'parameters: {train.epochs: [1, 0]}', 2, 'sweep.parameters[train.epochs].1', 'must be 1 or more'),
    (SWEEP % 'parameters: {train.epochs: 3}', 2, 'sweep.parameters[train.epochs]', 'must be a list of values'),
    (SWEEP % 'parameters: {output.folder: [a]}', 2, 'sweep.parameters[output.folder]', 'only settings under model.'),
    (SWEEP % 'parameters: {model.type: [unet, patchcnn]}', 2, 'sweep.parameters[model.type].1', 'patchcnn gives'),
    (SWEEP % 'parameters: {train.epochs.no: [1]}', 2, 'sweep.parameters[train.epochs.no].0', 'train.epochs: must be'),
    (SWEEP % 'parameters: {train.epochs: {minimum: 1, maximum: 3}}', 2, 'sweep.parameters[train.epochs]', 'a grid'),
    (SWEEP % 'count: 3, parameters: {train.epochs: [1]}', 2, 'sweep.count', 'a grid tries every combination'),
    (SWEEP % 'method: random, parameters: {train.epochs: [1]}', 2, 'sweep', 'count is missing'),
    (
        SWEEP % 'method: random, count: 2, parameters: {train.epochs: {minimum: 3, maximum: 3}}', 2,
        'sweep.parameters[train.epochs]', 'minimum must be less than maximum',
    ),
    (
        SWEEP % 'method: random, count: 2, parameters: {train.warm_up: {minimum: 0, maximum: 0.5, scale: log}}', 2,
        'sweep.parameters[train.warm_up].minimum', 'must be greater than 0 for the scale log',
    ),
    (
        SWEEP % 'method: random, count: 2, parameters: {train.epochs: {minimum: 1, maximum: 2.5}}', 2,
        'sweep.parameters[train.epochs].maximum', 'must be a whole number, not 2.5',
    ),
    (
        SWEEP % 'method: random, count: 2, parameters: {train.optimizer: {minimum: 1, maximum: 2}}', 2,
        'sweep.parameters[train.optimizer].minimum', 'must be text, not 1',
    ),
]  # fmt: skip


@pytest.mark.parametrize(('text', 'line', 'key', 'said'), ONE)
def test_a_fault_is_told_with_its_line_and_key(text, line, key, said, faults):
    found = faults(text)
    about = [fault for fault in found if fault[:2] == (line, key)]
    assert about and said in about[0][2]
    # Nothing else is wrong, but for both ends of the one range and the count that goes with it.
    assert len(found) == 1 or key.startswith('sweep'), found


@pytest.mark.parametrize('piecewise', ['', '1:2'])
def test_a_setting_that_no_default_mends_hides_no_other(piecewise, faults):
    train = f"train: {{schedule: piecewise, piecewise: '{piecewise}', freeze: ['('], warm_up: 3}}"
    found = faults(f'{train}\ndata: {{dataset: samples}}\n')
    assert {key for _, key, _ in found} == {'train.piecewise', 'train.freeze', 'train.warm_up'}


def test_all_faults_are_found_at_once(faults, write):
    write('train:\n  epochs: -1\n  seed: ???\n', 'base.yaml')
    text = """\
        extend: base.yaml
        model: {type: unett, filers: 3, folder: code}
        train:
          batch_size: '8'
          learning_rate: -1
          schedule: cosin
          patience: ${train.nothing}
          unfreeze_after: 2
        data:
          dataset: nowhere
          train: samples
          augment: {gain: -1}
        outpt: x
    """
    found = faults(text, 'train.epohcs=3', 'train.min_delta=x', '~train.no')
    assert [(line, key) for line, key, _ in found] == [
        ('~train.no', 'train.no'),
        (7, 'train.patience'),
        (2, 'train.epochs'),
        (3, 'train.seed'),
        (2, 'model.type'),
        (2, 'model.filers'),
        (4, 'train.batch_size'),
        (5, 'train.learning_rate'),
        (6, 'train.schedule'),
        (8, 'train.unfreeze_after'),
        (10, 'data.dataset'),
        (11, 'data.train'),
        (12, 'data.augment'),
        (13, 'outpt'),
        ('train.epohcs=3', 'train.epohcs'),
        ('train.min_delta=x', 'train.min_delta'),
    ]


def test_a_fault_brings_no_others_with_it(faults):
    """What is said of a setting whose value is not known is left out."""
    text = DATA + 'train:\n  freeze: 3\n  unfreeze_after: 2\n  learning_rate: x\n  minimum_rate: 0.01'
    assert [key for _, key, _ in faults(text)] == ['train.freeze', 'train.learning_rate']
    assert [key for _, key, _ in faults('data: {dataset: samples}\nmodel: 3')] == ['model']
    assert [key for _, key, _ in faults('data: 3')] == ['data']


def names_of(kind):
    """The keys of a section."""
    records = getattr(kind, 'records', {'': kind})
    return {name for record in records.values() for name in record.keys}


SECTIONS = run_record({}).keys


@pytest.mark.parametrize('section', ['model', 'data', 'train'])
def test_a_misspelt_key_is_recognised(section, faults):
    """With one letter too many each key is named."""
    keys = [key for key in names_of(SECTIONS[section].kind) if len(key) > 4]
    keys = [key for key in keys if section != 'model' or key in names_of(SECTIONS['model'].kind.records['unet'])]
    rows = '\n'.join(f'  {key}e: 1' for key in keys)
    text = f'{section}:\n{rows}\n' + ('' if section == 'data' else DATA)
    said = {key: message for _, key, message in faults(text)}
    for key in keys:
        assert f'did you mean {key}?' in said[f'{section}.{key}e']


@pytest.mark.parametrize(
    ('section', 'other'), [('model', 'train'), ('train', 'data'), ('data', 'train'), ('train', 'model')]
)
def test_a_key_of_another_section_is_told_where_it_belongs(section, other, faults):
    keys = names_of(SECTIONS[other].kind) - names_of(SECTIONS[section].kind)
    text = f'{section}:\n' + '\n'.join(f'  {key}: 1' for key in keys) + '\n'
    said = {key: message for _, key, message in faults(text + ('' if section == 'data' else DATA))}
    assert all(f'{other}.{key}' in said[f'{section}.{key}'] for key in keys)


def test_keys_of_deephub_are_told_what_they_are_here(faults):
    for section, key in (place.split('.') for place in FORMER.values()):
        assert key in {'type', *names_of(SECTIONS[section].kind)}
    for section in ('model', 'train'):
        text = DATA + f'{section}:\n' + ''.join(f'  {key}: 1\n' for key in FORMER)
        said = {key: message for _, key, message in faults(text)}
        assert said == {f'{section}.{key}': said[f'{section}.{key}'] for key in FORMER}
        assert all(said[f'{section}.{key}'].endswith(f'write it as {place}') for key, place in FORMER.items())


def reachable(cls, found):
    """A dataclass and those that its fields have."""
    if cls not in found:
        found.add(cls)
        for name, hint in typing.get_type_hints(cls).items():
            if name in {field.name for field in dataclasses.fields(cls)} - set(LEFT_OUT.get(cls, ())):
                for part in parts(hint):
                    reachable(part, found)
    return found


def parts(hint):
    if dataclasses.is_dataclass(hint):
        return [hint]
    return [part for arg in typing.get_args(hint) for part in parts(arg)]


# Fields of text that are neither paths nor one of a few values.
NAMES = {
    'ClassDef': {'name', 'colour'},
    'SourceSpec': {'name', 'nodata', 'band_names', 'placeholder'},
    'VectorSpec': {'layer'},
    'LabelRaster': {'nodata'},
    'LabelPolygons': {'field'},
    'ExtractPatchesJob': {'label_field', 'split_field'},
    'FeederSpec': {'type'},
    'TrainJob': {'architecture', 'loss'},
    'TrainOptions': {
        'sources', 'target', 'optimizer', 'schedule', 'piecewise', 'monitor', 'monitor_mode', 'freeze', 'device',
        'precision', 'strategy', 'warm_start_include', 'warm_start_exclude',
    },
    'GraphValidation': {'placeholders', 'user_placeholders'},
    'TrainSavedModelJob': {'target_nodes', 'placeholders', 'output_tensors', 'user_placeholders', 'tags'},
    'TrainVectorClassifierJob': {'field', 'features'},
    'TrainDeepFeaturesJob': {'field'},
    'ServeJob': {'output_names', 'user_placeholders', 'tags', 'signature', 'device', 'creation_options'},
}  # fmt: skip


def test_it_is_known_of_every_text_whether_it_is_a_path():
    for cls in set().union(*(reachable(job, set()) for job in JOBS.values())):
        texts = {name for name, hint in typing.get_type_hints(cls).items() if 'str' in str(hint) and name != 'kind'}
        texts -= {name for name, hint in typing.get_type_hints(cls).items() if 'Dict' in str(hint)}
        known_of = {*PATHS.get(cls, ()), *CHOICES.get(cls, ()), *LEFT_OUT.get(cls, ())}
        assert texts == (texts & known_of) | NAMES.get(cls.__name__, set()), cls
        assert not known_of & NAMES.get(cls.__name__, set())
    for architecture in ARCHITECTURES:  # their paths
        options = known(architecture).options
        texts = {field.name for field in dataclasses.fields(options) if field.type == 'str'}
        assert texts == set(PATHS.get(options, ())) | (texts & {'backbone'})
    for cls in {*FEEDERS.values(), *DESCRIPTORS.values()}:
        marked = {field.name for field in dataclasses.fields(cls) if field.metadata.get('path')}
        assert marked <= {'file_patterns', 'csv', 'npz', 'x', 'y', 'folder'}


def test_what_is_known_of_fields_is_of_fields():
    for table in (PATHS, CHOICES, NUMBERS, LEFT_OUT):
        for cls, names in table.items():
            assert set(names) <= {field.name for field in dataclasses.fields(cls)}
    for cls in (*JOBS.values(), ServeJob):  # where results go is what jobs call their outputs
        fields = {field.name: '' for field in dataclasses.fields(cls)}
        text = {name: name for name in fields if typing.get_type_hints(cls)[name] is str}
        outputs = {path for path in cls(**{**fields, **text}).outputs().values() if path}
        assert outputs == set(LEFT_OUT[cls]) - {'resume'}


def test_every_field_of_a_training_has_one_place():
    fields = {field.name for field in dataclasses.fields(TrainJob)} - set(LEFT_OUT[TrainJob]) - {'options', 'feeders'}
    options = {field.name for field in dataclasses.fields(TrainOptions)} - {'network', *shared_options()}
    assert set(places()) == fields | {f'options.{name}' for name in options}
    assert len(set(places().values())) == len(places())


CODE = """
import sys
from quadrat.engine.experiments.configuration import open_configuration
open_configuration(sys.argv[1])
print([name for name in ('numpy', 'osgeo', 'tensorflow', 'keras') if name in sys.modules])
"""


def test_checking_is_light(write):
    text = f'data:\n  train: {{{RECORDS}}}\n  augment: {{gain: 0.1}}\n  classes: classes.csv\ntrain: {{loss: focal}}'
    command = [sys.executable, '-c', CODE, write(text)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == '[]'


FULL = """\
    model: {type: encoder, task: regression, filters: 8, backbone: resnet50, weights: weights.h5}
    data:
      classes: [1, {value: 2, name: land, colour: '#ff0000'}]
      rasters:
        sources: [[image.tif, /vsizip/a.zip/b.tif], {rasters: labels.tif, patch_size: 32, nodata: 0}]
        points: {path: points.gpkg, layer: split}
        polygons: {vector: points.gpkg, outside: 3}
      augment: {gain: 1}
    train: {loss: huber, loss_options: {delta: 2}, class_weights: {1: 2}, freeze: [a], piecewise: '1:5:2'}
    output: {folder: x, keep_best: 2}
    sweep: {method: random, count: 3, parameters: {train.epochs: {minimum: 1, maximum: 4}, train.schedule: [cosine]}}
"""
FED = """\
    model: {type: dense, task: classification}
    data:
      train: {type: TFRecordExamplesFeeder, file_patterns: [a.tfrecord], features_map: {x: {type: ImageFeature}}}
      validation: {type: MemorySamplesFeeder, csv: table.csv, labels: b}
      classes: classes.csv
"""
DEEP = """\
    algorithm: traindeepfeatures
    parameters:
      serving: {model: package, sources: [image.tif]}
      vector: points.gpkg
      field: class
      classifier: svm
      options: {C: 2, gamma: 0.5}
"""
JUNK = (None, True, -1, 2.5, 10**400, 'x', '', '???', [], [None], [[1]], {}, {'a': 1}, {'type': [1]}, BROKEN, [BROKEN])


@pytest.mark.parametrize('text', [FULL, FED, DEEP], ids=['rasters', 'feeders', 'deep features'])
def test_nothing_in_any_place_is_beyond_it(text, write):
    """Whatever stands wherever: there are faults, or a job, and never anything else."""
    tree = load_tree(write(text))
    for path in sorted(tree.origins, key=str):
        for junk in JUNK:
            values = copy.deepcopy(tree.values)
            functools.reduce(operator.getitem, path[:-1], values)[path[-1]] = junk
            odd = dataclasses.replace(tree, values=values, faults=('told',) if 'BROKEN' in repr(junk) else ())
            reading = read_run(odd)
            SweepReader(odd, reading).spec()
            assert reading.job or reading.faults or odd.faults
            assert all('\n' not in str(fault) for fault in reading.faults)
