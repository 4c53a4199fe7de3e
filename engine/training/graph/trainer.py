"""Training of a SavedModel by the operations that its graph has for that."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...bundles.folder import BundleFolder
from ...errors import InvalidJob
from ...events import Reporter
from ...folder import require_file_place, write_whole
from ...jobs import TrainSavedModelJob
from ...runtimes.placeholders import parse
from ...runtimes.savedmodel import SERVING
from .checks import check_job
from .data import TRAINING, VALIDATION, Data, load, open_data
from .report import graph_report
from .scoring import ClassTally

if TYPE_CHECKING:
    from .course import Course
    from .session import GraphSession
    from .subject import Subject
    from .wiring import Wiring


def train_saved_model(job: TrainSavedModelJob, reporter: Reporter) -> dict[str, Any]:
    """Train a SavedModel and write it again with the variables that it has then.

    Each epoch takes all samples once, in an order that follows from the seed and the epoch alone; the last batch takes
    what is left.

    Returns:
        ``OUTPUT`` the SavedModel, and ``REPORT`` and ``CONFUSION`` if asked for.

    Raises:
        InvalidJob: options that contradict one another, or the model.
        InputMissing, InputUnreadable, DatasetError, NoSamples, BandMismatch: the samples cannot be had.
        ModelError: the model cannot be loaded or trained, or lacks what is named.
        TrainingDiverged: a loss is not a number any more.
        OutputRefused, DiskFull: the results cannot be written.
    """
    _check(job)
    reporter.progress(0.0, 'Starting TensorFlow')
    from .saving import require_checkpoint_place, write_savedmodel
    from .session import GraphSession
    from .subject import open_subject

    if job.save_to:
        require_checkpoint_place(job.save_to)
    with open_subject(job, reporter) as subject:
        reporter.stage(0.0, 0.05)
        data = open_data(job, reporter)
        folder, place = subject.output()
        reporter.stage(0.05, 0.1)
        with folder, GraphSession(subject.folder, subject.tags, job.seed, reporter) as session:
            session.require_variables()
            if job.restore_from:
                session.restore(job.restore_from)
            course = _course(subject, session, data, reporter)
            if isinstance(folder, BundleFolder):
                folder.copy()
            write_savedmodel(session, place)  # before the work, so that nothing is found out at its end
            reporter.stage(0.1, 0.96)
            clock = time.monotonic()
            course.run()
            facts = {'device': session.device, 'tags': ','.join(session.meta.tags), 'seconds': time.monotonic() - clock}
            reporter.stage(0.96, 1.0)
            reporter.progress(0.0, 'Writing the results')
            write_savedmodel(session, place)
            _write_others(subject.job, session, data, course, facts)
            folder.finish()
    reporter.log(f'Trained model: {job.output}')
    return {name: path for name, path in job.outputs().items() if path}


def _write_others(
    job: TrainSavedModelJob, session: GraphSession, data: Data, course: Course, facts: dict[str, Any]
) -> None:
    """What is asked for besides the model."""
    from .saving import save_checkpoint

    if job.save_to:
        save_checkpoint(session, job.save_to)
    if job.confusion:
        write_whole(job.confusion, _confusion(course))
    if job.report:
        write_whole(job.report, graph_report(job, data, course, facts))


def _check(job: TrainSavedModelJob) -> None:
    """Raise an error for what cannot work with any model."""
    check_job(job)
    for path in filter(None, (job.report, job.confusion)):
        require_file_place(path)
    parse(job.user_placeholders)
    parse(job.validation.user_placeholders)


def _course(subject: Subject, session: GraphSession, data: Data, reporter: Reporter) -> Course:
    """The training, wired up: everything that is named is there, and fits."""
    from .course import Course, Judge
    from .wiring import matched, wire

    job = subject.job
    if not job.target_nodes:
        found = session.trainers() or [name for name in session.meta.signatures if name != SERVING]
        hint = f'such as {" or ".join(found[:3])}.' if found else 'though nothing in it looks as if it did.'
        raise InvalidJob(f'TARGET_NODES: name the operation or the signature that trains {job.model}, {hint}')
    targets = [session.target(name) for name in job.target_nodes]
    signatures = [*subject.signatures, *session.signatures([name for _, name in targets if name])]
    names = matched(session, signatures, data.given, data.own, job.user_placeholders, bool(job.dataset))
    actions = [operation for operations, _ in targets for operation in operations]
    inputs = [name for name in names if name]
    wiring = wire(
        session,
        signatures,
        job.output_tensors,
        inputs,
        job.user_placeholders,
        actions,
        preparations=subject.preparations,
    )
    for own, name in zip(data.own, names):
        reporter.resolve(f'{own} is fed to', name or 'nothing')
        if name not in wiring.inputs:
            reporter.warn(f'{own}: what is trained does not depend on {name or "it"}, so it is not used.')
    shapes = dict(zip(names, data.training.shapes))
    wiring.require_shapes({name: shapes[name] for name in wiring.inputs}, job.batch_size, data.training.count)
    compared, judging = _judging(subject, session, data, names)
    data = load(data, job, reporter)
    judges = {
        title: Judge(samples, judging, compared, data.ignored)
        for title, samples in ((TRAINING, data.training), (VALIDATION, data.validation))
        if judging is not None and samples is not None
    }
    reporter.log(f'{data.training.count} samples to train with, {job.batch_size} a step, on {session.device}.')
    return Course(job, data.training, names, wiring, judges, reporter)


def _judging(
    subject: Subject, session: GraphSession, data: Data, names: Sequence[str]
) -> tuple[list[str], Wiring | None]:
    """What each source is for in validation, and the wiring of its runs; None where there is none."""
    from .wiring import wire

    job = subject.job
    if data.validation is None:
        return [], None
    compared = [other or name for other, name in zip(data.compared, names)]
    outputs = [other for other, name in zip(compared, names) if other != name]
    if not outputs:
        raise InvalidJob(
            f'VALIDATION_MODE {job.validation.mode}: nothing is compared. Give one of VALIDATION_PLACEHOLDER '
            'the name of the output that its source is the reference of.'
        )
    if len(set(outputs)) < len(outputs):
        raise InvalidJob(f'VALIDATION_PLACEHOLDER: {outputs[0]} is named for two sources.')
    wiring = wire(
        session,
        [*subject.signatures, *session.signatures()],
        outputs,
        [other for other, name in zip(compared, names) if other and other == name],
        job.validation.user_placeholders,
        parameter='VALIDATION_USER_PLACEHOLDERS',
        preparations=subject.preparations,
    )
    for samples in (data.training, data.validation):
        shapes = dict(zip(compared, samples.shapes))
        wiring.require_shapes({name: shapes[name] for name in wiring.inputs}, job.batch_size, samples.count)
    return compared, wiring


def _confusion(course: Course) -> str:
    """The confusion matrix of the validation samples after the last epoch."""
    tally = next(iter(course.tallies[VALIDATION].values()))
    return tally.csv() if isinstance(tally, ClassTally) else ''
