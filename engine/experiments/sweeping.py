"""A sweep: runs that differ in a few settings, one after another, and how good each of them is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ..errors import Cancelled, ConfigurationError, DiskFull, EngineError, InvalidJob, OutputRefused, TrainingDiverged
from ..events import Reporter
from ..folder import write_together
from ..jobs import RunExperimentJob, TrainJob
from ..reports.accuracy import WORDS
from ..reports.sweep import sweep_report
from ..training.fresh import forget_networks
from ..worker import failure
from .bestcopy import publish
from .configuration import Configuration, open_configuration
from .provenance import differences, made_of
from .scoring import Score, measure_of, score_of
from .search import combinations, override, plain, words
from .sweepspec import SweepSpec
from .sweepstate import DONE, FAILED, RUNNING, STOPPED, WAITING, Run, SweepState, load_state

RUNS, BEST, TABLE, REPORT = 'runs', 'best', 'sweep.csv', 'sweep.html'
_RESULTS = (TrainingDiverged.code, ConfigurationError.code, InvalidJob.code)  # failures that would come again
_FATAL = (DiskFull.code, OutputRefused.code)  # failures that all further runs would share

OneRun = Callable[[Configuration, bool, Reporter], dict[str, Any]]


class Sweep:
    """The runs of a sweep, in a folder that nobody else works in.

    Args:
        job: what was asked for.
        configuration: what its file says.
        spec: the sweep in it.
        one_run: does a run in its folder: (configuration, whether to forget an earlier one, reporter) -> its outputs.

    Attributes:
        state: what is known of all runs.
    """

    def __init__(
        self,
        job: RunExperimentJob,
        configuration: Configuration,
        spec: SweepSpec,
        one_run: OneRun,
        reporter: Reporter,
    ) -> None:
        if isinstance(configuration.job, TrainJob) and configuration.job.options.strategy == 'workers':
            raise InvalidJob('sweep: its runs are done in one process; train.strategy cannot be workers.')
        self._job, self._configuration, self._spec = job, configuration, spec
        self._one_run, self._reporter = one_run, reporter
        self._folder = configuration.output
        self._measure = measure_of(configuration.job, spec.parameters)
        self._told: set[str] = set()
        self.state = (None if job.restart else load_state(self._folder)) or SweepState()

    def run(self) -> dict[str, Any]:
        """Do all runs that are not done.

        Returns:
            ``OUTPUT`` the folder, ``BEST`` its best package, ``BEST_EPOCH`` and ``BEST_SCORE`` of that, ``TABLE`` and
            ``REPORT`` of all runs.

        Raises:
            Cancelled, DiskFull, OutputRefused: the sweep can go on later.
            EngineError: no run came to an end.
        """
        self._arrange()
        runs = self.state.runs
        for number, run in enumerate(runs):
            share = number / len(runs), (number + 1) / len(runs)
            self._reporter.stage(*share)
            self._reporter.progress(0.0, f'Run {number + 1} of {len(runs)}')
            self._do(run, self._reporter.within(*share))
        self._reporter.stage(0.0, 1.0)
        self._reporter.progress(1.0)
        return self._result()

    def _arrange(self) -> None:
        """Find out which runs there are, and say so."""
        state, wanted = self.state, combinations(self._spec)
        if len(wanted) < self._spec.count:
            self._reporter.warn(
                f'sweep.count {self._spec.count}: there are only {len(wanted)} combinations; each is tried once.'
            )
        dropped = state.arrange(wanted)
        if dropped:
            names = ', '.join(run.name for run in dropped)
            self._reporter.warn(f'Runs that this sweep does not ask for any more stay in {RUNS}: {names}.')
        measure = self._measure
        if (state.measure, state.rising) != (measure.name, measure.rising):
            # What was done has to be scored anew.
            state.measure, state.rising, state.published = measure.name, measure.rising, 0
            for run in state.runs:
                run.status = STOPPED if run.status == DONE else run.status
        done = sum(run.status == DONE for run in state.runs)
        known = f'; {done} of them are done' if done else ''
        self._reporter.log(f'Sweep of {len(wanted)} runs over {", ".join(self._spec.parameters)}{known}')
        self._write()

    def _do(self, run: Run, reporter: Reporter) -> None:
        """Do a run, unless it is done already as it would be done now."""
        begun: float | None = None
        try:
            configuration = self._open(run)
            now = made_of(configuration.job)
            if self._stands(run, now):
                return
            begun = time.monotonic()
            reporter.log(f'Run {run.name}: {words(run.settings)}')
            restart = self._job.restart and run.status == WAITING
            self._begin(run, now)
            values = self._one_run(configuration, restart, reporter)
            self._note(run, score_of(self._measure, configuration.job, values), values)
        except Cancelled:
            run.status = STOPPED
            raise
        except Exception as error:
            self._fail(run, error)
        finally:
            if begun is not None:
                run.seconds += time.monotonic() - begun
            self._write()

    def _open(self, run: Run) -> Configuration:
        """The run as a configuration of its own."""
        job = self._job
        settings = [override(key, value) for key, value in run.settings.items()]
        output = os.path.join(self._folder, RUNS, run.name)
        return open_configuration(job.file, (*job.overrides, *settings, '~sweep'), trusted=job.trusted, output=output)

    def _stands(self, run: Run, now: dict[str, Any]) -> bool:
        """Whether what is known of a run is what it would give now; of what has changed people are told once."""
        if run.status not in (DONE, FAILED):
            return False
        changed = differences(run.made_of, now)
        if changed and run.status == DONE:
            text = f'{", ".join(changed)}: changed since runs of this sweep were done; they are brought up to date.'
            if text not in self._told:
                self._reporter.warn(text)
            self._told.add(text)
        if run.status == FAILED:
            return not changed and run.code in _RESULTS
        return not changed and os.path.exists(os.path.join(self._folder, run.package))

    def _begin(self, run: Run, now: dict[str, Any]) -> None:
        if self.state.published == run.number:
            self.state.published = 0
        run.status, run.made_of = RUNNING, now
        run.score, run.best_epoch, run.reason, run.code = None, None, '', ''
        self.state.save(self._folder)
        forget_networks()

    def _note(self, run: Run, score: Score, values: dict[str, Any]) -> None:
        """A run came to its end."""
        state = self.state
        run.status, run.score, run.best_epoch, run.split = DONE, score.value, score.epoch, score.split
        run.package = os.path.relpath(values.get('BEST', values['OUTPUT']), self._folder)
        if run.split != state.split:
            run.reason = f'judged by the split {run.split}, the others by {state.split}: not to be compared'
            self._reporter.warn(f'Run {run.name}: {run.reason}.')
        number = 'none' if run.score is None else f'{run.score:.4f}'
        self._reporter.log(f'Run {run.name}: {WORDS[state.measure]} {number}')

    def _fail(self, run: Run, error: Exception) -> None:
        """A run came to no end; raises what would be in the way of all others, too."""
        fault = failure(error)
        if fault.code in _FATAL:
            run.status = STOPPED
            raise error
        run.status, run.reason, run.code = FAILED, fault.message, fault.code
        if fault.traceback:
            self._reporter.log(fault.traceback, detail=True)
        self._reporter.warn(f'Run {run.name} failed: {fault.message} The sweep goes on.')

    def _write(self) -> None:
        """Everything that is known now: the state, the tables, and the best package."""
        state, best, place = self.state, self.state.best, os.path.join(self._folder, BEST)
        if best is not None and (best.number != state.published or not os.path.isdir(place)):
            publish(os.path.join(self._folder, best.package), place)
            state.published = best.number
        state.save(self._folder)
        write_together(
            {os.path.join(self._folder, TABLE): state.table(), os.path.join(self._folder, REPORT): self._report()}
        )

    def _report(self) -> str:
        state, best = self.state, self.state.best
        runs = [
            {
                'number': run.number,
                'name': run.name,
                'settings': {key: plain(value) for key, value in run.settings.items()},
                'values': run.settings,
                **{key: getattr(run, key) for key in ('score', 'best_epoch', 'seconds', 'status', 'reason')},
            }
            for run in state.ranked()
        ]
        record = {
            'measure': ' on '.join(filter(None, (WORDS.get(state.measure, ''), state.split))),
            'best': best.number if best else None,
            'keys': list(self._spec.parameters),
            'runs': runs,
        }
        name = os.path.basename(self._folder)
        how = 'all combinations' if self._spec.method == 'grid' else f'drawn at random, seed {self._spec.seed}'
        return sweep_report(f'Sweep {name}', f'{len(runs)} runs, {how} · {self._configuration.file}', record)

    def _result(self) -> dict[str, Any]:
        best, runs = self.state.best, self.state.runs
        report = os.path.join(self._folder, REPORT)
        failed = [run for run in runs if run.status == FAILED]
        if len(failed) == len(runs):
            raise EngineError(f'All {len(runs)} runs failed, the first one so: {failed[0].reason} Report: {report}')
        values: dict[str, Any] = {'OUTPUT': self._folder}
        if best is None:
            self._reporter.warn('No run has a score, so none is the best one.')
        else:
            values['BEST'] = os.path.join(self._folder, BEST)
            values.update({'BEST_EPOCH': best.best_epoch} if best.best_epoch is not None else {})
            values['BEST_SCORE'] = best.score
            self._reporter.log(
                f'Best is run {best.name} with {WORDS[self.state.measure]} {best.score:.4f}: {words(best.settings)}; '
                f'its package: {values["BEST"]}'
            )
        return {**values, 'TABLE': os.path.join(self._folder, TABLE), 'REPORT': report}
