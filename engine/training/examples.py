"""Pictures for the training report: image, truth and prediction side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..jobs import SPLITS, ClassDef
from ..reports.training import Example
from .pipeline import SampleReader

if TYPE_CHECKING:
    from .loop import Fitting

COUNT = 4
_CANDIDATES = 256  # samples looked at; more would only take time
_BLANK = (255, 255, 255)  # of pixels that do not count
_RED_GREEN_BLUE = ('red', 'green', 'blue')


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
    shown = _visible_bands(reader.source.bands)
    colours = np.array([_rgb(definition.colour) for definition in classes], np.uint8)
    inside = batch.images[..., shown][batch.counted] if batch.counted.any() else batch.images[..., shown].reshape(-1, 3)
    low, high = np.percentile(inside, [1, 99], axis=0)
    stretched = (batch.images[..., shown] - low) / np.maximum(high - low, 1e-6)
    pixels = (np.clip(stretched, 0, 1) * 255).astype(np.uint8)
    truth, prediction = colours[batch.labels], colours[found]
    truth[~batch.counted] = _BLANK
    return [Example(_png(a), _png(b), _png(c)) for a, b, c in zip(pixels, truth, prediction)]


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
        if all((abs(place - (samples.x[i], samples.y[i])) >= size).any() for i in chosen):
            chosen.append(sample)
    return np.sort(np.array(chosen[:COUNT], np.int64))


def _visible_bands(names: Sequence[str]) -> list[int]:
    """Which bands to show as red, green and blue: those called so, else the usual order of such images."""
    lower = [name.lower() for name in names]
    if all(colour in lower for colour in _RED_GREEN_BLUE):
        return [lower.index(colour) for colour in _RED_GREEN_BLUE]
    if len(names) < 3:
        return [0, 0, 0]
    # Photographs come as red, green, blue; satellite images begin with the shortest wavelength.
    return [0, 1, 2] if len(names) == 3 else [2, 1, 0]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, 'PNG', optimize=True)
    return stream.getvalue()
