"""The rasters that serving makes of class probabilities."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Collection, Sequence
from types import TracebackType

import numpy as np

from ..events import Reporter
from ..gdalio import write_error
from ..grid import Grid
from ..jobs import ClassDef
from ..maps.classes import class_type, dress, qml, style_path, styled
from ..maps.journal import FILE, Entry, Journal
from ..maps.part import PartFolder
from ..maps.writer import RasterSpec, RasterWriter
from .plan import Tile, TilePlan


class Outputs:
    """The class map ``OUTPUT`` and the class ``PROBABILITIES``, whichever are asked for. A context manager.

    Args:
        parts: the places by name, entered already.
        plan: the tiles that will be written.
        grid: of the image.
        classes: in the order of the network's output bands.
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
        plan: TilePlan,
        grid: Grid,
        classes: Sequence[ClassDef],
        options: tuple[str, ...],
        metadata: dict[str, str],
        *,
        resume: bool = False,
        kept: dict[int, Entry] | None = None,
    ) -> None:
        by_value = {item.value: item for item in styled(classes)}
        self._values, self._nodata = class_values(classes)
        self._legend = tuple(by_value.values())
        self._parts, self._resume = tuple(parts.values()), resume
        self._journal = Journal(journal_path(parts), tuple(part.file for part in self._parts))
        blocks = None if kept is None else {block for entry in kept.values() for block in entry.blocks}
        self._stack = contextlib.ExitStack()
        self._writers: dict[str, RasterWriter] = {}
        base = RasterSpec(grid, self._values.dtype, self._nodata, ('class',), plan.block, options, metadata)
        if 'OUTPUT' in parts:
            self._writers['OUTPUT'] = RasterWriter(
                parts['OUTPUT'], base, lambda dataset: dress(dataset, self._legend), blocks
            )
            self._style = style_path(parts['OUTPUT'].file)
        if 'PROBABILITIES' in parts:
            names = tuple(by_value[item.value].name for item in classes)
            spec = dataclasses.replace(base, dtype=np.dtype('float32'), nodata=float('nan'), bands=names)
            self._writers['PROBABILITIES'] = RasterWriter(parts['PROBABILITIES'], spec, kept=blocks)
        bytes_per_pixel = self._values.dtype.itemsize + 4 * len(classes) * ('PROBABILITIES' in parts)
        self.tile_bytes = plan.tile[0] * plan.tile[1] * bytes_per_pixel

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
        for part in self._parts:
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
        if 'OUTPUT' in self._writers:
            classes = self._values[probabilities.argmax(-1)]
            classes[~valid] = self._nodata
            blocks = self._writers['OUTPUT'].write(tile.area, classes[..., None], valid)
        if 'PROBABILITIES' in self._writers:
            masked = np.ascontiguousarray(probabilities, np.float32)
            if not valid.all():
                masked = np.where(valid[..., None], masked, np.float32('nan'))
            blocks = self._writers['PROBABILITIES'].write(tile.area, masked, valid)
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
        if 'OUTPUT' in self._writers:
            try:
                with open(self._style, 'w', encoding='utf-8') as file:
                    file.write(qml(self._legend))
            except OSError as error:
                raise write_error(self._style, error) from error
        for writer in self._writers.values():
            writer.publish()
        self._resume = False


def journal_path(parts: dict[str, PartFolder]) -> str:
    """Where the journal of all the files lies: with the first."""
    return os.path.join(next(iter(parts.values())).folder, FILE)


def class_values(classes: Sequence[ClassDef]) -> tuple[np.ndarray, int]:
    """The value that the map holds for each band of the network's output, in the map's type, and its no-data value."""
    dtype, nodata = class_type(item.value for item in classes)
    return np.array([item.value for item in classes], dtype), nodata
