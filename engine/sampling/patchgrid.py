"""The regular grid on which patches stand."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..grid import Window


@dataclasses.dataclass(frozen=True)
class PatchGrid:
    """Square patches of `size` pixels that start every `step` pixels from the corner of `area` on, all inside it."""

    area: Window
    size: int
    step: int

    @property
    def cols(self) -> np.ndarray:
        """First columns of the patches, ascending."""
        return np.arange(self.area.col, self.area.right - self.size + 1, self.step)

    @property
    def rows(self) -> np.ndarray:
        """First rows of the patches, ascending."""
        return np.arange(self.area.row, self.area.bottom - self.size + 1, self.step)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of patches from top to bottom and from left to right."""
        return len(self.rows), len(self.cols)


def whole_patches(width: int, height: int, size: int, step: int, offset: tuple[int, int] = (0, 0)) -> PatchGrid:
    """The grid of all patches that lie wholly inside an image, shifted by `offset` (columns, rows) modulo the step."""
    col, row = offset[0] % step, offset[1] % step
    return PatchGrid(Window(col, row, width - col, height - row), size, step)
