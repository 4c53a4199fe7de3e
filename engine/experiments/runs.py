"""One run in its folder, whatever the algorithm."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from typing import Any

from ..bundles.folder import ENDINGS, is_bundle
from ..errors import InvalidJob, LabelError
from ..events import Reporter
from ..folder import write_whole
from ..jobs import (
    UNSUPERVISED,
    Job,
    TrainDeepFeaturesJob,
    TrainJob,
    TrainSavedModelJob,
    TrainVectorClassifierJob,
)
from ..model_package.package import HISTORY, REPORT
from ..records import versions
from ..registry import function_for
from ..training.runfolder import CONFIGURATION, LOG, RECORD, VERSION, RunFolder, record_in
from ..training.trainer import train_in
from .configuration import Configuration
from .nodes import fault
from .provenance import differences, made_of
from .rules import told_of_files
from .runlog import RunLog
from .showing import resolved_text
from .workfolder import WorkFolder

MODEL, CLASSIFIER, CONFUSION = 'model', 'classifier.skops', 'confusion.csv'


def do_run(configuration: Configuration, restart: bool, reporter: Reporter) -> dict[str, Any]:
    """Do a run, go on with it, or find that it is done.

    Args:
        restart: forget what an earlier run left in its folder.

    Returns:
        ``OUTPUT`` the run folder and ``BEST`` the package, or whatever else the algorithm makes; ``BEST_EPOCH``,
        ``BEST_SCORE``, ``REPORT`` and ``HISTORY``, as far as the algorithm has them. Nothing in a process that only
        helps another one of the same training.
    """
    if isinstance(configuration.job, TrainJob):
        return _train(configuration, configuration.job, restart, reporter)
    return _other(configuration, restart, reporter)


class _DescribedFolder(RunFolder):
    """A `RunFolder` with configuration and log in it, which nobody writes who does not hold the lock."""

    def __init__(self, configuration: Configuration, restart: bool, log: RunLog) -> None:
        super().__init__(configuration.output, configuration.keep_best, restart)
        self._configuration, self._log = configuration, log

    def __enter__(self) -> _DescribedFolder:
        super().__enter__()
        if self.writes:
            try:
                describe(self._configuration)
                self._log.open()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self


def describe(configuration: Configuration) -> None:
    """Write the configuration into its folder."""
    write_whole(os.path.join(configuration.output, CONFIGURATION), resolved_text(configuration))


def _train(configuration: Configuration, job: TrainJob, restart: bool, reporter: Reporter) -> dict[str, Any]:
    log = RunLog(configuration.output, reporter)
    folder = _DescribedFolder(configuration, restart, log)
    try:
        with log:
            values = train_in(job, folder, log.reporter)
    except (InvalidJob, LabelError) as error:
        path, message = told_of_files(str(error))
        message = fault(configuration.origin(path), path, message) if path else message
        raise type(error)(f'{message}.') from error
    if not folder.writes:
        return values
    files = {'REPORT': os.path.join(folder.home, REPORT), 'HISTORY': os.path.join(folder.home, HISTORY)}
    return {**values, **{name: path for name, path in files.items() if os.path.isfile(path)}}


def _other(configuration: Configuration, restart: bool, reporter: Reporter) -> dict[str, Any]:
    """A run of an algorithm that writes its results in the end, and keeps no state until then."""
    job = placed(configuration.job, configuration.output)
    names = (RECORD, CONFIGURATION, LOG, REPORT, CONFUSION, MODEL, *(MODEL + ending for ending in ENDINGS), CLASSIFIER)
    home, what = configuration.output, f'run of {job.kind}'
    with WorkFolder(home, names, what) as folder, RunLog(home, reporter) as log:
        log.open()
        known = {} if restart else _record(folder.path)
        now = made_of(job)
        changed = differences(known.get('made_of', {}), now)
        if known and not changed and all(os.path.exists(path) for path in known['files']):
            log.reporter.log(f'{folder.path}: this run is done already, with the same settings.')
            return dict(known['values'])
        if known:
            log.reporter.log(f'{folder.path}: done before with other {", ".join(changed)}; it is done again.')
        describe(configuration)
        clock = time.monotonic()
        found = function_for(job)(job, log.reporter)
        values = {**found, 'OUTPUT': folder.path, 'BEST': found['OUTPUT']}
        if 'ACCURACY' in values:
            values['BEST_SCORE'] = values['ACCURACY']
        record = {
            'run': VERSION,
            'algorithm': job.kind,
            'made_of': now,
            'values': values,
            'files': [path for path in job.outputs().values() if path],
            'host': platform.node(),
            'versions': versions(),
            'seconds': round(time.monotonic() - clock, 3),
        }
        write_whole(os.path.join(folder.path, RECORD), json.dumps(record, indent=1, ensure_ascii=False) + '\n')
    return values


def placed(job: Job, folder: str) -> Job:
    """A job with its outputs in a run folder, those that it names elsewhere excepted.

    Raises:
        InvalidJob: runs of such jobs are not known.
    """
    report = os.path.join(folder, REPORT)
    confusion = os.path.join(folder, CONFUSION)
    if isinstance(job, TrainSavedModelJob):
        ending = ENDINGS[0] if is_bundle(job.model) else ''
        return dataclasses.replace(
            job,
            output=os.path.join(folder, MODEL + ending),
            report=job.report or report,
            confusion=job.confusion or (confusion if job.validation.mode == 'class' else ''),
        )
    if isinstance(job, (TrainVectorClassifierJob, TrainDeepFeaturesJob)):
        return dataclasses.replace(
            job,
            output=os.path.join(folder, CLASSIFIER),
            report=job.report or report,
            confusion=job.confusion or ('' if job.classifier in UNSUPERVISED else confusion),
        )
    raise InvalidJob(f'algorithm {job.kind}: is not one of a run.')


def _record(folder: str) -> dict[str, Any]:
    """What an earlier run left; nothing where there was none."""
    found = record_in(folder)
    return found if 'made_of' in found else {}
