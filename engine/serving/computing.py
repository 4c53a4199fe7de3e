"""Running the network on tiles; in pieces where a tile is too much for the memory."""

from __future__ import annotations

import numpy as np

from ..errors import OutOfMemory
from ..events import Reporter
from ..grid import Window
from .frame import Frame
from .plan import Tile
from .reading import Part
from .symmetries import Runs


class Computing:
    """Computes tiles. Where memory does not suffice, tiles are computed in halves, quarters and so on from then on;
    the plan, and so the map and its journal, stay the same.

    Args:
        network: the network.
        frame: of the map.
        reporter: hears of pieces.
    """

    def __init__(self, network: Runs, frame: Frame, reporter: Reporter) -> None:
        self._network, self._frame, self._reporter = network, frame, reporter
        self._halvings = 0

    def run(self, tiles: list[tuple[Tile, Part]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Values (rows, columns, bands) of each tile, and where it has data.

        Raises:
            OutOfMemory: even the smallest piece is too much.
        """
        if not self._halvings:
            window = tiles[0][0].window
            try:
                values = self._network.run([part.pixels for _, part in tiles], (window.width, window.height))
                return [(value[tile.inner], part.valid) for value, (tile, part) in zip(values, tiles)]
            except OutOfMemory as error:
                if len(tiles) == 1:
                    self._halve(error, tiles[0][0].ground)
        return [(self._pieces(tile, part), part.valid) for tile, part in tiles]

    def _pieces(self, tile: Tile, part: Part) -> np.ndarray:
        """A tile computed in as many pieces as memory wants."""
        while True:
            values: np.ndarray | None = None
            try:
                for piece in self._cut(tile.ground, self._halvings):
                    found = self._piece(piece, tile.window, part.pixels)
                    if values is None:
                        values = np.empty((tile.ground.height, tile.ground.width, found.shape[-1]), found.dtype)
                    row, col = piece.row - tile.ground.row, piece.col - tile.ground.col
                    values[row : row + piece.height, col : col + piece.width] = found
                if values is not None:
                    return values
            except OutOfMemory as error:
                self._halve(error, tile.ground)

    def _piece(self, piece: Window, whole: Window, pixels: tuple[np.ndarray, ...]) -> np.ndarray:
        """The values of a piece of a tile, from what was read for the window `whole`."""
        window = self._frame.around(piece)
        cuts = []
        for around, mine, array in zip(self._frame.windows(whole), self._frame.windows(window), pixels):
            row, col = mine.row - around.row, mine.col - around.col
            cuts.append(np.ascontiguousarray(array[row : row + mine.height, col : col + mine.width]))
        values = self._network.run([tuple(cuts)], (window.width, window.height))[0]
        row, col = piece.row - window.row, piece.col - window.col
        return values[row : row + piece.height, col : col + piece.width]

    def _cut(self, ground: Window, halvings: int) -> list[Window]:
        """A window of the map cut in halves across its longer side, again and again, at multiples of the unit."""
        if not halvings:
            return [ground]
        wide = ground.width >= ground.height
        first, length, unit = (
            (ground.col, ground.width, self._frame.unit[0])
            if wide
            else (ground.row, ground.height, self._frame.unit[1])
        )
        middle = (first + length // 2) // unit * unit - first
        if not 0 < middle < length:
            return [ground]
        if wide:
            halves = (
                Window(first, ground.row, middle, ground.height),
                Window(first + middle, ground.row, length - middle, ground.height),
            )
        else:
            halves = (
                Window(ground.col, first, ground.width, middle),
                Window(ground.col, first + middle, ground.width, length - middle),
            )
        return [piece for half in halves for piece in self._cut(half, halvings - 1)]

    def _halve(self, error: OutOfMemory, ground: Window) -> None:
        """Cut once more from now on; raises `error` where that makes no smaller pieces."""
        if len(self._cut(ground, self._halvings + 1)) == len(self._cut(ground, self._halvings)):
            raise error
        self._halvings += 1
        self._reporter.warn(
            f'Not enough memory for a tile at once: tiles are computed in {2**self._halvings} pieces from here on. The '
            'map is the same; a smaller TILE_SIZE would be faster.'
        )
