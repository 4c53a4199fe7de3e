"""Pictures for the training report: image, truth and prediction side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..jobs import ClassDef
from ..maps.classes import rgb
from ..reports.pictures import png, ramp, stretched, visible_bands
from ..reports.training import Example
from .pipeline import SampleReader
from .splits import Split, ValueSpread

if TYPE_CHECKING:
    from .loop import Fitting

COUNT = 4
_CANDIDATES = 256  # samples looked at; more would only take time
_BLANK = (255, 255, 255)  # of pixels that do not count
Paint = Callable[[np.ndarray], np.ndarray]  # labels to colours (…, 3) in bytes


def draw_examples(split: Split, fitting: Fitting, classes: Sequence[ClassDef]) -> list[Example]:
    """A few samples that show many classes, or a wide range of values."""
    piece = next((piece for piece in split.pieces if len(piece.indices)), None)
    if piece is None:
        return []
    chosen = _varied(piece.reader, piece.indices)
    batch = piece.reader.read(chosen)
    found = fitting.predict(batch)
    source = piece.reader.sources[0]
    seen = batch.counted if batch.counted.shape[1:] == batch.images[0].shape[1:3] else None
    pixels = stretched(
        batch.images[0][..., visible_bands(source.bands)],
        np.ones(batch.images[0].shape[:3], bool) if seen is None or not seen.any() else seen,
    )
    paint = _of_values(split.spread) if split.spread is not None else _of_classes(classes)
    truth, prediction = paint(batch.labels), paint(found)
    truth[~batch.counted] = _BLANK
    rows, cols = pixels.shape[1:3]
    return [
        Example(png(a), png(_enlarged(b, rows, cols)), png(_enlarged(c, rows, cols)))
        for a, b, c in zip(pixels, truth, prediction)
    ]


def _of_classes(classes: Sequence[ClassDef]) -> Paint:
    """Class indices as the colours of the classes."""
    colours = np.array([rgb(definition.colour) for definition in classes], np.uint8)
    return lambda indices: colours[indices]


def _of_values(spread: ValueSpread) -> Paint:
    """Values as colours from the smallest to the largest."""
    return lambda values: ramp(values, spread.minimum, spread.maximum)


def _enlarged(picture: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """The picture of one label, as large as its patch."""
    return np.broadcast_to(picture, (rows, cols, 3)).copy() if picture.shape[:2] == (1, 1) else picture


def _varied(reader: SampleReader, indices: np.ndarray) -> np.ndarray:
    """Samples with a rich mixture of classes, or of different labels, that do not overlap."""
    samples = reader.samples.samples
    candidates = indices[:: max(1, len(indices) // _CANDIDATES)]
    order = np.arange(len(candidates))
    if samples.pixels:
        table = np.stack([pixels[candidates] for pixels in samples.pixels.values()], -1).astype(float)
        share = table / np.maximum(table.sum(1, keepdims=True), 1)
        mixture = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
        if mixture.any():
            order = np.argsort(-mixture, kind='stable')
        else:  # one label a patch: one sample of each class after the other
            _, rank = np.unique(share.argmax(1), return_index=True)
            order = np.concatenate([rank, np.setdiff1d(order, rank)])
    else:
        order = np.argsort(order % max(len(candidates) // COUNT, 1), kind='stable')  # from all over the dataset
    rows, cols, _ = reader.sources[0].shape
    size = np.array([cols, rows]) * reader.sources[0].pixel_size
    chosen: list[int] = []
    for sample in candidates[order].tolist():
        place = np.array([samples.x[sample], samples.y[sample]])
        if not any((abs(place - (samples.x[i], samples.y[i])) < size).all() for i in chosen):
            chosen.append(sample)
        if len(chosen) == COUNT:
            break
    return np.sort(np.array(chosen, np.int64))
