"""What the labels of a dataset hold: which values are classes, and how many pixels of each there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..classes import complete, merge
from ..datasets.manifest import LabelInfo, Manifest, SourceInfo
from ..datasets.reader import Dataset
from ..errors import DatasetError, LabelError, NoSamples
from ..events import Reporter
from ..jobs import SPLITS, ClassDef
from .pipeline import Batch, LabelCodes, SampleReader

_AT_ONCE = 64  # samples read together


@dataclasses.dataclass(frozen=True)
class SplitSurvey:
    """One split: its samples that have any pixel that counts (labelled, and with data in the image), and how many
    pixels of each class count."""

    indices: np.ndarray
    pixels: np.ndarray


def resolve_classes(named: Sequence[ClassDef], manifest: Manifest, labels: LabelInfo) -> tuple[ClassDef, ...]:
    """The classes of a training in ascending order of their values, all with names and colours.

    Args:
        named: what the user named; empty for those of the dataset.

    Raises:
        LabelError: the value that marks unlabelled pixels is named as a class.
    """
    chosen = named or manifest.classes
    values = sorted({definition.value for definition in chosen})
    if not values:
        raise LabelError('The dataset names no classes. Extract the patches again, with labels.')
    if labels.unlabelled in values:
        raise LabelError(
            f'Class {labels.unlabelled}: in this dataset that value marks pixels without label, so it is no class. '
            'Extract the patches again with these classes.'
        )
    return complete(values, merge(named, manifest.classes))


def survey(
    dataset: Dataset,
    source: SourceInfo,
    labels: LabelInfo,
    classes: Sequence[ClassDef],
    reporter: Reporter,
) -> dict[str, SplitSurvey]:
    """Read all labels once: count them, and refuse what cannot be trained with.

    Returns:
        What each split holds, those with samples only.

    Raises:
        NoSamples: there is nothing to train with.
        LabelError: values that are no classes, or fewer than two classes to tell apart.
    """
    codes = LabelCodes([definition.value for definition in classes], labels)
    reader = SampleReader(dataset, source, labels, codes)
    indices = {split: dataset.indices(split) for split in SPLITS if len(dataset.indices(split))}
    if SPLITS[0] not in indices:
        raise NoSamples(
            f'{dataset.folder}: none of {dataset.count} samples is in the split {SPLITS[0]!r}. Select patches with a '
            'share for it.'
        )
    total = sum(map(len, indices.values()))
    done = 0
    found: dict[str, SplitSurvey] = {}
    counts = _Counts()
    for split, numbers in indices.items():
        pixels = np.zeros(len(classes), np.int64)
        useful = np.zeros(len(numbers), bool)
        for start in range(0, len(numbers), _AT_ONCE):
            reporter.check_cancelled()
            part = numbers[start : start + _AT_ONCE]
            batch = counts.add(reader, part, dataset.read(labels.name, part)[..., 0])
            pixels += np.bincount(batch.labels[batch.counted], minlength=len(classes))
            useful[start : start + len(part)] = batch.counted.any((1, 2))
            done += len(part)
            reporter.progress(done / total, 'Counting labels')
        found[split] = SplitSurvey(numbers[useful], pixels)
        if not useful.all():
            left_out = f'{(~useful).sum()} of {len(numbers)} samples'
            reporter.log(f'{split}: {left_out} have no labelled pixel and are left out')
    counts.refuse_unknown(dataset.folder)
    counts.report(reporter, labels, codes)
    _require_two_classes(found[SPLITS[0]].pixels, classes, labels, codes, counts)
    _warn_of_missing(found, classes, reporter)
    return found


def class_weights(pixels: np.ndarray, kind: str) -> np.ndarray:
    """What a pixel of each class weighs in the loss.

    Args:
        pixels: of each class in the training split.
        kind: ``auto``: the inverse square root of the class' frequency, scaled so that the mean over the pixels is 1;
            a class without pixels weighs 1. ``none``: 1 for all.
    """
    weights = np.ones(len(pixels))
    present = pixels > 0
    if kind == 'auto':
        weights[present] = 1 / np.sqrt(pixels[present])
        weights[present] *= pixels.sum() / (pixels * weights)[present].sum()
    return weights


class _Counts:
    """Pixels by what becomes of them."""

    def __init__(self) -> None:
        self.total = self.without_data = 0
        self.ignored: dict[int, int] = {}
        self.unknown: dict[int, int] = {}

    def add(self, reader: SampleReader, indices: np.ndarray, values: np.ndarray) -> Batch:
        """Count some samples; returns them as a network is fed."""
        batch = reader.read(indices)
        _, known = reader.codes.encode(values)
        for value, count in zip(*np.unique(values[~known], return_counts=True)):
            where = self.ignored if int(value) in reader.codes.ignored else self.unknown
            where[int(value)] = where.get(int(value), 0) + int(count)
        self.total += values.size
        self.without_data += int((known & ~batch.counted).sum())
        return batch

    def refuse_unknown(self, folder: str) -> None:
        if self.unknown:
            some = ', '.join(f'{value} ({count} pixels)' for value, count in sorted(self.unknown.items())[:10])
            more = ', …' if len(self.unknown) > 10 else ''
            raise LabelError(
                f'{folder}: labels outside the named classes: {some}{more}. Add them to CLASSES, or make them no-data '
                'and extract the patches again.'
            )

    def report(self, reporter: Reporter, labels: LabelInfo, codes: LabelCodes) -> None:
        """Say how many pixels each setting leaves out."""
        nodata = self.ignored.get(labels.nodata, 0) if labels.nodata in codes.ignored else 0
        unlabelled = self.ignored.get(labels.unlabelled, 0)
        counted = self.total - self.without_data - sum(self.ignored.values())
        share = 100 / max(self.total, 1)
        reporter.log(
            f'Pixels: {counted} of {self.total} count ({counted * share:.1f} %); left out are {unlabelled} unlabelled, '
            f'{nodata} with no-data in the labels and {self.without_data} with no-data in the image'
        )


def _require_two_classes(
    pixels: np.ndarray, classes: Sequence[ClassDef], labels: LabelInfo, codes: LabelCodes, counts: _Counts
) -> None:
    """Raise `LabelError` where the training split leaves nothing to tell apart, with the remedy if one is near."""
    present = [definition for definition, count in zip(classes, pixels) if count]
    if len(present) > 1:
        return
    what = f'only class {present[0].value} ({present[0].name})' if present else 'no class'
    remedy = 'Add labels of other classes, or select other patches.'
    if labels.nodata in codes.ignored and counts.ignored.get(labels.nodata, 0):
        remedy = (
            f'The labels declare {labels.nodata} as no-data ({counts.ignored[labels.nodata]} pixels): if that is a '
            f'class, a background say, name it in CLASSES, with lines such as "{labels.nodata},background"'
            + ''.join(f' and "{definition.value},{definition.name}"' for definition in present)
            + '.'
        )
    raise LabelError(f'The training samples hold {what}, and a network needs two to tell apart. {remedy}')


def _warn_of_missing(found: dict[str, SplitSurvey], classes: Sequence[ClassDef], reporter: Reporter) -> None:
    """Warn of classes without pixels: in all of the dataset, or in the training split."""
    everywhere = np.sum([split.pixels for split in found.values()], 0)
    for definition, everything, train in zip(classes, everywhere, found[SPLITS[0]].pixels):
        if not train:
            where = 'no label has it' if not everything else 'no label of the training split has it'
            reporter.warn(f'Class {definition.value} ({definition.name}): {where}, so it cannot be learnt.')


def require_segmentation_labels(manifest: Manifest) -> tuple[SourceInfo, LabelInfo]:
    """The one source and the labels of a dataset whose every pixel has a label of its own.

    Raises:
        DatasetError: there are no labels, several sources, labels of another size, or no valid pixels.
    """
    if manifest.labels is None:
        raise DatasetError('The dataset has no labels. Extract the patches again, with a label raster or polygons.')
    if len(manifest.sources) != 1:
        names = ', '.join(source.name for source in manifest.sources)
        raise DatasetError(f'The dataset has {len(manifest.sources)} sources ({names}); this network takes one.')
    source = manifest.sources[0]
    if manifest.labels.shape[:2] == (1, 1) != source.shape[:2]:
        raise DatasetError(
            'The dataset has one label a patch; this network labels each pixel. Extract the patches again with a label '
            'raster or polygons instead of a field of the points.'
        )
    if source.shape[:2] != manifest.labels.shape[:2]:
        sizes = ' x '.join(map(str, manifest.labels.shape[1::-1])), ' x '.join(map(str, source.shape[1::-1]))
        raise DatasetError(
            f'Label patches are of {sizes[0]} pixels and image patches of {sizes[1]}; this network labels each pixel '
            'of the image. Resample the labels to the grid of the image and extract the patches again.'
        )
    if not all(source.statistics.count):
        raise DatasetError('The image has no valid pixel in the training samples. Check its no-data value.')
    return source, manifest.labels
