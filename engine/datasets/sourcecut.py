"""One source of a dataset while it is cut: patches of all zones in, shards and statistics out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Optional

import numpy as np

from ..events import Reporter
from ..jobs import SPLITS
from ..nodata import valid_pixels
from ..raster import RasterStack, padded_index, unformat_nodata
from .cutting import Indices, cut_patches
from .labelling import Labelling
from .manifest import Shard, SourceInfo
from .placement import Placement
from .shards import ShardWriter
from .sources import named
from .statistics import RunningStatistics
from .zones import OpenZone

NO_DATA = 'no-data in the image'


class SourceCut:
    """The patches of a source: `cut`, then `finish`.

    Args:
        number: of the source.
        info: what the manifest says of it, but for its statistics.
        zones: whose rasters it is cut from.
        placement: where patches lie; it hears which of them have no data.
        labelling: hears where patches have no data, if there are labels.
        folder, per_shard: of its shards, as of `ShardWriter`.
    """

    def __init__(
        self,
        number: int,
        info: SourceInfo,
        zones: list[OpenZone],
        placement: Placement,
        labelling: Labelling | None,
        folder: str,
        per_shard: int,
    ) -> None:
        self._number, self._info, self._zones = number, info, zones
        self._placement, self._labelling = placement, labelling
        self._patches = placement.left()
        dtype = np.dtype(info.dtype)
        self._writer = ShardWriter(folder, info.name, info.shape, dtype, len(self._patches), per_shard)

    def cut(self, reporter: Reporter) -> None:
        """Read all patches that are left; write each at its number among them, but for those that lack data."""
        done = 0
        for zone in self._zones:
            mine = self._patches[self._placement.zones[self._patches] == zone.number]
            same_ground = self._same_ground(zone, mine)
            for numbers, pixels in self._read(zone.sources.stacks[self._number], mine):
                reporter.check_cancelled()
                reporter.progress(done / len(self._patches), f'Cutting patches of {self._info.name}')
                taken = self._sift(mine[numbers], pixels, same_ground[numbers])
                places = np.searchsorted(self._patches, mine[numbers])
                if taken.all():
                    self._writer.write_many(places, pixels)
                else:
                    self._writer.write_many(places[taken], pixels[taken])
                done += len(numbers)

    def _read(self, stack: RasterStack, patches: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Patches of a zone, mirrored at the edges of its image: which of `patches` they are, and their pixels."""
        height, width, _ = self._info.shape
        grid, place = stack.grid, self._placement
        cols, rows = place.cols[self._number][patches], place.rows[self._number][patches]
        beyond = (cols < 0) | (rows < 0) | (cols + width > grid.width) | (rows + height > grid.height)

        def indices(patch: int) -> Indices:
            return (
                padded_index(int(rows[patch]), height, grid.height),
                padded_index(int(cols[patch]), width, grid.width),
            )

        for numbers, pixels, _ in cut_patches(stack, cols, rows, (width, height), beyond, indices):
            yield numbers, pixels

    def _same_ground(self, zone: OpenZone, patches: np.ndarray) -> np.ndarray:
        """Booleans: of which patches the labels, which lie on the ground of the first source, are on this one's."""
        place = self._placement
        if self._number == 0 or self._labelling is None:
            return np.ones(len(patches), bool)
        if any(max(pair) % min(pair) for pair in zip(self._labelling.shape, self._info.shape)):
            return np.zeros(len(patches), bool)
        cols, rows = ([starts[patches] for starts in axis] for axis in (place.cols, place.rows))
        return zone.sources.same_ground(self._number, cols, rows)

    def _sift(self, patches: np.ndarray, pixels: np.ndarray, same_ground: np.ndarray) -> np.ndarray:
        """Booleans: which patches have enough data. The others are rejected; labels are hidden where there is none."""
        taken = np.ones(len(patches), bool)
        policy, name = self._info.nodata_policy, self._info.name
        valid = _with_data(pixels, self._info)
        if valid is None:
            return taken
        whole, some = valid.all((1, 2)), valid.any((1, 2))
        if policy != 'ignore':
            taken = whole.copy() if policy == 'any' else some
            reason = named(NO_DATA, name, len(self._placement.cols))
            self._placement.reject(patches[~taken], reason, name)
        if self._labelling:
            holed = np.flatnonzero(taken & ~whole & same_ground)
            taken[holed] = self._labelling.hide(patches[holed], valid[holed])
        return taken

    def finish(self, reporter: Reporter) -> tuple[SourceInfo, tuple[Shard, ...]]:
        """Keep the patches that are left now; checksums of their shards, and statistics of the training samples."""
        taken = self._placement.left()
        training = self._placement.splits[taken] == SPLITS[0]
        if not training.any():
            training = np.ones(len(taken), bool)
        statistics = RunningStatistics(len(self._info.bands))

        def each(first: int, samples: np.ndarray) -> None:
            reporter.check_cancelled()
            wanted = training[first : first + len(samples)]
            pixels = samples if wanted.all() else samples[wanted]
            if len(pixels):
                statistics.add_many(pixels, _with_data(pixels, self._info))
            done = (first + len(samples)) / len(taken)
            reporter.progress(done, f'Checksums and statistics of {self._info.name}')

        shards = self._writer.finish(np.searchsorted(self._patches, taken), each)
        return dataclasses.replace(self._info, statistics=statistics.result()), shards

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


def _with_data(pixels: np.ndarray, info: SourceInfo) -> Optional[np.ndarray]:
    """Where patches have data, see `valid_pixels`: (patches, rows, columns) booleans; None where they have it all."""
    nodata = unformat_nodata(info.nodata)
    flat = pixels.reshape(len(pixels), -1)
    floating = pixels.dtype.kind == 'f'
    doubtful = ~np.isfinite(flat).all(1) if floating else np.zeros(len(pixels), bool)
    for value in {value for value in nodata if value is not None}:
        if floating:
            doubtful |= (flat == value).any(1)
        elif value.is_integer() and np.iinfo(pixels.dtype).min <= value <= np.iinfo(pixels.dtype).max:
            # Compared with a fraction, all pixels would be converted first.
            doubtful |= (flat == int(value)).any(1)
    if not doubtful.any():
        return None
    valid = np.ones(pixels.shape[:-1], bool)
    valid[doubtful] = valid_pixels(pixels[doubtful], nodata, info.nodata_policy)
    return None if valid.all() else valid
