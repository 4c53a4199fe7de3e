"""Augmentation: samples shown otherwise in each epoch, their labels alike.

Everything is a function of the seed, the epoch and the sample's position in the order of the epoch, so that neither the
size of batches nor an interruption changes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import InvalidJob
from .augmentationspec import AugmentationSpec, check_spec

_TURN, _GAIN, _OFFSET, _DROP, _KEEP, _ROW, _COLUMN, _NOISE = range(8)  # streams of random numbers


class Statistics(Protocol):
    """Of a source, as `datasets.manifest.BandStatistics` and `networks.registry.SourceShape` have them."""

    @property
    def mean(self) -> Sequence[float]: ...

    @property
    def stddev(self) -> Sequence[float]: ...


def check_augmentation(spec: AugmentationSpec, shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise `InvalidJob` for a spec out of bounds, or a crop that patches of these shapes cannot give.

    Args:
        shapes: (rows, columns, …) of each source.
    """
    check_spec(spec)
    if not spec.crop:
        return
    rows, cols = shapes[0][:2]
    if not 0 < spec.crop <= min(rows, cols):
        raise InvalidJob(f'augment: crop {spec.crop}: must be 1 to {min(rows, cols)}, as patches are {cols} x {rows}.')
    step = _step(shapes)
    if spec.crop % step:
        raise InvalidJob(f'augment: crop {spec.crop}: must be a multiple of {step}, a whole pixel of every source.')


