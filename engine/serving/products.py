"""What maps can hold, each made of the class probabilities of a tile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from ..jobs import ClassDef
from ..maps.classes import class_type, styled


@dataclasses.dataclass(frozen=True)
class Product:
    """A raster made pixel by pixel.

    Attributes:
        dtype, nodata: of its pixels.
        bands: their descriptions.
        make: from class probabilities (rows, columns, classes) to pixels (rows, columns, bands), no-data not seen to.
        legend: the classes, where it is a class map.
    """

    dtype: np.dtype
    nodata: float
    bands: tuple[str, ...]
    make: Callable[[np.ndarray], np.ndarray]
    legend: tuple[ClassDef, ...] = ()

    def pixels(self, probabilities: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """The pixels of a tile as the file holds them: no-data where `valid` (rows, columns) is False."""
        made = np.ascontiguousarray(self.make(probabilities), self.dtype)
        if not valid.all():
            made = np.where(valid[..., None], made, self.dtype.type(self.nodata))
        return made


def class_map(classes: Sequence[ClassDef]) -> Product:
    """The value of the most probable class; of several equal ones the first in the network's order."""
    dtype, nodata = class_type(item.value for item in classes)
    values = np.array([item.value for item in classes], dtype)
    legend = tuple({item.value: item for item in styled(classes)}.values())
    return Product(dtype, nodata, ('class',), lambda given: values[given.argmax(-1)][..., None], legend)


def probabilities(classes: Sequence[ClassDef]) -> Product:
    """The probability of each class, a band each."""
    return _floats(tuple(item.name for item in styled(classes)), lambda given: given)


def confidence() -> Product:
    """The probability of the most probable class."""
    return _floats(('confidence',), lambda given: given.max(-1, keepdims=True))


def entropy() -> Product:
    """Shannon entropy of the class probabilities in nats, after "A mathematical theory of communication" (1948): 0
    where the network is certain, the logarithm of the number of classes where it cannot tell."""
    return _floats(('entropy',), _entropy)


def _entropy(given: np.ndarray) -> np.ndarray:
    # What has no probability adds nothing; its logarithm would be infinite.
    tiny = np.finfo(np.float32).tiny
    return -(given * np.log(np.maximum(given, tiny))).sum(-1, keepdims=True)


def _floats(bands: tuple[str, ...], make: Callable[[np.ndarray], np.ndarray]) -> Product:
    return Product(np.dtype('float32'), float('nan'), bands, make)
