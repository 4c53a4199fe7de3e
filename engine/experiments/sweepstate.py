"""What is known of the runs of a sweep, in ``sweep.json``: rewritten as a whole whenever it changes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from typing import Any

from ..errors import InputUnreadable
from ..folder import write_whole
from .search import identity, plain

STATE = 'sweep.json'
WAITING, RUNNING, STOPPED, DONE, FAILED = 'waiting', 'running', 'interrupted', 'done', 'failed'
_VERSION = 1


@dataclasses.dataclass
class Run:
    """One run of a sweep.

    Attributes:
        number: of its folder, from 1.
        settings: its values by dotted key.
        status: `WAITING`, `RUNNING` (or what was killed then), `STOPPED`, `DONE` or `FAILED`.
        score, best_epoch: of its best package; None where there is none.
        split: of the samples that the score is of; empty where the algorithm has none.
        seconds: that were spent on it, in all attempts.
        reason, code: why it failed.
        package: what came of it, relative to the sweep's folder.
        made_of: what its result follows from: settings and files, as plain values.
    """

    number: int
    settings: dict[str, Any]
    status: str = WAITING
    score: float | None = None
    best_epoch: int | None = None
    split: str = ''
    seconds: float = 0.0
    reason: str = ''
    code: str = ''
    package: str = ''
    made_of: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its folder."""
        return f'{self.number:03d}'


@dataclasses.dataclass
class SweepState:
    """All runs of a sweep.

    Attributes:
        measure: what the score is. rising: whether large ones are good.
        published: the number of the run whose package is the sweep's best one; 0: none.
        runs: in the order in which they are done.
    """

    measure: str = ''
    rising: bool = True
    published: int = 0
    runs: list[Run] = dataclasses.field(default_factory=list)

    @property
    def split(self) -> str:
        """The split of the samples that runs are compared by: that of the first one."""
        return next((run.split for run in self.runs if run.status == DONE), '')

    @property
    def best(self) -> Run | None:
        """The run with the best score; of equals the first."""
        first = next(iter(self.ranked()), None)
        return first if first is not None and self.compares(first) else None

    def compares(self, run: Run) -> bool:
        """Whether the score of a run can be compared with that of the others."""
        return run.status == DONE and run.score is not None and run.split == self.split

    def ranked(self) -> list[Run]:
        """The best first, then those that cannot be compared, failed, or are not done, each by number."""

        def rank(run: Run) -> tuple[int, float, int]:
            if self.compares(run) and run.score is not None:
                return 0, -run.score if self.rising else run.score, run.number
            return {DONE: 1, FAILED: 2}.get(run.status, 3), 0.0, run.number

        return sorted(self.runs, key=rank)

    def arrange(self, wanted: list[dict[str, Any]]) -> list[Run]:
        """Make the runs those of these settings, in this order; those that were known before stay as they are.

        Returns:
            The runs that are not wanted any more.
        """
        known = {identity(run.settings): run for run in self.runs}
        last = max((run.number for run in self.runs), default=0)
        runs = []
        for settings in wanted:
            run = known.pop(identity(settings), None)
            if run is None:
                last += 1
                run = Run(last, settings)
            runs.append(run)
        self.runs = runs
        return list(known.values())

    def table(self) -> str:
        """All runs as CSV, ranked."""
        keys = list(dict.fromkeys(key for run in self.runs for key in run.settings))
        stream = io.StringIO()
        rows = csv.writer(stream, lineterminator='\n')
        rows.writerow(['rank', 'run', *keys, 'score', 'best_epoch', 'seconds', 'status', 'reason'])
        for rank, run in enumerate(self.ranked(), 1):
            settings = [plain(run.settings[key]) for key in keys]
            score = '' if run.score is None else repr(run.score)
            epoch = '' if run.best_epoch is None else run.best_epoch
            rows.writerow(
                [
                    rank if self.compares(run) else '',
                    run.name,
                    *settings,
                    score,
                    epoch,
                    f'{run.seconds:.1f}',
                    run.status,
                    run.reason,
                ]
            )
        return stream.getvalue()

    def save(self, folder: str) -> None:
        """Write the state.

        Raises:
            DiskFull, OutputRefused: it cannot be written.
        """
        record = {'version': _VERSION, **dataclasses.asdict(self)}
        write_whole(os.path.join(folder, STATE), json.dumps(record, indent=1, ensure_ascii=False) + '\n')


def load_state(folder: str) -> SweepState | None:
    """The state that an earlier sweep left in a folder, if there is one.

    Raises:
        InputUnreadable: it is damaged.
    """
    path = os.path.join(folder, STATE)
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding='utf-8') as file:
            record = json.load(file)
        if record.pop('version', None) != _VERSION:
            raise ValueError('of another version')
        return SweepState(**{**record, 'runs': [Run(**run) for run in record['runs']]})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputUnreadable(
            f'{path}: cannot be read ({error}). Restart the sweep (--restart, RESTART), or give another folder.'
        ) from error
