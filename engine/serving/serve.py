"""Apply a model to whole rasters."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InvalidJob, OutOfMemory
from ..events import Reporter
from ..gdalio import gdal
from ..jobs import RUNTIMES, ServeJob
from ..maps.classes import check_style
from ..maps.part import PartFolder, check_outputs
from ..maps.writer import block_option
from ..model_package.card import ModelCard
from ..model_package.package import open_package
from ..raster import RasterStack
from ..records import versions
from .network import Network, choose_cards, load_network
from .outputs import Outputs
from .pipeline import AHEAD, BEHIND, READERS, stream
from .plan import Tile, TilePlan, make_plan
from .reading import Part, Reader, require_bands, warn_of_differences

CACHE = 128 << 20  # bytes of decoded blocks that GDAL may keep of the inputs; its default follows the machine's memory


def serve_model(job: ServeJob, reporter: Reporter) -> dict[str, Any]:
    """Make a class map, class probabilities or both of a raster of any size.

    The map covers the input's whole extent and does not depend on the tiles it is computed in.

    Args:
        job: what to do.
        reporter: hears of it and can stop it.

    Returns:
        ``OUTPUT`` and ``PROBABILITIES``: the paths of those that were asked for. ``MODEL_NAME``: the model's name.

    Raises:
        EngineError: of the fitting class, with one line; then no output has changed.
    """
    wanted = {name: path for name, path in job.outputs().items() if path}
    _check_job(job, wanted)
    with contextlib.ExitStack() as stack:
        package = stack.enter_context(open_package(job.model))
        taken, given = choose_cards(job.model, package.card, len(job.sources))
        source = RasterStack(job.sources[0])
        require_bands(source, taken)
        warn_of_differences(source, taken, reporter)
        reader = Reader(source, taken)
        # Made before anything that takes long, so that a place where nothing can be written is found out now.
        state = {'quadrat': 'map', 'job': job.to_dict()}
        parts = {name: stack.enter_context(PartFolder(path, state)) for name, path in wanted.items()}
        network = load_network(package, taken, given, job.runtime, reporter)
        reporter.check_cancelled()
        plan = _plan(job, (source.grid.width, source.grid.height), network, reader, reporter)
        outputs = stack.enter_context(
            Outputs(
                parts, plan, source.grid, given.classes, job.creation_options, _metadata(package.card, network, plan)
            )
        )
        with _gdal_cache(CACHE + 2 * outputs.tile_bytes):
            _serve(plan, reader, network, outputs, job.batch_size or 1, reporter)
        outputs.publish(reporter)
    reporter.progress(1.0, 'done')
    return {**wanted, 'MODEL_NAME': package.card.name}


def _check_job(job: ServeJob, wanted: dict[str, str]) -> None:
    """Raise `InvalidJob` or `OutputRefused` for what can be seen without opening anything."""
    if not wanted:
        raise InvalidJob('No output asked for; name OUTPUT (the class map), PROBABILITIES or both.')
    if not job.sources:
        raise InvalidJob('No raster given; name at least one as INPUT.')
    if job.tile_size < 0 or job.batch_size < 0:
        raise InvalidJob('TILE_SIZE and BATCH_SIZE cannot be negative; 0 leaves the choice to Quadrat.')
    if job.memory <= 0:
        raise InvalidJob(f'memory {job.memory}: should be a number of MiB above 0.')
    if job.runtime not in RUNTIMES:
        raise InvalidJob(f'RUNTIME {job.runtime!r}: unknown; known are {", ".join(RUNTIMES)}.')
    block_option(job.creation_options)
    check_outputs(wanted, job.inputs())
    if job.output:
        check_style(job.output)


def _plan(job: ServeJob, size: tuple[int, int], network: Network, reader: Reader, reporter: Reporter) -> TilePlan:
    """The tile plan, said in the log."""
    batch = job.batch_size or 1
    probabilities = 4 * network.given.bands
    pixel_bytes = (
        batch * network.runtime.pixel_bytes()
        + (AHEAD + READERS + batch) * reader.pixel_bytes
        + (BEHIND + 2 + batch) * probabilities  # the writer makes copies
    )
    plan = make_plan(
        size,
        network.field,
        network.stride,
        tile_size=job.tile_size,
        memory=job.memory,
        pixel_bytes=pixel_bytes,
        block=block_option(job.creation_options),
    )
    reporter.log(plan.describe())
    reporter.resolve('tile', list(plan.tile))
    reporter.resolve('halo', plan.halo)
    reporter.resolve('batch', batch)
    reporter.resolve('runtime', network.runtime.name)
    reporter.resolve('nodata', reader.describe_nodata())
    needed = plan.window[0] * plan.window[1] * pixel_bytes / 2**20
    if not job.tile_size and needed > job.memory:
        reporter.warn(f'The smallest tile takes about {needed:.0f} MiB, more than the {job.memory} MiB allowed.')
    return plan


def _serve(plan: TilePlan, reader: Reader, network: Network, outputs: Outputs, batch: int, reporter: Reporter) -> None:
    """Read, compute and write all tiles."""

    def compute(tiles: list[tuple[Tile, Part]]) -> list[tuple[np.ndarray, np.ndarray]]:
        values = network.run([part.pixels for _, part in tiles])
        return [(value[tile.inner], part.valid) for value, (tile, part) in zip(values, tiles)]

    def progress(done: int) -> None:
        reporter.check_cancelled()
        reporter.progress(done / len(plan), f'tile {done} of {len(plan)}')

    try:
        stream(
            plan,
            reader.read,
            compute,
            lambda tile, result: outputs.write(tile, *result),
            wanted=lambda part: bool(part.valid.any()),
            batch=batch,
            progress=progress,
        )
    except MemoryError as error:
        raise OutOfMemory(
            f'Not enough memory for tiles of {plan.window[0]} x {plan.window[1]} pixels. Use a smaller TILE_SIZE.'
        ) from error
    if outputs.tiles < len(plan):
        reporter.log(f'{len(plan) - outputs.tiles} of {len(plan)} tiles hold no data and were not computed.')


def _metadata(card: ModelCard, network: Network, plan: TilePlan) -> dict[str, str]:
    """What the files say of their making."""
    settings = {'tile': plan.tile, 'halo': plan.halo, 'stride': plan.stride, 'runtime': network.runtime.name}
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
