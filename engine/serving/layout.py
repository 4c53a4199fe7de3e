"""Where the map of a model lies, and in which way it is computed: measured, said by the package, or by the user."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..errors import InvalidJob, ModelError
from ..events import Reporter
from ..grid import Grid, Relation
from ..jobs import ServeJob, SourceSpec
from ..model_package.card import InputCard, ReceptiveField
from ..model_package.importers import Model
from ..runtimes.geometry import Geometry, InputGeometry, union
from ..runtimes.placeholders import parse
from .frame import Frame, native_frame, otbtf_frame, patch_frame
from .network import Network, is_whole, with_bands
from .symmetries import symmetric_frame
from .ways import blending_frame

FARTHEST = 1024  # pixels that a network may look to one side; beyond it most of what is computed would be halo
_PIECE = 512  # pixels on a side of the pieces of a network of which nothing else is known
_FINEST = 10_000  # the largest denominator of a spacing scale


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a map is computed.

    Attributes:
        frame: of the map.
        patches: a patch for each pixel of the map.
        piece: (columns, rows) of the map of overlapping pieces; (0, 0): windows as large as there is memory for.
        fading: the pieces fade into one another; else the middle of each counts.
    """

    frame: Frame
    patches: bool = False
    piece: tuple[int, int] = (0, 0)
    fading: bool = False


def lay_out(
    models: Sequence[Model],
    networks: Sequence[Network],
    job: ServeJob,
    grids: Sequence[Grid],
    relations: Sequence[Relation],
    reporter: Reporter,
) -> tuple[Layout, list[Network]]:
    """How a map is computed, and the networks with what was found out of them.

    Args:
        models, networks: that are averaged; the first one's names count.
        grids: of the sources. relations: how each lies on the first.

    Raises:
        ModelError, InvalidJob: the model cannot be mapped so.
        GridMismatch: the sources do not fit the network's strides.
    """
    if job.mode != 'native':
        return _as_otbtf(networks, job, grids, relations)
    measured = [_geometry(model, network, job, relations, reporter) for model, network in zip(models, networks)]
    networks = [with_bands(network, found.bands) for network, found in zip(networks, measured)]
    geometry = measured[0]
    if len(measured) > 1:
        named = {network.path: _by_source(network, found) for network, found in zip(networks, measured)}
        geometry = _by_source(networks[0], union(named), backwards=True)
    first = networks[0]
    if geometry.patches or first.without_axes:
        sizes = [_patch_size(*pair, geometry) for pair in zip(job.sources, first.cards)]
        frame = patch_frame(grids[0], list(relations), sizes, spacing_scale(job) or Fraction(1))
        _require_symmetry(job, all(cols == rows for cols, rows in sizes))
        return Layout(frame, patches=True), networks
    return _convolutional(geometry, first, job, grids[0], relations, reporter), networks


def spacing_scale(job: ServeJob) -> Fraction | None:
    """The spacing scale that the job says, as a ratio of whole numbers; None where it says none."""
    if not job.spacing_scale:
        return None
    found = Fraction(job.spacing_scale).limit_denominator(_FINEST)
    if job.spacing_scale < 0 or not math.isclose(float(found), job.spacing_scale, rel_tol=1e-6):
        raise InvalidJob(
            f'SPACING_SCALE {job.spacing_scale:g}: should be the size of a pixel of the map in pixels of the image: 4 '
            'for one four times as coarse, 0.25 for one four times as fine.'
        )
    return found


