"""Jobs about datasets: cutting them out of rasters, joining, looking into and converting them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Optional, Tuple

from .base import Job
from .data import ClassDef, LabelPolygons, LabelRaster, SourceSpec, VectorSpec

NODATA_POLICIES = ('any', 'all', 'ignore')
BORDERS = ('reject', 'reflect')
LAYOUTS = ('numpy', 'tfrecords', 'patchesimages')
COMPRESSIONS = ('none', 'gzip')
CHECKS = ('quick', 'full')


@dataclasses.dataclass(frozen=True)
class Zone:
    """A further area that goes into the same dataset.

    Attributes:
        sources: as many as the job's own, in that order, with the same bands; names and patch sizes are the job's.
        points, labels, polygons: empty: the job's own, of which those count that lie on these images.
    """

    sources: Tuple[SourceSpec, ...]
    points: Optional[VectorSpec] = None
    labels: Optional[LabelRaster] = None
    polygons: Optional[LabelPolygons] = None

    def inputs(self) -> Tuple[str, ...]:
        rasters = tuple(path for source in self.sources for path in source.rasters)
        others = [self.points, self.labels, self.polygons.vector if self.polygons else None]
        return (*rasters, *(other.path for other in others if other))


@dataclasses.dataclass(frozen=True)
class LayoutOptions:
    """How samples lie in files.

    Attributes:
        layout: one of `LAYOUTS`.
        samples_per_shard: samples in one file; 0 means about 64 MiB. Patches-images are one file a source and split.
        compression: one of `COMPRESSIONS`; ``gzip`` is for TFRecords, and deflates patches-images.
    """

    layout: str = 'numpy'
    samples_per_shard: int = 0
    compression: str = 'none'


@dataclasses.dataclass(frozen=True)
class ExtractPatchesJob(Job):
    """Cut patches and their labels at points into a dataset.

    Attributes:
        sources: the image sources, of any resolutions; the first is the reference grid.
        points: where the patches lie, reprojected to the first source's CRS.
        labels, polygons, label_field: where labels come from: a raster, polygons, or an attribute of the points; one
            of them, or none for a dataset without labels.
        zones: further areas.
        values: labels are values to be predicted, of any numbers, not classes; the dataset has them as one more source.
        classes: names and colours; a value named here is a class even if it is the label raster's no-data value.
            Empty: every value found, but no-data.
        legend: names and colours for values that turn out to be classes, such as a layer's symbology. Without
            `classes`, the no-data value of a label raster is a class if it has a name here, or in the file itself.
            For classes that are text, `ClassDef.name` says which is meant.
        split_field: attribute of the points with the split; empty: ``split`` if there is such a field.
        nodata_policy: reject a patch where any pixel, only where all, or never because of image no-data. Sources may
            have their own.
        border: patches that reach over the edge of an image are rejected, or mirrored there.
        otbtf: each source rounds by itself, as the peer does; else all are snapped to the coarsest grid.
        unlabelled: the stored value of pixels without label; None chooses a free one.
        layout: how samples lie in files.
        accepted, rejected: optional point layers; rejected ones carry a field ``reason``.
        output: the dataset folder.
    """

    kind: ClassVar[str] = 'extractpatches'
    sources: Tuple[SourceSpec, ...]
    points: VectorSpec
    output: str
    labels: Optional[LabelRaster] = None
    polygons: Optional[LabelPolygons] = None
    label_field: str = ''
    zones: Tuple[Zone, ...] = ()
    classes: Tuple[ClassDef, ...] = ()
    legend: Tuple[ClassDef, ...] = ()
    split_field: str = ''
    nodata_policy: str = 'any'
    border: str = 'reject'
    otbtf: bool = False
    unlabelled: Optional[int] = None
    layout: LayoutOptions = LayoutOptions()
    accepted: str = ''
    rejected: str = ''
    values: bool = False

    @property
    def tensorflow(self) -> bool:
        return self.layout.layout == 'tfrecords'

    def inputs(self) -> Tuple[str, ...]:
        own = Zone(self.sources, self.points, self.labels, self.polygons)
        return tuple(dict.fromkeys(path for zone in (own, *self.zones) for path in zone.inputs()))

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'ACCEPTED': self.accepted, 'REJECTED': self.rejected}


@dataclasses.dataclass(frozen=True)
class MergeDatasetsJob(Job):
    """Join datasets with the same sources and labels into one, in the order given."""

    kind: ClassVar[str] = 'mergedatasets'
    datasets: Tuple[str, ...]
    output: str
    layout: LayoutOptions = LayoutOptions()

    @property
    def tensorflow(self) -> bool:
        return self.layout.layout == 'tfrecords'

    def inputs(self) -> Tuple[str, ...]:
        return self.datasets

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class ConvertDatasetJob(Job):
    """Write a dataset of any layout, our own or foreign, in another.

    Attributes:
        labels: for a foreign dataset, the key that holds the labels; ``none``: there are none; empty: the key that is
            called so.
    """

    kind: ClassVar[str] = 'convertdataset'
    dataset: str
    output: str
    layout: LayoutOptions = LayoutOptions()
    labels: str = ''

    @property
    def tensorflow(self) -> bool:
        return self.layout.layout == 'tfrecords'

    def inputs(self) -> Tuple[str, ...]:
        return (self.dataset,)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class InspectDatasetJob(Job):
    """Say what is in a dataset, and whether it is whole.

    Attributes:
        check: ``quick`` compares names, sizes and counts with the manifest; ``full`` also reads everything: SHA-256,
            values, class counts.
        patches: number of patches on the contact sheet.
        seed: which patches these are.
        report: HTML. contact_sheet: PNG of patches beside their labels in the colours of the classes.
    """

    kind: ClassVar[str] = 'inspectdataset'
    dataset: str
    report: str = ''
    contact_sheet: str = ''
    check: str = 'quick'
    patches: int = 48
    seed: int = 0

    @property
    def tensorflow(self) -> bool:
        """Pictures are drawn with Pillow, which comes with TensorFlow's environment."""
        return bool(self.report or self.contact_sheet)

    def inputs(self) -> Tuple[str, ...]:
        return (self.dataset,)

    def outputs(self) -> Dict[str, str]:
        return {'REPORT': self.report, 'CONTACT_SHEET': self.contact_sheet}
