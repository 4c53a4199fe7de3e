"""What a reference and a model say of the same places, side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..jobs import ClassDef
from .outcome import ClassOutcome, Outcome, ValueOutcome
from .splits import ValueSpread

_SCORES = ('precision', 'recall', 'f1', 'iou')
_ROUNDING = 1e-3  # by which probabilities of low precision may lie beyond 0 and 1


class Judgement:
    """Pairs of what the reference says and what the model says.

    Args:
        classes: ascending by value; none for values.
        probable: the model says how sure it is of a class.
        spread: of the values of the reference.

    Attributes:
        lost: places with a reference where the model says nothing.
        measure: the score that counts first.
        improbable: the model's probabilities are none, so that nothing is said of its calibration.
    """

    def __init__(
        self, classes: Sequence[ClassDef], measure: str, probable: bool, spread: Optional[ValueSpread] = None
    ) -> None:
        self.measure, self.lost, self.improbable = measure, 0, False
        self._values = np.array([item.value for item in classes], np.int64)
        self._outcome: Outcome = (
            ClassOutcome(len(classes), probable) if spread is None else ValueOutcome(spread, scattered=True)
        )

    @property
    def count(self) -> int:
        """Pairs that count."""
        return self._outcome.pixels

    @property
    def score(self) -> float:
        """By `measure`."""
        return float(self._outcome.scores()[self.measure])

    def add(
        self,
        reference: np.ndarray,
        found: np.ndarray,
        confidence: Optional[np.ndarray],
        known: np.ndarray,
    ) -> None:
        """Add pairs: arrays of one shape.

        Args:
            reference, found: values of classes, or values.
            confidence: the model's probability of the class that it found; None where it has none.
            known: where the model says something.
        """
        told = [found]
        if isinstance(self._outcome, ClassOutcome):
            reference, _ = self._places(reference)
            found, among = self._places(found)
            known = known & among
            told = [found]
            if confidence is not None:
                sure = confidence[known]
                self.improbable |= bool(((sure < -_ROUNDING) | (sure > 1 + _ROUNDING)).any())
                told.append(np.where(known, confidence, 0))
        self.lost += int(known.size - known.sum())
        self._outcome.add(0.0, reference, known, told)

    def _places(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of classes, 0 for values that are none, and where there is one."""
        index = np.minimum(np.searchsorted(self._values, values), len(self._values) - 1)
        known = self._values[index] == values
        return np.where(known, index, 0), known

    def record(self) -> dict[str, Any]:
        """Everything as plain values for JSON, as `Outcome.record` has it; there is no loss."""
        left_out = {'loss', 'calibration'} if self.improbable else {'loss'}
        return {key: value for key, value in self._outcome.record().items() if key not in left_out}


def spread_of(count: int, sums: np.ndarray, low: float, high: float) -> ValueSpread:
    """How values are spread, from their number, (2,) their sum and that of their squares, and their ends."""
    mean = float(sums[0]) / count
    return ValueSpread(mean, max(float(sums[1]) / count - mean**2, 0.0) ** 0.5, float(low), float(high))


def judgement_table(record: dict[str, Any], classes: Sequence[ClassDef]) -> str:
    """A judgement as CSV.

    Of classes: ``value``, ``name``; ``reference`` and ``predicted``, how many the reference and the model have;
    ``precision``, ``recall``, ``f1``, ``iou``; ``overall_accuracy``, ``kappa`` and ``calibration_error`` in the last
    row, whose value is ``all`` and which has the mean F1 and IoU; then the confusion matrix, ``predicted_<value>`` for
    each class. Of values: one row. What is not defined is empty.

    Args:
        record: see `Judgement.record`.
        classes: ascending by value; none for values.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    if classes:
        writer.writerows(_class_rows(record, classes))
    else:
        names = ('count', 'rmse', 'mae', 'bias', 'r2', 'correlation')
        writer.writerows([names, [record[name] for name in names]])
    return text.getvalue()


def _class_rows(record: dict[str, Any], classes: Sequence[ClassDef]) -> list[list[Any]]:
    counts = np.array(record['confusion'])
    head = ['value', 'name', 'reference', 'predicted', *_SCORES, 'overall_accuracy', 'kappa', 'calibration_error']
    rows: list[list[Any]] = [[*head, *(f'predicted_{item.value}' for item in classes)]]
    for number, item in enumerate(classes):
        scores = [record[name][number] for name in _SCORES]
        sums = [int(counts[number].sum()), int(counts[:, number].sum())]
        rows.append([item.value, item.name, *sums, *scores, None, None, None, *counts[number].tolist()])
    total, error = int(counts.sum()), record.get('calibration', {}).get('error')
    overall = [record['macro_f1'], record['mean_iou'], record['overall_accuracy'], record['kappa'], error]
    return [*rows, ['all', '', total, total, None, None, *overall, *counts.sum(0).tolist()]]
