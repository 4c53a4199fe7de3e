"""Where patches are cut: points to windows of pixels, and why some are not cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..grid import Grid, Window
from ..jobs import SPLITS, ExtractPatchesJob
from ..vector import VectorLayer, read_points, write_points

NO_PLACE = 'no point, or none in the CRS of the image'
OUTSIDE = 'point outside the image'
EDGE = 'patch reaches over the edge of the image'


class Placement:
    """A patch for each point.

    The patch of N pixels starts ⌊N/2⌋ pixels before the pixel that holds the point.

    Args:
        job: names the points, their field with the split and the patch size.
        grid: of the first source.
        covered: whether all sources cover a window of that grid.
        reporter: hears what is assumed.

    Attributes:
        points: in the order of the file, in the CRS of the grid.
        splits: the split of each.
        cols, rows: the first pixel of each patch; 0 where it has no place.
        reasons: why a patch is not in the dataset; empty where it is, or may be.

    Raises:
        InvalidJob: a field that is not there, or splits of other names.
        NoSamples: the layer has no points.
    """

    def __init__(
        self, job: ExtractPatchesJob, grid: Grid, covered: Callable[[Window], bool], reporter: Reporter
    ) -> None:
        self.grid, self.size = grid, job.sources[0].patch_size
        field = job.split_field
        if not field and 'split' in VectorLayer(job.points).field_names:
            field = 'split'
        self.points = read_points(job.points, grid.crs, (field,) if field else ())
        path = job.points.path
        if not self.points.ids:
            raise NoSamples(f'{path}: no points in it.')
        if self.points.assumed_crs:
            reporter.warn(f'{path} or the image names no CRS; the coordinates are taken to be those of the image.')
        if field:
            self.splits = _checked_splits(self.points.fields[field], f'{path}, field {field!r}')
        else:
            reporter.log('The points have no splits: all samples are for training.')
            self.splits = (SPLITS[0],) * len(self.points.ids)
        self._place(covered)

    def _place(self, covered: Callable[[Window], bool]) -> None:
        count = len(self.points.ids)
        self.cols, self.rows = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.reasons = [''] * count
        for i, (x, y) in enumerate(zip(self.points.x.tolist(), self.points.y.tolist())):
            if np.isnan(x):
                self.reasons[i] = NO_PLACE
                continue
            col, row = self.grid.pixel_at(x, y)
            if not (0 <= col < self.grid.width and 0 <= row < self.grid.height):
                self.reasons[i] = OUTSIDE
                continue
            self.cols[i], self.rows[i] = col - self.size[0] // 2, row - self.size[1] // 2
            if not covered(self.window(i)):
                self.reasons[i] = EDGE

    def window(self, index: int) -> Window:
        """The pixels of a patch."""
        return Window(int(self.cols[index]), int(self.rows[index]), *self.size)

    def left(self) -> np.ndarray:
        """Numbers of the patches that are not rejected, ascending."""
        return np.flatnonzero([not reason for reason in self.reasons])

    def by_block(self, indices: np.ndarray, block: tuple[int, int]) -> np.ndarray:
        """Patches sorted by the block (columns, rows) of the image they start in: each is then read about once."""
        rows, cols = self.rows[indices], self.cols[indices]
        return indices[np.lexsort((cols, rows, cols // block[0], rows // block[1]))]

    def why(self) -> str:
        """The reasons of rejection and how often each applied."""
        return ', '.join(f'{reason} ({count})' for reason, count in Counter(filter(None, self.reasons)).most_common())

    def extent(self, indices: np.ndarray) -> tuple[float, float, float, float]:
        """(west, south, east, north) of patches."""
        cols, rows = self.cols[indices], self.rows[indices]
        edges = int(cols.min()), int(cols.max()) + self.size[0], int(rows.min()), int(rows.max()) + self.size[1]
        xs, ys = zip(*(self.grid.to_map(col, row) for col in edges[:2] for row in edges[2:]))
        return min(xs), min(ys), max(xs), max(ys)

    def write_accepted(self, path: str) -> None:
        """Write the points of the patches that are not rejected."""
        chosen = self.left()
        pixels = {'row': self.rows[chosen] + self.size[1] // 2, 'col': self.cols[chosen] + self.size[0] // 2}
        self._write(path, chosen, pixels)

    def write_rejected(self, path: str) -> None:
        """Write the points of the patches that are rejected, with the reason."""
        chosen = np.flatnonzero([bool(reason) for reason in self.reasons])
        self._write(path, chosen, {'reason': [self.reasons[i] for i in chosen.tolist()]})

    def _write(self, path: str, chosen: np.ndarray, columns: dict[str, Any]) -> None:
        ids = [self.points.ids[i] for i in chosen.tolist()]
        splits = [self.splits[i] for i in chosen.tolist()]
        columns = {'id': _numbers(ids), 'split': splits, **columns}
        write_points(path, self.grid.crs, self.points.x[chosen], self.points.y[chosen], columns)


def _checked_splits(values: tuple[str | None, ...], where: str) -> tuple[str, ...]:
    """The splits that a field names, or `InvalidJob` for other names."""
    wrong = Counter(repr(value) for value in values if value not in SPLITS)
    if wrong:
        found = ', '.join(f'{value} ({count} points)' for value, count in wrong.most_common(5))
        raise InvalidJob(f'{where}: {found}; splits are called {", ".join(SPLITS)}.')
    return tuple(str(value) for value in values)


def _numbers(ids: list[str]) -> Any:
    """Ids as whole numbers where all are, else as text."""
    try:
        return np.array([int(text) for text in ids], np.int64)
    except (ValueError, OverflowError):
        return ids
