"""How well outputs agree with references: confusion matrices over whatever labels occur, and errors of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Protocol

import numpy as np

from ...accuracy.confusion import Scores
from ...accuracy.regression import PairMoments
from ...errors import LabelError, ModelError

MOST_LABELS = 1000


class Tally(Protocol):
    """What is gathered of an output and its reference, batch by batch."""

    def update(self, reference: np.ndarray, produced: np.ndarray) -> None:
        """Add a batch.

        Args:
            reference: (samples, rows, columns, bands).
            produced: the output, of any shape with as many values.

        Raises:
            ModelError: it has another number of values, or values that cannot be compared.
        """

    def summary(self) -> dict[str, float]:
        """What it says, in a few numbers."""


class ClassTally:
    """Counts of (reference, produced) labels, for the mode ``class``.

    Args:
        name: of the output, for messages.
        ignored: labels of the reference that are none.
    """

    def __init__(self, name: str, ignored: Collection[int] = ()) -> None:
        self._name, self._ignored = name, list(ignored)
        self._pairs: Counter[tuple[int, int]] = Counter()

    def update(self, reference: np.ndarray, produced: np.ndarray) -> None:
        """See `Tally`. Of an output of several bands, which no reference has, the largest counts."""
        bands = produced.shape[-1] if produced.ndim > 1 else 1
        if bands > 1 and produced.size == reference.size * bands:
            produced = produced.argmax(-1)
        require_size(self._name, reference, produced)
        pairs = np.stack([_labels(reference, 'reference', self._name), _labels(produced, 'output', self._name)])
        if self._ignored:
            pairs = pairs[:, ~np.isin(pairs[0], self._ignored)]
        found, counts = np.unique(pairs, axis=1, return_counts=True)
        self._pairs.update({(int(a), int(b)): int(n) for (a, b), n in zip(found.T.tolist(), counts.tolist())})
        if len(self.labels) > MOST_LABELS:
            raise LabelError(
                f'{self._name}: more than {MOST_LABELS} labels in it and its reference; are they measured values? '
                'Compare those with VALIDATION_MODE rmse.'
            )

    @property
    def labels(self) -> list[int]:
        """All that occur, ascending."""
        return sorted({label for pair in self._pairs for label in pair})

    @property
    def matrix(self) -> np.ndarray:
        """int64 (labels, labels); rows are the reference."""
        place = {label: number for number, label in enumerate(self.labels)}
        counts = np.zeros((len(place), len(place)), np.int64)
        for (reference, produced), count in self._pairs.items():
            counts[place[reference], place[produced]] = count
        return counts

    def scores(self) -> Scores:
        return Scores.of(self.matrix)

    def summary(self) -> dict[str, float]:
        scores = self.scores()
        return {'overall_accuracy': scores.overall_accuracy, 'kappa': scores.kappa, 'macro_f1': scores.macro_f1}

    def csv(self) -> str:
        """The counts as a table with the head lines of OTB's confusion matrices."""
        names = ','.join(map(str, self.labels))
        rows = [','.join(map(str, row)) for row in self.matrix.tolist()]
        return '\n'.join([f'#Reference labels (rows):{names}', f'#Produced labels (columns):{names}', *rows, ''])


class ErrorTally:
    """Differences of measured values, for the mode ``rmse``. References that are no numbers do not count.

    Args:
        name: of the output, for messages.
        ignored: values of the reference that are none.
    """

    def __init__(self, name: str, ignored: Collection[int] = ()) -> None:
        self._name, self._ignored = name, list(ignored)
        self._moments: PairMoments | None = None

    def update(self, reference: np.ndarray, produced: np.ndarray) -> None:
        """See `Tally`."""
        require_size(self._name, reference, produced)
        expected, found = reference.ravel(), produced.ravel()
        counted = np.isfinite(expected) & ~np.isin(expected, self._ignored)
        if not counted.any():
            return
        if self._moments is None:
            self._moments = PairMoments(float(expected[counted].mean()))
        self._moments.update(expected, found, counted)

    def summary(self) -> dict[str, float]:
        """``rmse``, ``mae``, ``bias`` and ``r2``."""
        return (self._moments or PairMoments()).scores().summary()


def require_size(name: str, reference: np.ndarray, produced: np.ndarray) -> None:
    """Raise `ModelError` where an output has not as many values as its reference."""
    if produced.size != reference.size:
        raise ModelError(
            f'{name}: the output has the shape {produced.shape}, its reference {reference.shape}: they cannot be '
            'compared. Check VALIDATION_PLACEHOLDER and the patch sizes.'
        )


def _labels(values: np.ndarray, what: str, name: str) -> np.ndarray:
    """Values as whole numbers."""
    flat = values.ravel()
    if flat.dtype.kind == 'f':
        wrong = flat[~(np.isfinite(flat) & (flat == np.floor(flat)))]
        if wrong.size:
            raise ModelError(
                f'{name}: the {what} holds {wrong[0]:g}, which is no label. Name an output of labels, or '
                'compare values with VALIDATION_MODE rmse.'
            )
    elif flat.dtype.kind not in 'iub':
        raise ModelError(f'{name}: the {what} holds no numbers ({flat.dtype}).')
    return flat.astype(np.int64)
