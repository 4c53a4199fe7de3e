"""From samples on disk to the batches a network is fed: the same values however they are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ..datasets.manifest import LabelInfo, SourceInfo
from ..datasets.reader import Dataset
from ..nodata import fill_invalid, valid_pixels
from ..raster import unformat_nodata

_THREADS = 2
_AHEAD = 4  # batches being read while one is in use


class Batch(NamedTuple):
    """What a network is fed.

    Attributes:
        images: (samples, rows, columns, bands) float32.
        labels: (samples, rows, columns) int32 class indices; 0 at pixels that do not count.
        counted: (samples, rows, columns) booleans: where there is a label, and data in the image.
    """

    images: np.ndarray
    labels: np.ndarray
    counted: np.ndarray


class LabelCodes:
    """The way from label values to class indices.

    Args:
        values: the values that are classes, ascending.
        info: the labels' values for "no label".

    Attributes:
        ignored: values of pixels that have no label.
    """

    def __init__(self, values: Sequence[int], info: LabelInfo) -> None:
        self._values = np.asarray(values, np.int64)
        without = [info.unlabelled] if info.nodata is None else [info.unlabelled, info.nodata]
        self.ignored = tuple(value for value in without if value not in values)

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class indices (int32, 0 where the value is no class), and booleans: where it is one."""
        index = np.minimum(np.searchsorted(self._values, labels), len(self._values) - 1)
        known = self._values[index] == labels
        return np.where(known, index, 0).astype(np.int32), known


class SampleReader:
    """Reads samples of one source with their labels, as a network is fed. Threads may share it."""

    def __init__(self, dataset: Dataset, source: SourceInfo, labels: LabelInfo, codes: LabelCodes) -> None:
        self.dataset, self.source, self.labels, self.codes = dataset, source, labels, codes
        self._nodata = unformat_nodata(source.nodata)

    def read(self, indices: np.ndarray) -> Batch:
        """The samples with these numbers, in this order."""
        pixels = self.dataset.read(self.source.name, indices)
        valid = valid_pixels(pixels, self._nodata, self.source.nodata_policy)
        labels, known = self.codes.encode(self.dataset.read(self.labels.name, indices)[..., 0])
        return Batch(fill_invalid(pixels, valid, self.source.statistics.mean), labels, known & valid)


def batches(reader: SampleReader, indices: np.ndarray, size: int, turns: np.ndarray | None = None) -> Iterator[Batch]:
    """All samples in the order given, in batches of at most `size` whose sizes differ by one at most.

    Args:
        indices: numbers of samples.
        turns: for each sample, one of the eight ways a square can be laid down; see `turn`.
    """
    parts = np.array_split(np.arange(len(indices)), batch_count(len(indices), size))

    def load(part: np.ndarray) -> Batch:
        batch = reader.read(indices[part])
        return batch if turns is None else turn(batch, turns[part])

    with ThreadPoolExecutor(_THREADS, 'samples') as pool:
        pending: deque[Future[Batch]] = deque()
        try:
            for part in parts:
                pending.append(pool.submit(load, part))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def batch_count(samples: int, size: int) -> int:
    """Number of batches of at most `size` that hold all samples."""
    return max(1, -(-samples // size))


def shuffled(indices: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The samples in the order of an epoch, a function of seed and epoch alone."""
    return np.random.default_rng((seed, epoch, 0)).permutation(indices)


def random_turns(count: int, square: bool, seed: int, epoch: int) -> np.ndarray:
    """How each sample of an epoch is laid down; patches that are not square are never turned by 90 degrees."""
    choices = np.arange(8) if square else np.array([0, 2, 4, 6])
    return np.random.default_rng((seed, epoch, 1)).choice(choices, count)


def turn(batch: Batch, turns: np.ndarray) -> Batch:
    """Each sample turned anticlockwise by 90 degrees, 0 to 3 times, and then mirrored left to right if 4 is added."""
    return Batch(*(_turn(array, turns) for array in batch))


def _turn(array: np.ndarray, turns: np.ndarray) -> np.ndarray:
    out = np.empty_like(array)
    for way in _unique(turns):
        chosen = turns == way
        part = np.rot90(array[chosen], way % 4, (1, 2))
        out[chosen] = part[:, :, ::-1] if way >= 4 else part
    return out


def _unique(values: np.ndarray) -> Iterable[int]:
    return np.unique(values).tolist()
