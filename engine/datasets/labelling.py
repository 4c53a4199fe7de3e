"""The labels of a dataset: what is a class, what is left out and why, and the shards that hold them."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from ..classes import complete, merge
from ..errors import LabelError
from ..events import Reporter
from ..jobs import ClassDef
from .labels import TYPES, UNSET
from .manifest import LabelInfo, Shard
from .placement import Placement
from .shards import ShardWriter
from .tally import MOST_VALUES, Tally

__all__ = ['MOST_VALUES', 'NAME', 'Labelling', 'Naming', 'PointLabelling', 'smallest_type']

NAME = 'labels'
NO_VALUE = 'no class in the label field'
LOST = UNSET + 1  # stands for no-data that cannot be kept, until there is a value for pixels without label


@dataclasses.dataclass(frozen=True)
class Naming:
    """What is known of labels before they are read.

    Attributes:
        where: they come from, for messages.
        named: what the user said are the classes; empty for every value found.
        legend: names and colours known from elsewhere.
    """

    where: str
    named: tuple[ClassDef, ...] = ()
    legend: tuple[ClassDef, ...] = ()


class Labelling(abc.ABC):
    """Labels of patches as they are cut.

    Values are counted while labels are read. Only when all are known is there a type for them and a value for pixels
    without label.

    Args:
        naming: what is known of the labels.
        placement: of the patches; it hears which of them have no label.

    Attributes:
        nodata: the value that is no-data of the labels, and is kept as it is; None where there is none.
        shape: (rows, columns) of the labels of a patch.
    """

    nodata: int | None = None
    shape = (1, 1)

    def __init__(self, naming: Naming, placement: Placement, reporter: Reporter) -> None:
        self._naming, self.placement, self.reporter = naming, placement, reporter
        self.tally = Tally(len(placement.ids), naming.where)

    @abc.abstractmethod
    def cut(self) -> None:
        """Read the labels of all patches, and reject those that have none."""

    def hide(self, patches: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Take the labels away from pixels where the image has no data.

        Args:
            patches: their numbers.
            valid: (patches, rows, columns) in pixels of a source: where it has data.

        Returns:
            Booleans: which patches still have a label. The others are rejected.
        """
        return np.ones(len(patches), bool)

    @abc.abstractmethod
    def _parts(self, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """The labels of patches, part by part: the place of the first in `chosen`, and int32 (patches, rows, columns)
        with `UNSET` and `LOST`."""

    @abc.abstractmethod
    def _conclude(self, chosen: np.ndarray) -> None:
        """Remove what is no longer needed, and say what was left out of the labels of patches."""

    def close(self) -> None:
        """Close the files that are open."""
        return

    def classes(self) -> tuple[ClassDef, ...]:
        """The classes: those the user named, else every value found; with names and colours.

        Raises:
            LabelError: there are values that are not among those named.
        """
        chosen = self.placement.left()
        counts = {value: int(self.tally.of(value)[chosen].sum()) for value in self.tally.values}
        found = [value for value, count in counts.items() if count]
        if not self._naming.named:
            return complete(found, self._naming.legend)
        named = [definition.value for definition in self._naming.named]
        unknown = [value for value in found if value not in named]
        if unknown:
            text = ', '.join(f'{value} ({counts[value]} pixels)' for value in unknown[:10])
            raise LabelError(
                f'{self._naming.where}: values that are not among the classes: {text}{", …" if unknown[10:] else ""}. '
                'Add them to the table of classes, name one of them as the no-data of the labels, or reclassify.'
            )
        return complete(named, merge(self._naming.named, self._naming.legend))

    def finish(
        self, folder: str, classes: Sequence[ClassDef], per_shard: int, unlabelled: int | None
    ) -> tuple[LabelInfo, tuple[Shard, ...]]:
        """Write the labels of the patches that are left in the smallest type that holds them.

        Args:
            unlabelled: the value for pixels without label; None chooses one.

        Raises:
            LabelError: that value is a class.
        """
        chosen = self.placement.left()
        values = [*(item.value for item in classes), *([self.nodata] if self.nodata is not None else [])]
        dtype, free = smallest_type(values, unlabelled)
        shape = (*self.shape, 1)
        writer = ShardWriter(folder, NAME, shape, dtype, len(chosen), per_shard)
        for start, labels in self._parts(chosen):
            self.reporter.check_cancelled()
            stored = np.where(labels <= LOST, free, labels).astype(dtype)
            writer.write_many(np.arange(start, start + len(labels)), stored[..., None])
        self._conclude(chosen)
        return LabelInfo(NAME, str(dtype), shape, free, self.nodata), writer.finish()


class PointLabelling(Labelling):
    """One label a patch, from an attribute of its point.

    Args:
        values: of each patch; `UNSET` where its point has none.
        naming, placement, reporter: as of `Labelling`.
    """

    def __init__(self, values: np.ndarray, naming: Naming, placement: Placement, reporter: Reporter) -> None:
        super().__init__(naming, placement, reporter)
        self._values = values.astype(np.int32)

    def read(self, patches: np.ndarray) -> np.ndarray:
        """The labels of patches: int32 (patches, 1, 1)."""
        return self._values[patches, None, None]

    def cut(self) -> None:
        left = self.placement.left()
        missing = self._values[left] == UNSET
        self.placement.reject(left[missing], NO_VALUE)
        left = left[~missing]
        if len(left):
            self.tally.set(left, self._values[left], np.ones(len(left), bool))

    def _parts(self, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, self.read(chosen)

    def _conclude(self, chosen: np.ndarray) -> None:
        """Nothing was left out, and nothing is in the way."""


def smallest_type(values: Sequence[int], unlabelled: int | None = None) -> tuple[np.dtype, int]:
    """The smallest type of labels that holds `values` and one more for pixels without label, and that value.

    255 where it is free; else the highest free value of the type, or the lowest of a signed one.

    Args:
        unlabelled: the value for pixels without label, if it is given.

    Raises:
        LabelError: it is among `values`, or they do not fit into 32 bits.
    """
    taken = set(values)
    if unlabelled in taken:
        raise LabelError(
            f'UNLABELLED {unlabelled}: that is a class, or the no-data of the labels. Give another value, or leave it '
            'empty.'
        )
    for name in TYPES:
        limits = np.iinfo(name)
        given = [] if unlabelled is None else [unlabelled]
        if all(limits.min <= value <= limits.max for value in (*taken, *given)):
            first = [255, limits.min] if limits.min < 0 else [255]
            others = range(limits.max, limits.max - len(taken) - 1, -1)
            for candidate in given or (*first, *others):
                if candidate not in taken and limits.min <= candidate <= limits.max:
                    return np.dtype(name), candidate
    raise LabelError(f'{len(taken)} label values from {min(taken)} to {max(taken)} do not fit into 32 bits.')
