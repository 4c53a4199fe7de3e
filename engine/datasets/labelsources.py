"""The labels that a job asks for, opened on the zones it asks for them."""

from __future__ import annotations

import numpy as np

from ..classes import merge
from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import ClassDef, ExtractPatchesJob, LabelPolygons
from ..vector import VectorLayer
from .classtexts import class_text, class_values, is_text
from .labelling import Labelling, Naming, PointLabelling
from .labels import UNSET, ImageLabels, PolygonLabels, RasterLabels
from .legend import raster_legend
from .patchlabels import PatchLabelling
from .placement import Placement
from .polygons import DrawnPolygons, Shapes
from .zones import OpenZone


def open_labels(
    job: ExtractPatchesJob, zones: list[OpenZone], placement: Placement, folder: str, reporter: Reporter
) -> Labelling | None:
    """The labels of a job; None where it asks for none.

    Args:
        folder: for temporary data.

    Raises:
        InvalidJob: some zones have labels and others do not.
        LabelError, GridMismatch: what cannot be labels, or does not fit the images.
    """
    if job.label_field:
        return point_labels(job, zones, placement, reporter)
    found = image_labels(job, zones, reporter)
    if found is None:
        return None
    labels, naming = found
    return PatchLabelling(labels, job.sources[0].patch_size, folder, naming, placement, reporter)


def image_labels(
    job: ExtractPatchesJob, zones: list[OpenZone], reporter: Reporter
) -> tuple[list[ImageLabels], Naming] | None:
    """The rasters or polygons that each zone has its labels from, and what is known of them; None where there are none.

    Raises:
        InvalidJob, LabelError, GridMismatch: as `open_labels`.
    """
    without = [zone.image for zone in zones if not (zone.labels or zone.polygons)]
    if len(without) == len(zones):
        return None
    if without:
        raise InvalidJob(f'{without[0]}: this zone has no labels and others do; give all zones labels, or none.')
    polygons = _Polygons([zone.polygons for zone in zones if zone.polygons], job.classes)
    rasters = [zone.labels for zone in zones if zone.labels]
    legend = merge(
        _named_legend(job.legend, polygons.names),
        *(raster_legend(spec.path, spec.band) for spec in dict.fromkeys(rasters)),
    )
    named = merge(job.classes, polygons.outside) if job.classes else ()
    # Whatever names a value says that it is a class, be it no-data of the file or not.
    known = job.classes or [item for item in legend if item.name not in ('', str(item.value))]
    labels: list[ImageLabels] = []
    for zone in zones:
        if zone.labels:
            labels.append(RasterLabels(zone.labels, zone.grid, zone.image, known))
        elif zone.polygons:
            labels.append(polygons.on(zone, zone.polygons, reporter))
    paths = list(dict.fromkeys(found.path for found in labels))
    where = paths[0] if len(paths) == 1 else f'{paths[0]} and {len(paths) - 1} more'
    return labels, Naming(where, named, legend)


def point_labels(
    job: ExtractPatchesJob, zones: list[OpenZone], placement: Placement, reporter: Reporter
) -> PointLabelling:
    """The labels in an attribute of the points."""
    layers = [VectorLayer(spec) for spec in dict.fromkeys(zone.points for zone in zones)]
    where = f'{layers[0].path}, field {job.label_field!r}'
    texts = [(text or '').strip() for text in placement.labels]
    text = any(is_text(layer, job.label_field) for layer in layers)
    values, names = class_values({item for item in texts if item}, where, text, job.classes, truncate=job.otbtf)
    column = np.array([values.get(item, UNSET) for item in texts], np.int64)
    naming = Naming(where, job.classes, _named_legend(job.legend, names))
    return PointLabelling(column, naming, placement, reporter)


class _Polygons:
    """The polygons of all zones: the same class has the same value in all of them.

    Attributes:
        outside: the class of pixels in no polygon, if there is one.
        names: those that the polygons give to values.
    """

    def __init__(self, specs: list[LabelPolygons], classes: tuple[ClassDef, ...]) -> None:
        values = dict.fromkeys(spec.outside for spec in specs if spec.outside is not None)
        self.outside = tuple(ClassDef(value, 'outside') for value in values)
        self._values = {'': 1}
        inside: tuple[ClassDef, ...] = ()
        if any(not spec.field for spec in specs):
            if 1 in values:
                raise InvalidJob('OUTSIDE is 1, which is the value of the polygons where no class field is given.')
            inside = (ClassDef(1, 'inside'),)
        found, texts = self._of_fields([spec for spec in dict.fromkeys(specs) if spec.field], classes)
        self._values.update(found)
        self.names = (*self.outside, *inside, *texts)
        self._shapes: dict[tuple[LabelPolygons, str], Shapes] = {}

    def _of_fields(
        self, specs: list[LabelPolygons], classes: tuple[ClassDef, ...]
    ) -> tuple[dict[str, int], tuple[ClassDef, ...]]:
        """The values of all texts in the class fields, and the names that follow."""
        if not specs:
            return {}, ()
        texts: set[str] = set()
        text = False
        for spec in specs:
            layer = VectorLayer(spec.vector)
            index = layer.require_field(spec.field)
            text = text or is_text(layer, spec.field)
            texts.update(found for found in (class_text(feature, index) for feature in layer) if found is not None)
        where = f'{specs[0].vector.path}, field {specs[0].field!r}'
        outside = self.outside[0].value if self.outside else None
        return class_values(texts, where, text, classes, outside)

    def on(self, zone: OpenZone, spec: LabelPolygons, reporter: Reporter) -> PolygonLabels:
        """Polygons on the grid of a zone's first source."""
        key = spec, zone.grid.crs
        if key not in self._shapes:
            self._shapes[key] = Shapes(spec, zone.grid.crs, self._values, reporter)
        empty = UNSET if spec.outside is None else spec.outside
        drawn = DrawnPolygons(self._shapes[key], zone.grid, empty, spec.all_touched)
        values = (*self._values.values(), *(item.value for item in self.outside))
        return PolygonLabels(drawn, spec.vector.path, all(abs(value) < 2**15 - 2 for value in values))


def _named_legend(legend: tuple[ClassDef, ...], names: tuple[ClassDef, ...]) -> tuple[ClassDef, ...]:
    """A legend in which classes of text, which it knows by name only, have their values."""
    colours = {item.name: item.colour for item in legend if item.name}
    coloured = [ClassDef(item.value, item.name, colours[item.name]) for item in names if item.name in colours]
    taken = {item.name for item in coloured}
    return merge(coloured, names, [item for item in legend if item.name not in taken])
