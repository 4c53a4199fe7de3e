"""Pictures for the training report: image, truth and prediction side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..jobs import SPLITS, ClassDef
from ..maps.classes import rgb
from ..reports.pictures import png, stretched, visible_bands
from ..reports.training import Example
from .pipeline import SampleReader

if TYPE_CHECKING:
    from .loop import Fitting

COUNT = 4
_CANDIDATES = 256  # samples looked at; more would only take time
_BLANK = (255, 255, 255)  # of pixels that do not count


def draw_examples(
    reader: SampleReader, fitting: Fitting, classes: Sequence[ClassDef], splits: Sequence[str] = SPLITS[::-1]
) -> list[Example]:
    """A few samples that show many classes, from the first of `splits` that has samples."""
    indices = next((found for found in map(reader.dataset.indices, splits) if len(found)), np.empty(0, np.int64))
    if not len(indices):
        return []
    chosen = _varied(reader, indices)
    batch = reader.read(chosen)
    found = fitting.predict(batch.images)
    colours = np.array([rgb(definition.colour) for definition in classes], np.uint8)
    pixels = stretched(batch.images[..., visible_bands(reader.source.bands)], batch.counted)
    truth, prediction = colours[batch.labels], colours[found]
    truth[~batch.counted] = _BLANK
    return [Example(png(a), png(b), png(c)) for a, b, c in zip(pixels, truth, prediction)]


def _varied(reader: SampleReader, indices: np.ndarray) -> np.ndarray:
    """Samples with a rich mixture of classes that do not overlap."""
    samples = reader.dataset.samples
    candidates = indices[:: max(1, len(indices) // _CANDIDATES)]
    table = np.stack([pixels[candidates] for pixels in samples.pixels.values()], -1).astype(float)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    mixture = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
    rows, cols, _ = reader.source.shape
    size = np.array([cols, rows]) * reader.source.pixel_size
    chosen: list[int] = []
    for sample in candidates[np.argsort(-mixture, kind='stable')].tolist():
        place = np.array([samples.x[sample], samples.y[sample]])
        if not any((abs(place - (samples.x[i], samples.y[i])) < size).all() for i in chosen):
            chosen.append(sample)
    return np.sort(np.array(chosen[:COUNT], np.int64))
