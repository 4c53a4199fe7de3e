"""Which part of the map is made, in which tiles, and whether there is room for it."""

from __future__ import annotations

import math
import os
import shutil

from ..errors import DiskFull, InvalidJob
from ..events import Reporter
from ..grid import Grid, Window
from ..jobs import ServeJob
from ..maps.part import PartFolder
from ..maps.writer import block_option
from .checks import finishing_of
from .frame import Frame
from .layout import Layout
from .network import Network
from .outputs import Outputs
from .pipeline import AHEAD, BEHIND, READERS
from .plan import TilePlan, make_plan
from .reading import Reader

_PROBED = 512  # about the side of the window that memory is estimated for
_PATCHES = 256  # in one call of the model, where memory allows
_PATCHED = 256  # side of a tile of so many patches; larger ones would take long to cancel
_TOUCH = 1e-6  # pixels
_COPIES = 2.4  # times what the tiles take that a file needs while it is finished, at most
_LEAST = 0.01  # share of a map's bytes that compression leaves of the most monotonous one


def home(frame: Frame) -> Window:
    """The map's pixels over the ground of the first source, before which a map may begin."""
    across, down = frame.sources[0]
    col, row = (max(0, math.floor(-along.start / along.step)) for along in (across, down))
    return Window(col, row, frame.grid.width - col, frame.grid.height - row)


def mapped(job: ServeJob, frame: Frame) -> Window:
    """The part of the map that is made: all over the first source, the window, or whole pixels that the extent
    touches."""
    whole = home(frame)
    if job.window is not None:
        part = Window(*job.window).shift(whole.col, whole.row)
        if part.empty or not whole.contains(part):
            raise InvalidJob(
                f'WINDOW {", ".join(map(str, job.window))} (column, row, width, height): is not within the map, which '
                f'has {whole.width} x {whole.height} pixels.'
            )
        return part
    return whole if job.extent is None else touched(job, frame.grid).intersect(whole)


def touched(job: ServeJob, grid: Grid) -> Window:
    """The pixels of a grid that the extent touches; all where there is none.

    Raises:
        InvalidJob: it touches none.
    """
    if job.extent is None:
        return grid.window
    west, south, east, north = job.extent
    corners = [grid.to_pixels(x, y) for x in (west, east) for y in (south, north)]
    # A pixel that is touched by less than rounding makes is not meant.
    cols, rows = zip(*corners)
    first = math.floor(min(cols) + _TOUCH), math.floor(min(rows) + _TOUCH)
    last = math.ceil(max(cols) - _TOUCH), math.ceil(max(rows) - _TOUCH)
    part = Window(*first, last[0] - first[0], last[1] - first[1]).intersect(grid.window)
    if part.empty:
        raise InvalidJob(
            f'EXTENT {west:.10g}, {south:.10g}, {east:.10g}, {north:.10g} (west, south, east, north) holds no pixel of '
            f'{job.sources[0].rasters[0]} ({grid.describe()}). Give it in the CRS of the raster, or with its own.'
        )
    return part


def plan_tiles(
    job: ServeJob, part: Window, layout: Layout, networks: list[Network], reader: Reader, reporter: Reporter
) -> tuple[TilePlan, int]:
    """The tile plan, said in the log, and how many windows, patches or pieces the model takes at once."""
    frame, values = layout.frame, networks[0].dtype.itemsize * networks[0].bands
    memory, batch, size = job.memory * 2**20, job.batch_size or 1, job.tile_size
    pixel_bytes = (AHEAD + READERS + 1) * reader.pixel_bytes + (BEHIND + 3) * values  # the writer makes copies
    if layout.patches or layout.piece != (0, 0):
        # What the model takes does not depend on the tile; at most half of the memory is for it.
        one = _model_bytes(networks, frame, (1, 1) if layout.patches else layout.piece, layout.patches)
        batch = job.batch_size or max(1, min(_PATCHES if layout.patches else 1, int(memory / 2 / one)))
        memory = max(memory - int(batch * one), memory // 2)
        size = size or _PATCHED * layout.patches
    else:
        cols, rows = (-(-_PROBED // unit) * unit for unit in frame.unit)
        pixel_bytes += batch * _model_bytes(networks, frame, (cols, rows), False) / (cols * rows)
        pixel_bytes += (batch - 1) * (reader.pixel_bytes + values)
    plan = make_plan(
        part,
        frame.unit,
        frame.halo,
        tile_size=size,
        memory=memory / 2**20,
        pixel_bytes=pixel_bytes,
        block=block_option(finishing_of(job).raw_options),
    )
    reporter.log(plan.describe())
    reporter.resolve('tile', list(plan.tile))
    reporter.resolve('halo', list(plan.halo))
    reporter.resolve('batch', batch)
    reporter.resolve('runtime', networks[0].runtime.name)
    reporter.resolve('nodata', reader.describe_nodata())
    needed = plan.window[0] * plan.window[1] * pixel_bytes / 2**20
    if not job.tile_size and needed > job.memory:
        reporter.warn(f'The smallest tile takes about {needed:.0f} MiB, more than the {job.memory} MiB allowed.')
    return plan, batch


def _model_bytes(networks: list[Network], frame: Frame, size: tuple[int, int], patches: bool) -> float:
    """Bytes that the models take for a window of (columns, rows) of the map; depends on the models alone."""
    windows = frame.windows(Window(0, 0, *size))
    sizes = [(window.height, window.width) for window in windows]
    if patches:
        sizes = [(down.beyond + 1, across.beyond + 1) for across, down in frame.sources]
    return max(
        network.runtime.window_bytes({card.name: size for card, size in zip(network.cards, sizes)})
        for network in networks
    )


def require_space(parts: dict[str, PartFolder], plan: TilePlan, outputs: Outputs, reporter: Reporter) -> None:
    """Raise `DiskFull` where the maps cannot fit, and warn where they may not."""
    pixels = outputs.tile_bytes * (len(plan) - len(outputs.done)) * (_COPIES if outputs.copied else 1)
    for folder in {os.path.dirname(part.path) for part in parts.values()}:
        free = shutil.disk_usage(folder).free
        if free < pixels * _LEAST:
            raise DiskFull(
                f'{folder}: {free / 2**20:.0f} MiB are free, but the map takes at least about '
                f'{pixels * _LEAST / 2**20:.0f}. Free some space or choose another place for the output.'
            )
        if free < pixels:
            reporter.warn(
                f'{folder}: {free / 2**30:.1f} GiB are free; without compression the map takes {pixels / 2**30:.1f}.'
            )
