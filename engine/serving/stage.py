"""What may stand between the network and the maps, or narrow what is mapped: for those who make maps of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..grid import Grid, Window
from ..model_package.card import OutputCard
from .computing import Computing
from .masks import Mask
from .network import Network, Values
from .plan import Tile
from .reading import Part

# Called once with the map's grid, the part of it that is made, and the masks of the job: one more mask.
Select = Callable[[Grid, Window, list[Mask]], Mask]


class Stage(Protocol):
    """Makes the probabilities of classes of what the network gives.

    Attributes:
        output: what it gives, with the classes.
        values: the same as an output of a network.
    """

    output: OutputCard
    values: Values

    def require(self, network: Network) -> None:
        """Raise `ModelError` where it cannot take what the network gives."""

    def run(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Probabilities (rows, columns, classes) of a tile, NaN where there are none.

        Args:
            values: (rows, columns, bands of the network).
            valid: (rows, columns) where they count.
        """


class Staged:
    """Computes tiles with the network, then with the stage: in one thread, so that the two do not take the cores from
    one another."""

    def __init__(self, computing: Computing, stage: Stage) -> None:
        self._computing, self._stage = computing, stage

    def run(self, tiles: list[tuple[Tile, Part]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """See `Computing.run`."""
        return [(self._stage.run(values, valid), valid) for values, valid in self._computing.run(tiles)]
