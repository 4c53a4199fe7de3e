"""Running the network on tiles; in pieces where a tile is too much for the memory."""

from __future__ import annotations

import numpy as np

from ..errors import OutOfMemory
from ..events import Reporter
from ..grid import Window
from .frame import Frame
from .plan import Tile
from .reading import Part
from .ways import Piece, Way


class Computing:
    """Computes tiles. Where memory does not suffice, tiles are computed in halves, quarters and so on from then on;
    the plan, and so the map and its journal, stay the same.

    Args:
        way: how windows are computed.
        frame: of the map.
        reporter: hears of pieces.
    """

    def __init__(self, way: Way, frame: Frame, reporter: Reporter) -> None:
        self._way, self._frame, self._reporter = way, frame, reporter
        self._halvings = 0

    def run(self, tiles: list[tuple[Tile, Part]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Values (rows, columns, bands) of each tile, and where it has data.

        Raises:
            OutOfMemory: even the smallest piece is too much.
        """
        if not self._halvings:
            try:
                values = self._way.run([_whole(tile, part) for tile, part in tiles])
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
                whole = _whole(tile, part)
                for piece in self._cut(tile.ground, self._halvings):
                    found = self._piece(piece, whole)
                    if values is None:
                        values = np.empty((tile.ground.height, tile.ground.width, found.shape[-1]), found.dtype)
                    row, col = piece.row - tile.ground.row, piece.col - tile.ground.col
                    values[row : row + piece.height, col : col + piece.width] = found
                if values is not None:
                    return values
            except OutOfMemory as error:
                self._halve(error, tile.ground)

    def _piece(self, ground: Window, whole: Piece) -> np.ndarray:
        """The values of a part of the map, from what was read around it."""
        window = self._frame.around(ground)
        values = self._way.run([whole.cut(window, self._frame)])[0]
        row, col = ground.row - window.row, ground.col - window.col
        return values[row : row + ground.height, col : col + ground.width]

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


def _whole(tile: Tile, part: Part) -> Piece:
    """All of a tile's window, of which what is valid in the tile is wanted."""
    wanted = np.zeros((tile.window.height, tile.window.width), bool)
    wanted[tile.inner] = part.valid
    return Piece(tile.window, part.pixels, wanted)
