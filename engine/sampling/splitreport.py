"""What a selection of patches came to: tables for the log, and what its user should mind."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..datasets.overlap import shared_pixels
from ..events import Reporter
from ..jobs import SPLITS, ClassDef
from .candidates import Candidates
from .histograms import Histograms

_MOST_LINES = 50  # of the table of classes


def report_patches(
    splits: np.ndarray, dropped: Mapping[str, int], asked: np.ndarray | None, reporter: Reporter
) -> None:
    """A table of the patches of each split, and why others were dropped.

    Args:
        splits: (patch rows, patch columns) number of the split of each patch of the grid, -1 where it was dropped.
        dropped: patches by reason.
        asked: shares of the splits, where shares were asked for.
    """
    kept = int((splits >= 0).sum())
    reporter.log(f'{"split":<12}{"patches":>9}{"share":>9}' + (f'{"asked":>9}' if asked is not None else ''))
    for number, name in enumerate(SPLITS):
        count = int((splits == number).sum())
        if count or (asked is not None and asked[number] > 0):
            wanted = f'{asked[number]:>9.1%}' if asked is not None else ''
            reporter.log(f'{name:<12}{count:>9}{count / kept:>9.1%}' + wanted)
    for reason, count in dropped.items():
        if count:
            reporter.log(f'{count} of {splits.size} grid positions dropped: {reason}')


def report_classes(histograms: Histograms, splits: np.ndarray, reporter: Reporter) -> None:
    """A table of the pixels of each class in each split, and a warning where a class is missing from one."""
    found = [number for number in range(len(SPLITS)) if (splits == number).any()]
    sums = np.stack([histograms.pixels[splits == number].sum(0) for number in found], -1)
    names = [_title(item) for item in histograms.classes]
    width = max(len(name) for name in ['class', *names[:_MOST_LINES]]) + 2
    reporter.log(f'{"class":<{width}}{"share":>8}' + ''.join(f'{SPLITS[number]:>22}' for number in found))
    for name, row in list(zip(names, sums))[:_MOST_LINES]:
        total = max(int(row.sum()), 1)
        cells = ''.join(f'{count:>13} ({count / total:>6.1%})' for count in row.tolist())
        reporter.log(f'{name:<{width}}{row.sum() / max(sums.sum(), 1):>8.1%}' + cells)
    if len(names) > _MOST_LINES:
        reporter.log(f'… and {len(names) - _MOST_LINES} further classes')
    unlabelled = 1 - sums.sum() / (histograms.area * int((splits >= 0).sum()))
    if unlabelled > 0:
        declared = '' if histograms.nodata is None else f' (no-data of the labels is {histograms.nodata:g})'
        reporter.log(f'{unlabelled:.1%} of the pixels have no label{declared}')
    for number, column in zip(found, sums.T):
        missing = [name for name, count in zip(names, column.tolist()) if not count]
        if missing:
            more = f' and {len(missing) - 10} more' if len(missing) > 10 else ''
            reporter.warn(f'No pixel in the split {SPLITS[number]!r} of class {", ".join(missing[:10])}{more}.')


def report_neighbours(candidates: Candidates, splits: np.ndarray, reporter: Reporter) -> None:
    """A warning where patches of different splits overlap or lie side by side."""
    at = np.argwhere(splits >= 0)
    found = splits[at[:, 0], at[:, 1]]
    if len(np.unique(found)) < 2:
        return
    what = 'Patches of different splits lie side by side, and neighbouring ground is alike'
    grid, size = candidates.patches, candidates.patches.size
    if grid.step < size:
        shared = shared_pixels(candidates.image, grid.cols[at[:, 1]], grid.rows[at[:, 0]], (size, size), found)
        what = f'{shared} pixels lie in patches of more than one split'
    reporter.warn(
        f'{what}: scores on validation and test will be too good. The strategies blocks and stratified keep splits '
        'apart.'
    )


def _title(definition: ClassDef) -> str:
    """Value and name of a class."""
    named = definition.name != str(definition.value)
    return f'{definition.value} {definition.name}' if named else str(definition.value)
