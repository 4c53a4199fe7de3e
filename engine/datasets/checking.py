"""Whether a dataset is whole: all that is wrong, for people and for programs."""

from __future__ import annotations

import os

from ..errors import DatasetError
from ..events import Reporter
from .filepatterns import folder_of
from .foreign import is_foreign
from .integrity import Problem, full, quick, sealed, strangers
from .manifest import FILE
from .reader import Dataset, look_over
from .soundness import OK, FileReport, Report
from .table import NO_SAMPLES, SAMPLES


def examine(folder: str, thorough: bool, reporter: Reporter) -> tuple[Dataset, list[Problem]]:
    """A dataset, as far as it can be opened, and all that is wrong with it.

    Args:
        folder: where it lies; it may be one of other programs.
        thorough: whether all samples are read and compared with the manifest and the table.
        reporter: hears how far this is, and can stop it.

    Raises:
        InputMissing, DatasetError: there is no dataset, or its manifest cannot be read.
    """
    reporter.stage(0.0, 0.5)
    if is_foreign(folder):
        dataset = Dataset.open(folder, reporter=reporter)
        problems = [*quick(dataset)]
    else:
        dataset, problems = look_over(folder)
        problems += [*sealed(dataset), *strangers(dataset)]
    if thorough and dataset.samples is not NO_SAMPLES:
        reporter.stage(0.5, 0.9)
        problems += full(dataset, {problem.path for problem in problems}, reporter)
    return dataset, problems


def dataset_report(folder: str, full: bool = False, reporter: Reporter | None = None) -> Report:
    """Whether a dataset is what its manifest says.

    Args:
        folder: the dataset, or its manifest.json.
        full: compare everything: SHA-256, values, pixels of classes. Else names, sizes and numbers.
        reporter: hears how far this is, and can stop it.

    Returns:
        A row for the manifest, the table, each file of samples, and each file that is no part of the dataset.

    Raises:
        InputMissing: no such folder.
    """
    folder = os.path.abspath(folder_of(folder, FILE))
    if is_foreign(folder):
        text = 'missing: the samples here are not of Quadrat, so there is nothing to compare them with.'
        return Report((FileReport(FILE, os.path.join(folder, FILE), 'missing', text),))
    try:
        dataset, problems = examine(folder, full, reporter or Reporter())
    except DatasetError as error:
        path = os.path.join(folder, FILE)
        return Report((FileReport(FILE, path, 'faulty', str(error).removeprefix(f'{path}: ')),))
    wrong: dict[str, list[Problem]] = {}
    for problem in problems:
        wrong.setdefault(problem.path, []).append(problem)
    paths = dict.fromkeys([FILE, SAMPLES, *(shard.path for shard in dataset.manifest.shards), *wrong])
    return Report(tuple(_row(dataset, path, wrong.get(path, [])) for path in paths))


def _row(dataset: Dataset, path: str, problems: list[Problem]) -> FileReport:
    """What is wrong with a file; the table tells of the samples, which no other file does alone."""
    return FileReport(
        path,
        os.path.join(dataset.folder, *path.split('/')),
        problems[0].status if problems else OK,
        '; '.join(dict.fromkeys(problem.text.rstrip('.') for problem in problems)) + '.' if problems else OK,
        dataset.count if path == SAMPLES else None,
    )
