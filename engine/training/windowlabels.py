"""Labels of patches that are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..datasets.labelling import LOST
from ..datasets.labels import UNSET
from ..datasets.patchlabels import NO_LABEL, PixelLabelling
from ..grid import Window


class WindowLabelling(PixelLabelling):
    """Labels that are read when they are asked for; `cut` only counts them. Arguments are those of `PixelLabelling`."""

    def cut(self) -> None:
        place = self.placement
        self._reject_without_ground()
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