def augment(
    images: Sequence[np.ndarray],
    labels: np.ndarray,
    counted: np.ndarray,
    spec: AugmentationSpec,
    statistics: Sequence[Statistics],
    *,
    seed: int,
    epoch: int,
    positions: np.ndarray,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """A batch as an epoch shows it.

    Args:
        images: of each source (samples, rows, columns, bands) float32; sources of different resolution cover the same
            ground.
        labels, counted: (samples, rows, columns, …) on the grid of the first source; or one row and one column, or
            none, where there is one label a patch.
        statistics: of each source.
        positions: (samples,) of each sample in the order of the epoch.

    Returns:
        Images, labels and counted, new arrays where anything was done.
    """
    rng = _Random(seed, epoch, positions)
    shapes = [image.shape[1:3] for image in images]
    spatial = labels.shape[1:3] == shapes[0]
    plane = [*images, *([labels, counted] if spatial else [])]
    if spec.crop:
        plane = _cropped(plane, shapes, spec.crop, rng)
    square = all(array.shape[1] == array.shape[2] for array in plane)
    ways = _ways(spec, square)
    if len(ways) > 1:
        chosen = np.asarray(ways)[rng.below(_TURN, len(ways))]
        plane = [turned(array, chosen) for array in plane]
    images = [_radiometry(image, item, spec, rng, n) for n, (image, item) in enumerate(zip(plane, statistics))]
    return images, plane[-2] if spatial else labels, plane[-1] if spatial else counted


def turned(array: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Each sample turned anticlockwise by 90 degrees, 0 to 3 times, and then mirrored left to right if 4 is added.

    Args:
        array: (samples, rows, columns, …).
        ways: (samples,) numbers from 0 to 7; odd ones only for squares.
    """
    out = np.empty_like(array)
    for way in np.unique(ways).tolist():
        chosen = ways == way
        part = np.rot90(array[chosen], way % 4, (1, 2))
        out[chosen] = part[:, :, ::-1] if way >= 4 else part
    return out


def _ways(spec: AugmentationSpec, square: bool) -> list[int]:
    """The ways of `turned` that samples are laid down in."""
    if spec.flips and spec.rotations and square:
        return list(range(8))
    if spec.flips:
        return [0, 2, 4, 6]
    if spec.rotations:
        return [0, 1, 2, 3] if square else [0, 2]
    return [0]


def _step(shapes: Sequence[tuple[int, ...]]) -> int:
    """Pixels of the first source after which pixels of all sources begin together."""
    return math.lcm(*(Fraction(shape[i], shapes[0][i]).denominator for shape in shapes for i in (0, 1)))


def _cropped(plane: list[np.ndarray], shapes: Sequence[tuple[int, ...]], size: int, rng: _Random) -> list[np.ndarray]:
    """The same ground of all arrays, at a place of its own for each sample."""
    step = _step(shapes)
    rows, cols = shapes[0]
    count = len(rng)
    top = rng.below(_ROW, (rows - size) // step + 1) * step
    left = rng.below(_COLUMN, (cols - size) // step + 1) * step
    out = []
    for array in plane:
        ratio = Fraction(array.shape[1], rows)
        length = int(size * ratio)
        windows = sliding_window_view(sliding_window_view(array, length, 1), length, 2)
        row, col = (start * ratio.numerator // ratio.denominator for start in (top, left))
        out.append(np.moveaxis(windows[np.arange(count), row, col], (-2, -1), (1, 2)))
    return out


def _radiometry(
    image: np.ndarray, statistics: Statistics, spec: AugmentationSpec, rng: _Random, source: int
) -> np.ndarray:
    """Values changed band by band, and pixel by pixel."""
    if not (spec.gain or spec.offset or spec.noise or spec.band_drop):
        return image
    mean, stddev = (np.asarray(item, np.float32) for item in (statistics.mean, statistics.stddev))
    bands = image.shape[-1]
    gain = 1 + spec.gain * (2 * rng.uniform(_GAIN, source, bands) - 1)
    offset = spec.offset * (2 * rng.uniform(_OFFSET, source, bands) - 1)
    kept = rng.uniform(_DROP, source, bands) >= spec.band_drop
    none = ~kept.any(1)
    kept[none, rng.below(_KEEP, bands, source)[none]] = True
    scale = (gain * kept).astype(np.float32)[:, None, None]
    shift = (offset * kept).astype(np.float32)[:, None, None] * stddev
    out = image - mean
    out *= scale
    out += mean + shift
    if spec.noise:
        noise = rng.normal(_NOISE, source, image.shape[1:])
        noise *= (spec.noise * stddev * kept[:, None, None]).astype(np.float32)
        out += noise
    return out


class _Random:
    """Random numbers for samples, each sample's from seed, epoch and position alone.

    They are hashes of what they are for (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014), as a generator for each sample would take longer than all the rest.
    """

    def __init__(self, seed: int, epoch: int, positions: np.ndarray) -> None:
        # Through numpy's own mixing, so that neighbouring seeds have nothing in common.
        self._key = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
        self._positions = np.asarray(positions).astype(np.uint64)

    def __len__(self) -> int:
        return len(self._positions)

    def uniform(self, stream: int, source: int, count: int) -> np.ndarray:
        """(samples, count) numbers from 0 to below 1."""
        return (self._hashes(stream, source, count) >> np.uint64(11)) * 2.0**-53

    def below(self, stream: int, limit: int, source: int = 0) -> np.ndarray:
        """(samples,) whole numbers from 0 to below the limit."""
        return (self.uniform(stream, source, 1)[:, 0] * limit).astype(np.int64)

    def normal(self, stream: int, source: int, shape: tuple[int, ...]) -> np.ndarray:
        """(samples, *shape) float32 of the standard normal distribution."""
        keys = self._hashes(stream, source, 2)
        out = np.empty((len(self), *shape), np.float32)
        for part, key in zip(out, keys):
            np.random.Generator(np.random.Philox(key=key)).standard_normal(dtype=np.float32, out=part)
        return out

    def _hashes(self, stream: int, source: int, count: int) -> np.ndarray:
        """(samples, count) numbers of 64 bits."""
        step = np.arange(1, count + 1, dtype=np.uint64) + np.uint64((stream + 8 * source) << 32)
        mixed = _mixed(self._key + _mixed(self._positions[:, None]))
        return _mixed(mixed + _mixed(step)[None])


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64: bijective, and every bit of the result depends on all of the argument's."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
