"""What the splits of a new dataset hold, and what about them people should know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..events import Reporter
from ..jobs import SPLITS, ClassDef
from .manifest import SplitInfo
from .overlap import shared_pixels
from .placement import Placement
from .zones import OpenZone

_NAMED = 5  # classes that are missing, by name


def summarise(
    zones: list[OpenZone],
    placement: Placement,
    classes: Sequence[ClassDef],
    pixels: Mapping[int, np.ndarray],
    reporter: Reporter,
) -> dict[str, SplitInfo]:
    """Count samples and labels of each split; warn of classes that are missing from one, and of splits that overlap.

    Args:
        placement: of the samples, which are the patches that are left.
        pixels: of each class, by value, in each sample.
    """
    taken = placement.left()
    splits = placement.splits[taken]
    out = {}
    for split in SPLITS:
        chosen = splits == split
        if not chosen.any():
            continue
        counts = {item.value: int(pixels[item.value][chosen].sum()) for item in classes}
        out[split] = SplitInfo(int(chosen.sum()), {str(value): count for value, count in counts.items()})
        reporter.log(f'{split}: {out[split].count} samples')
        missing = [f'{item.value} ({item.name})' for item in classes if not counts[item.value]]
        for name in missing[:_NAMED]:
            reporter.warn(f'Class {name} has no pixel in the split {split!r}.')
        if missing[_NAMED:]:
            reporter.warn(f'{len(missing) - _NAMED} more classes have no pixel in the split {split!r}.')
    if SPLITS[0] not in out:
        reporter.warn(f'No sample is in the split {SPLITS[0]!r}: statistics are of all samples.')
    if len([value for value in pixels if pixels[value].any()]) == 1:
        reporter.warn('Only one class has any pixel: a network learns nothing from that.')
    shared = sum(_shared(zone, placement, taken[placement.zones[taken] == zone.number]) for zone in zones)
    if shared:
        reporter.warn(
            f'{shared} pixels lie in patches of more than one split, so scores on validation and test will be too '
            'good. "Select patches" with the strategy blocks makes splits that share none.'
        )
    return out


def _shared(zone: OpenZone, placement: Placement, patches: np.ndarray) -> int:
    """Pixels in patches of more than one split, of the source whose patches cover the most ground."""
    grids, sizes = [stack.grid for stack in zone.sources.stacks], zone.sources.sizes
    ground = [size[0] * grid.pixel_size[0] for grid, size in zip(grids, sizes)]
    widest = next(number for number, length in enumerate(ground) if length > 0.999 * max(ground))
    first = placement.cols[widest][patches], placement.rows[widest][patches]
    return shared_pixels(grids[widest], *first, sizes[widest], placement.splits[patches])
