"""Jobs that say how good a model is."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Optional, Tuple

from .base import TensorFlowJob
from .data import ClassDef, LabelPolygons, LabelRaster, SourceSpec, VectorSpec
from .sampling import SPLITS

EVALUATED_SPLITS = (*reversed(SPLITS), 'all')


@dataclasses.dataclass(frozen=True)
class EvaluateJob(TensorFlowJob):
    """Judge a model by samples of a dataset, or by a reference on the ground of images.

    Attributes:
        model: package folder or zip, folder of a SavedModel, or ``.keras`` file.
        dataset: folder of a dataset of any layout; empty: the images and the reference say where it is judged.
        split: of the dataset, one of `EVALUATED_SPLITS`.
        sources: the images that the model is applied to; the first is the reference grid.
        reference, polygons, points: what is known of the ground: a raster, polygons drawn on the grid of the first
            source, or points; one of them.
        label_field: attribute of the points with the class or value.
        mask_layer: polygons; pixels of the reference count whose centre lies in one.
        classes: of the output's bands, in their order, in place of the model's own; or, for an output of one band of
            whole numbers, of its values.
        output_name: of the model's output that is judged; empty: the one with classes, or the only one.
        target: for values, the source of the dataset that holds them; empty: the one that the model was trained with,
            or else the labels.
        user_placeholders, tags, signature, runtime, device: as of a `ServeJob`.
        batch_size: samples, or tiles or patches of the map, in one call of the model; 0 chooses.
        report: HTML. table: CSV, a row a class and one of all.
    """

    kind: ClassVar[str] = 'evaluatemodel'
    model: str
    dataset: str = ''
    split: str = EVALUATED_SPLITS[0]
    sources: Tuple[SourceSpec, ...] = ()
    reference: Optional[LabelRaster] = None
    polygons: Optional[LabelPolygons] = None
    points: Optional[VectorSpec] = None
    label_field: str = ''
    mask_layer: Optional[VectorSpec] = None
    classes: Tuple[ClassDef, ...] = ()
    output_name: str = ''
    target: str = ''
    user_placeholders: str = ''
    tags: str = ''
    signature: str = ''
    batch_size: int = 0
    runtime: str = 'auto'
    device: str = 'auto'
    report: str = ''
    table: str = ''

    def inputs(self) -> Tuple[str, ...]:
        rasters = [path for source in self.sources for path in source.rasters]
        known = [self.reference, self.polygons.vector if self.polygons else None, self.points, self.mask_layer]
        return (*filter(None, (self.model, self.dataset)), *rasters, *(item.path for item in known if item))

    def outputs(self) -> Dict[str, str]:
        return {'REPORT': self.report, 'TABLE': self.table}
