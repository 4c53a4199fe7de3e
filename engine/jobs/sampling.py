"""Jobs of sampling: where points and patches lie."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Optional, Tuple

from .base import Job
from .data import ClassDef, LabelRaster, VectorSpec

SPLITS = ('train', 'validation', 'test')
PATCH_STRATEGIES = ('blocks', 'chessboard', 'split', 'random', 'stratified', 'balanced', 'all')
SAMPLE_STRATEGIES = ('byclass', 'constant', 'percent', 'total', 'smallest', 'all')
LABEL_STRATEGIES = ('constant', 'total', 'smallest', 'all')
SPLIT_STRATEGIES = ('group', 'blocks', 'random', 'kfold')
SAMPLERS = ('periodic', 'random')
IMAGE_RATES = ('proportional', 'equal', 'custom')


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
class PolygonStatisticsJob(Job):
    """Count the pixels of each class and of each geometry of a vector layer, on the grid of a raster.

    Attributes:
        raster: only its grid is used.
        vector: polygons, lines or points.
        field: attribute with the class, whole numbers or text.
        mask: optional raster on the same grid; pixels above 0 count.
        dense: count on the drawn geometries, where later ones cover earlier ones: a pixel in several counts once.
        output: the statistics as XML, in the layout of the Orfeo ToolBox.
        table: the same as CSV.
    """

    kind: ClassVar[str] = 'polygonclassstatistics'
    raster: str
    vector: VectorSpec
    field: str
    output: str
    table: str = ''
    mask: str = ''
    dense: bool = False

    def inputs(self) -> Tuple[str, ...]:
        return tuple(filter(None, (self.raster, self.vector.path, self.mask)))

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'TABLE': self.table}


@dataclasses.dataclass(frozen=True)
class SampledImage:
    """An image, and what is sampled on it.

    Attributes:
        raster: only its grid is used.
        vector: polygons, lines or points with the classes.
        mask: optional raster on the same grid; pixels above 0 count.
        statistics: XML of `PolygonStatisticsJob`; empty: counted.
        count, percent, by_class: instead of the job's, where its `image_rates` is ``custom``.
    """

    raster: str
    vector: VectorSpec
    mask: str = ''
    statistics: str = ''
    count: Optional[int] = None
    percent: Optional[float] = None
    by_class: str = ''


@dataclasses.dataclass(frozen=True)
class SelectSamplesJob(Job):
    """Choose pixels inside polygons, along lines or at points, so many of each class.

    Attributes:
        images: one or several.
        field: attribute with the class, whole numbers or text.
        strategy: one of `SAMPLE_STRATEGIES`.
        count: samples of each class (constant) or of all (total).
        percent: share of each class, 0 to 1.
        by_class: CSV of class and number.
        image_rates: how the numbers are dealt out over several images, one of `IMAGE_RATES`.
        sampler: ``periodic`` takes every n-th pixel, ``random`` draws without replacement.
        jitter: of the periodic sampler, in samples.
        output: the points. rates: what was asked for and taken as CSV, one file an image.
    """

    kind: ClassVar[str] = 'selectsamples'
    images: Tuple[SampledImage, ...]
    field: str
    output: str
    strategy: str = 'smallest'
    count: int = 1000
    percent: float = 0.5
    by_class: str = ''
    image_rates: str = 'proportional'
    sampler: str = 'periodic'
    jitter: int = 0
    seed: int = 0
    rates: str = ''

    def inputs(self) -> Tuple[str, ...]:
        found = [self.by_class]
        for image in self.images:
            found += [image.raster, image.vector.path, image.mask, image.statistics, image.by_class]
        return tuple(filter(None, found))

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'RATES': self.rates}


@dataclasses.dataclass(frozen=True)
class SampleValuesJob(Job):
    """Add the values of rasters at points as attributes.

    Attributes:
        rasters: of any grids; their bands are counted on from one raster to the next.
        prefix: begins the names of the attributes, which are numbered from 0.
        nodata: of each raster, as `SourceSpec.nodata`; none for what the files declare.
    """

    kind: ClassVar[str] = 'samplevalues'
    rasters: Tuple[str, ...]
    points: VectorSpec
    output: str
    prefix: str = 'value_'
    nodata: Tuple[str, ...] = ()

    def inputs(self) -> Tuple[str, ...]:
        return (*self.rasters, self.points.path)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class SampleLabelImageJob(Job):
    """Choose pixels of a label raster, so many of each class.

    Attributes:
        labels: the raster; its `nodata` is the label to leave out.
        strategy: one of `LABEL_STRATEGIES`.
        count: samples of each class (constant) or of all (total).
        pad: pixels left out along all four edges.
        otbtf: the peer's choice, order and labels counted from 0.
    """

    kind: ClassVar[str] = 'samplelabelimage'
    labels: LabelRaster
    output: str
    strategy: str = 'constant'
    count: int = 1000
    pad: int = 0
    otbtf: bool = False
    seed: int = 0

    def inputs(self) -> Tuple[str, ...]:
        return (self.labels.path,)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class SelectPatchesJob(Job):
    """Choose where patches lie on a raster, and to which split each belongs.

    Attributes:
        raster: path of the support image.
        patch_size, step: pixels; step 0 means the patch size.
        offset_x, offset_y: pixels by which the grid of patches is shifted, modulo the step.
        mask: optional raster on the same grid; patches lie wholly on pixels above 0.
        nodata: as `SourceSpec.nodata`, but empty means that the image's no-data is not looked at. A patch may hold no
            pixel that is no-data in all bands, or no number in one.
        strategy: one of `PATCH_STRATEGIES`.
        train, validation, test: shares; only their ratios matter.
        block_size: side of the square spatial blocks in pixels; 0 means four patches.
        buffer: pixels kept free between patches of different splits.
        labels: raster of classes, whose pixels may be smaller or larger by a whole factor: wanted by ``stratified`` and
            ``balanced``; with any strategy the log counts its classes in each split.
        legend: names for classes, such as a layer's symbology. The no-data value of `labels` is a class if it has a
            name here, or in the file itself.
        otbtf: the peer's grid, points and sequence of splits.
        output: path of the point layer (GeoPackage).
    """

    kind: ClassVar[str] = 'selectpatches'
    raster: str
    output: str
    patch_size: int = 64
    step: int = 0
    offset_x: int = 0
    offset_y: int = 0
    mask: str = ''
    nodata: str = ''
    strategy: str = 'blocks'
    train: float = 60.0
    validation: float = 20.0
    test: float = 20.0
    block_size: int = 0
    buffer: int = 0
    labels: Optional[LabelRaster] = None
    legend: Tuple[ClassDef, ...] = ()
    seed: int = 0
    otbtf: bool = False

    def inputs(self) -> Tuple[str, ...]:
        return tuple(filter(None, (self.raster, self.mask, self.labels.path if self.labels else '')))

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class SplitSamplesJob(Job):
    """Give each point or polygon to a split, or to a fold.

    Attributes:
        vector: points or polygons, whose attributes are kept.
        strategy: one of `SPLIT_STRATEGIES`.
        group_field: features with the same value stay together; needed by ``group``, allowed with ``kfold``.
        folds: number of folds of ``kfold``.
        train, validation, test: shares; only their ratios matter.
        block_size: side of the square blocks in map units; 0 chooses. With ``kfold`` and without a group field, above
            0, blocks are what stays together.
    """

    kind: ClassVar[str] = 'splitsamples'
    vector: VectorSpec
    output: str
    strategy: str = 'random'
    group_field: str = ''
    folds: int = 5
    train: float = 60.0
    validation: float = 20.0
    test: float = 20.0
    block_size: float = 0.0
    seed: int = 0

    def inputs(self) -> Tuple[str, ...]:
        return (self.vector.path,)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}
