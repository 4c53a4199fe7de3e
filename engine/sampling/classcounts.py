"""Counting the pixels of classes: feature by feature, or as they are seen when all are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..events import Reporter
from ..grid import Grid, Window
from ..raster import RasterStack
from .features import ClassLayer
from .pixels import PixelFinder
from .validity import above_zero

_STRIP = 1 << 23  # pixels drawn together


@dataclasses.dataclass
class ClassCounts:
    """Pixels of the features of a layer.

    Attributes:
        pixels: of each feature by its number, in the order of the file.
        members: the features of each class.
    """

    pixels: dict[int, int] = dataclasses.field(default_factory=dict)
    members: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    def add(self, text: str, fid: int, pixels: int = 0) -> None:
        """Enter a feature of a class."""
        self.members.setdefault(text, []).append(fid)
        self.pixels[fid] = pixels

    @property
    def classes(self) -> dict[str, int]:
        """Pixels of each class."""
        return {text: sum(self.pixels[fid] for fid in fids) for text, fids in self.members.items()}


def count_each(layer: ClassLayer, finder: PixelFinder, reporter: Reporter) -> ClassCounts:
    """Each feature by itself: a pixel in two of them counts for both."""
    counts, total = ClassCounts(), max(len(layer.layer), 1)
    for text, feature in layer:
        reporter.progress(len(counts.pixels) / total, f'Counting the pixels of {layer.path}')
        pixels = 0
        for found in finder.find(layer.parts(feature)):
            reporter.check_cancelled()
            pixels += len(found)
        counts.add(text, feature.GetFID(), pixels)
    return counts


def count_drawn(layer: ClassLayer, grid: Grid, mask: RasterStack | None, reporter: Reporter) -> ClassCounts:
    """What is seen of each feature when all are drawn, the later over the earlier ones: each pixel counts once.

    They are drawn in strips of the grid, so that memory does not grow with it.
    """
    counts, finder = ClassCounts(), PixelFinder(grid)
    rows = []
    for text, feature in layer:
        counts.add(text, feature.GetFID())
        rows.append(finder.rows(layer.parts(feature)))
    fids = list(counts.pixels)
    first, end = np.array([(span.start, span.stop) for span in rows]).T
    height = max(_STRIP // grid.width, 1)
    seen = np.zeros(len(fids) + 1, np.int64)
    for top in range(0, grid.height, height):
        strip = Window(0, top, grid.width, min(height, grid.height - top))
        drawn = np.zeros((strip.height, strip.width), np.uint32)  # number of the feature from 1
        for number in np.flatnonzero((first < strip.bottom) & (end > top)).tolist():
            reporter.check_cancelled()
            reporter.progress((top + strip.height * number / len(fids)) / grid.height, f'Drawing {layer.path}')
            for found in finder.find(layer.parts(layer.feature(fids[number])), range(top, strip.bottom)):
                runs = found.spans
                for row, start, stop in zip((runs.row - top).tolist(), runs.start.tolist(), runs.stop.tolist()):
                    drawn[row, start:stop] = number + 1
        if mask is not None:
            drawn[~above_zero(mask)(mask.read(strip))] = 0
        seen += np.bincount(drawn.ravel(), minlength=len(seen))
    counts.pixels.update(zip(fids, seen[1:].tolist()))
    return counts
