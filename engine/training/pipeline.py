"""From samples to the batches a network is fed: the same values however they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Optional

import numpy as np

from ..datasets.feeders.order import through_buffer
from ..datasets.manifest import SourceInfo
from ..datasets.readahead import read_ahead
from ..jobs import TrainOptions
from ..nodata import fill_invalid, valid_pixels
from ..raster import unformat_nodata
from .augmentation import AugmentationSpec, augment
from .targets import Samples, Target

_THREADS = 2
_AHEAD = 4  # batches being read while one is in use


class Batch(NamedTuple):
    """What a network is fed.

    Attributes:
        images: of each source (samples, rows, columns, bands) float32.
        labels: (samples, rows, columns) int32 class indices, or float32 values; 0 at pixels that do not count. One row
            and one column where labels are of whole patches.
        counted: (samples, rows, columns) booleans: where there is a label, and data in the image.
    """

    images: tuple[np.ndarray, ...]
    labels: np.ndarray
    counted: np.ndarray

    def part(self, samples: slice | np.ndarray) -> Batch:
        """Some of the samples."""
        return Batch(tuple(image[samples] for image in self.images), self.labels[samples], self.counted[samples])


Change = Callable[[Batch, np.ndarray], Batch]


class SampleReader:
    """Reads samples with their labels, as a network is fed. Threads may share it.

    Args:
        samples: where they are.
        sources: what the network takes, in the order of its inputs. The statistics fill pixels without data.
        target: what it is to learn.
    """

    def __init__(self, samples: Samples, sources: Sequence[SourceInfo], target: Target) -> None:
        self.samples, self.sources, self.target = samples, tuple(sources), target
        # What is no-data lies with the samples, what replaces it with the network.
        self._own = [samples.manifest.source(source.name) for source in sources]

    def read(self, indices: np.ndarray) -> Batch:
        """The samples with these numbers, in this order."""
        labels, known = self.target.read(self.samples, indices)
        images = []
        for number, (source, own) in enumerate(zip(self.sources, self._own)):
            pixels = self.samples.read(source.name, indices)
            valid = valid_pixels(pixels, unformat_nodata(own.nodata), own.nodata_policy)
            images.append(fill_invalid(pixels, valid, source.statistics.mean))
            if valid.shape == known.shape:
                known = known & valid
            elif number == 0:  # one label a patch
                known = known & valid.any((1, 2))[:, None, None]
        return Batch(tuple(images), labels, known)


def batches(
    reader: SampleReader,
    indices: np.ndarray,
    size: int,
    change: Optional[Change] = None,
    share: Optional[tuple[int, int]] = None,
) -> Iterator[Batch]:
    """All samples in the order given, in batches of at most `size` whose sizes differ by one at most.

    Args:
        indices: numbers of samples.
        change: what becomes of a batch, such as `augmentation`; with the places of its samples in `indices`.
        share: (number, count): only this one of so many parts of each batch, one after the other.
    """
    parts = np.array_split(np.arange(len(indices)), batch_count(len(indices), size))
    if share is not None:
        parts = [np.array_split(part, share[1])[share[0]] for part in parts]

    def load(part: np.ndarray) -> Batch:
        batch = reader.read(indices[part])
        return batch if change is None else change(batch, part)

    return read_ahead(load, parts, _AHEAD, _THREADS)


def batch_count(samples: int, size: int) -> int:
    """Number of batches of at most `size` that hold all samples."""
    return max(1, -(-samples // size))


def shuffled(indices: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The samples in the order of an epoch, a function of seed and epoch alone."""
    return np.random.default_rng((seed, epoch, 0)).permutation(indices)


def epoch_order(indices: np.ndarray, options: TrainOptions, size: int, seed: int, epoch: int) -> np.ndarray:
    """The samples that an epoch takes, in its order, a function of seed and epoch alone.

    Args:
        options: whether and how they are shuffled, and whether only whole batches count.
        size: of batches.
    """
    if options.shuffle and options.shuffle_buffer:
        indices = through_buffer(indices, options.shuffle_buffer, np.random.default_rng((seed, epoch, 0)))
    elif options.shuffle:
        indices = shuffled(indices, seed, epoch)
    return indices[: epoch_samples(len(indices), options, size)]


def epoch_samples(count: int, options: TrainOptions, size: int) -> int:
    """How many of so many samples an epoch takes, in batches of at most `size`."""
    return count // size * size if options.drop_remainder else count


def augmentation(
    spec: AugmentationSpec, sources: Sequence[SourceInfo], seed: int, epoch: int
) -> Callable[[Batch, np.ndarray], Batch]:
    """What becomes of the batches of an epoch, for `batches`."""
    statistics = [source.statistics for source in sources]

    def change(batch: Batch, positions: np.ndarray) -> Batch:
        images, labels, counted = augment(*batch, spec, statistics, seed=seed, epoch=epoch, positions=positions)
        return Batch(tuple(images), labels, counted)

    return change
