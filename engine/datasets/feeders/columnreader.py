"""The columns of a feeder as what a dataset has: sources and labels, (rows, columns, bands) each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from ...errors import InvalidJob, LabelError
from ..manifest import LabelInfo, SourceInfo, Statistics
from .feeder import Feeder
from .options import ColumnOptions
from .source import Column
from .wanted import Wanted

LABELS, VALUES = 'labels', 'values'  # what is learnt, as classes and as values
_LARGEST = 2**31 - 1  # of class values
_UNLABELLED = -(2**31)  # no class, where nobody names a value for that
_UNKNOWN = Statistics((), (), (), (), ())


class ColumnReader:
    """Reads the columns of a feeder as sources and labels. Threads may share it.

    A number is a pixel of one band, a list of numbers one of as many bands, [rows, columns] an image of one band. The
    names of sources are those of the features, with ``_`` for what no name may have.

    Args:
        feeder: has the columns.
        wanted: what for.

    Attributes:
        sources: without statistics; where values are learnt, these are the last one.
        labels: where classes are learnt.

    Raises:
        InvalidJob: features or labels that no network takes or learns, or that have to be chosen from.
    """

    def __init__(self, feeder: Feeder, wanted: Wanted) -> None:
        source = feeder.source
        self.name = source.name
        self._source, self._chosen = source, feeder.chosen
        self._without = feeder.options.unlabelled if isinstance(feeder.options, ColumnOptions) else None
        learnt = self._learnt(wanted)
        key = (wanted.target or (VALUES if wanted.values else LABELS)) if learnt else ''
        self._columns = dict(self._named(source.features, key))
        self.sources = [self._describe(name, column) for name, column in self._columns.items()]
        self.labels: LabelInfo | None = None
        if learnt:
            column = self._columns[key] = source.labels[learnt]
            rows, cols, bands = self._layout(learnt, column)
            if bands != 1:
                raise InvalidJob(
                    f'{self.name}: {learnt!r} is of the shape {list(column.shape)}; labels are one number a sample, or '
                    'one a pixel.'
                )
            if wanted.values:
                self.sources.append(self._describe(key, column, self._without))
            else:
                self.labels = LabelInfo(key, 'int32', (rows, cols, 1), self._unlabelled)

    @property
    def _unlabelled(self) -> int:
        return _UNLABELLED if self._without is None else self._without

    def read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """(len(indices), rows, columns, bands) of a source or of the labels, in the order asked for."""
        numbers, column = self._chosen[indices], self._columns[key]
        values = column.read(numbers).reshape(len(numbers), *layout(column.shape))
        return self._classes(values, numbers) if self.labels is not None and key == self.labels.name else values

    def _classes(self, values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Labels as int32; what is not a number has none."""
        floating = values.dtype.kind == 'f'
        missing = np.isnan(values) if floating else np.zeros(values.shape, bool)
        whole = (values >= -_LARGEST) & (values <= _LARGEST)
        if floating:
            whole &= np.floor(values) == values
        wrong = ~(whole | missing)
        if wrong.any():
            first = int(numbers[int(wrong.any((1, 2, 3)).argmax())])
            raise LabelError(
                f'{self._source.where(first)}: the label {values[wrong][0]} is no class; classes are whole numbers of '
                'up to 32 bits. Other values are learnt with the task regression.'
            )
        return np.where(missing, self._unlabelled, values).astype(np.int32)

    def _learnt(self, wanted: Wanted) -> str:
        """The name of the labels that are learnt; empty where that is a feature."""
        labels, features = [*self._source.labels], {*self._source.features}
        if wanted.target in labels:
            return wanted.target
        if wanted.values and (wanted.target in features or (not labels and {LABELS, VALUES} & features)):
            return ''
        if wanted.target:
            raise InvalidJob(f'{self.name}: no label {wanted.target!r}; there are {", ".join(labels) or "none"}.')
        if not labels:
            raise InvalidJob(f'{self.name}: has nothing to learn. Name its labels ("labels_map", "labels" or "y").')
        if len(labels) > 1:
            how = 'say which with "target"' if wanted.values else 'leave one'
            raise InvalidJob(f'{self.name}: has the labels {", ".join(labels)}, and one is learnt; {how}.')
        return labels[0]

    def _named(self, features: Mapping[str, Column], taken: str) -> dict[str, Column]:
        """Features by the names of their sources."""
        found: dict[str, Column] = {}
        origin: dict[str, str] = {}
        for name, column in features.items():
            key = re.sub(r'\W', '_', name, flags=re.ASCII)
            if key == taken or not re.match('[A-Za-z]', key):
                key = f'feature_{key}'
            if key in found:
                raise InvalidJob(f'{self.name}: {origin[key]!r} and {name!r} would both be called {key!r}.')
            found[key], origin[key] = column, name
        return found

    def _describe(self, key: str, column: Column, nodata: int | None = None) -> SourceInfo:
        shape = self._layout(key, column)
        names = column.bands or ([key] if shape[2] == 1 else [f'B{band + 1}' for band in range(shape[2])])
        return SourceInfo(
            name=key,
            dtype=column.dtype.name,
            shape=shape,
            bands=tuple(names),
            nodata=('' if nodata is None else str(nodata),) * shape[2],
            nodata_policy='ignore' if nodata is None else 'any',
            pixel_size=(0.0, 0.0),  # nobody says
            rasters=(),
            statistics=_UNKNOWN,
        )

    def _layout(self, name: str, column: Column) -> tuple[int, int, int]:
        """(rows, columns, bands) of a column, or `InvalidJob` where it has none."""
        if column.dtype.kind == 'c':
            raise InvalidJob(f'{self.name}: {name!r} has complex numbers, and networks take real ones.')
        if column.dtype.kind not in 'iufb':
            raise InvalidJob(
                f'{self.name}: {name!r} is text, and networks take numbers. Describe a picture as ImageFeature, and '
                'leave other text out.'
            )
        if len(column.shape) > 3 or not math.prod(column.shape):
            raise InvalidJob(
                f'{self.name}: {name!r} is of the shape {list(column.shape)}; networks take a number, a list of '
                'numbers, [rows, columns] or [rows, columns, bands].'
            )
        return layout(column.shape)


def layout(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(rows, columns, bands) of an array of up to three axes."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    rows, cols, bands = [1] * (3 - len(shape)) + [*shape]
    return rows, cols, bands
