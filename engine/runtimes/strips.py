"""Random strips of images, of which parts are replaced, and how far the outputs of a network notice it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from ..errors import ModelError, OutOfMemory
from .arrays import image_of
from .spec import TensorInfo

Network = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
LEVELS = (1.0, 1000.0)  # of the random inputs: networks may want reflectances or digital numbers
COUNT = 3  # images in a batch of strips


@dataclasses.dataclass(frozen=True)
class Shape:
    """The size of an output for windows of any size: along columns and rows, so many pixels of the first input fewer,
    times a scale."""

    scale: Fraction
    lost: tuple[int, int]

    def size(self, cols: int, rows: int) -> tuple[int, int]:
        """(rows, columns) of the output for a window of the first input.

        Raises:
            ModelError: there are no such windows.
        """
        found = [self.scale * (length - lost) for length, lost in ((rows, self.lost[1]), (cols, self.lost[0]))]
        if any(item.denominator != 1 or item < 1 for item in found):
            raise ModelError(f'windows of {cols} x {rows} pixels are too small')
        return int(found[0]), int(found[1])


class Images:
    """What a network is fed.

    Args:
        network: runs a batch; raises `ModelError` for sizes that it cannot take.
        inputs: type and shape of each.
        ratios: pixels of each input for one of the first, along an axis.
        bands: of inputs that leave their number open.
        seed: of the random pixels.
    """

    def __init__(
        self, network: Network, inputs: Mapping[str, TensorInfo], ratios: Mapping[str, Fraction], bands: int, seed: int
    ) -> None:
        self._network, self.inputs, self.ratios = network, inputs, ratios
        self._bands, self._seed = bands, seed
        # Networks may be made for one image at a time.
        self._batch = min((info.shape[0] or COUNT for info in inputs.values()), default=COUNT)

    def sizes(self, cols: int, rows: int) -> dict[str, tuple[int, int]]:
        """(rows, columns) of each input for a window of the first; `ModelError` where they are no whole pixels."""
        found = {}
        for name, ratio in self.ratios.items():
            lengths = [ratio * length for length in (rows, cols)]
            if any(length.denominator != 1 or length < 1 for length in lengths):
                raise ModelError(f'{cols} x {rows} pixels are no whole pixels of {name}')
            found[name] = int(lengths[0]), int(lengths[1])
        return found

    def random(self, name: str, rows: int, cols: int, level: float, key: int = 0) -> np.ndarray:
        """(rows, columns, bands) for an input: the same for the same arguments."""
        info = self.inputs[name]
        bands = (info.shape[3] if len(info.shape) == 4 else 1) or self._bands
        rng = np.random.default_rng((self._seed, rows, cols, abs(key), key < 0, *name.encode()))
        if info.dtype.kind in 'iu':
            level = min(level, float(np.iinfo(info.dtype).max))
        values = (rng.random((rows, cols, bands)) * level).astype(info.dtype)
        return values if len(info.shape) == 4 else values[..., 0]

    def plain(self, cols: int, rows: int, count: int = COUNT) -> dict[str, np.ndarray]:
        """A batch of random images for each input, of which the first is for what is not a number."""
        levels = (LEVELS[0], *LEVELS)[:count]
        return {
            name: np.stack([self.random(name, *size, level, key) for key, level in enumerate(levels)])
            for name, size in self.sizes(cols, rows).items()
        }

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute a batch, in pieces where the network takes fewer images at once.

        Raises:
            ModelError: the network does not take such images.
        """
        count = len(next(iter(feeds.values())))
        parts = []
        for start in range(0, count, self._batch):
            part = {name: np.ascontiguousarray(item[start : start + self._batch]) for name, item in feeds.items()}
            try:
                parts.append(self._network(part))
            except OutOfMemory as error:
                raise ModelError(str(error)) from error
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Strips:
    """Strips along one axis: `length` pixels of the first input long, and `width` wide.

    Args:
        images: what the network is fed.
        axis: along which the strips run: 0 rows, 1 columns.
        shapes: of the outputs.
    """

    def __init__(self, images: Images, axis: int, width: int, length: int, shapes: Mapping[str, Shape]) -> None:
        self._images, self._axis, self.length = images, axis, length
        cols, rows = (length, width) if axis == 1 else (width, length)
        self._sizes = {name: shape.size(cols, rows) for name, shape in shapes.items()}
        self._feeds = images.plain(cols, rows)
        self._others = {name: self._other(name, array) for name, array in self._feeds.items()}
        self._plain = self._images_of(images.run(self._feeds))
        self._known: dict[tuple[str, bool, int], dict[str, tuple[int, int] | None]] = {}

    def out_length(self, output: str) -> int:
        """Pixels of an output along the strip."""
        return self._sizes[output][self._axis]

    def notice(self, output: str, name: str, before: bool, border: int) -> tuple[int, int] | None:
        """The first and last pixel of an output, along the strip, that notice that a part of an input is replaced; None
        where none does.

        Args:
            output: its name.
            name: of the input.
            before: replace the pixels before `border`; else those from there on.
            border: in pixels of that input.
        """
        key = (name, before, border)
        if key not in self._known:
            self._known[key] = self._run(name, before, border)
        return self._known[key][output]

    def _run(self, name: str, before: bool, border: int) -> dict[str, tuple[int, int] | None]:
        part = slice(None, border) if before else slice(border, None)
        place = (slice(None), part) if self._axis == 0 else (slice(None), slice(None), part)
        changed_input = self._feeds[name].copy()
        changed_input[place] = self._others[name][place]
        found: dict[str, tuple[int, int] | None] = {}
        for output, values in self._images_of(self._images.run({**self._feeds, name: changed_input})).items():
            plain = self._plain[output]
            changed = (values != plain) & ~(np.isnan(plain) if plain.dtype.kind == 'f' else False)
            along = np.flatnonzero(changed.any((0, 2, 3) if self._axis == 0 else (0, 1, 3)))
            found[output] = (int(along[0]), int(along[-1])) if len(along) else None
        return found

    def _other(self, name: str, array: np.ndarray) -> np.ndarray:
        """What pixels of an input are replaced by: not a number, which survives what would hide a change (a rectifier
        that is off, a maximum taken elsewhere), and other random values."""
        rows, cols = array.shape[1:3]
        levels = (LEVELS[0], *LEVELS)
        other = np.stack([self._images.random(name, rows, cols, level, -1 - key) for key, level in enumerate(levels)])
        if other.dtype.kind == 'f':
            other[0] = np.nan
        return other

    def _images_of(self, results: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: image_of(results[name], COUNT, *size) for name, size in self._sizes.items()}
