"""How many pixels of each class lie in each patch of a grid."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..classes import complete, merge
from ..datasets.labels import UNSET, RasterLabels
from ..datasets.legend import raster_legend
from ..errors import GridMismatch, LabelError
from ..events import Reporter
from ..gdalio import open_raster
from ..grid import Grid, Window, relate
from ..jobs import ClassDef, LabelRaster
from ..raster import grid_of
from .counts import PatchCounts
from .patchgrid import PatchGrid

MOST_CLASSES = 1000  # more are no classes: an elevation model was taken for labels


@dataclasses.dataclass(frozen=True)
class Histograms:
    """The classes in each patch of a grid.

    Attributes:
        path: of the label raster.
        classes: ascending by value, with names.
        pixels: (patch rows, patch columns, classes) counts.
        area: pixels in a patch, labelled or not.
        nodata: value of the label raster's pixels that have no label; None where there is none.
    """

    path: str
    classes: tuple[ClassDef, ...]
    pixels: np.ndarray
    area: int
    nodata: float | None

    def within(self, patches: np.ndarray) -> Histograms:
        """The same without the classes of which none of some patches has a pixel; `LabelError` where none is left.

        Args:
            patches: (patch rows, patch columns) booleans.
        """
        there = self.pixels[patches].any(0)
        if not there.any():
            raise LabelError(f'{self.path}: no pixel with a label lies in the patches; all are no-data. Check LABELS.')
        classes = tuple(item for item, found in zip(self.classes, there) if found)
        return dataclasses.replace(self, classes=classes, pixels=self.pixels[..., there])


def count_in_patches(
    spec: LabelRaster, legend: tuple[ClassDef, ...], image: Grid, name: str, patches: PatchGrid, reporter: Reporter
) -> Histograms:
    """Count the classes of a label raster in patches; the raster is read once, in strips.

    Counted are pixels of the label raster, or of the image where those are the smaller ones.

    Args:
        legend: names of classes, before those that the raster has. Its no-data value is a class if it has a name.
        image: grid on which the patches lie. name: what messages call it.

    Raises:
        GridMismatch: the raster lies elsewhere, or on a grid that does not fit.
        LabelError: values that are no labels, or more of them than there are classes anywhere.
    """
    labels = _Labels(spec, legend, image, name)
    across, down = labels.scale
    counts = PatchCounts(patches.cols * across, patches.rows * down, (patches.size * across, patches.size * down))
    width, cells = counts.right - counts.left, counts.cells
    for top, bottom in counts.strips(16 * width, labels.block):
        reporter.check_cancelled()
        reporter.progress((top - counts.top) / (counts.bottom - counts.top), f'Reading {spec.path}')
        values, labelled = labels.read(Window(counts.left, top, width, bottom - top))
        for first, end in counts.pieces(top, bottom):
            part = np.s_[first - top : end - top]
            counts.add(end, _count(values[part], labelled[part], cells))
            if len(counts.kinds) > MOST_CLASSES:
                raise LabelError(
                    f'{spec.path}: more than {MOST_CLASSES} different values. Labels are classes; is this another '
                    'raster?'
                )
    classes = complete(counts.kinds, labels.legend)
    pixels = np.zeros((*patches.shape, len(classes)), np.int64)
    for number, kind in enumerate(counts.kinds):
        pixels[..., number] = counts.of(kind)
    return Histograms(spec.path, classes, pixels, patches.size**2 * across * down, labels.nodata)


def _count(values: np.ndarray, labelled: np.ndarray, cells: np.ndarray) -> dict[int, np.ndarray]:
    """Pixels of each value in each cell of columns."""
    where = np.broadcast_to(cells, values.shape)[labelled]
    found, codes = _codes(values[labelled])
    width = int(cells[-1]) + 1
    table = np.bincount(codes * width + where, minlength=len(found) * width).reshape(len(found), width)
    return dict(zip(found.tolist(), table))


def _codes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values, ascending, and the place of each value among them; faster than sorting for near values."""
    if not values.size:
        return values, values
    lowest = int(values.min())
    span = int(values.max()) - lowest + 1
    if span > 1 << 16:
        found, codes = np.unique(values, return_inverse=True)
        return found, codes
    offsets = values - lowest
    present = np.flatnonzero(np.bincount(offsets, minlength=span))
    places = np.zeros(span, np.int64)
    places[present] = np.arange(len(present))
    return present + lowest, places[offsets]


class _Labels:
    """A label raster in pixels of its own or of the image, whichever are smaller.

    Attributes:
        scale: (columns, rows) of such pixels in a pixel of the image.
        block: rows of a block of the raster, in such pixels.
        legend: names and colours of classes.
        nodata: the value that is no label, or None.
    """

    def __init__(self, spec: LabelRaster, legend: tuple[ClassDef, ...], image: Grid, name: str) -> None:
        self.legend = merge(legend, raster_legend(spec.path, spec.band))
        named = [item for item in self.legend if item.name not in ('', str(item.value))]
        self._labels = RasterLabels(spec, image, name, named)
        self.nodata = self._labels.declared
        dataset = open_raster(spec.path)
        grid = grid_of(dataset)
        relation = relate(image, grid, (name, spec.path))
        self.scale = relation.x.numerator, relation.y.numerator
        self._coarse = relation.x.denominator, relation.y.denominator
        # Where the image starts, in parts of a label pixel that are as small as those of the image.
        self._start = int(relation.col * self._coarse[0]), int(relation.row * self._coarse[1])
        self.block = dataset.GetRasterBand(spec.band).GetBlockSize()[1] * self._coarse[1]
        whole = self._under(Window(0, 0, image.width * self.scale[0], image.height * self.scale[1]))
        if whole.intersect(grid.window).empty:
            raise GridMismatch(f'{spec.path}: the labels do not overlap {name}. Check LABELS.')

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Values of a window, and where they are labels."""
        under = self._under(window)
        values, nodata = self._labels.read(under)
        labelled = ~nodata & (values != UNSET)
        if self._coarse != (1, 1):
            cols = (np.arange(window.col, window.right) + self._start[0]) // self._coarse[0] - under.col
            rows = (np.arange(window.row, window.bottom) + self._start[1]) // self._coarse[1] - under.row
            place = np.ix_(rows, cols)
            values, labelled = values[place], labelled[place]
        return values, labelled

    def _under(self, window: Window) -> Window:
        """The label raster's own pixels under a window."""
        col, row = (window.col + self._start[0]) // self._coarse[0], (window.row + self._start[1]) // self._coarse[1]
        right = -(-(window.right + self._start[0]) // self._coarse[0])
        bottom = -(-(window.bottom + self._start[1]) // self._coarse[1])
        return Window(col, row, right - col, bottom - row)
