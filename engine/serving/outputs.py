"""The rasters that serving makes, written tile by tile side by side."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Collection
from types import TracebackType

import numpy as np

from ..events import Reporter
from ..gdalio import write_error
from ..grid import Grid
from ..maps.classes import dress, qml, style_path
from ..maps.journal import FILE, Entry, Journal
from ..maps.part import PartFolder
from ..maps.writer import RasterSpec, RasterWriter
from .plan import Tile, TilePlan
from .products import Product


class Outputs:
    """The rasters that are asked for. A context manager.

    Args:
        parts: the places by name, entered already.
        products: what to make, by the same names.
        plan: the tiles that will be written.
        grid: of the part of the map that is made.
        options: creation options of the user's.
        metadata: goes into each file.
        resume: leave what is done where it is when the run ends before its time, for `kept` of a later one.
        kept: the journal of an earlier run whose files are gone on with; None for new files.

    Attributes:
        done: numbers of the tiles that are in the files.
        tile_bytes: bytes of pixels that a tile has in all files together.
    """

    def __init__(
        self,
        parts: dict[str, PartFolder],
        products: dict[str, Product],
        plan: TilePlan,
        grid: Grid,
        options: tuple[str, ...],
        metadata: dict[str, str],
        *,
        resume: bool = False,
        kept: dict[int, Entry] | None = None,
    ) -> None:
        self._parts, self._products, self._resume = parts, products, resume
        self._journal = Journal(journal_path(parts), tuple(part.file for part in parts.values()))
        blocks = None if kept is None else {block for entry in kept.values() for block in entry.blocks}
        self._stack = contextlib.ExitStack()
        self._writers = {
            name: RasterWriter(
                part,
                RasterSpec(
                    grid,
                    products[name].dtype,
                    products[name].nodata,
                    products[name].bands,
                    plan.block,
                    options,
                    metadata,
                ),
                functools.partial(dress, classes=products[name].legend) if products[name].legend else None,
                blocks,
            )
            for name, part in parts.items()
        }
        pixel_bytes = sum(products[name].dtype.itemsize * len(products[name].bands) for name in parts)
        self.tile_bytes = plan.tile[0] * plan.tile[1] * pixel_bytes

    def __enter__(self) -> Outputs:
        with self._stack:
            self._stack.enter_context(self._journal)
            for writer in self._writers.values():
                self._stack.enter_context(writer)
            self._stack = self._stack.pop_all()
        return self

    @property
    def done(self) -> Collection[int]:
        return self._journal.entries

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        for part in self._parts.values():
            part.keep = self._resume and bool(self._journal.entries)

    def skip(self, tile: Tile) -> None:
        """Take note of a tile without data, of which nothing is written."""
        self._journal.add(tile.number, Entry())

    def write(self, tile: Tile, probabilities: np.ndarray, valid: np.ndarray) -> None:
        """Write a tile.

        Args:
            tile: of the plan.
            probabilities: (rows, columns, classes) of the tile's area.
            valid: (rows, columns) where the image has data.
        """
        not_numbers = 0
        blocks: tuple[tuple[int, int], ...] = ()
        if np.isnan(probabilities.max()):  # as it is where any of them is
            numbers = ~np.isnan(probabilities).any(-1)
            not_numbers = int((valid & ~numbers).sum())
            valid = valid & numbers
        for name, writer in self._writers.items():
            blocks = writer.write(tile.area, self._products[name].pixels(probabilities, valid), valid)
        self._journal.add(tile.number, Entry(blocks, not_numbers))

    def publish(self, reporter: Reporter) -> None:
        """Close and check the files, then give them their names: none of them appears unless all are whole."""
        not_numbers = sum(entry.not_numbers for entry in self._journal.entries.values())
        if not_numbers:
            reporter.warn(
                f'At {not_numbers} pixels with data the model gave no numbers; they are no-data in the map. Look '
                'for extreme values in the image there.'
            )
        for writer in self._writers.values():
            writer.finish()
        for name, part in self._parts.items():
            if self._products[name].legend:
                style = style_path(part.file)
                try:
                    with open(style, 'w', encoding='utf-8') as file:
                        file.write(qml(self._products[name].legend))
                except OSError as error:
                    raise write_error(style, error) from error
        for writer in self._writers.values():
            writer.publish()
        self._resume = False


def journal_path(parts: dict[str, PartFolder]) -> str:
    """Where the journal of all the files lies: with the first."""
    return os.path.join(next(iter(parts.values())).folder, FILE)
