"""Apply a model to whole rasters."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from ..errors import EngineError, InvalidJob, OutOfMemory, write_error
from ..events import Reporter
from ..gdalio import gdal
from ..grid import Grid
from ..jobs import ServeJob
from ..maps.finishing import check_options
from ..maps.part import PartFolder, check_outputs
from ..model_package.card import OutputCard
from ..model_package.importers import Model, open_model, tag_set
from ..records import versions
from ..runtimes.cache import content_of
from .checks import check_job, finishing_of
from .computing import Computing
from .frame import Frame
from .layout import Layout, lay_out
from .masks import Mask, PolygonMask, RasterMask
from .network import (
    Computes,
    Mean,
    Network,
    asked_outputs,
    class_output,
    is_class_map,
    is_whole,
    load_network,
    same_bands,
)
from .outputs import Outputs
from .pipeline import stream
from .plan import Tile, TilePlan
from .planning import mapped, plan_tiles, require_space, touched
from .products import products
from .reading import Part, Reader, require_bands
from .resemblance import warn_of_strangers
from .resume import state_of, take_up
from .sources import open_sources, relations_of
from .stage import Select, Stage, Staged
from .symmetries import Symmetric
from .ways import AtOnce, Blended, Patches, Way

_DIGITS = 16  # of the hash that tells a model from all others
_FINISHING = 0.2  # share of the progress that merging, overviews and polygons get
CACHE = 128 << 20  # bytes of decoded blocks that GDAL may keep of the inputs; its default follows the machine's memory


def serve_model(
    job: ServeJob, reporter: Reporter, *, stage: Stage | None = None, select: Select | None = None
) -> dict[str, Any]:
    """Make a map of rasters of any size with a model: classes, values, and rasters that say how certain it is.

    In native mode the map covers the input's whole extent, or the part of it asked for, and does not depend on the
    tiles it is computed in. What a run that was ended has done is not done again.

    Args:
        job: what to do.
        reporter: hears of it and can stop it.
        stage: makes classes of the outputs that the job names; None: the model's own classes count.
        select: gives a further mask, when the map's grid is known.

    Returns:
        ``OUTPUT``, ``PROBABILITIES``, ``CONFIDENCE``, ``ENTROPY``, ``MARGIN``, ``OUTPUT_FOLDER`` and ``POLYGONS``: the
        paths of those that were asked for. ``RASTERS``: those in OUTPUT_FOLDER. ``MODEL_NAME``: the model's name.
        ``CLASS_MAP``: whether OUTPUT is a map of classes.

    Raises:
        EngineError: of the fitting class, with one line; then no output has changed, and the tiles that are done are
            kept in ``<OUTPUT>.part`` for the next run.
    """
    check_job(job)
    with contextlib.ExitStack() as stack:
        models = [
            stack.enter_context(open_model(path, tags=tag_set(job.tags), signature=job.signature))
            for path in (job.model, *job.ensemble)
        ]
        model = models[0]
        if stage is None:
            names, given, classes = asked_outputs(model, job), class_output(model, job), is_class_map(model, job)
        else:
            names, given, classes = job.output_names, stage.output, True
        sources = open_sources(model, job, reporter)
        relations = relations_of(sources)
        touched(job, sources[0].grid)
        # Made before anything that takes long, so that a place where nothing can be written is found out now.
        places, inner = _places(job, names)
        parts = {name: stack.enter_context(PartFolder(path)) for name, path in places.items()}
        polygons = stack.enter_context(PartFolder(job.polygons)) if job.polygons else None
        networks = [load_network(item, job, names, reporter) for item in models]
        for source, card in zip(sources, networks[0].cards):
            require_bands(source, card)
        reporter.check_cancelled()
        grids = [source.grid for source in sources]
        layout, networks = lay_out(models, networks, job, grids, relations, reporter)
        frame = layout.frame
        networks = [networks[0], *_alike(networks, None if stage else given, models[1:], job)]
        if stage is not None:
            stage.require(networks[0])
        part, masks = mapped(job, frame), _masks(job, frame, sources[0].grid, reporter)
        if select is not None:
            masks.append(select(frame.grid, part, masks))
        reader = Reader(sources, networks[0].cards, frame, job, masks)
        plan, batch = plan_tiles(job, part, layout, networks, reader, reporter)
        kept = take_up(parts, state_of(job, plan, networks[0].runtime.name), job.resume, reporter)
        finishing = finishing_of(job)
        shown = networks[0] if stage is None else dataclasses.replace(networks[0], outputs=(stage.values,))
        made = products(job, inner, list(parts), shown, given, classes)
        check_options(finishing, [product.dtype for product in made.values()])
        outputs = stack.enter_context(
            Outputs(
                parts,
                made,
                plan,
                frame.grid.sub(part),
                finishing,
                _metadata(job, models, networks[0], plan),
                polygons=(polygons, job.connectivity) if polygons else None,
                hidden=[] if job.output else ['OUTPUT'],
                resume=job.resume,
                kept=kept,
            )
        )
        require_space(parts, plan, outputs, reporter)
        warn_of_strangers(sources, networks[0].cards, reader, frame, part, masks, reporter)
        # What follows the last tile takes a while.
        mapping = 1 - _FINISHING if finishing.cog or finishing.overviews or finishing.sieve > 1 or polygons else 1.0
        reporter.stage(0.0, mapping)
        with _gdal_cache(CACHE + 2 * outputs.tile_bytes):
            try:
                computing = Computing(_way(job, layout, networks, batch, reporter), frame, reporter)
                together = 1 if layout.patches or layout.piece != (0, 0) else batch
                staged = computing if stage is None else Staged(computing, stage)
                computed = _serve(plan, reader, staged, outputs, together, reporter)
            except EngineError:
                if job.resume and outputs.done:
                    reporter.warn(f'{len(outputs.done)} of {len(plan)} tiles are kept: run the same again to go on.')
                raise
        if kept is not None:
            reporter.log(f'Resumed: {len(kept)} tiles kept, {computed} computed.')
        outputs.publish(reporter, mapping)
    reporter.stage(0.0, 1.0)
    reporter.progress(1.0, 'done')
    values: dict[str, Any] = {name: path for name, path in job.outputs().items() if path}
    if job.output_folder:
        values['RASTERS'] = [places[name] for name in inner]
    return {**values, 'MODEL_NAME': model.card.name, 'CLASS_MAP': classes}


def _places(job: ServeJob, names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Paths of the rasters to make, by names, and which of these names are in OUTPUT_FOLDER, with the outputs of the
    model that they hold."""
    places = {name: path for name, path in job.rasters().items() if path}
    named, inner = dict(places), {}
    if job.polygons and not job.output:
        places['OUTPUT'] = os.path.splitext(job.polygons)[0] + '.map.tif'
    if job.output_folder:
        try:
            os.makedirs(job.output_folder, exist_ok=True)
        except OSError as error:
            raise write_error(job.output_folder, error) from error
        for name in names:
            file = re.sub(r'[^\w.-]+', '_', name) + '.tif'
            key = f'OUTPUT_FOLDER {file}'
            inner[key], places[key] = name, os.path.join(job.output_folder, file)
        check_outputs({**named, **{key: places[key] for key in inner}}, job.inputs())
    return places, inner


