"""Some samples of a dataset beside their labels, as a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..jobs import ClassDef
from ..maps.classes import rgb
from ..nodata import valid_pixels
from ..raster import unformat_nodata
from ..reports.pictures import stretched, visible_bands
from ..reports.sheet import EDGE, Group, Item, contact_sheet, hatched, resized
from .manifest import SourceInfo
from .reader import Dataset

NO_LABEL = 'no label'
GAP = 'no data, or no label'


def choose(dataset: Dataset, count: int, seed: int, usable: np.ndarray) -> dict[str, np.ndarray]:
    """Samples to show: some of each split, and within it of every class in turn.

    Args:
        count: how many, if there are as many.
        seed: which ones.
        usable: booleans, one a sample.

    Returns:
        Split -> numbers of samples, ascending.
    """
    rng = np.random.default_rng(seed)
    pools = {split: indices[usable[indices]] for split, indices in dataset.splits.items()}
    pools = {split: indices for split, indices in pools.items() if len(indices)}
    shares = _shares([len(indices) for indices in pools.values()], count)
    return {
        split: _varied(dataset, indices, share, rng) for (split, indices), share in zip(pools.items(), shares) if share
    }


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """How many of each: in proportion to the square roots of their sizes, so that small ones are seen as well."""
    taken = [0] * len(sizes)
    for _ in range(min(count, sum(sizes))):
        # Next is the one with the highest quotient, as seats are given to parties (d'Hondt).
        quotients = [size**0.5 / (got + 1) if got < size else -1.0 for size, got in zip(sizes, taken)]
        taken[int(np.argmax(quotients))] += 1
    return taken


def _varied(dataset: Dataset, indices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Samples in which each class in turn is likely to have many pixels; ascending."""
    tables = [column[indices].astype(float) for column in dataset.samples.pixels.values()]
    tables = [table for table in tables if table.any()] or [np.ones(len(indices))]
    free = np.ones(len(indices))
    for number in range(count):
        weights = tables[number % len(tables)] * free
        weights = weights if weights.any() else free
        free[rng.choice(len(indices), p=weights / weights.sum())] = 0
    return indices[free == 0]


def draw(dataset: Dataset, chosen: dict[str, np.ndarray]) -> bytes:
    """The contact sheet as a PNG.

    Args:
        chosen: split -> numbers of samples.
    """
    everything = np.concatenate([*chosen.values(), np.empty(0, np.int64)]).astype(np.int64)
    found, gaps = _items(dataset, everything)
    items = dict(zip(everything.tolist(), found))
    manifest = dataset.manifest
    groups = [
        Group(
            'Samples' if manifest.unsplit else split.capitalize(),
            f'{len(indices)} of {manifest.splits[split].count}',
            [items[number] for number in indices.tolist()],
        )
        for split, indices in chosen.items()
    ]
    keys = [source.name for source in manifest.sources]
    shown = [*keys, manifest.labels.name] if manifest.labels and not _one_label(dataset) else keys
    subtitle = f'{len(everything)} of {dataset.count} samples'
    if len(shown) > 1:
        subtitle += f'; from left to right: {", ".join(shown)}'
    legend: list[tuple[str, tuple[int, int, int] | None]] = [(item.name, rgb(item.colour)) for item in manifest.classes]
    title = os.path.basename(os.path.abspath(dataset.folder))
    return contact_sheet(title, subtitle, groups, [*legend, (GAP, None)] if gaps else legend)


def _items(dataset: Dataset, indices: np.ndarray) -> tuple[list[Item], bool]:
    """The pictures of samples, each source and then the labels; and whether anything in them is hatched."""
    if not len(indices):
        return [], False
    first = dataset.manifest.sources[0].shape
    scale = EDGE / max(first[:2])
    scale = max(1, round(scale)) if scale > 0.8 else scale  # whole factors keep pixels square
    size = max(1, round(first[0] * scale)), max(1, round(first[1] * scale))
    pictures, gaps = zip(*(_images(dataset, source, indices, size) for source in dataset.manifest.sources))
    captions = [dataset.samples.ids[number] for number in indices.tolist()]
    if not dataset.manifest.labels:
        return [Item(row, caption) for *row, caption in zip(*pictures, captions)], any(gaps)
    labels = dataset.read(dataset.manifest.labels.name, indices)[..., 0]
    by_value = {item.value: item for item in dataset.manifest.classes}
    if not _one_label(dataset):
        painted = [_paint(values, dataset.manifest.classes, size) for values in labels]
        unknown = not np.isin(labels, [*by_value]).all()
        return [Item(row, caption) for *row, caption in zip(*pictures, painted, captions)], any(gaps) or unknown
    items = []
    for caption, value, *row in zip(captions, labels[:, 0, 0].tolist(), *pictures):
        known = by_value.get(value, ClassDef(value, NO_LABEL))
        items.append(Item(row, f'{caption} · {known.name}', rgb(known.colour) if known.colour else None))
    return items, any(gaps)


def _one_label(dataset: Dataset) -> bool:
    """Whether a label is one value for a patch of several pixels."""
    labels = dataset.manifest.labels
    return labels is not None and labels.shape[:2] == (1, 1) != dataset.manifest.sources[0].shape[:2]


def _images(
    dataset: Dataset, source: SourceInfo, indices: np.ndarray, size: tuple[int, int]
) -> tuple[list[np.ndarray], bool]:
    """Patches in the colours that the eye would see, hatched where they hold no data; and whether that is anywhere."""
    pixels = dataset.read(source.name, indices)
    valid = valid_pixels(pixels, unformat_nodata(source.nodata), source.nodata_policy)
    colours = stretched(pixels[..., visible_bands(source.bands)].astype(float), valid)
    drawn = [hatched(_shrunk(picture, size), resized(~data, *size)) for picture, data in zip(colours, valid)]
    return drawn, not valid.all()


def _shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture in another size; one that gets smaller shows means of its pixels."""
    factor = min(picture.shape[0] // size[0], picture.shape[1] // size[1])
    if factor > 1:
        rows, cols = (side // factor for side in picture.shape[:2])
        blocks = picture[: rows * factor, : cols * factor].reshape(rows, factor, cols, factor, -1)
        picture = blocks.mean((1, 3)).astype(np.uint8)
    return resized(picture, *size)


def _paint(values: np.ndarray, classes: Sequence[ClassDef], size: tuple[int, int]) -> np.ndarray:
    """Labels (rows, columns) in the colours of their classes, hatched where there is none."""
    values = resized(values, *size)
    out = np.zeros((*size, 3), np.uint8)
    known = np.zeros(size, bool)
    for item in classes:
        here = values == item.value
        out[here], known = rgb(item.colour), known | here
    return hatched(out, ~known)
