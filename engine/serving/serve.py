"""Apply a model to whole rasters."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import DiskFull, EngineError, GridMismatch, InvalidJob, OutOfMemory
from ..events import Reporter
from ..gdalio import gdal
from ..grid import Grid, Relation, Window, relate
from ..jobs import AUGMENTATIONS, RUNTIMES, ServeJob
from ..maps.classes import check_style
from ..maps.part import PartFolder, check_outputs
from ..maps.writer import block_option
from ..model_package.card import ModelCard, OutputCard
from ..model_package.package import open_package
from ..raster import RasterStack, require_same_crs
from ..records import versions
from .computing import Computing
from .frame import Frame, padded_frame
from .masks import Mask, PolygonMask, RasterMask
from .network import Network, choose_cards, load_network
from .outputs import Outputs
from .pipeline import AHEAD, BEHIND, READERS, stream
from .plan import Tile, TilePlan, make_plan
from .products import Product, class_map, confidence, entropy, probabilities
from .reading import Part, Reader, require_bands, warn_of_differences
from .resume import state_of, take_up
from .symmetries import Symmetric, symmetric_frame

_PROBED = 512  # about the side of the window that memory is estimated for
_TOUCH = 1e-6  # pixels
_LEAST = 0.01  # share of a map's bytes that compression leaves of the most monotonous one
CACHE = 128 << 20  # bytes of decoded blocks that GDAL may keep of the inputs; its default follows the machine's memory


def serve_model(job: ServeJob, reporter: Reporter) -> dict[str, Any]:
    """Make a class map of a raster of any size, and rasters that say how certain it is.

    The map covers the input's whole extent, or the part of it asked for, and does not depend on the tiles it is
    computed in. What a run that was ended has done is not done again.

    Args:
        job: what to do.
        reporter: hears of it and can stop it.

    Returns:
        ``OUTPUT``, ``PROBABILITIES``, ``CONFIDENCE`` and ``ENTROPY``: the paths of those that were asked for.
        ``MODEL_NAME``: the model's name.

    Raises:
        EngineError: of the fitting class, with one line; then no output has changed, and the tiles that are done are
            kept in ``<OUTPUT>.part`` for the next run.
    """
    wanted = {name: path for name, path in job.outputs().items() if path}
    _check_job(job, wanted)
    with contextlib.ExitStack() as stack:
        package = stack.enter_context(open_package(job.model))
        taken, given = choose_cards(job.model, package.card, len(job.sources))
        sources = [RasterStack(spec) for spec in job.sources]
        relations = _relations(sources)
        for source, wants in zip(sources, taken):
            require_bands(source, wants)
            warn_of_differences(source, wants, reporter)
        _mapped(job, sources[0].grid)
        # Made before anything that takes long, so that a place where nothing can be written is found out now.
        parts = {name: stack.enter_context(PartFolder(path)) for name, path in wanted.items()}
        network = load_network(package, taken, given, job.runtime, reporter)
        reporter.check_cancelled()
        frame = padded_frame(sources[0].grid, relations, network.fields, network.strides)
        if job.tta == 'd4':
            frame = symmetric_frame(frame)
        reader = Reader(sources, taken, frame, _masks(job, frame.grid, reporter))
        part = _mapped(job, frame.grid)
        plan = _plan(job, part, frame, network, reader, reporter)
        kept = take_up(parts, state_of(job, plan, network.runtime.name), job.resume, reporter)
        outputs = stack.enter_context(
            Outputs(
                parts,
                _products(parts, given),
                plan,
                frame.grid.sub(part),
                job.creation_options,
                _metadata(package.card, network, plan),
                resume=job.resume,
                kept=kept,
            )
        )
        _require_space(parts, plan, outputs, reporter)
        with _gdal_cache(CACHE + 2 * outputs.tile_bytes):
            try:
                computing = Computing(Symmetric(network) if job.tta == 'd4' else network, frame, reporter)
                computed = _serve(plan, reader, computing, outputs, job.batch_size or 1, reporter)
            except EngineError:
                if job.resume and outputs.done:
                    reporter.warn(f'{len(outputs.done)} of {len(plan)} tiles are kept: run the same again to go on.')
                raise
        if kept is not None:
            reporter.log(f'Resumed: {len(kept)} tiles kept, {computed} computed.')
        outputs.publish(reporter)
    reporter.progress(1.0, 'done')
    return {**wanted, 'MODEL_NAME': package.card.name}


def _check_job(job: ServeJob, wanted: dict[str, str]) -> None:
    """Raise `InvalidJob` or `OutputRefused` for what can be seen without opening anything."""
    if not wanted:
        raise InvalidJob(f'No output asked for; name one of {", ".join(job.outputs())}.')
    if not job.sources:
        raise InvalidJob('No raster given; name at least one as INPUT.')
    if job.tile_size < 0 or job.batch_size < 0:
        raise InvalidJob('TILE_SIZE and BATCH_SIZE cannot be negative; 0 leaves the choice to Quadrat.')
    if job.memory <= 0:
        raise InvalidJob(f'memory {job.memory}: should be a number of MiB above 0.')
    if job.runtime not in RUNTIMES:
        raise InvalidJob(f'RUNTIME {job.runtime!r}: unknown; known are {", ".join(RUNTIMES)}.')
    if job.tta not in AUGMENTATIONS:
        raise InvalidJob(f'TTA {job.tta!r}: unknown; known are {", ".join(AUGMENTATIONS)}.')
    block_option(job.creation_options)
    check_outputs(wanted, job.inputs())
    if job.output:
        check_style(job.output)


def _products(names: Iterable[str], given: OutputCard) -> dict[str, Product]:
    """What the outputs of these names hold."""
    kinds = {
        'OUTPUT': lambda: class_map(given.classes),
        'PROBABILITIES': lambda: probabilities(given.classes),
        'CONFIDENCE': confidence,
        'ENTROPY': entropy,
    }
    return {name: kinds[name]() for name in names}


def _relations(sources: list[RasterStack]) -> list[Relation]:
    """How each source lies on the grid of the first; `GridMismatch` where it cannot."""
    first = sources[0]
    found = []
    for source in sources:
        names = (first.spec.rasters[0], source.spec.rasters[0])
        require_same_crs(first.grid, source.grid, names)
        relation = relate(first.grid, source.grid, names)
        if relation.cover(first.grid.window).intersect(source.grid.window).empty:
            raise GridMismatch(f'{names[1]} lies nowhere on the ground of {names[0]}; give images of the same place.')
        found.append(relation)
    return found


def _mapped(job: ServeJob, grid: Grid) -> Window:
    """The part of the map's grid that is made: whole pixels that the extent touches."""
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


