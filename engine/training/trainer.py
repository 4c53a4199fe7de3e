"""Training: from samples to a model package with a report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from ..datasets.feeders.feeder import Feeder
from ..errors import write_error
from ..events import Reporter
from ..folder import require_file_place, write_whole
from ..jobs import TrainJob
from ..model_package.package import HISTORY, REPORT, PackageFolder, fill_package, now, write_text
from ..reports.training import training_report
from .card import model_card, training_record
from .checks import check_job
from .devices import is_chief
from .examples import draw_examples
from .history import history_table
from .network import check_network, finished
from .opening import open_material
from .results import Choice, outcome_of
from .state import StateFolder, TrainingFolder
from .training import Training


def train_model(job: TrainJob, reporter: Reporter, feeders: Mapping[str, Feeder] | None = None) -> dict[str, Any]:
    """Train a network on samples and write a model package; see `train_in`.

    The package holds the weights of the best epoch. While it is trained, the state is kept in ``<output>.part``.

    Args:
        feeders: ``train``, ``validation`` and ``test``: where samples come from, such as arrays in memory, in place of
            what the job says.
    """
    return _train(job, TrainingFolder(job.output), reporter, feeders)


def train_in(job: TrainJob, folder: StateFolder, reporter: Reporter) -> dict[str, Any]:
    """Train a network on samples, in a folder that keeps the state and takes what comes out.

    Each epoch takes all samples of the training split once, in an order and changed in ways that follow from the seed
    and the epoch alone. After each one, or as often as options say, the network is judged on the validation split. The
    best weights are those with the best score there (mean intersection over union, mean F1 of patches, or the
    coefficient of determination, unless options name another number); where that split is missing, or lacks a class,
    the last ones.

    As often as options say, and on a cancel, the state is kept, and the same job goes on from there if it was
    interrupted, as if it had not been.

    Args:
        folder: a `state.TrainingFolder` or `runfolder.RunFolder`.

    Returns:
        ``OUTPUT`` the package or run folder, ``BEST`` the best package of a run folder, ``REPORT`` if asked for,
        ``BEST_EPOCH``, ``BEST_SCORE``. Nothing in a process that only helps another one of the same training.

    Raises:
        InvalidJob: options that contradict themselves or the samples.
        DatasetError, LabelError, NoSamples: there is nothing that this network could learn from.
        TrainingDiverged: the loss is not a number any more.
        OutputRefused, DiskFull: the results cannot be written.
    """
    return _train(job, folder, reporter, None)


def _train(
    job: TrainJob, folder: StateFolder, reporter: Reporter, feeders: Mapping[str, Feeder] | None
) -> dict[str, Any]:
    check_job(job, bool(feeders))
    if job.report:
        require_file_place(job.report)
    job = dataclasses.replace(job, output=folder.output)
    folder.writes = is_chief(job.options)
    reporter.writes = folder.writes
    extra = {'REPORT': job.report} if job.report else {}
    with folder:
        known = folder.begin(job)
        if known is not None:
            reporter.log(f'{folder.output}: this has been done before; there is nothing to do.')
            return {**known, **extra} if folder.writes else {}
        reporter.stage(0.0, 0.04)
        material = open_material(job, reporter, feeders)
        check_network(job, material)
        reporter.stage(0.04, 0.96)
        training = Training(job, material, folder, reporter)
        training.fit()
        if not folder.writes:
            for choice in folder.choices(training):  # which takes all processes
                training.take(choice)
            return {}
        reporter.stage(0.96, 1.0)
        report = folder.deliver(training, lambda package, choice: _write(job, training, choice, package, reporter))
        if job.report:
            write_whole(job.report, report)
        folder.finish()
    reporter.log(f'{folder.what}: {folder.output}, its report: {os.path.join(folder.output, REPORT)}')
    return {**folder.values(), 'BEST_EPOCH': training.best_epoch, 'BEST_SCORE': training.best_score, **extra}


def _write(job: TrainJob, training: Training, choice: Choice, package: PackageFolder, reporter: Reporter) -> str:
    """Make a package, all but its name, of weights that there were; returns its report."""
    reporter.progress(0.0, 'Writing the model package')
    reporter.check_cancelled()
    training.take(choice)
    created = now()
    record = training_record(
        job, training.material, training.model.count_params(), training.weights, outcome_of(training), created
    )
    examples = draw_examples(training.shown, training.fitting, training.material.classes)
    report = training_report(record, examples)
    reporter.check_cancelled()
    model = finished(job, training.material, training.model)
    card = model_card(job, training.material, model, created, reporter)
    try:
        write_text(os.path.join(package.part, HISTORY), history_table(training.history))
    except OSError as error:
        raise write_error(job.output, error) from error
    fill_package(package, model, card, record, report)
    return report
