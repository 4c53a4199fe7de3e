"""How many pixels of each label value lie in each patch."""

from __future__ import annotations

import numpy as np

from ..errors import LabelError

MOST_VALUES = 1000  # more are no classes: an elevation model was taken for labels
_NARROW = 1 << 12  # values from the lowest to the highest, up to which counting by place is the faster way


class Tally:
    """Pixels of each value in patches.

    Args:
        patches: number of patches.
        where: begins error messages: where the labels come from.
    """

    def __init__(self, patches: int, where: str) -> None:
        self._patches, self._where = patches, where
        self._counts: dict[int, np.ndarray] = {}

    @property
    def values(self) -> list[int]:
        """All values that were counted, ascending."""
        return sorted(self._counts)

    def of(self, value: int) -> np.ndarray:
        """Pixels of a value in each patch."""
        return self._counts.get(value, np.zeros(self._patches, np.int32))

    def set(self, patches: np.ndarray, values: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """Count the labels of patches, in place of what was counted of them before.

        Args:
            patches: their numbers.
            values: (len(patches), …) whole numbers, of which those count where `counted`.

        Returns:
            Pixels of each patch that count.

        Raises:
            LabelError: there are more values than there are classes anywhere.
        """
        values, counted = values.reshape(len(patches), -1), counted.reshape(len(patches), -1)
        found, table = self._count(values, counted)
        for value in found:
            if value not in self._counts:
                self._counts[value] = np.zeros(self._patches, np.int32)
        self._refuse_too_many(len(self._counts))
        columns = dict(zip(found, table.T))
        for value, column in self._counts.items():
            column[patches] = columns.get(value, 0)
        return counted.sum(1)

    def _count(self, values: np.ndarray, counted: np.ndarray) -> tuple[list[int], np.ndarray]:
        """The values there are, and a table (patches, values) of their pixels."""
        count = len(values)
        some = values[counted]
        if not some.size:
            return [], np.zeros((count, 0), np.int64)
        low, span = int(some.min()), int(some.max()) - int(some.min()) + 1
        if span <= _NARROW:
            places = np.where(counted, values - low, span) + np.arange(count)[:, None] * (span + 1)
            table = np.bincount(places.ravel(), minlength=count * (span + 1)).reshape(count, span + 1)
            there = np.flatnonzero(table[:, :span].any(0))
            return (there + low).tolist(), table[:, there]
        found, places = np.unique(some, return_inverse=True)
        self._refuse_too_many(len(found))
        places = places + np.nonzero(counted)[0] * len(found)
        return found.tolist(), np.bincount(places, minlength=count * len(found)).reshape(count, -1)

    def _refuse_too_many(self, count: int) -> None:
        if count > MOST_VALUES:
            raise LabelError(
                f'{self._where}: more than {MOST_VALUES} different values. Labels are classes; is this something else?'
            )