def _masks(job: ServeJob, grid: Grid, reporter: Reporter) -> list[Mask]:
    """The masks that the job names."""
    masks: list[Mask] = []
    if job.mask:
        masks.append(RasterMask(job.mask, grid))
    if job.mask_layer:
        masks.append(PolygonMask(job.mask_layer, grid, reporter))
    return masks


def _require_space(parts: dict[str, PartFolder], plan: TilePlan, outputs: Outputs, reporter: Reporter) -> None:
    """Raise `DiskFull` where the maps cannot fit, and warn where they may not."""
    pixels = outputs.tile_bytes * (len(plan) - len(outputs.done))
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


def _plan(job: ServeJob, part: Window, frame: Frame, network: Network, reader: Reader, reporter: Reporter) -> TilePlan:
    """The tile plan, said in the log."""
    batch = job.batch_size or 1
    values = 4 * network.given.bands
    pixel_bytes = (
        batch * _model_bytes(network, frame)
        + (AHEAD + READERS + batch) * reader.pixel_bytes
        + (BEHIND + 2 + batch) * values  # the writer makes copies
    )
    plan = make_plan(
        part,
        frame.unit,
        frame.halo,
        tile_size=job.tile_size,
        memory=job.memory,
        pixel_bytes=pixel_bytes,
        block=block_option(job.creation_options),
    )
    reporter.log(plan.describe())
    reporter.resolve('tile', list(plan.tile))
    reporter.resolve('halo', list(plan.halo))
    reporter.resolve('batch', batch)
    reporter.resolve('runtime', network.runtime.name)
    reporter.resolve('nodata', reader.describe_nodata())
    needed = plan.window[0] * plan.window[1] * pixel_bytes / 2**20
    if not job.tile_size and needed > job.memory:
        reporter.warn(f'The smallest tile takes about {needed:.0f} MiB, more than the {job.memory} MiB allowed.')
    return plan


def _model_bytes(network: Network, frame: Frame) -> float:
    """Bytes that the model takes for a pixel of the map; measured for a window, as it hardly depends on its size."""
    cols, rows = (-(-_PROBED // unit) * unit for unit in frame.unit)
    windows = frame.windows(Window(0, 0, cols, rows))
    sizes = {card.name: (window.height, window.width) for card, window in zip(network.taken, windows)}
    return network.runtime.window_bytes(sizes) / (cols * rows)


def _serve(
    plan: TilePlan, reader: Reader, computing: Computing, outputs: Outputs, batch: int, reporter: Reporter
) -> int:
    """Read, compute and write all tiles that are not done; returns how many were computed."""
    tiles = [tile for tile in plan if tile.number not in outputs.done]
    before = len(plan) - len(tiles)
    empty = 0

    def wanted(tile: Tile, part: Part) -> bool:
        nonlocal empty
        if part.valid.any():
            return True
        outputs.skip(tile)
        empty += 1
        return False

    def progress(done: int) -> None:
        reporter.check_cancelled()
        reporter.progress((before + done) / len(plan), f'tile {before + done} of {len(plan)}')

    try:
        stream(
            tiles,
            reader.read,
            computing.run,
            lambda tile, result: outputs.write(tile, *result),
            wanted=wanted,
            batch=batch,
            progress=progress,
        )
    except MemoryError as error:
        raise OutOfMemory(
            f'Not enough memory for tiles of {plan.window[0]} x {plan.window[1]} pixels. Use a smaller TILE_SIZE.'
        ) from error
    if empty:
        reporter.log(f'{empty} of {len(plan)} tiles hold no data, or nothing that is wanted, and were not computed.')
    return len(tiles) - empty


def _metadata(card: ModelCard, network: Network, plan: TilePlan) -> dict[str, str]:
    """What the files say of their making."""
    settings = {'tile': plan.tile, 'halo': plan.halo, 'unit': plan.unit, 'runtime': network.runtime.name}
    return {
        'QUADRAT_VERSION': versions()['quadrat'],
        'QUADRAT_MODEL': card.name,
        'QUADRAT_MODEL_CREATED': card.created,
        'QUADRAT_SETTINGS': json.dumps(settings),
    }


@contextlib.contextmanager
def _gdal_cache(size: int) -> Iterator[None]:
    """A limit on GDAL's cache of blocks, in bytes, within a block."""
    before = gdal.GetCacheMax()
    gdal.SetCacheMax(size)
    try:
        yield
    finally:
        gdal.SetCacheMax(before)
