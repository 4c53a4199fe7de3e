"""Labels for each pixel of patches, from rasters or polygons, as they are cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import GridMismatch
from ..events import Reporter
from .labelling import LOST, NAME, Labelling, Naming
from .labels import UNSET, ImageLabels
from .placement import Placement
from .shards import ShardWriter

NO_LABEL = 'no labelled pixel'
NO_GROUND = 'patch covers no whole label pixels'


class PixelLabelling(Labelling):
    """A label for each pixel, from rasters or polygons.

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
                    f'A patch covers {self.shape[1]} x {self.shape[0]} pixels of {labels[0].path} and '
                    f'{other.shape(*size)[1]} x {other.shape(*size)[0]} of {other.path}; give all zones labels of one '
                    'resolution.'
                )
        if len({found.nodata for found in labels}) == 1:
            self.nodata = labels[0].nodata

    def _reject_without_ground(self) -> None:
        """Reject the patches that cover no whole label pixels."""
        place = self.placement
        for zone, labels in enumerate(self._labels):
            left = place.left(zone)
            whole = labels.whole(place.cols[0][left], place.rows[0][left])
            place.reject(left[~whole], NO_GROUND)


class PatchLabelling(PixelLabelling):
    """Labels that are kept in files until all values are known.

    Args:
        folder: for the labels until they are finished.
        labels, size, naming, placement, reporter: as of `PixelLabelling`.
    """

    def __init__(
        self,
        labels: Sequence[ImageLabels],
        size: tuple[int, int],
        folder: str,
        naming: Naming,
        placement: Placement,
        reporter: Reporter,
    ) -> None:
        super().__init__(labels, size, naming, placement, reporter)
        self._patches = placement.left()
        kept = np.dtype(np.int16 if all(found.small for found in labels) else np.int32)
        self._raw = ShardWriter(folder, NAME + '-raw', self.shape, kept, len(self._patches))
        count = len(placement.ids)
        # Pixels of each patch without label, with no-data of the labels, and hidden by no-data of the image.
        self._unset, self._nodata, self._hidden = (np.zeros(count, np.int64) for _ in range(3))

    def cut(self) -> None:
        place = self.placement
        self._reject_without_ground()
        done = 0
        for zone, labels in enumerate(self._labels):
            left = place.left(zone)
            for numbers, values, nodata in labels.patches(place.cols[0][left], place.rows[0][left], self._size):
                self.reporter.check_cancelled()
                self.reporter.progress(done / len(self._patches), 'Reading labels')
                self._take(left[numbers], values, nodata)
                done += len(numbers)

    def _take(self, patches: np.ndarray, values: np.ndarray, nodata: np.ndarray) -> None:
        """Keep the labels of patches; if none of a patch has any, it is rejected. The labels' no-data counts, where it
        is kept: training may name it as a class."""
        unset = (values == UNSET) & ~nodata
        self._unset[patches] = unset.sum((1, 2))
        self._nodata[patches] = nodata.sum((1, 2))
        if self.nodata is None:
            values[nodata] = LOST
        labelled = self._count(patches, values)
        self.placement.reject(patches[~labelled], NO_LABEL)
        self._keep(np.searchsorted(self._patches, patches[labelled]), values[labelled])

    def _keep(self, places: np.ndarray, values: np.ndarray) -> None:
        """Write labels at their places among those that are kept."""
        lowest = np.iinfo(self._raw.dtype).min
        kept = np.where(values <= LOST, values - UNSET + lowest, values)
        self._raw.write_many(places, kept.astype(self._raw.dtype))

    def _kept(self, values: np.ndarray) -> np.ndarray:
        """Labels as they were before `_keep`: int32 with `UNSET` and `LOST`."""
        lowest = np.iinfo(self._raw.dtype).min
        values = values.astype(np.int32)
        return np.where(values <= lowest + 1, values - lowest + UNSET, values)

    def _count(self, patches: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Count the labels of patches; whether each has any."""
        kept = values == self.nodata if self.nodata is not None else np.zeros(values.shape, bool)
        counts = self.tally.set(patches, values, (values > LOST) & ~kept)
        return (counts > 0) | kept.any((1, 2))

    def hide(self, patches: np.ndarray, valid: np.ndarray) -> np.ndarray:
        labelled = np.ones(len(patches), bool)
        for i, (patch, seen) in enumerate(zip(patches.tolist(), valid)):
            hidden = ~_on_labels(seen, self.shape)
            if not hidden.any():
                continue
            place = int(np.searchsorted(self._patches, patch))
            values = self._kept(self._raw.read(place))
            self._hidden[patch] += (hidden & (values != UNSET)).sum()
            self._nodata[patch] -= (hidden & ((values == self.nodata) | (values == LOST))).sum()
            values[hidden] = UNSET
            labelled[i] = self._count(np.array([patch]), values[None])[0]
            self._keep(np.array([place]), values[None])
        self.placement.reject(patches[~labelled], NO_LABEL)
        return labelled

    def close(self) -> None:
        self._raw.close()

    def _parts(self, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        for start, values in self._raw.parts(np.searchsorted(self._patches, chosen)):
            yield start, self._kept(values)

    def _conclude(self, chosen: np.ndarray) -> None:
        self._raw.remove()
        total = len(chosen) * self.shape[0] * self.shape[1]
        unset, nodata, hidden = (int(pixels[chosen].sum()) for pixels in (self._unset, self._nodata, self._hidden))
        self.reporter.log(
            f'Label pixels left out of {total}: {_share(hidden, total)} where the image has no data, '
            f'{_share(nodata, total)} that are no-data of the labels, {_share(unset, total)} without label'
        )
        if nodata:
            values = {float('nan') if found.declared is None else found.declared for found in self._labels}
            said = ' or '.join(sorted(f'{value:g}' for value in values))
            self.reporter.warn(
                f'{self._naming.where}: {_share(nodata, total)} label pixels are left out: their value {said} is '
                'no-data of the labels. If it is a class (a background, say), name it among the classes.'
            )


def _share(count: int, total: int) -> str:
    return f'{count} ({count / max(total, 1):.1%})'


def _on_labels(valid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where the image has data, in label pixels: one that covers several image pixels needs data in one of them."""
    if valid.shape == shape:
        return valid
    rows, cols = shape
    finer = np.repeat(np.repeat(valid, max(rows // valid.shape[0], 1), 0), max(cols // valid.shape[1], 1), 1)
    return finer.reshape(rows, finer.shape[0] // rows, cols, finer.shape[1] // cols).any((1, 3))
