"""The images that a map is made of."""

from __future__ import annotations

import dataclasses

from ..errors import GridMismatch
from ..events import Reporter
from ..grid import Relation, relate
from ..jobs import ServeJob
from ..model_package.importers import Model
from ..raster import RasterStack, require_same_crs
from .network import matched
from .reading import require_bands, warn_of_differences


def open_sources(model: Model, job: ServeJob, reporter: Reporter) -> list[RasterStack]:
    """The images, with the bands that the model names where they have more than it wants."""
    if model.package is None:
        return [RasterStack(spec) for spec in job.sources]
    cards = {card.name: card for card in model.card.inputs}
    found = []
    for spec, name in zip(job.sources, matched(model.path, job.sources, list(cards))):
        source, card = RasterStack(spec), cards[name]
        chosen = bool(spec.bands or spec.band_names)
        if not chosen and len(source.bands) > len(card.bands) and set(card.bands) <= set(source.bands):
            source = RasterStack(dataclasses.replace(spec, band_names=card.bands))
            reporter.log(f'{spec.rasters[0]}: of its bands those of the model are used, {", ".join(card.bands)}.')
        require_bands(source, card)
        warn_of_differences(source, card, reporter)
        found.append(source)
    return found


def relations_of(sources: list[RasterStack]) -> list[Relation]:
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
