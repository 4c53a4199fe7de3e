"""Whether the installation works from end to end: libraries, a run, a model package and maps, in seconds."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

from ..errors import Cancelled, EngineError, OutputRefused, write_error
from ..events import Event, Log, Reporter, Warn
from ..folder import is_passing, names_in, write_whole
from ..jobs import SelfTestJob
from ..records import local_time, versions
from ..worker import failure
from .trials import FILES, Trials

RECORD, REPORT = 'selftest.json', 'report.html'
PASSED, FAILED, OPEN = 'passed', 'failed', 'not done'
_VERSION = 1
_INSTALL = 'Install the engine anew: "Install the engine" in QGIS, or a new environment.'
_PROJ = 'Unset PROJ_LIB, PROJ_DATA and GDAL_DATA, which may name the data of another version, or install GDAL anew.'
_OPENVINO = 'Uninstall OpenVINO (pip uninstall openvino), or choose the runtime tensorflow.'
_FAULT = 'If "Check the engine" finds nothing, this is a fault of Quadrat: please report it with this page.'


@dataclasses.dataclass
class Step:
    """One thing that is tried.

    Attributes:
        name: for people.
        remedy: what to do where it fails.
        result: `PASSED`, `FAILED` or `OPEN`.
        text: what was found, or what is wrong.
    """

    name: str
    remedy: str
    result: str = OPEN
    seconds: float = 0.0
    text: str = ''

    def record(self) -> dict[str, Any]:
        """Plain values; the remedy where it is needed."""
        remedy = self.remedy if self.result == FAILED else ''
        return {**dataclasses.asdict(self), 'seconds': round(self.seconds, 3), 'remedy': remedy}


def self_test(job: SelfTestJob, reporter: Reporter) -> dict[str, Any]:
    """Import everything, do the toy run, train a network on a small image, and map it with each runtime there is.

    Returns:
        ``OUTPUT`` the folder with what was made, ``REPORT`` the page in it, ``SCORE`` of the toy, ``SECONDS``.

    Raises:
        EngineError: a step failed; it says which, and what to do, as the report does.
        OutputRefused: the folder holds what no self-test made.
    """
    test = SelfTest(job.output, reporter)
    test.run()
    reporter.log(f'Self-test passed in {test.seconds:.0f} s; its report: {test.report}')
    return {'OUTPUT': test.folder, 'REPORT': test.report, 'SCORE': test.score, 'SECONDS': round(test.seconds, 1)}


class SelfTest:
    """The steps of a self-test, and what came of them.

    Args:
        folder: is emptied first if it holds an earlier test, and nothing else.

    Attributes:
        report: the page.
        score: of the toy.
        seconds: that it took.
    """

    def __init__(self, folder: str, reporter: Reporter) -> None:
        self.folder = os.path.abspath(folder)
        self.report = os.path.join(self.folder, REPORT)
        self.seconds = 0.0
        self._record = os.path.join(self.folder, RECORD)
        self._reporter = reporter
        self._started = local_time()
        self._trials = Trials(self.folder, Reporter(self._hear, reporter.cancelled))
        trials = self._trials
        self._steps: list[tuple[Step, Callable[[], str]]] = [
            (Step('Libraries', _INSTALL), trials.libraries),
            (Step('Coordinates', _PROJ), trials.coordinates),
            (Step('Run of the toy', _FAULT), trials.toy),
            (Step('Training on an image', _FAULT), trials.training),
            (Step('Map with TensorFlow', _FAULT), trials.map),
            (Step('Map with OpenVINO', _OPENVINO), trials.comparison),
        ]

    @property
    def score(self) -> float:
        return self._trials.score

    def run(self) -> None:
        """Do all steps, up to the first that fails, and write the report.

        Raises:
            EngineError: of the step that failed.
        """
        clock = time.monotonic()
        self._empty()
        self._write(running=True)
        for number, (step, function) in enumerate(self._steps):
            self._reporter.check_cancelled()
            self._reporter.progress(number / len(self._steps), step.name)
            self._do(step, function)
            self.seconds = time.monotonic() - clock
            self._reporter.log(f'{step.name}: {step.result} ({step.seconds:.1f} s). {step.text}')
            if step.result == FAILED:
                self._write()
                raise EngineError(f'Self-test failed: {step.name}: {step.text} {step.remedy} Report: {self.report}')
        self._write()
        self._reporter.progress(1.0)

    def _do(self, step: Step, function: Callable[[], str]) -> None:
        clock = time.monotonic()
        try:
            step.text, step.result = function(), PASSED
        except Cancelled:
            raise
        except Exception as error:
            fault = failure(error)
            step.text, step.result = fault.message, FAILED
            if fault.traceback:
                self._reporter.log(fault.traceback, detail=True)
        step.seconds = time.monotonic() - clock

    def _hear(self, event: Event) -> None:
        """What the jobs say is for the curious: their data are not meant to be good."""
        if isinstance(event, (Log, Warn)):
            self._reporter.log(event.text, detail=True)

    def _empty(self) -> None:
        """Remove an earlier test.

        Raises:
            OutputRefused: there is something else.
        """
        if os.path.lexists(self.folder) and not os.path.isdir(self.folder):
            raise OutputRefused(f'{self.folder}: this is a file; the self-test fills a folder. Give another name.')
        found = [name for name in names_in(self.folder) if not is_passing(name)]
        foreign = [name for name in found if name not in (RECORD, REPORT, *FILES)]
        if foreign or (found and RECORD not in found):
            raise OutputRefused(
                f'{self.folder}: holds {(foreign or found)[0]}, which is of no self-test. Give another folder.'
            )
        try:
            for name in found:
                path = os.path.join(self.folder, name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif name != RECORD:  # by which the folder is known as ours until the new one replaces it
                    os.remove(path)
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise write_error(self.folder, error) from error

    def _write(self, running: bool = False) -> None:
        """The record and, at the end, the page."""
        from ..reports.selftest import self_test_report

        record = {
            'version': _VERSION,
            'passed': all(step.result == PASSED for step, _ in self._steps),
            'running': running,
            'started': self._started,
            'seconds': round(self.seconds, 3),
            'steps': [step.record() for step, _ in self._steps],
            'versions': versions(),
            'devices': self._trials.devices,
        }
        write_whole(self._record, json.dumps(record, indent=1, ensure_ascii=False) + '\n')
        if not running:
            write_whole(self.report, self_test_report(record))
