"""The samples of a training by what they are for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from .pipeline import Batch, SampleReader, batch_count, batches


@dataclasses.dataclass(frozen=True)
class Piece:
    """Samples of one place: who reads them, and their numbers there."""

    reader: SampleReader
    indices: np.ndarray


@dataclasses.dataclass(frozen=True)
class ValueSpread:
    """Values to be learnt: their mean, standard deviation, minimum and maximum."""

    mean: float
    stddev: float
    minimum: float
    maximum: float


@dataclasses.dataclass(frozen=True)
class Split:
    """What the training, the judging of epochs, or the test is done with.

    Attributes:
        pieces: its samples that have anything to learn from; those for training are of one place.
        pixels: labels that count (labelled, and with data in the image): of each class, or, of values, (1,) all.
        spread: of values; None for classes.
    """

    pieces: tuple[Piece, ...]
    pixels: np.ndarray
    spread: Optional[ValueSpread] = None

    @property
    def count(self) -> int:
        """Number of samples."""
        return sum(len(piece.indices) for piece in self.pieces)

    @property
    def usable(self) -> bool:
        """Whether there is anything to learn from, or to judge with."""
        return bool(self.pixels.sum())

    def steps(self, size: int) -> int:
        """Number of batches of at most `size`."""
        return sum(batch_count(len(piece.indices), size) for piece in self.pieces if len(piece.indices))

    def batches(self, size: int, share: Optional[tuple[int, int]] = None) -> Iterator[Batch]:
        """All samples in their order, as they are; see `pipeline.batches`."""
        for piece in self.pieces:
            if len(piece.indices):
                yield from batches(piece.reader, piece.indices, size, share=share)


def joined(splits: Sequence[Split]) -> Split:
    """Several splits as one."""
    spreads = [split.spread for split in splits if split.spread is not None]
    return Split(
        tuple(piece for split in splits for piece in split.pieces),
        np.sum([split.pixels for split in splits], 0),
        spreads[0] if spreads else None,
    )