def _alike(networks: list[Network], given: OutputCard | None, models: list[Model], job: ServeJob) -> list[Network]:
    """The further networks of an ensemble, with the first one's order of bands."""
    found = []
    for network, model in zip(networks[1:], models):
        own = class_output(model, job)
        found.append(same_bands(networks[0], given, network, own.classes if own else ()))
    if found and any(is_whole(item.dtype) for item in networks[0].outputs):
        raise InvalidJob('ENSEMBLE: an output is of whole numbers, of which no mean can be taken.')
    return found


def _way(job: ServeJob, layout: Layout, networks: list[Network], batch: int, reporter: Reporter) -> Way:
    """How windows of the map are computed."""
    network: Computes = Mean(networks) if len(networks) > 1 else networks[0]
    if job.tta == 'd4':
        if any(is_whole(item.dtype) for item in networks[0].outputs):
            raise InvalidJob('TTA d4: an output is of whole numbers, of which no mean can be taken; use none.')
        network = Symmetric(network)
    if layout.patches:
        return Patches(network, layout.frame, networks[0].bands, batch, reporter)
    if layout.piece != (0, 0):
        return Blended(network, layout.frame, layout.piece, layout.fading, batch)
    return AtOnce(network)


def _masks(job: ServeJob, frame: Frame, grid: Grid, reporter: Reporter) -> list[Mask]:
    """The masks that the job names; `grid` is that of the first source."""
    masks: list[Mask] = []
    if job.mask:
        masks.append(RasterMask(job.mask, grid, frame))
    if job.mask_layer:
        masks.append(PolygonMask(job.mask_layer, frame.grid, reporter))
    return masks


def _serve(
    plan: TilePlan, reader: Reader, computing: Computing | Staged, outputs: Outputs, batch: int, reporter: Reporter
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


def _metadata(job: ServeJob, models: list[Model], network: Network, plan: TilePlan) -> dict[str, str]:
    """What the files say of their making."""
    settings = {
        'mode': job.mode,
        'outputs': [item.name for item in network.outputs],
        'tile': plan.tile,
        'halo': plan.halo,
        'unit': plan.unit,
        'runtime': network.runtime.name,
        'precision': job.precision,
        'tta': job.tta,
        'blend': job.blend,
        'padding': job.padding,
    }
    known = {
        'QUADRAT_VERSION': versions()['quadrat'],
        'QUADRAT_MODEL': ', '.join(model.card.name for model in models),
        'QUADRAT_MODEL_ID': ', '.join(content_of(model.spec.path)[:_DIGITS] for model in models),
        'QUADRAT_MODEL_CREATED': models[0].card.created,
        'QUADRAT_SETTINGS': json.dumps(settings),
    }
    return {key: value for key, value in known.items() if value}


@contextlib.contextmanager
def _gdal_cache(size: int) -> Iterator[None]:
    """A limit on GDAL's cache of blocks, in bytes, within a block."""
    before = gdal.GetCacheMax()
    gdal.SetCacheMax(size)
    try:
        yield
    finally:
        gdal.SetCacheMax(before)
