"""What a run may say, section by section. All names, types, defaults and bounds are those of the jobs and options."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from ..datasets.feeders.options import OF_THE_RUN
from ..datasets.feeders.options import OPTIONS as FEEDER_OPTIONS
from ..datasets.feeders.options import fault_of as feeder_fault
from ..jobs import (
    ARCHITECTURES,
    CLASS_WEIGHTS,
    CLASSIFIER_OPTIONS,
    SPLITS,
    TrainDeepFeaturesJob,
    TrainJob,
    TrainOptions,
    TrainSavedModelJob,
    TrainVectorClassifierJob,
    from_dict,
)
from ..networks.lossoptions import OF_CLASSES, OF_VALUES
from ..networks.registry import known
from ..training.augmentationspec import AugmentationSpec, check_spec
from .derivation import checked_record, record_of
from .kinds import ABSENT, WRITTEN, Anything, Either, Flag, Key, Number, Record, Table, Tagged, Text
from .sweepspec import METHODS

TRAINING = TrainJob.kind
JOBS: dict[str, Any] = {
    cls.kind: cls for cls in (TrainJob, TrainSavedModelJob, TrainVectorClassifierJob, TrainDeepFeaturesJob)
}
OUTPUT = Record({'folder': Key(Text(place=WRITTEN), ''), 'keep_best': Key(Number(True, least=1), 1)}, alone='folder')
SWEEP = Record(
    {
        'method': Key(Text(METHODS), METHODS[0]),
        'parameters': Key(Table(Anything())),
        'count': Key(Number(True, least=1), ABSENT),
        'seed': Key(Number(True, least=0), 0),
    }
)

# Fields of `TrainJob`, and ``options.`` of its `TrainOptions` -> section and key. All others are in `train` under their
# own name, but for those that are options of architectures as well.
PLACES = {
    'architecture': ('model', 'type'),
    'task': ('model', 'task'),
    'options.folder': ('model', 'folder'),
    'dataset': ('data', 'dataset'),
    'windows': ('data', 'rasters'),
    'classes': ('data', 'classes'),
    'options.sources': ('data', 'sources'),
    'options.target': ('data', 'target'),
    'options.augment': ('data', 'augment'),
    'validation': ('data', 'validation_datasets'),
    'validation_share': ('data', 'validation_share'),
    'options.validation_block': ('data', 'validation_block'),
    'options.loss': ('train', 'loss_options'),
}
# Keys of Deephub's variants, and one of everybody's -> what they are here.
FORMER = {
    'lr': 'train.learning_rate',
    'train_feeder': 'data.train',
    'eval_feeder': 'data.validation',
    'num_classes': 'data.classes',
    'model_dir': 'output.folder',
    'exporters': 'output.keep_best',
    'class_type': 'model.type',
    'module_path': 'model.folder',
    'warm_start_check_point': 'train.warm_start',
    'warm_start_variables_regex': 'train.warm_start_include',
    'early_stopping_metric': 'train.monitor',
    'early_stopping_steps_without_decrease': 'train.patience',
    'early_stopping_min_steps': 'train.minimum_epochs',
    'learning_rate_decay_factor': 'train.decay_rate',
    'num_steps_per_decay': 'train.schedule_steps',
}
# Keys of other kinds of such files for what a file builds on.
_EXTENDING = dict.fromkeys(('extends', 'defaults'), 'write the files that this one builds on as extend')
_APART = ('options', 'feeders', 'options.network')  # made of several keys
ORIGINS = ('dataset', 'train', 'rasters')  # of samples, one of which is given


@functools.cache
def shared_options() -> tuple[str, ...]:
    """Options of architectures that are fields of `TrainOptions`, too."""
    names = {name for architecture in ARCHITECTURES for name in record_of(known(architecture).options).keys}
    return tuple(field.name for field in dataclasses.fields(TrainOptions) if field.name in names)


@functools.cache
def training_fields() -> dict[str, str]:
    """Fields of `TrainJob` that are in `train`, ``options.`` before those of `TrainOptions` -> their key there."""
    names = [*record_of(TrainJob).keys, *(f'options.{name}' for name in record_of(TrainOptions).keys)]
    left = {*PLACES, *_APART, *(f'options.{name}' for name in shared_options())}
    own = {name: name.rpartition('.')[2] for name in names if name not in left}
    return own | {name: key for name, (section, key) in PLACES.items() if section == 'train'}


def places() -> dict[str, tuple[str, str]]:
    """All fields of `TrainJob` that have a key of their own, ``options.`` before those of `TrainOptions` -> section and
    key."""
    return PLACES | {field: ('train', key) for field, key in training_fields().items()}


def run_record(values: Mapping[str, Any]) -> Record:
    """What a run may say.

    Args:
        values: what it says; some settings decide which others there are.
    """
    algorithm = algorithm_of(values)
    common = {'algorithm': Key(Text(tuple(JOBS)), TRAINING)}
    others = {'output': Key(OUTPUT, {}), 'sweep': Key(SWEEP, ABSENT)}
    if algorithm != TRAINING:
        own = {'parameters': Key(_parameters(JOBS[algorithm], _section(values, 'parameters')))}
        said = f'{algorithm} takes parameters in its place'
        elsewhere = dict.fromkeys(('model', 'data', 'train'), said)
        return Record(
            {**common, **own, **others}, elsewhere=_EXTENDING | elsewhere | _within('parameters', own['parameters'])
        )
    task = _section(values, 'model').get('task', TrainJob.task)
    sections = _training(str(_section(values, 'train').get('loss', TrainJob.loss)), task == 'regression')
    elsewhere = {'parameters': f'{TRAINING} takes model, data and train in its place'}
    for name, key in sections.items():
        elsewhere = _within(name, key) | elsewhere
    return Record({**common, **sections, **others}, elsewhere=_EXTENDING | elsewhere)


def algorithm_of(values: Mapping[str, Any]) -> str:
    """Which of `JOBS` a run does; the nearest one where there is none of that name."""
    near = difflib.get_close_matches(str(values.get('algorithm', TRAINING)), JOBS, 1)
    return near[0] if near else TRAINING


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a run says in a section."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _within(section: str, key: Key) -> dict[str, str]:
    """The keys of a section -> where they are, for those who look for them elsewhere."""
    return {name: f'write it as {section}.{name}' for name in _names(key.kind)}


def _names(kind: Any) -> Iterable[str]:
    if isinstance(kind, Tagged):
        return dict.fromkeys(['type', *(name for record in kind.records.values() for name in record.keys)])
    return kind.keys


@functools.cache
def _training(loss: str, regression: bool) -> dict[str, Key]:
    """The sections of a training with a loss, of values or of classes."""
    sections = {'model': Key(_model(), {}), 'data': Key(_data(), {}), 'train': Key(_train(loss, regression), {})}
    told = {name: _within(name, key) for name, key in sections.items()}
    former = {name: f'write it as {place}' for name, place in FORMER.items()}
    for name, key in sections.items():
        others = [texts for other, texts in told.items() if other != name]
        elsewhere = {key: text for texts in (*others, former) for key, text in texts.items()}
        sections[name] = dataclasses.replace(key, kind=_with_elsewhere(key.kind, elsewhere))
    return sections


def _with_elsewhere(kind: Any, elsewhere: dict[str, str]) -> Any:
    if isinstance(kind, Record):
        return dataclasses.replace(kind, elsewhere=elsewhere)
    records = {
        name: dataclasses.replace(record, elsewhere=elsewhere | dict(record.elsewhere))
        for name, record in kind.records.items()
    }
    return dataclasses.replace(kind, records=records)


def _keys(section: str) -> dict[str, Key]:
    """The keys of a section that are fields of the training, by their key there."""
    records = {'': record_of(TrainJob).keys, 'options': record_of(TrainOptions).keys}
    found = {}
    for field, (place, key) in PLACES.items():
        group, _, name = field.rpartition('.')
        if place == section:
            found[key] = records[group][name]
    return found


def _model() -> Tagged:
    """The architecture and its options."""
    common = _keys('model')
    del common['type']
    common['folder'] = dataclasses.replace(common['folder'], default=ABSENT)
    options = {name: record_of(known(name).options).keys for name in ARCHITECTURES}
    records = {
        name: Record({**common, **keys}, what=name, elsewhere=_of_others(name, options))
        for name, keys in options.items()
    }
    singles = record_of(TrainOptions).keys
    shared = {name: dataclasses.replace(singles[name], default=ABSENT) for name in shared_options()}
    return Tagged(records, TrainJob.architecture, own=Record({**common, **shared}, others=Anything()))


def _of_others(name: str, options: Mapping[str, Mapping[str, Key]]) -> dict[str, str]:
    """What to say of options that only other architectures have."""
    found: dict[str, list[str]] = {}
    for other, keys in options.items():
        for key in keys:
            if key not in options[name]:
                found.setdefault(key, []).append(other)
    return {key: f'it is one of {" and ".join(others)}' for key, others in found.items()}


def _data() -> Record:
    """Where samples come from, and how they are looked at."""
    keys = _keys('data')
    for name in ORIGINS:
        if name in keys:
            keys[name] = dataclasses.replace(keys[name], default=ABSENT)
    keys['augment'] = Key(Either((Flag(), dataclasses.replace(record_of(AugmentationSpec), verify=_verify_spec))), True)
    order = ['dataset', *SPLITS, 'rasters']
    keys |= {split: Key(feeder(split), ABSENT) for split in SPLITS}
    keys['rasters'] = dataclasses.replace(keys['rasters'], kind=_rasters(keys['rasters'].kind))
    return Record({name: keys[name] for name in [*order, *(name for name in keys if name not in order)]})


def _rasters(kind: Any) -> Record:
    """Rasters; what they share with the rest of the run follows it where it is not said."""
    keys = dict(kind.keys)
    for name in ('classes', 'values'):
        keys[name] = dataclasses.replace(keys[name], default=ABSENT)
    return Record(keys)


def _verify_spec(values: dict[str, Any]) -> None:
    check_spec(from_dict(AugmentationSpec, values))


def feeder(split: str) -> Tagged:
    """Where samples of a split come from. What the feeder of the training says for the run has no default there."""
    records = {}
    for name, cls in FEEDER_OPTIONS.items():
        record = checked_record(cls, feeder_fault)
        keys = dict(record.keys)
        for key in OF_THE_RUN if split == SPLITS[0] else ():
            keys[key] = dataclasses.replace(keys[key], default=ABSENT)
        records[name] = dataclasses.replace(record, keys=keys, what=name)
    return Tagged(records, alone=('Dataset', 'folder'))


def _train(loss: str, regression: bool) -> Record:
    """How it is trained."""
    records = {'': record_of(TrainJob).keys, 'options': record_of(TrainOptions).keys}
    keys = {}
    for field, key in training_fields().items():
        group, _, name = field.rpartition('.')
        keys[key] = records[group][name]
    table = OF_VALUES if regression else OF_CLASSES
    cls = table.get(next(iter(table)) if loss == TrainJob.loss else loss)
    if cls:
        keys['loss_options'] = Key(dataclasses.replace(record_of(cls), what=f'the loss {loss}', alone=''), {})
    keys['class_weights'] = Key(Either((Text(CLASS_WEIGHTS), Table(Number(least=0)))), TrainOptions.class_weights)
    return Record(keys)


def _parameters(cls: Any, values: Mapping[str, Any]) -> Record:
    """The parameters of a job that is no training of a network of ours."""
    record = record_of(cls)
    keys = dict(record.keys)
    classifier = str(values.get('classifier', record.keys['classifier'].default)) if 'classifier' in keys else ''
    if classifier in CLASSIFIER_OPTIONS:
        options = record_of(CLASSIFIER_OPTIONS[classifier])
        keys['options'] = Key(dataclasses.replace(options, what=f'the classifier {classifier}', alone=''), {})
    return Record(keys)
