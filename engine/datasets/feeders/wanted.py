"""What a training wants of samples."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a training wants of samples.

    Attributes:
        values: values are to be learnt, not classes.
        target: which of several labels, or which feature, holds the values; empty: the only one.
        classes: which values labels have has to be found out.
        statistics: of the features.
    """

    values: bool = False
    target: str = ''
    classes: bool = True
    statistics: bool = True