def _geometry(
    model: Model, network: Network, job: ServeJob, relations: Sequence[Relation], reporter: Reporter
) -> Geometry:
    """How the outputs of a network lie on its inputs, by the names of these."""
    cards = network.cards
    if all(card.field is not None for card in cards):
        inputs = {
            card.name: InputGeometry(card.field, card.stride, 1 / relation.x)
            for card, relation in zip(cards, relations)
        }
        shapes = {card.name: network.runtime.inputs[card.name].shape for card in cards}
        size = {name: (shape[2], shape[1]) for name, shape in shapes.items() if shape[1] and shape[2]}
        found = Geometry(inputs, {item.name: item.bands for item in network.outputs}, size=size)
    else:
        found = _measured(model, network, job, relations, reporter)
    inputs = dict(found.inputs)
    for source, card in zip(job.sources, cards):
        # Where the field has no bounds, what people say is the size of the windows the model was made for.
        if source.receptive_field != (0, 0) and not found.patches and inputs[card.name].field is not None:
            cols, rows = source.receptive_field
            field = ReceptiveField(cols // 2, rows // 2, cols - cols // 2 - 1, rows - rows // 2 - 1)
            inputs[card.name] = dataclasses.replace(inputs[card.name], field=field)
    return dataclasses.replace(found, inputs=inputs)


def _measured(
    model: Model, network: Network, job: ServeJob, relations: Sequence[Relation], reporter: Reporter
) -> Geometry:
    """The geometry as probing the network tells it."""
    by_name = dict(zip((card.name for card in network.cards), relations))
    for number, relation in enumerate(relations, 1):
        if relation.x != relation.y:
            raise ModelError(
                f'Source {number} has another ratio to source 1 along columns than along rows; resample it ("Warp").'
            )
    reference = by_name[min(by_name)].x
    survey = functools.partial(
        model.survey,
        tuple(item.name for item in network.outputs),
        inputs=_inner(network, model),
        constants=parse(job.user_placeholders),
        reporter=reporter,
    )
    ratios = {name: relation.x / reference for name, relation in by_name.items()} if len(by_name) > 1 else None
    try:
        found = survey(ratios=ratios)
    except ModelError:
        if ratios is None:
            raise
        found = survey()  # of other resolutions than these, which can then be told
    geometry = union(found)
    reporter.log(f'{network.path} does not say what its receptive field is; measured:')
    reporter.resolve('receptive_field', geometry.describe())
    return geometry


def _inner(network: Network, model: Model) -> tuple[str, ...]:
    """The inputs of a network, where some are not those of the model's signature; else none."""
    own = {item.name for item in model.card.inputs}
    names = tuple(card.name for card in network.cards)
    return () if set(names) <= own else names


def _by_source(network: Network, geometry: Geometry, backwards: bool = False) -> Geometry:
    """The geometry with its inputs named by the numbers of the sources instead of the network's names."""
    names = {card.name: f'of source {number}' for number, card in enumerate(network.cards, 1)}
    if backwards:
        names = {value: key for key, value in names.items()}
    return dataclasses.replace(geometry, inputs={names[key]: item for key, item in geometry.inputs.items()})


def _patch_size(source: SourceSpec, card: InputCard, geometry: Geometry) -> tuple[int, int]:
    """(columns, rows) of the patches of a source."""
    for size in (source.receptive_field, geometry.size.get(card.name, (0, 0)), card.patch_size):
        if size != (0, 0):
            return size
    if not geometry.patches:  # a network for windows of any size: that of which it makes one pixel
        item = geometry.inputs[card.name]
        cols, rows = (math.ceil(1 / item.scale) + lost for lost in item.lost)
        return cols, rows
    raise ModelError(
        f'The model gives one value for a window of any size, so how large its patches are has to be said: give '
        f'RECEPTIVE_FIELD for the input {card.name}, as it was trained.'
    )


def _convolutional(
    geometry: Geometry, network: Network, job: ServeJob, grid: Grid, relations: Sequence[Relation], reporter: Reporter
) -> Layout:
    """The layout of a network whose output has rows and columns."""
    items = [geometry.inputs[card.name] for card in network.cards]
    asked = spacing_scale(job)
    if geometry.size and asked is not None:
        sizes = [geometry.size[card.name] for card in network.cards]
        items = [_cropped(item, size, asked * relation.x) for item, size, relation in zip(items, sizes, relations)]
    scale = 1 / items[0].scale
    if asked not in (None, scale):
        raise InvalidJob(
            f'SPACING_SCALE {float(asked or 0):g}: the model gives pixels {float(scale):g} times as large as those of '
            'source 1; leave SPACING_SCALE empty.'
        )
    for number, (item, relation) in enumerate(zip(items, relations), 1):
        if relation.x * scale != 1 / item.scale:
            raise ModelError(
                f'Source {number} has {float(relation.x):g} pixels for one of source 1, but the model wants '
                f'{float(1 / (item.scale * scale)):g}.'
            )
    fields = [item.field for item in items if item.field is not None]
    far = [field for field in fields if max(dataclasses.astuple(field)) > FARTHEST]
    bounded = len(fields) == len(items) and not far and not geometry.size
    even = all(item.lost == (2 * item.offset[0], 2 * item.offset[1]) and item.lost[0] == item.lost[1] for item in items)
    _require_symmetry(job, even)
    if bounded and job.blend != 'cosine':
        frame = native_frame(grid, list(relations), items, scale)
        return Layout(symmetric_frame(frame) if job.tta == 'd4' else frame)
    nothing = ReceptiveField(0, 0, 0, 0)
    pointwise = [dataclasses.replace(item, field=nothing) for item in items]
    frame = native_frame(grid, list(relations), pointwise, scale)
    piece = _piece(geometry, network, job, items, scale, frame.unit)
    if geometry.size:  # all pieces meet the network in the same phase then
        unit = math.lcm(*(along.step.denominator for pair in frame.sources for along in pair))
        frame = dataclasses.replace(frame, unit=(unit, unit))
    frame = blending_frame(frame, piece)
    whole = any(is_whole(item.dtype) for item in network.outputs)
    if whole and job.blend == 'cosine':
        raise InvalidJob('BLEND cosine: an output is of whole numbers, of which no mean can be taken; use none.')
    fading = job.blend != 'none' and not whole
    if not bounded:
        reason = geometry.reason or (
            'it takes windows of one size only' if geometry.size else f'it looks more than {FARTHEST} pixels far'
        )
        reporter.warn(
            f'The map is made of overlapping pieces of {piece[0]} x {piece[1]} pixels '
            f'{"that fade into one another (cosine window)" if fading else "of which the middle is taken"}, since the '
            f'receptive field of the model has no bound that can be used: {reason}.'
        )
    return Layout(frame, piece=piece, fading=fading)


def _cropped(item: InputGeometry, size: tuple[int, int], scale: Fraction) -> InputGeometry:
    """How the output lies on an input of one size only, if its pixels are `scale` of the input's: from 32 pixels for 64
    it cannot be told whether they are twice as large, or a margin is lost. As it was, where they cannot be so large."""
    lost = [length - (length - gone) * item.scale * scale for length, gone in zip(size, item.lost)]
    if any(gone < 0 or gone.denominator != 1 for gone in lost):
        return item
    offset = lost[0] / 2, lost[1] / 2
    return dataclasses.replace(item, scale=1 / scale, lost=(int(lost[0]), int(lost[1])), offset=offset)


def _piece(
    geometry: Geometry,
    network: Network,
    job: ServeJob,
    items: Sequence[InputGeometry],
    scale: Fraction,
    unit: tuple[int, int],
) -> tuple[int, int]:
    """(columns, rows) of the overlapping pieces, in pixels of the map."""
    card, item, source = network.cards[0], items[0], job.sources[0]
    fixed = geometry.size.get(card.name)
    if fixed:
        cols, rows = (int((length - lost) / scale) for length, lost in zip(fixed, item.lost))
        return cols, rows
    asked = source.receptive_field if source.receptive_field != (0, 0) else card.patch_size
    sides = []
    for length, lost, step in zip(asked if asked != (0, 0) else (_PIECE, _PIECE), item.lost, unit):
        # Two steps at least, so that pieces overlap.
        sides.append(max(2, math.ceil(max(length - lost, 1) / scale / step)) * step)
    if job.tta == 'd4':
        sides = [max(sides)] * 2
    return sides[0], sides[1]


def _require_symmetry(job: ServeJob, even: bool) -> None:
    """Raise `InvalidJob` where turned windows would not lie on one another."""
    if job.tta == 'd4' and not even:
        raise InvalidJob(
            'TTA d4: the model does not look equally far to all sides of what it maps, so its turned windows would not '
            'lie on one another; use none.'
        )


def _as_otbtf(
    networks: Sequence[Network], job: ServeJob, grids: Sequence[Grid], relations: Sequence[Relation]
) -> tuple[Layout, list[Network]]:
    """The layout of OTBTF's two modes, from the fields that the user gives; 1 where they give none."""
    patches = job.mode == 'otbtf-patch'
    fields = []
    for source, card in zip(job.sources, networks[0].cards):
        field = source.receptive_field
        if field == (0, 0) and patches:
            rows, cols = networks[0].runtime.inputs[card.name].shape[1:3]
            field = (cols, rows) if cols and rows else card.patch_size
        fields.append(field if field != (0, 0) else (1, 1))
    if job.tta != 'none' and not patches:
        raise InvalidJob('TTA d4: only in native mode and patch by patch.')
    if job.blend == 'cosine':
        raise InvalidJob('BLEND cosine: only in native mode.')
    _require_symmetry(job, all(cols == rows for cols, rows in fields))
    scale = spacing_scale(job) or Fraction(1)
    frame = otbtf_frame(list(grids), list(relations), fields, job.expression_field, scale, not patches)
    return Layout(frame, patches=patches), [
        _probed(network, frame, fields if patches else None) for network in networks
    ]


def _probed(network: Network, frame: Frame, patches: list[tuple[int, int]] | None) -> Network:
    """The network with the numbers of bands that it gives; `ModelError` where it does not take such windows."""
    if patches is not None:
        sizes = [(rows, cols) for cols, rows in patches]
        size = (1, 1)
    else:
        unit = dataclasses.replace(frame.grid.window, width=frame.unit[0], height=frame.unit[1])
        sizes = [(window.height, window.width) for window in frame.windows(unit)]
        size = frame.unit
    feeds = []
    for card, (rows, cols) in zip(network.cards, sizes):
        info = network.runtime.inputs[card.name]
        bands = info.shape[3] or len(card.bands) or 1
        feeds.append(np.zeros((1, rows, cols, bands), info.dtype))
    counts = {}
    values = network.runtime.run({card.name: feed for card, feed in zip(network.cards, feeds)})
    for item in network.outputs:
        counts[item.name] = item.bands or values[item.name].size // (size[0] * size[1])
    known = with_bands(network, counts)
    known.run(feeds, size)
    return known
