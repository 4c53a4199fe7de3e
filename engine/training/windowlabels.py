"""Labels of patches that are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..datasets.labelling import LOST, Labelling, Naming
from ..datasets.labels import UNSET, ImageLabels
from ..datasets.patchlabels import NO_GROUND, NO_LABEL
from ..datasets.placement import Placement
from ..errors import GridMismatch
from ..events import Reporter
from ..grid import Window


class WindowLabelling(Labelling):
    """A label for each pixel, from rasters or polygons. `cut` only counts them.

    Args:
        labels: of each zone.
        size: (columns, rows) of a patch in the image.
        naming, placement, reporter: as of `Labelling`.

    Raises:
        GridMismatch: patches cover no whole label pixels, or not as many in all zones.
    """

    def __init__(
        self,
        labels: Sequence[ImageLabels],
        size: tuple[int, int],
        naming: Naming,
        placement: Placement,
        reporter: Reporter,
    ) -> None:
        super().__init__(naming, placement, reporter)
        self._labels, self._size = labels, size
        self.shape = labels[0].shape(*size)
        for other in labels[1:]:
            if other.shape(*size) != self.shape:
                raise GridMismatch(
                    f'Patches cover other numbers of pixels of {labels[0].path} than of {other.path}; give all zones '
                    'labels of one resolution.'
                )
        if len({found.nodata for found in labels}) == 1:
            self.nodata = labels[0].nodata

    def cut(self) -> None:
        place = self.placement
        for zone, labels in enumerate(self._labels):
            left = place.left(zone)
            whole = labels.whole(place.cols[0][left], place.rows[0][left])
            place.reject(left[~whole], NO_GROUND)
        for zone, labels in enumerate(self._labels):
            left = place.left(zone)
            done = 0
            for numbers, values, nodata in labels.patches(place.cols[0][left], place.rows[0][left], self._size):
                self.reporter.check_cancelled()
                self.reporter.progress(done / len(left), 'Reading labels')
                values = self._stored(values, nodata)
                kept = values == self.nodata if self.nodata is not None else np.zeros(values.shape, bool)
                counts = self.tally.set(left[numbers], values, (values > LOST) & ~kept)
                place.reject(left[numbers][(counts == 0) & ~kept.any((1, 2))], NO_LABEL)
                done += len(numbers)

    def _stored(self, values: np.ndarray, nodata: np.ndarray) -> np.ndarray:
        """Labels of which no-data that cannot be kept is `LOST`."""
        return np.where(nodata, LOST, values) if self.nodata is None else values

    def read(self, patches: np.ndarray) -> np.ndarray:
        """The labels of patches, in the order asked for: int32 (patches, rows, columns) with `UNSET` and `LOST`."""
        place = self.placement
        out = np.full((len(patches), *self.shape), UNSET, np.int32)
        for i, patch in enumerate(patches.tolist()):
            labels = self._labels[place.zones[patch]]
            col, row = int(place.cols[0][patch]), int(place.rows[0][patch])
            window = None if place.mirrored[patch] else labels.window(Window(col, row, *self._size))
            if window is not None:
                out[i] = self._stored(*labels.read(window))
                continue
            for _, values, nodata in labels.patches(np.array([col]), np.array([row]), self._size):
                out[i] = self._stored(values, nodata)[0]
        return out

    def _parts(self, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, self.read(chosen)

    def _conclude(self, chosen: np.ndarray) -> None:
        """Nothing is in the way."""
