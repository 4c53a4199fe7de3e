"""Which features belong together: those with the same value of a field, or those in the same block of ground."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ..errors import NoSamples
from ..events import Reporter
from ..gdalio import ogr
from ..vector import VectorLayer, spatial_reference

_BLOCKS = (8, 16, 32, 64)  # along the longer side of the extent: the first that gives every split a block


class Grouping(Protocol):
    """Puts the features of a layer, one after the other, into groups.

    Attributes:
        noun: what the groups are called.
        few: how a message about too few groups begins. remedy: what it advises.
    """

    noun: str
    few: str
    remedy: str

    def add(self, feature: ogr.Feature) -> None:
        """Take the next feature."""

    def numbers(self, wanted: int, reporter: Reporter) -> np.ndarray:
        """The number of each feature's group, from 0 without gaps; `wanted` groups are hoped for."""


class FieldGroups:
    """Features with the same value of a field. Those without a value are one group, so that nothing can leak."""

    noun = 'groups'
    remedy = 'Take another field'

    def __init__(self, layer: VectorLayer, name: str) -> None:
        self._name, self._index = name, layer.require_field(name)
        self.few = f'the field {name!r} makes only'
        self._keys: list[str | None] = []

    def add(self, feature: ogr.Feature) -> None:
        known = feature.IsFieldSetAndNotNull(self._index)
        self._keys.append(feature.GetFieldAsString(self._index) if known else None)

    def numbers(self, wanted: int, reporter: Reporter) -> np.ndarray:
        without = sum(key is None for key in self._keys)
        if without:
            reporter.warn(
                f'{without} of {len(self._keys)} features have no value in the field {self._name!r}; they stay '
                'together as one group.'
            )
        numbers: dict[str | None, int] = {}
        return np.array([numbers.setdefault(key, len(numbers)) for key in self._keys])


class BlockGroups:
    """Features whose centroids lie in the same square block. Those without a geometry are one group.

    Blocks start at the lower left corner of the layer's extent.

    Args:
        size: side of the blocks in map units; 0 for a part of the longer side of the extent.
    """

    noun = 'blocks'
    few = 'there are features in only'
    remedy = 'Take smaller blocks'

    def __init__(self, layer: VectorLayer, size: float) -> None:
        self._layer, self._size = layer, size
        self._xy: list[tuple[float, float]] = []
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)

    def add(self, feature: ogr.Feature) -> None:
        geometry = feature.GetGeometryRef()
        if geometry is None or geometry.IsEmpty():
            self._xy.append((math.nan, math.nan))
            return
        left, right, bottom, top = geometry.GetEnvelope()
        self._low = np.minimum(self._low, (left, bottom))
        self._high = np.maximum(self._high, (right, top))
        centroid = geometry.Centroid()
        self._xy.append((centroid.GetX(), centroid.GetY()))

    def numbers(self, wanted: int, reporter: Reporter) -> np.ndarray:
        xy = np.array(self._xy)
        placed = np.isfinite(xy).all(1)
        without = int((~placed).sum())
        if without == len(xy):
            raise NoSamples(f'{self._layer.path}: no feature has a geometry, so there are no blocks.')
        if without:
            reporter.warn(f'{without} of {len(xy)} features have no geometry; they stay together as one group.')
        longer = (self._high - self._low).max()
        for size in [self._size] if self._size else [float(longer / count) for count in _BLOCKS]:
            blocks = self._blocks(xy[placed], size)
            if blocks.max() + 1 >= wanted:
                break
        self._log(int(blocks.max()) + 1, size, reporter)
        numbers = np.full(len(xy), blocks.max() + 1)
        numbers[placed] = blocks
        return numbers

    def _blocks(self, xy: np.ndarray, size: float) -> np.ndarray:
        """The number of the block that holds each point, from 0 without gaps."""
        if not size:  # all in one place
            return np.zeros(len(xy), np.int64)
        # Points on the far edges of the extent belong to the last blocks.
        last = np.maximum(np.ceil((self._high - self._low) / size - 1e-9) - 1, 0)
        blocks = np.minimum(np.floor((xy - self._low) / size), last)
        return np.unique(blocks, axis=0, return_inverse=True)[1].ravel()

    def _log(self, count: int, size: float, reporter: Reporter) -> None:
        crs = spatial_reference(self._layer.crs) if self._layer.crs else None
        unit, note = 'map units', ''
        if crs is not None and crs.IsGeographic():
            unit, note = 'degrees', '; these are no squares on the ground'
        elif crs is not None:
            unit = f'map units ({crs.GetLinearUnitsName()})'
        width, height = (self._high - self._low).tolist()
        reporter.resolve('block size', size)
        reporter.log(f'{count} blocks of {size:g} {unit} hold features; the extent is {width:g} x {height:g}{note}')
