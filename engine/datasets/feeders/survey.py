"""One reading of samples: statistics of their sources, values of their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ...errors import LabelError
from ...events import Reporter
from ...nodata import valid_pixels
from ...raster import unformat_nodata
from ..manifest import LabelInfo, SourceInfo
from ..statistics import RunningStatistics
from ..tally import MOST_VALUES

_AT_ONCE = 64  # samples read together
Read = Callable[[str, np.ndarray], np.ndarray]  # name and numbers of samples -> (samples, rows, columns, bands)


def survey(
    read: Read, count: int, sources: Sequence[SourceInfo], labels: LabelInfo | None, reporter: Reporter
) -> tuple[tuple[SourceInfo, ...], tuple[int, ...]]:
    """Read samples once.

    Args:
        read: gives them.
        count: their number.
        sources: those whose statistics are wanted.
        labels: those whose values are wanted; None: none are.

    Returns:
        The sources with their statistics, and the values of the labels in ascending order.

    Raises:
        LabelError: labels have so many values that they are no classes.
    """
    running = {source.name: RunningStatistics(source.shape[2]) for source in sources}
    values: set[int] = set()
    for start in range(0, count if sources or labels else 0, _AT_ONCE):
        reporter.check_cancelled()
        reporter.progress(start / count, 'Looking at the samples')
        indices = np.arange(start, min(start + _AT_ONCE, count))
        for source in sources:
            pixels = read(source.name, indices)
            valid = valid_pixels(pixels, unformat_nodata(source.nodata), source.nodata_policy)
            running[source.name].add_many(pixels, valid)
        if labels:
            values.update(np.unique(read(labels.name, indices)).tolist())
            if len(values - {labels.unlabelled}) > MOST_VALUES:
                raise LabelError(
                    f'{labels.name}: more than {MOST_VALUES} different values. Are these classes? Name them, or learn '
                    'values with the task regression.'
                )
    found = tuple(dataclasses.replace(source, statistics=running[source.name].result()) for source in sources)
    return found, tuple(sorted(values - {labels.unlabelled if labels else None}))
