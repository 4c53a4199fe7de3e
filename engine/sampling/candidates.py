"""The patches of a grid that may be chosen: which are left, and why the others are not."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import open_raster
from ..grid import Grid
from ..jobs import LabelRaster, SelectPatchesJob, SourceSpec
from ..raster import RasterStack, grid_of
from .counts import PatchCounts
from .histograms import Histograms, count_in_patches
from .otbtf import corner_shift, peer_grid
from .patchgrid import PatchGrid, whole_patches
from .validity import above_zero, everywhere, open_mask, with_data

_MOST_PATCHES = 20_000_000


class Candidates:
    """All patches of the grid that a job asks for.

    Attributes:
        image: the grid of the image.
        patches: the grid of patches.
        left: (patch rows, patch columns) booleans.
        dropped: number of patches by the reason why they are not left.
        histograms: the classes of all patches, where the job gives labels and once they are counted.

    Raises:
        InvalidJob, NoSamples: there are too many patches, or none.
    """

    def __init__(self, job: SelectPatchesJob, reporter: Reporter) -> None:
        self._job, self._reporter = job, reporter
        self.image = grid_of(open_raster(job.raster))
        self.patches = _patch_grid(job, self.image)
        self.left = np.ones(self.patches.shape, bool)
        self.dropped: dict[str, int] = {}
        self.histograms: Histograms | None = None

    def keep(self, chosen: np.ndarray, reason: str) -> None:
        """Drop what is not chosen; `NoSamples` where nothing is left."""
        self.dropped[reason] = self.dropped.get(reason, 0) + int((self.left & ~chosen).sum())
        self.left &= chosen
        if not self.left.any():
            why = ', '.join(f'{count} {reason}' for reason, count in self.dropped.items() if count)
            raise NoSamples(f'{self._job.raster}: no patch is left of {self.left.size}: {why}.')

    def sift(self) -> None:
        """Drop patches on pixels that may not be used, and count the classes of the others; each raster is read once.

        Raises:
            GridMismatch: mask or labels do not fit the image.
            LabelError: labels that are none.
            NoSamples: no patch is left.
        """
        job = self._job
        rasters = [bool(job.mask), bool(job.nodata.strip()), job.labels is not None]
        ends = np.cumsum(rasters) / max(sum(rasters), 1) * 0.9
        if job.mask:
            self._reporter.stage(0.0, ends[0])
            self._sift_by_mask()
        if job.nodata.strip():
            self._reporter.stage(ends[0], ends[1])
            self._sift_by_nodata()
        if job.labels:
            self._reporter.stage(ends[1], ends[2])
            self._count_classes(job.labels)

    def _sift_by_mask(self) -> None:
        mask = open_mask(self._job.mask, self.image, self._job.raster)
        if not self._job.otbtf:
            inside = everywhere(mask, self._windows(), above_zero(mask), self._reporter)
            self.keep(inside, 'not wholly on pixels above 0 of the mask')
        elif self._job.nodata.strip():
            inside = everywhere(mask, self._windows(), lambda pixels: pixels[..., 0] != 0, self._reporter)
            self.keep(inside, 'with pixels around them that are 0 in the mask')
        else:
            inside = everywhere(mask, self._grid_pixels(), lambda pixels: pixels[..., 0] == 1, self._reporter)
            self.keep(inside, 'with a grid pixel that is not 1 in the mask')

    def _sift_by_nodata(self) -> None:
        image = RasterStack(SourceSpec((self._job.raster,), nodata=self._job.nodata))
        self.keep(everywhere(image, self._windows(), with_data(image), self._reporter), 'with no-data pixels')

    def _windows(self) -> PatchCounts:
        """Counts of the pixels that must be usable: those of the patches, or OTBTF's windows around grid pixels."""
        size = self._job.patch_size
        if not self._job.otbtf:
            return PatchCounts(self.patches.cols, self.patches.rows, (size, size))
        shift, wide = corner_shift(self.image, size), 2 * (size // 2) + 1
        return PatchCounts(self.patches.cols - shift[0], self.patches.rows - shift[1], (wide, wide))

    def _grid_pixels(self) -> PatchCounts:
        """Counts of the grid pixels of OTBTF."""
        radius, shift = self._job.patch_size // 2, corner_shift(self.image, self._job.patch_size)
        return PatchCounts(self.patches.cols + radius - shift[0], self.patches.rows + radius - shift[1], (1, 1))

    def _count_classes(self, labels: LabelRaster) -> None:
        job = self._job
        found = count_in_patches(labels, job.legend, self.image, job.raster, self.patches, self._reporter)
        self.histograms = found.within(self.left)
        if job.strategy in ('stratified', 'balanced'):
            self.keep(found.pixels.any(-1), 'without any labelled pixel')


def _patch_grid(job: SelectPatchesJob, image: Grid) -> PatchGrid:
    """The grid of patches, or an error where none fits or too many do."""
    step, offset = job.step or job.patch_size, (job.offset_x, job.offset_y)
    if image.width < job.patch_size or image.height < job.patch_size:
        raise NoSamples(
            f'{job.raster}: {image.width} x {image.height} pixels, smaller than a patch of {job.patch_size}. '
            'Take smaller patches.'
        )
    if job.otbtf:
        patches = peer_grid(image, job.patch_size, step, offset)
    else:
        patches = whole_patches(image.width, image.height, job.patch_size, step, offset)
    rows, cols = patches.shape
    if not rows * cols:
        margin = 'the margin of OTBTF' if job.otbtf else 'this offset'
        raise NoSamples(
            f'{job.raster}: {image.width} x {image.height} pixels hold no patch of {job.patch_size} with {margin}. '
            'Change OFFSET_X and OFFSET_Y, or take smaller patches.'
        )
    if rows * cols > _MOST_PATCHES:
        raise InvalidJob(f'{rows} x {cols} patches are more than {_MOST_PATCHES}; take a larger STEP.')
    return patches
