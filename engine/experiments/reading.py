"""A run from its tree: all its values, the job that they make, and all that is wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ..datasets.feeders.options import OF_THE_RUN
from ..errors import EngineError
from ..jobs import SPLITS, Job, TrainJob
from ..networks.lossoptions import OF_CLASSES, OF_VALUES
from ..networks.registry import require_task
from .checking import Checker, Fault
from .compiling import Values, job_of
from .paths import Path
from .rules import rule_faults
from .schema import ORIGINS, TRAINING, run_record
from .tree import BROKEN, Tree
from .trust import distrust
from .wording import quoted


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was found in a tree.

    Attributes:
        values: complete; empty where they are beyond repair.
        job: None where there are faults.
        faults: by file and line, those of overrides last.
        moved: settings that were given elsewhere -> where.
    """

    values: Values
    job: Job | None
    faults: tuple[Fault, ...]
    moved: Mapping[Path, Path]


def read_run(tree: Tree, trusted: Sequence[str] = ()) -> Reading:
    """Check what a tree says, but for its sweep.

    Args:
        trusted: folders whose code may be run.
    """
    checker = Checker(tree)
    values = checker.check(run_record(tree.values), tree.values, ())
    moved: dict[Path, Path] = {}
    job = None
    if values is not BROKEN:
        if values['algorithm'] == TRAINING:
            moved = _move_to_run(checker, values)
            _check_training(checker, values, trusted)
        _check_rules(checker, values)
        job = None if checker.faults or tree.faults else _job(checker, values)
    faults = sorted(checker.faults, key=lambda fault: (not fault.origin.file, fault.origin.file, fault.origin.line))
    return Reading({} if values is BROKEN else values, job if not faults else None, tuple(faults), moved)


def _job(checker: Checker, values: Values) -> Job | None:
    try:
        return job_of(values)
    except EngineError as error:  # of values that are sound one by one
        checker.fault((), str(error))
        return None


def _move_to_run(checker: Checker, values: Values) -> dict[Path, Path]:
    """What the feeder of the training samples says of batches and order holds for the run.

    Returns:
        The settings of the run -> those of the feeder.
    """
    feeder = values['data'].get(SPLITS[0])
    said = checker.tree.values.get('train')
    moved: dict[Path, Path] = {}
    for name, key in OF_THE_RUN.items() if isinstance(feeder, dict) else ():
        if name not in feeder:
            continue
        value, path = feeder.pop(name), ('data', SPLITS[0], name)
        if isinstance(said, dict) and key in said and said[key] is not BROKEN and values['train'][key] != value:
            also = quoted(values['train'][key])
            checker.fault(path, f'is {quoted(value)}, and train.{key} is {also}; give one of them')
            continue
        values['train'][key] = value
        if not (isinstance(said, dict) and key in said):
            moved['train', key] = path
    return moved


def _check_training(checker: Checker, values: Values, trusted: Sequence[str]) -> None:
    """What the settings of a training have to do with one another."""
    model = values['model']
    _check_origin(checker, values['data'])
    blame = distrust(model['type'], model.get('folder', ''), trusted)
    if blame and ('model', 'folder') not in {fault.path for fault in checker.faults}:
        checker.fault(('model', blame[0]), blame[1])
    table, other = (OF_VALUES, OF_CLASSES) if model['task'] == 'regression' else (OF_CLASSES, OF_VALUES)
    loss = values['train']['loss']
    if loss in other and ('model', 'task') not in checker.broken:
        checker.fault(('train', 'loss'), f'{loss} is no loss for {model["task"]}; those are auto, {", ".join(table)}')
        values['train'] |= {'loss': TrainJob.loss}
    if not checker.broken & {('model', 'type'), ('model', 'task'), ('model',)}:
        _check_task(checker, model)


def _check_rules(checker: Checker, values: Values) -> None:
    """What the job itself knows."""
    job = _probe(values)
    if job is not None:
        for path, message in rule_faults(job, [str(path[-1]) for path in checker.broken if path]):
            checker.fault(_given_place(checker, path), message)


def _given_place(checker: Checker, path: Path) -> Path:
    """Where a setting was given, if a feeder gave it for the run."""
    if path in checker.tree.origins or path[:1] != ('train',):
        return path
    for name, key in OF_THE_RUN.items():
        place: Path = ('data', SPLITS[0], name)
        if path[1:] == (key,) and place in checker.tree.origins:
            return place
    return path


def _check_task(checker: Checker, model: Values) -> None:
    """Whether the architecture can do the task."""
    if ':' in model['type'] or model['task'] == 'regression':
        return
    try:
        require_task(model['type'], model['task'], model['task'] == 'segmentation')
    except EngineError as error:
        checker.fault(('model', 'task' if ('model', 'type') not in checker.tree.origins else 'type'), str(error)[:-1])


def _check_origin(checker: Checker, data: Values) -> None:
    """Samples come from one place."""
    section = checker.tree.values.get('data') or {}
    if not isinstance(section, dict):
        return  # that is told
    given = [name for name in ORIGINS if name in section]
    if not given:
        checker.fault(('data',), 'samples come from nowhere: give dataset, train or rasters')
    for name in given[1:]:
        checker.fault(('data', name), f'samples come from data.{given[0]} already; give one of them')
    for split in SPLITS[1:]:
        if split in data and given and SPLITS[0] not in given:
            checker.fault(('data', split), f'goes with data.{SPLITS[0]}; the splits of a dataset are in it')


def _probe(values: Values) -> Job | None:
    """The job as far as it is known, to ask what it knows itself; the samples of a training come from somewhere."""
    if values['algorithm'] == TRAINING:
        data = dict(values['data'])
        if [name for name in ORIGINS if name in data] != [SPLITS[0]]:
            data = {'dataset': '.', **{name: value for name, value in data.items() if name not in (*ORIGINS, *SPLITS)}}
        values = {**values, 'data': data}
    try:
        return job_of(values)
    except EngineError:
        return None  # its faults are told
