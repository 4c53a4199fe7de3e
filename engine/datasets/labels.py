"""Labels as whole numbers on the ground of a patch, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from ..errors import GridMismatch, LabelError
from ..grid import Grid, Relation, Window, relate
from ..jobs import ClassDef, LabelRaster, SourceSpec
from ..raster import RasterStack, require_same_crs
from .cutting import Indices, cut_patches
from .polygons import DrawnPolygons
from .ratios import scaled
from .sweep import Raster

UNSET = -(2**31)  # stands for "no label" until all values, and so a free one, are known
_AT_ONCE = 1 << 18  # label pixels that are worked on together
TYPES = ('uint8', 'uint16', 'int16', 'int32')  # of label shards and of class maps


class ImageLabels:
    """Labels that lie on a grid, seen from the grid of the image.

    Args:
        path: of their file, for messages.
        raster: the labels.
        reference: the grid of the image.
        relation: how the grid of the labels lies on it.

    Attributes:
        declared: the value of pixels that have no label, None where there is none.
        nodata: the same where it is a whole number, and so can be kept.
        small: all values fit into 15 bits.
    """

    declared: float | None = None
    nodata: int | None = None
    small = False

    def __init__(self, path: str, raster: Raster, reference: Grid, relation: Relation) -> None:
        self.path, self._raster, self._image, self._relation = path, raster, reference, relation

    def window(self, window: Window) -> Window | None:
        """The label pixels on the ground of a window of the image; None where these are no whole pixels."""
        try:
            return self._relation.window(window)
        except GridMismatch:
            return None

    def shape(self, cols: int, rows: int) -> tuple[int, int]:
        """(rows, columns) of labels on the ground of a patch, or `GridMismatch` where these are no whole pixels."""
        width, height = cols * self._relation.x, rows * self._relation.y
        if width.denominator != 1 or height.denominator != 1:
            raise GridMismatch(
                f'{self.path}: patches of {cols} x {rows} pixels cover no whole number of label pixels. Take patches '
                f'of a multiple of {self._relation.x.denominator} pixels.'
            )
        return int(height), int(width)

    def whole(self, cols: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Booleans: whether the patches that start at these pixels of the image cover whole label pixels."""
        across, cols_unit = scaled(cols, self._relation.x, self._relation.col)
        down, rows_unit = scaled(rows, self._relation.y, self._relation.row)
        return (across % cols_unit == 0) & (down % rows_unit == 0)

    def patches(
        self, cols: np.ndarray, rows: np.ndarray, size: tuple[int, int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The labels of patches, which cover whole label pixels. Where a patch reaches over the edge of the image,
        they are mirrored as the image is.

        Args:
            cols, rows: the first pixel of each patch in the image.
            size: (columns, rows) of a patch in the image.

        Yields:
            Numbers of patches, and what `read` says of them: (patches, rows, columns).
        """
        height, width = self.shape(*size)
        relation, image, grid = self._relation, self._image, self._raster.grid
        left = np.floor_divide(*scaled(cols, relation.x, relation.col))
        top = np.floor_divide(*scaled(rows, relation.y, relation.row))
        mirrored = (cols < 0) | (rows < 0) | (cols + size[0] > image.width) | (rows + size[1] > image.height)
        outside = (left < 0) | (top < 0) | (left + width > grid.width) | (top + height > grid.height)

        def indices(number: int) -> Indices:
            return (
                _mirrored(int(rows[number]), height, image.height, relation.y, relation.row),
                _mirrored(int(cols[number]), width, image.width, relation.x, relation.col),
            )

        for numbers, pixels, inside in cut_patches(
            self._raster, left, top, (width, height), mirrored | outside, indices
        ):
            for start in range(0, len(numbers), max(1, _AT_ONCE // (width * height))):
                part = np.s_[start : start + max(1, _AT_ONCE // (width * height))]
                values, nodata = self._whole(pixels[part][..., 0])
                if inside is not None:
                    values[~inside[part]] = UNSET
                    nodata &= inside[part]
                yield numbers[part], values, nodata

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Labels of a window of the labels' own pixels, which may reach over their edge.

        Returns:
            int32 values (rows, columns), `UNSET` where there is no label (outside the raster, or no-data that is no
            whole number); and booleans, True where the raster has no-data.
        """
        values = np.full((window.height, window.width), UNSET, np.int32)
        nodata = np.zeros(values.shape, bool)
        inside = self._raster.grid.window.intersect(window)
        if not inside.empty:
            col, row = inside.col - window.col, inside.row - window.row
            part = np.s_[row : row + inside.height, col : col + inside.width]
            values[part], nodata[part] = self._whole(self._raster.read(inside)[..., 0])
        return values, nodata

    def _whole(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels as int32, and where they are no-data."""
        raise NotImplementedError


class RasterLabels(ImageLabels):
    """A label raster.

    Args:
        spec: the raster.
        reference: the grid of the image, and what messages call it.
        classes: values that are classes even if the raster declares them as no-data.
    """

    def __init__(self, spec: LabelRaster, reference: Grid, name: str, classes: Sequence[ClassDef] = ()) -> None:
        stack = RasterStack(SourceSpec((spec.path,), 'labels', (spec.band,), nodata=spec.nodata))
        require_same_crs(reference, stack.grid, (name, spec.path))
        relation = relate(reference, stack.grid, (name, spec.path))
        for ratio in (relation.x, relation.y):
            if 1 not in (ratio.numerator, ratio.denominator):
                raise GridMismatch(
                    f'{spec.path}: one pixel of the image is {float(ratio):g} pixels of the labels; the ratio must be '
                    'a whole number, or one over a whole number. Resample the labels ("Warp", nearest neighbour).'
                )
        super().__init__(spec.path, stack, reference, relation)
        self.small = stack.dtype.itemsize == 1
        declared = stack.nodata[0]
        if declared is not None and any(definition.value == declared for definition in classes):
            declared = None
        self.declared = declared
        whole = declared is not None and float(declared).is_integer() and abs(declared) < 2**31 - 1
        self.nodata = int(declared) if whole and declared is not None else None

    def _whole(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of any type as int32, and where they are no-data; `LabelError` for what is no label."""
        if pixels.dtype.kind != 'f' and pixels.dtype.itemsize <= 2:
            values = pixels.astype(np.int32)
            return values, np.zeros(values.shape, bool) if self.nodata is None else values == self.nodata
        nodata = np.zeros(pixels.shape, bool) if self.declared is None else pixels == self.declared
        if pixels.dtype.kind == 'f':
            nodata |= np.isnan(pixels)
        labels = pixels[~nodata]
        wrong = labels[(labels != np.round(labels)) | (np.abs(labels.astype(np.float64)) >= 2**31 - 1)]
        if wrong.size:
            raise LabelError(
                f'{self.path}: {wrong[0]} is no class value; labels are whole numbers of up to 32 bits. Give a raster '
                'of classes, or say which value is no-data.'
            )
        kept = UNSET if self.nodata is None else self.nodata
        return np.where(nodata, kept, np.where(nodata, 0, pixels)).astype(np.int32), nodata


class PolygonLabels(ImageLabels):
    """Polygons drawn on the grid of the image, `UNSET` where a pixel has no value.

    Args:
        path: of the polygons, for messages.
        small: all values fit into 15 bits.
    """

    def __init__(self, drawn: DrawnPolygons, path: str, small: bool) -> None:
        super().__init__(path, drawn, drawn.grid, Relation(Fraction(1), Fraction(1), Fraction(0), Fraction(0)))
        self.small = small

    def _whole(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pixels.copy(), np.zeros(pixels.shape, bool)


def _mirrored(start: int, count: int, length: int, ratio: Fraction, offset: Fraction) -> np.ndarray:
    """Which label pixel stands at each of `count` places of a patch that starts at pixel `start` of the image.

    The image is mirrored about the centres of its first and last pixel; a label pixel goes where its centre goes.

    Args:
        length: pixels of the image.
        ratio, offset: of the relation between image and labels, along this axis.
    """
    p, q = ratio.numerator, ratio.denominator
    # In units of 1 / 2p of a pixel of the image, so that the centres of label pixels are whole numbers.
    pixel, within = np.divmod((2 * np.arange(count) + 1) * q + 2 * p * start, 2 * p)
    place = pixel % max(2 * (length - 1), 1)
    turned = place >= length
    place = np.where(turned, 2 * (length - 1) - place, place) * 2 * p + np.where(turned, 2 * p - within, within)
    return (offset.numerator * 2 * q + place * offset.denominator) // (2 * q * offset.denominator)
