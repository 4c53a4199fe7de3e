"""Whether splits share pixels."""

from __future__ import annotations

import numpy as np

from ..grid import Grid

_STRIP_PIXELS = 32 << 20


def shared_pixels(grid: Grid, cols: np.ndarray, rows: np.ndarray, size: tuple[int, int], splits: np.ndarray) -> int:
    """Number of pixels that lie in patches of more than one split.

    Args:
        cols, rows: first pixels of the patches, which may reach over the edges.
        size: (columns, rows) of a patch.
        splits: the split of each patch.
    """
    if len(set(splits.tolist())) < 2:
        return 0
    strip = max(size[1], _STRIP_PIXELS // grid.width)
    bits = {split: np.uint8(1 << number) for number, split in enumerate(sorted(set(splits.tolist())))}
    shared = 0
    for top in range(0, grid.height, strip):
        near = np.flatnonzero((rows < top + strip) & (rows + size[1] > top)).tolist()
        if not near:
            continue
        seen = np.zeros((min(strip, grid.height - top), grid.width), np.uint8)
        for i in near:
            row, col = int(rows[i]) - top, int(cols[i])
            seen[max(row, 0) : row + size[1], max(col, 0) : col + size[0]] |= bits[splits[i]]
        shared += int(np.count_nonzero(seen & (seen - np.uint8(1))))  # more than one bit is set
    return shared
