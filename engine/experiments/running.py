"""Runs and sweeps that a file describes, from the file to the package."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import RunExperimentJob
from ..training.runfolder import CONFIGURATION
from .configuration import open_configuration
from .runs import describe, do_run
from .sweeping import BEST, REPORT, RUNS, TABLE, Sweep
from .sweepstate import STATE
from .workfolder import WorkFolder


def run_experiment(job: RunExperimentJob, reporter: Reporter) -> dict[str, Any]:
    """Do the run that a file describes, or all runs of its sweep; what is done already is not done again.

    Returns:
        ``OUTPUT`` the run folder, ``BEST`` the best package; ``BEST_EPOCH``, ``BEST_SCORE``, ``REPORT``, ``HISTORY``
        and, of a sweep, ``TABLE``, as far as the algorithm has them.

    Raises:
        ConfigurationError: the file is faulty; all its faults with file and line.
        OutputRefused: the folder holds what is of no such run, or another process is at work there.
        EngineError: of the algorithm.
    """
    configuration = open_configuration(job.file, job.overrides, trusted=job.trusted, output=job.output)
    if not configuration.output:
        raise InvalidJob(
            f'{job.file}: says nowhere where the results should go. Give a run folder, or "output: FOLDER".'
        )
    if configuration.sweep is None:
        return do_run(configuration, job.restart, reporter)
    with WorkFolder(configuration.output, (CONFIGURATION, STATE, TABLE, REPORT, RUNS, BEST), 'sweep'):
        describe(configuration)
        return Sweep(job, configuration, configuration.sweep, do_run, reporter).run()
