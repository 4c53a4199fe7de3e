"""The rasters that serving makes, written tile by tile side by side."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Collection
from types import TracebackType

import numpy as np

from ..errors import DiskFull, write_error
from ..events import Reporter
from ..grid import Grid
from ..maps.classes import dress, qml, style_path
from ..maps.finishing import Finishing, finish_raster
from ..maps.journal import FILE, Entry, Journal
from ..maps.part import PartFolder
from ..maps.polygons import polygonize
from ..maps.writer import RasterSpec, RasterWriter
from .plan import Tile, TilePlan
from .products import Product

_SPARE = 1 << 16  # bytes for what a file holds besides pixels, and for the journal


class Outputs:
    """The rasters that are asked for. A context manager.

    Args:
        parts: the places by name, entered already.
        products: what to make, by the same names.
        plan: the tiles that will be written.
        grid: of the part of the map that is made.
        metadata: goes into each file.
        finishing: what is done with the finished files.
        polygons: place and connectivity of polygons to be made of OUTPUT; None: none are.
        hidden: the names of rasters that only serve to make others.
        resume: leave what is done where it is when the run ends before its time, for `kept` of a later one.
        kept: the journal of an earlier run whose files are gone on with; None for new files.

    Attributes:
        done: numbers of the tiles that are in the files.
        tile_bytes: bytes of pixels that a tile has in all files together.
        copied: further forms of the files are made when all tiles are done.
    """

    def __init__(
        self,
        parts: dict[str, PartFolder],
        products: dict[str, Product],
        plan: TilePlan,
        grid: Grid,
        finishing: Finishing,
        metadata: dict[str, str],
        *,
        polygons: tuple[PartFolder, int] | None = None,
        hidden: Collection[str] = (),
        resume: bool = False,
        kept: dict[int, Entry] | None = None,
    ) -> None:
        self._parts, self._products, self._resume = parts, products, resume
        self._finishing, self._polygons, self._hidden = finishing, polygons, hidden
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
                    finishing.raw_options,
                    metadata,
                    products[name].scale,
                ),
                functools.partial(dress, classes=products[name].legend) if products[name].legend else None,
                blocks,
            )
            for name, part in parts.items()
        }
        pixel_bytes = sum(products[name].dtype.itemsize * len(products[name].bands) for name in parts)
        self.copied = finishing.cog or finishing.overviews or finishing.sieve > 1
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

    def write(self, tile: Tile, values: np.ndarray, valid: np.ndarray) -> None:
        """Write a tile.

        Args:
            tile: of the plan.
            values: (rows, columns, bands of the network) of the tile's area.
            valid: (rows, columns) where the image has data.
        """
        self._require_space(valid.size)
        not_numbers = 0
        blocks: tuple[tuple[int, int], ...] = ()
        if np.isnan(values.max()):  # as it is where any of them is
            numbers = ~np.isnan(values).any(-1)
            not_numbers = int((valid & ~numbers).sum())
            valid = valid & numbers
        for name, writer in self._writers.items():
            blocks = writer.write(tile.area, self._products[name].pixels(values, valid), valid)
        self._journal.add(tile.number, Entry(blocks, not_numbers))

    def _require_space(self, pixels: int) -> None:
        """Raise `DiskFull` before a tile that may not fit: what GDAL cannot write to its end it cannot always go on
        with."""
        for name, part in self._parts.items():
            product = self._products[name]
            free = shutil.disk_usage(part.folder).free
            if free < pixels * product.dtype.itemsize * len(product.bands) + _SPARE:
                raise DiskFull(
                    f'{part.path}: the disk is full, {free / 2**20:.1f} MiB are free. Free some space and run the same '
                    'again.'
                )

    def publish(self, reporter: Reporter, start: float) -> None:
        """Close and check the files, then give them their names: none of them appears unless all are whole.

        Args:
            reporter: hears of it.
            start: the share of the job that is done before.
        """
        share = (1 - start) / (len(self._parts) + (self._polygons is not None))
        not_numbers = sum(entry.not_numbers for entry in self._journal.entries.values())
        if not_numbers:
            reporter.warn(
                f'At {not_numbers} pixels with data the model gave no numbers; they are no-data in the map. Look '
                'for extreme values in the image there.'
            )
        for writer in self._writers.values():
            writer.finish()
        for number, (name, part) in enumerate(self._parts.items()):
            reporter.stage(start + number * share, start + (number + 1) * share)
            finish_raster(part, self._products[name].legend, self._finishing, reporter)
            if self._products[name].legend:
                style = style_path(part.file)
                try:
                    with open(style, 'w', encoding='utf-8') as file:
                        file.write(qml(self._products[name].legend))
                except OSError as error:
                    raise write_error(style, error) from error
        if self._polygons is not None:
            part, connectivity = self._polygons
            reporter.stage(1 - share, 1.0)
            polygonize(self._parts['OUTPUT'].result, part, self._products['OUTPUT'].legend, connectivity, reporter)
            part.publish()
        for name, writer in self._writers.items():
            if name not in self._hidden:
                writer.publish()
        self._resume = False


def journal_path(parts: dict[str, PartFolder]) -> str:
    """Where the journal of all the files lies: with the first."""
    return os.path.join(next(iter(parts.values())).folder, FILE)
