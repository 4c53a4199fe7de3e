"""Saying what is in a dataset, and whether it is whole."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import DatasetError, InvalidJob
from ..events import Reporter
from ..folder import require_file_place, write_whole
from ..jobs import CHECKS, InspectDatasetJob
from ..reports.dataset import dataset_lines, dataset_report
from .checking import examine
from .contactsheet import choose, draw
from .contents import contents


def inspect_dataset(job: InspectDatasetJob, reporter: Reporter) -> dict[str, Any]:
    """Tell in the log, and in a report and a contact sheet if asked, what a dataset holds.

    Returns:
        ``COUNT`` of samples, ``REPORT`` and ``CONTACT_SHEET`` if asked for.

    Raises:
        DatasetError: the dataset is damaged. All that is wrong stands in the log, and the report is written all the
            same.
        InputMissing, OutputRefused, DiskFull: nothing to read, or nowhere to write.
    """
    if job.check not in CHECKS:
        raise InvalidJob(f'Check {job.check!r}: choose one of {", ".join(CHECKS)}.')
    for output in (job.report, job.contact_sheet):
        if output:
            require_file_place(output)
    inspection = _Inspection(job, reporter)
    inspection.check()
    values = inspection.write()
    if inspection.problems:
        first = inspection.problems[0]
        more = f' and {len(inspection.problems) - 1} other problems, see the log' if inspection.problems[1:] else ''
        raise DatasetError(f'{os.path.join(job.dataset, first.path)}: {first.text.rstrip(".")}{more}.')
    reporter.log(f'The {job.check} check found nothing wrong.')
    return values


class _Inspection:
    """One inspection: `check`, then `write`."""

    def __init__(self, job: InspectDatasetJob, reporter: Reporter) -> None:
        self._job, self._reporter = job, reporter
        self._dataset, self.problems = examine(job.dataset, job.check == 'full', reporter)

    def check(self) -> None:
        """Say all that is wrong."""
        for problem in self.problems:
            self._reporter.warn(f'{problem.path}: {problem.text}')

    def write(self) -> dict[str, Any]:
        """Write the log, and the report and the contact sheet if asked for."""
        job, found = self._job, contents(self._dataset)
        for line in dataset_lines(found):
            self._reporter.log(line)
        self._reporter.stage(0.9, 1.0)
        sheet = b''
        if job.report or job.contact_sheet:
            chosen = choose(self._dataset, job.patches, job.seed, self._usable())
            sheet = draw(self._dataset, chosen) if chosen else b''
            if not sheet:
                self._reporter.warn('There is no whole sample that could be shown on a contact sheet.')
        if job.contact_sheet and sheet:
            write_whole(job.contact_sheet, sheet)
        if job.report:
            problems = [(problem.path, problem.text) for problem in self.problems]
            write_whole(job.report, dataset_report(found, f'{job.check} check', problems, sheet))
        values = {'REPORT': job.report, 'CONTACT_SHEET': job.contact_sheet, 'COUNT': found['count']}
        return {name: value for name, value in values.items() if value != ''}

    def _damaged(self) -> set[str]:
        return {problem.path for problem in self.problems}

    def _usable(self) -> np.ndarray:
        """Booleans: the samples of which nothing lies in a file with problems."""
        dataset, damaged = self._dataset, self._damaged()
        usable = np.ones(dataset.count, bool)
        for key in dataset.keys:
            there = np.zeros(dataset.count, bool)
            for shard in dataset.manifest.shards:
                if shard.key in ('', key) and shard.path not in damaged:
                    there[dataset.places.samples(shard)] = True
            usable &= there
        return usable
