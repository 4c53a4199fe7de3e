"""Jobs from the values of a run, and the values of a run from jobs."""

from __future__ import annotations

from typing import Any

from ..datasets.feeders.options import OF_THE_RUN
from ..jobs import SPLITS, Job, TrainJob, TrainOptions, from_dict
from .derivation import plain, record_of
from .kinds import Kind, Record
from .reducing import reduced
from .schema import JOBS, TRAINING, places, run_record, shared_options, training_fields

Values = dict[str, Any]

_MAIN = ('epochs', 'batch_size', 'learning_rate', 'seed')  # always told


def job_of(values: Values) -> Job:
    """The job of a run.

    Args:
        values: complete and sound, as `reading` leaves them.
    """
    if values['algorithm'] == TRAINING:
        return _training(values)
    cls = JOBS[values['algorithm']]
    options = _kinds(values)['parameters'].keys.get('options')
    given = dict(values['parameters'])
    if options:
        given['options'] = reduced(options.kind, given['options'])
    return from_dict(cls, {**given, 'output': ''})


def values_of(job: Job) -> Values:
    """What a run says that does this job: what differs from the defaults, and what everybody looks for."""
    found: Values = {'algorithm': job.kind}
    if isinstance(job, TrainJob):
        return {**found, **_sections(job)}
    cls: Any = type(job)
    given = plain(job)
    least = reduced(record_of(cls), given)
    keys = [name for name in record_of(cls).keys if name in least or name in _MAIN]
    found['parameters'] = {name: least.get(name, given[name]) for name in keys}
    return found


def _kinds(values: Values) -> dict[str, Any]:
    """The kinds of the sections."""
    return {name: key.kind for name, key in run_record(values).keys.items()}


def _training(values: Values) -> TrainJob:
    sections = _kinds(values)
    fields: Values = {'dataset': '', 'output': ''}
    options: Values = {}
    for field, (section, key) in places().items():
        group, _, name = field.rpartition('.')
        if key in values[section]:
            (options if group else fields)[name] = values[section][key]
    options |= _architecture(sections['model'], values['model'])
    options['loss'] = reduced(sections['train'].keys['loss_options'].kind, options['loss'])
    if isinstance(options['augment'], dict):
        spec = sections['data'].keys['augment'].kind.kinds[1]
        options['augment'] = reduced(spec, options['augment']) or True
    if 'windows' in fields:
        fields['windows'] = {**implied(values), **fields['windows'], 'output': ''}
    fields['feeders'] = _feeders(sections['data'], values['data'])
    return from_dict(TrainJob, {**fields, 'options': options})


def implied(values: Values) -> Values:
    """What follows for rasters from the rest of the run where they do not say it."""
    return {'classes': values['data']['classes'], 'values': values['model']['task'] == 'regression'}


def _architecture(kind: Kind, model: Values) -> Values:
    """The options of the architecture, as `TrainOptions` has them."""
    least = reduced(kind, model)
    given = {name: value for name, value in least.items() if name not in ('type', 'task', 'folder')}
    own = {name: value for name, value in given.items() if name in shared_options()}
    return {**own, 'network': {name: value for name, value in given.items() if name not in own}}


def _feeders(kind: Record, data: Values) -> Values | None:
    """The feeders, if there are any."""
    if SPLITS[0] not in data:
        return None
    found = {}
    for split in SPLITS:
        if split in data:
            least = reduced(kind.keys[split].kind, data[split])
            found[split] = {'type': least.pop('type'), 'options': least}
    return found


def _sections(job: TrainJob) -> Values:
    """The sections of a training, each with what differs from the defaults."""
    found: Values = {'model': {'type': job.architecture}, 'data': {}, 'train': {}}
    for field, (section, key) in places().items():
        group, _, name = field.rpartition('.')
        value = getattr(job.options if group else job, name)
        if value != getattr(TrainOptions() if group else TrainJob('', ''), name) or key in _MAIN:
            found[section][key] = plain(value)
    for name in shared_options():
        if getattr(job.options, name) is not None:
            found['model'][name] = getattr(job.options, name)
    found['model'] |= plain(job.options.network)
    for split in SPLITS if job.feeders else ():
        spec = getattr(job.feeders, split)
        if spec:
            found['data'][split] = {'type': spec.type, **plain(spec.options)}
    _move_to_run(found)
    kinds = _kinds(found)['data'].keys
    if 'classes' in found['data']:
        found['data']['classes'] = reduced(kinds['classes'].kind, found['data']['classes'])
    if job.windows:
        found['data']['rasters'] = _rasters(kinds['rasters'].kind, job)
    for section, order in (('data', kinds), ('train', training_fields().values())):
        found[section] = {name: found[section][name] for name in order if name in found[section]}
    return found


def _move_to_run(found: Values) -> None:
    """What the feeder of the training samples says for the run."""
    feeder = found['data'].get(SPLITS[0], {})
    for name, key in OF_THE_RUN.items():
        if name in feeder:
            found['train'][key] = feeder.pop(name)


def _rasters(kind: Record, job: TrainJob) -> Values:
    """An extraction without what follows from the rest of the run."""
    given = plain(job.windows)
    follows = implied({'data': {'classes': plain(job.classes)}, 'model': {'task': job.task}})
    left = {name: value for name, value in given.items() if name in kind.keys}
    for name, value in follows.items():
        if left[name] == value:
            del left[name]
    return reduced(kind, left)
