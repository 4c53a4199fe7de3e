"""An image and the classed features on it, as samples are chosen from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..errors import GridMismatch, InputUnreadable, InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import ogr, open_raster
from ..jobs import SampledImage
from ..raster import crs_name, grid_of
from ..vector import transformation
from .classcounts import count_each
from .features import ClassLayer
from .pixels import Candidates, PixelFinder
from .statisticsxml import read_class_counts
from .validity import open_mask

_NAMED = 10  # classes that a message names


class ClassedImage:
    """An image and the features that have a class there.

    Args:
        spec: the image, the layer, the mask, the statistics.
        field: attribute with the class.

    Attributes:
        path, grid: of the image.
        layer: its features.
        members: numbers of the features of each class.
        pixels: of each class; what the statistics say, until they are known to fit.
        counted: whether `pixels` were counted here.
    """

    def __init__(self, spec: SampledImage, field: str, reporter: Reporter) -> None:
        self._spec, self._field, self._reporter = spec, field, reporter
        self.path = spec.raster
        self.grid = grid_of(open_raster(spec.raster))
        mask = open_mask(spec.mask, self.grid, spec.raster) if spec.mask else None
        self._finder = PixelFinder(self.grid, mask)
        self.layer = ClassLayer(spec.vector, field, self.grid, spec.raster, reporter)
        self.members: dict[str, list[int]] = {}
        self.pixels: dict[str, int] = {}
        self.counted = not spec.statistics

    def survey(self) -> None:
        """Find the classes, and count their pixels where no statistics are given."""
        if self.counted:
            counts = count_each(self.layer, self._finder, self._reporter)
            self.layer.report()
            self.members, self.pixels = counts.members, counts.classes
            return
        stated = read_class_counts(self._spec.statistics)
        for text, feature in self.layer:
            self.members.setdefault(text, []).append(feature.GetFID())
        self.pixels = {text: stated.get(text, 0) for text in self.members}
        if not any(self.pixels.values()):
            raise InvalidJob(
                f'{self._spec.statistics}: counts no pixel of {listed(sorted(self.members))}, the classes in the field '
                f'{self._field!r} of {self.layer.path}. Give the statistics of this layer and field, or none.'
            )

    def no_pixels(self) -> NoSamples:
        """The error where no feature has a pixel."""
        return self.layer.no_pixels(self._spec.mask)

    def candidates(self, fid: int) -> Iterator[tuple[ogr.Feature, Candidates]]:
        """A feature, without its geometry, and its pixels, part by part."""
        feature = self.layer.feature(fid)
        for found in self._finder.find(self.layer.parts(feature)):
            self._reporter.check_cancelled()
            yield feature, found

    def confirm(self, found: dict[str, int]) -> bool:
        """Take note of the pixels of each class that were found; whether they are those that were expected.

        Raises:
            InputUnreadable: they are not, although they were counted before: the layer was changed meanwhile.
        """
        self.layer.report()
        differing = [text for text, count in sorted(found.items()) if count != self.pixels[text]]
        if differing and self.counted:
            raise InputUnreadable(f'{self.layer.path}: was changed while samples were chosen; choose them again.')
        if differing:
            named = [f'{text} ({self.pixels[text]} there, {found[text]} here)' for text in differing]
            self._reporter.warn(
                f'{self._spec.statistics}: does not fit this image, layer and mask; the pixels differ of the classes '
                f'{listed(named)}.'
            )
        self.pixels, self.counted = found, True
        return not differing

    def placer(self, target: ClassedImage) -> Callable[[np.ndarray], np.ndarray]:
        """A function from coordinates (n, 2) on this image to those in the reference system of another."""
        names = f'{self.path} is in {crs_name(self.grid.crs)}, {target.path} in {crs_name(target.grid.crs)}'
        if bool(self.grid.crs) != bool(target.grid.crs):
            raise GridMismatch(f'{names}: samples of both cannot lie in one layer. Set the missing CRS first.')
        transform = transformation(self.grid.crs, target.grid.crs)
        if transform is None:
            return lambda xy: xy

        def place(xy: np.ndarray) -> np.ndarray:
            try:
                moved = np.array(transform.TransformPoints(xy.tolist()), np.float64).reshape(-1, 3)[:, :2]
            except RuntimeError as error:
                raise GridMismatch(f'{names}: not all samples have a place there ({error}).') from error
            if not np.isfinite(moved).all():
                raise GridMismatch(f'{names}: not all samples have a place there.')
            return moved

        return place


def listed(texts: Sequence[str]) -> str:
    """Classes in a message, the first few of many."""
    return ', '.join(texts[:_NAMED]) + (f' and {len(texts) - _NAMED} more' if len(texts) > _NAMED else '')
