"""Training: from samples to a model package with a report."""

from __future__ import annotations

import os
from typing import Any

from ..events import Reporter
from ..folder import write_whole
from ..gdalio import write_error
from ..jobs import TrainJob
from ..model_package.package import HISTORY, REPORT, fill_package, now, write_text
from ..reports.html import require_report_place
from ..reports.training import training_report
from .card import model_card, training_record
from .checks import check_job
from .devices import is_chief
from .examples import draw_examples
from .history import history_table
from .network import check_network, finished
from .opening import open_material
from .state import TrainingFolder
from .training import Training


def train_model(job: TrainJob, reporter: Reporter) -> dict[str, Any]:
    """Train a network on samples and write a model package.

    Each epoch takes all samples of the training split once, in an order and changed in ways that follow from the seed
    and the epoch alone, and is then judged on the validation split. The package holds the weights of the epoch with
    the best score there (mean intersection over union, mean F1 of patches, or the coefficient of determination); where
    that split is missing, or lacks a class, those of the last.

    After each epoch the state is kept in ``<output>.part``, and the same job goes on from there if it was interrupted,
    as if it had not been.

    Returns:
        ``OUTPUT`` the package, ``REPORT`` if asked for, ``BEST_EPOCH``, ``BEST_SCORE``. Nothing in a process that only
        helps another one of the same training.

    Raises:
        InvalidJob: options that contradict themselves or the samples.
        DatasetError, LabelError, NoSamples: there is nothing that this network could learn from.
        TrainingDiverged: the loss is not a number any more.
        OutputRefused, DiskFull: the package cannot be written.
    """
    check_job(job)
    if job.report:
        require_report_place(job.report)
    folder = TrainingFolder(job.output, writes=is_chief(job.options))
    reporter.writes = folder.writes
    with folder:
        reporter.stage(0.0, 0.04)
        material = open_material(job, reporter)
        check_network(job, material)
        reporter.stage(0.04, 0.96)
        training = Training(job, material, folder, reporter)
        training.fit()
        if folder.writes:
            reporter.stage(0.96, 1.0)
            _write(job, training, folder, reporter)
            folder.finish()
    if not folder.writes:
        return {}
    reporter.log(f'Model package: {job.output}, its report: {os.path.join(job.output, REPORT)}')
    values = {'OUTPUT': job.output, 'BEST_EPOCH': training.best_epoch, 'BEST_SCORE': training.best_score}
    return {**values, **({'REPORT': job.report} if job.report else {})}


def _write(job: TrainJob, training: Training, folder: TrainingFolder, reporter: Reporter) -> None:
    """Make the package, all but its name."""
    reporter.progress(0.0, 'Writing the model package')
    created = now()
    record = training_record(
        job, training.material, training.model.count_params(), training.weights, training.outcome(), created
    )
    examples = draw_examples(training.shown, training.fitting, training.material.classes)
    report = training_report(record, examples)
    reporter.check_cancelled()
    model = finished(job, training.material, training.model)
    card = model_card(job, training.material, model, created, reporter)
    try:
        write_text(os.path.join(folder.package.part, HISTORY), history_table(training.history))
    except OSError as error:
        raise write_error(job.output, error) from error
    fill_package(folder.package, model, card, record, report)
    if job.report:
        write_whole(job.report, report)
