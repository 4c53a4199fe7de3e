"""A dataset of any layout, ours or another program's, written in another layout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import OutputRefused, write_error
from ..events import Reporter
from ..jobs import ConvertDatasetJob
from .folder import DatasetFolder
from .layouts import check_options, write
from .reader import Dataset
from .table import SAMPLES, write_table


def convert_dataset(job: ConvertDatasetJob, reporter: Reporter) -> dict[str, Any]:
    """Write a dataset in another layout: the same samples, in the same order, with all that is known of them.

    Returns:
        ``OUTPUT`` the folder, ``COUNT`` of samples.

    Raises:
        InputMissing, DatasetError: what is to be converted is missing or damaged.
        OutputRefused, DiskFull: the output cannot be written.
    """
    check_options(job.layout)
    require_apart(job.output, job.dataset)
    reporter.stage(0.0, 0.3)
    dataset = Dataset.open(job.dataset, job.labels, reporter)
    if dataset.foreign:
        describe(dataset, reporter)
    reporter.stage(0.3 if dataset.foreign else 0.0, 1.0)
    folder = DatasetFolder(job.output)
    with folder:
        try:
            manifest = write(dataset, folder.part, job.layout, reporter)
            if dataset.foreign:
                write_table(folder.part, dataset.samples)
            else:
                shutil.copyfile(os.path.join(job.dataset, SAMPLES), os.path.join(folder.part, SAMPLES))
            folder.finish_with(manifest)
        except OSError as error:
            raise write_error(job.output, error) from error
    reporter.log(f'{manifest.count} samples written as {job.layout.layout}, files: {len(manifest.shards)}')
    return {'OUTPUT': job.output, 'COUNT': manifest.count}


def describe(dataset: Dataset, reporter: Reporter) -> None:
    """Say what was made out of a folder without a manifest."""
    manifest = dataset.manifest
    sources = ', '.join(f'{source.name} ({_size(source.shape)}, {source.dtype})' for source in manifest.sources)
    labels = f'{manifest.labels.name} ({_size(manifest.labels.shape)})' if manifest.labels else 'none'
    classes = ', '.join(str(definition.value) for definition in manifest.classes)
    reporter.log(f'{dataset.folder} has no manifest. Found in it: {manifest.layout}, {manifest.count} samples')
    reporter.log(f'Images: {sources}. Labels: {labels}{f" with the values {classes}" if classes else ""}')


def _size(shape: tuple[int, int, int]) -> str:
    return f'{shape[1]} x {shape[0]} pixels, {shape[2]} band{"s" if shape[2] > 1 else ""}'


def require_apart(output: str, *inputs: str) -> None:
    """Raise `OutputRefused` where a dataset would be written into one that is read."""
    place = Path(output).resolve()
    for path in inputs:
        folder = Path(path).resolve()
        if place == folder:
            raise OutputRefused(f'{output}: this is the dataset that is read; give another folder for the output.')
        if place.is_relative_to(folder):
            raise OutputRefused(f'{output}: lies within {path}, which is read; give another folder for the output.')
