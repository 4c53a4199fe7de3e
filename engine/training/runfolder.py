"""The folder of a run: what it keeps, and all that comes out of it.

::

    run.lock       who is at work here
    run.json       what was asked for, how far it is, and what it gave
    checkpoint/    the state, and the weights of the best epochs: they stay, so that more epochs can follow
    logs/          for TensorBoard
    history.csv    a row for each epoch, as far as the state goes
    report.html    of the best weights
    best/ best-2/ …  final/    model packages: of the best weights, the second best ones …, and the last ones
    config.yaml    the configuration, and log.txt what was said, where a file described the run
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from ..errors import InvalidJob, OutputRefused, write_error
from ..folder import final_name, is_passing, names_in, write_whole
from ..jobs import TrainJob
from ..model_package.card import ITEM
from ..model_package.package import HISTORY, LOGS, REPORT, PackageFolder
from ..records import finite, input_fingerprints, local_time, versions
from .fingerprint import LENGTH, settings_of
from .history import history_table, is_log
from .lock import FolderLock
from .results import Choice, stopped
from .state import CHECKPOINT, Fill, State, StateFolder, is_state

if TYPE_CHECKING:
    from .training import Training

LOCK, RECORD, CONFIGURATION = 'run.lock', 'run.json', 'config.yaml'
BEST, FINAL = 'best', 'final'
LOG = 'log.txt'
_FILES = (LOCK, RECORD, CONFIGURATION, LOG, HISTORY, REPORT)
_PACKAGE = re.compile(rf'({BEST}|{BEST}-\d+|{FINAL})$')
VERSION = 1  # of `RECORD`


class RunFolder(StateFolder):
    """A folder in which one training is done; the same one again goes on, or is said to be done. A context manager.

    Args:
        path: the folder; it is made.
        keep_best: number of packages of the best weights.
        restart: forget what an earlier run left. Its packages stay until there are new ones.
        writes: see `StateFolder`.

    Raises, on entry:
        OutputRefused: it holds what is not ours, or another process is at work there.
    """

    what = 'Run'
    free = LENGTH

    def __init__(self, path: str, keep_best: int = 1, restart: bool = False, writes: bool = True) -> None:
        if keep_best < 1:
            raise InvalidJob(f'keep_best {keep_best}: must be 1 or more.')
        home = os.path.abspath(path)
        super().__init__(home, home, os.path.join(home, CHECKPOINT), os.path.join(home, LOGS), writes)
        self.keep_best, self.resumes = keep_best, not restart
        self._lock = FolderLock(self._place(LOCK))
        self._record: dict[str, Any] = {}
        self._names: list[str] = []

    def __enter__(self) -> RunFolder:
        if not self.writes:
            return self
        self._refuse_foreign()
        try:
            os.makedirs(self.home, exist_ok=True)
        except OSError as error:
            raise write_error(self.home, error) from error
        self._lock.__enter__()
        try:
            for name in {*filter(_PACKAGE.match, names_in(self.home)), BEST, FINAL}:
                with PackageFolder(self._place(name)):
                    pass  # refused now, and not when all is done
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    def begin(self, job: TrainJob) -> Optional[dict[str, Any]]:
        """See `StateFolder.begin`."""
        known = record_in(self.home)
        settings = settings_of(job)
        self._record = {
            'run': VERSION,
            'finished': None,
            'epochs': {'asked': job.epochs, 'done': 0},
            'seed': job.seed,
            'keep_best': self.keep_best,
            'settings': {key: value for key, value in settings.items() if key not in LENGTH},
            'length': {key: settings[key] for key in LENGTH},
            'inputs': input_fingerprints(job),
            'host': platform.node(),
            'started': local_time(),
        }
        if self.resumes and job.resume and self._is_done(known):
            self._record = known
            if job.report and self.writes:
                with open(self._place(REPORT), encoding='utf-8') as file:
                    write_whole(job.report, file.read())
            return self.values()
        return None

    def save(self, state: State, fingerprint: dict[str, Any], best: Any) -> None:
        """See `StateFolder.save`."""
        super().save(state, fingerprint, best)
        self._write_record(state, fingerprint)

    def choices(self, training: Training) -> list[Choice]:
        """See `StateFolder.choices`."""
        return [*training.choices, training.last]

    def deliver(self, training: Training, fill: Fill) -> str:
        """See `StateFolder.deliver`."""
        choices = self.choices(training)
        self._names = [BEST, *(f'{BEST}-{number}' for number in range(2, len(choices))), FINAL]
        self._record['values'] = {'BEST_EPOCH': training.best_epoch, 'BEST_SCORE': training.best_score}
        self._record['stopped'] = stopped(training)
        self._write_record(dataclasses.replace(training.state, seconds=training.seconds), training.fingerprint)
        pages = []
        for name, choice in zip(self._names, choices):
            package = PackageFolder(self._place(name))
            with package:
                pages.append(fill(package, choice))
                package.finish()
        write_whole(self._place(REPORT), pages[0])
        return pages[0]

    def finish(self) -> None:
        """See `StateFolder.finish`."""
        there = {final_name(name) for name in names_in(self.home) if _PACKAGE.match(final_name(name))}
        for name in there - set(self._names):
            with PackageFolder(self._place(name)):  # refuses what is none, and removes the rest of an unfinished one
                for old in (name, f'{name}.old'):
                    if os.path.isdir(self._place(old)):
                        shutil.rmtree(self._place(old))
        self._record['finished'] = local_time()
        self._write()

    def values(self) -> dict[str, Any]:
        """The folder, the best package, and what that is."""
        return {'OUTPUT': self.home, 'BEST': self._place(BEST), **self._record.get('values', {})}

    def _place(self, *names: str) -> str:
        return os.path.join(self.home, *names)

    def _refuse_foreign(self) -> None:
        if os.path.lexists(self.home) and not os.path.isdir(self.home):
            raise OutputRefused(f'{self.home}: this is a file; a run has a folder. Give another name.')
        names = _asked(self.home)
        ours = {name.removesuffix('.part') for name in names}
        if ours - {CONFIGURATION} and not ours & {LOCK, RECORD}:
            raise OutputRefused(f'{self.home}: the folder is not empty and holds no run of Quadrat. Give another one.')
        foreign = [name for name in names if not _is_ours(name)]
        foreign += [name for name in _asked(self.checkpoints) if not is_state(name)]
        for part in _asked(self.logs):
            within = [os.path.join(part, name) for name in _asked(os.path.join(self.logs, part))]
            foreign += [name for name in (part, *within) if not is_log(name)]
        if foreign:
            raise OutputRefused(
                f'{self.home}: holds {foreign[0]}, which is no part of a run. Move it elsewhere, or give another '
                'folder.'
            )

    def _is_done(self, known: dict[str, Any]) -> bool:
        """Whether an earlier run was what this one is to be, and has all its results."""
        same = all(known.get(key) == self._record[key] for key in ('keep_best', 'settings', 'inputs'))
        if not (known.get('finished') and same):
            return False
        try:
            long_enough = known['epochs']['done'] >= self._record['epochs']['asked']
            packages = {BEST, FINAL, *(entry['package'] for entry in known['best'])}
        except (KeyError, TypeError):  # somebody has written there
            return False
        files = (REPORT, *(os.path.join(name, ITEM) for name in packages))
        whole = all(os.path.isfile(self._place(name)) for name in files)
        return whole and (long_enough or known.get('length') == self._record['length'])

    def _write_record(self, state: State, fingerprint: dict[str, Any]) -> None:
        names = [BEST, *(f'{BEST}-{number}' for number in range(2, len(state.best) + 1))]
        best = [{'package': name, **entry} for name, entry in zip(names, state.best)]
        self._record.update(
            epochs={'asked': state.epochs, 'done': state.epoch},
            step=state.steps,
            best=best,
            resumed=state.resumed,
            seconds=round(state.seconds, 3),
            samples=fingerprint['samples'],
            versions=versions(),
        )
        write_whole(self._place(HISTORY), history_table(state.history))
        self._write()

    def _write(self) -> None:
        write_whole(self._place(RECORD), json.dumps(finite(self._record), indent=1, ensure_ascii=False) + '\n')


def record_in(folder: str) -> dict[str, Any]:
    """What run.json in a folder says; nothing where there is none, or none that can be read."""
    try:
        with open(os.path.join(folder, RECORD), encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get('run') == VERSION else {}


def _asked(folder: str) -> list[str]:
    """What somebody put into a folder."""
    return [name for name in names_in(folder) if not is_passing(name)]


def _is_ours(name: str) -> bool:
    """Whether a run folder may hold this name."""
    if name in (CHECKPOINT, LOGS) or name.removesuffix('.part') in _FILES:
        return True
    return _PACKAGE.match(final_name(name)) is not None
