"""samples.csv: one row a sample, in the order in which samples are numbered."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterable

import numpy as np

from ..errors import DatasetError

SAMPLES = 'samples.csv'
CLASS_PREFIX = 'class_'


@dataclasses.dataclass(frozen=True)
class SampleTable:
    """The rows of samples.csv, one entry a sample.

    Attributes:
        ids: what the points layer calls the samples.
        x, y: float64 map coordinates of the points, in the dataset's CRS; NaN where nobody knows them.
        images: the raster each patch was cut from.
        splits: names of splits.
        pixels: class value -> int64 number of its pixels in each patch.
    """

    ids: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    images: tuple[str, ...]
    splits: tuple[str, ...]
    pixels: dict[int, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)


NO_SAMPLES = SampleTable((), np.empty(0), np.empty(0), (), (), {})


def read_table(folder: str, count: int) -> SampleTable:
    """samples.csv of a dataset of `count` samples; other columns than ours are passed over.

    Raises:
        DatasetError: it is missing, damaged, or of another number of samples.
    """
    path = os.path.join(folder, SAMPLES)
    try:
        with open(path, encoding='utf-8', newline='') as file:
            rows = csv.DictReader(file)
            columns: dict[str, list[str]] = {name: [] for name in rows.fieldnames or ()}
            for row in rows:
                for name, values in columns.items():
                    values.append(row[name])
        table = SampleTable(
            tuple(columns['id']),
            _coordinates(columns['x']),
            _coordinates(columns['y']),
            tuple(columns['image']),
            tuple(columns['split']),
            {
                int(name[len(CLASS_PREFIX) :]): np.asarray(values, np.int64)
                for name, values in columns.items()
                if name.startswith(CLASS_PREFIX)
            },
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DatasetError(f'{path}: cannot be read ({error}). Make the dataset again.') from error
    if len(table) != count:
        raise DatasetError(f'{path}: {len(table)} samples, the manifest says {count}. Make the dataset again.')
    return table


def write_table(folder: str, table: SampleTable) -> None:
    """Write samples.csv; coordinates that nobody knows are left empty."""
    with open(os.path.join(folder, SAMPLES), 'w', encoding='utf-8', newline='') as file:
        rows = csv.writer(file, lineterminator='\n')
        rows.writerow(['id', 'x', 'y', 'image', 'split', *(f'{CLASS_PREFIX}{value}' for value in table.pixels)])
        counts = [column.tolist() for column in table.pixels.values()]
        places = (_texts(table.x), _texts(table.y))
        rows.writerows(zip(table.ids, *places, table.images, table.splits, *counts))
        file.flush()
        os.fsync(file.fileno())


def _coordinates(texts: Iterable[str]) -> np.ndarray:
    return np.array([float(text) if text else np.nan for text in texts], np.float64)


def _texts(coordinates: np.ndarray) -> list[str]:
    """The shortest texts that give the same numbers when they are read."""
    return ['' if value != value else repr(value) for value in coordinates.tolist()]
