"""Jobs of sampling: where patches lie, and the datasets cut there."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Optional, Tuple

from .base import Job
from .data import ClassDef, LabelPolygons, LabelRaster, SourceSpec, VectorSpec

SPLITS = ('train', 'validation', 'test')
PATCH_STRATEGIES = ('blocks', 'all')
NODATA_POLICIES = ('any', 'all', 'ignore')


@dataclasses.dataclass(frozen=True)
class DemoSceneJob(Job):
    """Make the procedural landscape: `size` is the width of the multispectral image in pixels."""

    kind: ClassVar[str] = 'demoscene'
    output: str
    size: int = 1024
    seed: int = 0

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class SelectPatchesJob(Job):
    """Choose where patches lie on a raster, and to which split each belongs.

    Attributes:
        raster: path of the support image.
        patch_size, step: pixels; step 0 means the patch size.
        strategy: one of `PATCH_STRATEGIES`.
        train, validation, test: shares; only their ratios matter.
        block_size: side of the square spatial blocks in pixels; 0 means four patches.
        buffer: pixels kept free between patches of different splits.
        output: path of the point layer (GeoPackage).
    """

    kind: ClassVar[str] = 'selectpatches'
    raster: str
    output: str
    patch_size: int = 64
    step: int = 0
    strategy: str = 'blocks'
    train: float = 60.0
    validation: float = 20.0
    test: float = 20.0
    block_size: int = 0
    buffer: int = 0
    seed: int = 0

    def inputs(self) -> Tuple[str, ...]:
        return (self.raster,)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class ExtractPatchesJob(Job):
    """Cut patches and their labels at points into a dataset.

    Attributes:
        sources: the image sources; the first is the reference grid.
        points: where the patches lie, reprojected to the first source's CRS.
        labels, polygons: where labels come from; one of them, or neither for a dataset without labels.
        classes: names and colours; a value named here is a class even if it is the label raster's no-data value.
            Empty: every value found, but no-data.
        legend: names and colours for values that turn out to be classes, such as a layer's symbology. Without
            `classes`, the no-data value of a label raster is a class if it has a name here, or in the file itself.
            For classes that are text, `ClassDef.name` says which is meant.
        split_field: attribute of the points with the split; empty: ``split`` if there is such a field.
        nodata_policy: reject a patch where any pixel, only where all, or never because of image no-data.
        samples_per_shard: samples in one shard file; 0 means about 64 MiB.
        accepted, rejected: optional point layers; rejected ones carry a field ``reason``.
        output: the dataset folder.
    """

    kind: ClassVar[str] = 'extractpatches'
    sources: Tuple[SourceSpec, ...]
    points: VectorSpec
    output: str
    labels: Optional[LabelRaster] = None
    polygons: Optional[LabelPolygons] = None
    classes: Tuple[ClassDef, ...] = ()
    legend: Tuple[ClassDef, ...] = ()
    split_field: str = ''
    nodata_policy: str = 'any'
    samples_per_shard: int = 0
    accepted: str = ''
    rejected: str = ''

    def inputs(self) -> Tuple[str, ...]:
        rasters = tuple(path for source in self.sources for path in source.rasters)
        labels = (self.labels.path,) if self.labels else ()
        polygons = (self.polygons.vector.path,) if self.polygons else ()
        return (*rasters, self.points.path, *labels, *polygons)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'ACCEPTED': self.accepted, 'REJECTED': self.rejected}
