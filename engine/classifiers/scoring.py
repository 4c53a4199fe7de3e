"""How well a classifier does on samples whose classes are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..accuracy.confusion import ConfusionMatrix, Scores
from ..jobs import ClassDef


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A confusion matrix and what it says.

    Attributes:
        split: what the samples are: ``validation`` or ``training``.
        classes: of the rows and columns, ascending by value: all of the classifier's, and what else the reference has.
        counts: int64 (classes, classes); rows are the reference.
    """

    split: str
    classes: tuple[ClassDef, ...]
    counts: np.ndarray

    @property
    def scores(self) -> Scores:
        return Scores.of(self.counts)


def judge(
    split: str,
    reference: np.ndarray,
    produced: np.ndarray,
    classes: Sequence[ClassDef],
    known: Sequence[ClassDef] = (),
) -> Judgement:
    """Compare class values.

    Args:
        reference, produced: (samples) class values.
        classes: those of the classifier.
        known: further ones, with their names.
    """
    named = {item.value: item for item in (*known, *classes)}
    present = set(reference.tolist()) | {item.value for item in classes}
    labels = sorted(present)
    place = np.searchsorted(labels, np.stack([reference, produced]))
    matrix = ConfusionMatrix(len(labels))
    matrix.update(place[0], place[1])
    return Judgement(split, tuple(named.get(label, ClassDef(label, str(label))) for label in labels), matrix.counts)


def confusion_csv(judgement: Judgement) -> str:
    """The counts as a table with the two head lines of OTB's confusion matrices; rows are the reference."""
    names = ','.join(str(item.value) for item in judgement.classes)
    rows = [','.join(map(str, row)) for row in judgement.counts.tolist()]
    return '\n'.join([f'#Reference labels (rows):{names}', f'#Produced labels (columns):{names}', *rows, ''])
