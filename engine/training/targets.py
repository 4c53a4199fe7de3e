"""What a network is to learn: labels as a class, or as a value, for each pixel or for a whole patch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol, Union

import numpy as np

from ..datasets.manifest import LabelInfo, Manifest, SourceInfo
from ..datasets.table import SampleTable
from ..errors import DatasetError, InvalidJob
from ..jobs import TrainJob
from ..nodata import valid_pixels
from ..raster import unformat_nodata

LABELS = ('values', 'labels', 'label')  # what a source is called that holds values: ours, and foreign ones


class Samples(Protocol):
    """Where samples are read from: a `datasets.reader.Dataset`, windows of rasters, or a feeder."""

    @property
    def folder(self) -> str:
        """What messages call it."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def samples(self) -> SampleTable: ...

    @property
    def count(self) -> int: ...

    def indices(self, split: str) -> np.ndarray:
        """Numbers of the samples of a split, ascending."""

    def read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """(len(indices), rows, columns, bands) of a source or of the labels, in the order asked for."""


class LabelCodes:
    """The way from label values to class indices.

    Args:
        values: the values that are classes, ascending.
        info: the labels' values for "no label".

    Attributes:
        ignored: values of pixels that have no label.
    """

    def __init__(self, values: Sequence[int], info: LabelInfo) -> None:
        self._values = np.asarray(values, np.int64)
        without = [info.unlabelled] if info.nodata is None else [info.unlabelled, info.nodata]
        self.ignored = tuple(value for value in without if value not in values)

    def encode(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class indices (int32, 0 where the value is no class), and booleans: where it is one."""
        index = np.minimum(np.searchsorted(self._values, labels), len(self._values) - 1)
        known = self._values[index] == labels
        return np.where(known, index, 0).astype(np.int32), known


@dataclasses.dataclass(frozen=True)
class ClassTarget:
    """Labels that are classes.

    Attributes:
        info: the labels.
        codes: the way from their values to class indices.
    """

    info: LabelInfo
    codes: LabelCodes

    def read(self, samples: Samples, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(samples, rows, columns): int32 class indices, and booleans: where there is a label."""
        return self.codes.encode(samples.read(self.info.name, indices)[..., 0])


@dataclasses.dataclass(frozen=True)
class ValueTarget:
    """Labels that are values.

    Attributes:
        info: the labels, or the source that holds the values.
    """

    info: Union[LabelInfo, SourceInfo]

    def read(self, samples: Samples, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(samples, rows, columns): float32 values, 0 where there is none, and booleans: where there is one."""
        found = samples.read(self.info.name, indices)
        if isinstance(self.info, LabelInfo):
            without = [self.info.unlabelled] if self.info.nodata is None else [self.info.unlabelled, self.info.nodata]
            known = ~np.isin(found[..., 0], without)
        else:
            known = valid_pixels(found, unformat_nodata(self.info.nodata), 'any')
        return np.where(known, found[..., 0], 0).astype(np.float32), known


Target = Union[ClassTarget, ValueTarget]


def chosen_sources(manifest: Manifest, job: TrainJob) -> tuple[SourceInfo, ...]:
    """The sources that the network takes, in the order of the dataset.

    Raises:
        InvalidJob: one that is named is not there, or none is left.
    """
    names = [source.name for source in manifest.sources]
    for name in job.options.sources:
        if name not in names:
            raise InvalidJob(f'OPTIONS.sources: no source {name!r}; the dataset has {", ".join(names)}.')
    target = value_source(manifest, job)
    taken = [
        source
        for source in manifest.sources
        if source is not target and (not job.options.sources or source.name in job.options.sources)
    ]
    if not taken:
        raise InvalidJob('No source is left for the network beside what it is to predict. Change OPTIONS.sources.')
    for source in taken:
        if not all(source.statistics.count):
            raise DatasetError(
                f'{source.name}: the image has no valid pixel in the training samples. Check its no-data value.'
            )
    return tuple(taken)


def value_source(manifest: Manifest, job: TrainJob) -> SourceInfo | None:
    """The source that holds the values of a regression; None where the labels do."""
    if job.task != 'regression':
        return None
    name = job.options.target
    if name:
        return manifest.source(name)
    if manifest.labels is None:
        return next((source for name in LABELS for source in manifest.sources if source.name == name), None)
    return None


def label_info(manifest: Manifest) -> LabelInfo:
    """The labels of a dataset, or `DatasetError` where it has none."""
    if manifest.labels is None:
        raise DatasetError(
            'The dataset has no labels. Extract the patches again, with a label raster, polygons or a field of the '
            'points; of a folder that another program wrote, say in "Convert a dataset" (LABELS) which files they are.'
        )
    return manifest.labels


def is_per_pixel(task: str, image: tuple[int, int], labels: tuple[int, int]) -> bool:
    """Whether each pixel is labelled, and not the patch as a whole.

    Args:
        task: what is to be learnt.
        image, labels: (rows, columns) of patches of the first source and of the labels.

    Raises:
        DatasetError: the labels do not fit the task, or the image.
    """
    single = labels == (1, 1)
    if task == 'classification' and not single:
        raise DatasetError(
            f'The dataset has a label for each of {labels[1]} x {labels[0]} pixels, and TASK classification wants one '
            'a patch. Choose the task segmentation, or extract the patches again with a field of the points.'
        )
    if task == 'segmentation' and single and image != (1, 1):
        raise DatasetError(
            'The dataset has one label a patch; segmentation labels each pixel. Choose the task classification, or '
            'extract the patches again with a label raster or polygons instead of a field of the points.'
        )
    if not single and labels != image:
        sizes = ' x '.join(map(str, labels[::-1])), ' x '.join(map(str, image[::-1]))
        raise DatasetError(
            f'Label patches are of {sizes[0]} pixels and image patches of {sizes[1]}; this network labels each pixel '
            'of the image. Resample the labels to the grid of the image and extract the patches again.'
        )
    return task == 'segmentation' or (task == 'regression' and not single)
