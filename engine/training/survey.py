"""What the labels of samples hold: which values are classes, and how many pixels of each there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..classes import complete, merge
from ..datasets.manifest import LabelInfo, Manifest
from ..errors import InvalidJob, LabelError, NoSamples
from ..events import Reporter
from ..jobs import CLASS_WEIGHTS, SPLITS, ClassDef
from .pipeline import Batch, SampleReader
from .splits import Piece, Split, ValueSpread, joined
from .targets import ClassTarget

_AT_ONCE = 64  # samples read together
_NAMED = 5  # classes that are warned of one by one


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


Places = Mapping[str, Sequence[Piece]]  # split -> where its samples are


def survey_classes(places: Places, classes: Sequence[ClassDef], reporter: Reporter) -> dict[str, Split]:
    """Read all labels once: count them, and refuse what cannot be trained with.

    Args:
        places: with samples for training.

    Returns:
        What each split holds, those with samples only.

    Raises:
        NoSamples: there is nothing to train with.
        LabelError: values that are no classes, or fewer than two classes to tell apart.
    """
    _require_training(places)
    counts, progress = _Counts(), _Progress(places, reporter)
    found: dict[str, Split] = {}
    for split, pieces in places.items():
        surveyed = []
        for piece in pieces:
            pixels = np.zeros(len(classes), np.int64)
            useful = np.zeros(len(piece.indices), bool)
            for start, part in progress.parts(piece):
                batch = counts.add(piece.reader, part)
                pixels += np.bincount(batch.labels[batch.counted], minlength=len(classes))
                useful[start : start + len(part)] = batch.counted.any((1, 2))
            surveyed.append(Split((Piece(piece.reader, piece.indices[useful]),), pixels))
        found[split] = joined(surveyed)
        _report_useless(split, pieces, found[split], reporter)
        counts.refuse_unknown(pieces[0].reader.samples.folder)
    counts.report(reporter)
    _require_two_classes(found[SPLITS[0]].pixels, classes, counts)
    _warn_of_missing(found, classes, reporter)
    return found


def survey_values(places: Places, reporter: Reporter) -> dict[str, Split]:
    """Read all values once, as `survey_classes` does with classes.

    Raises:
        NoSamples: there is nothing to train with.
        LabelError: all values are the same.
    """
    _require_training(places)
    progress = _Progress(places, reporter)
    found: dict[str, Split] = {}
    for split, pieces in places.items():
        surveyed, sums = [], np.zeros(3)
        ends = [np.inf, -np.inf]
        for piece in pieces:
            useful = np.zeros(len(piece.indices), bool)
            before = sums[0]
            for start, part in progress.parts(piece):
                batch = piece.reader.read(part)
                values = batch.labels[batch.counted].astype(np.float64)
                useful[start : start + len(part)] = batch.counted.any((1, 2))
                if values.size:
                    sums += values.size, values.sum(), values @ values
                    ends = [min(ends[0], values.min()), max(ends[1], values.max())]
            surveyed.append(
                Split((Piece(piece.reader, piece.indices[useful]),), np.array([sums[0] - before], np.int64))
            )
        count, mean = max(sums[0], 1), sums[1] / max(sums[0], 1)
        spread = ValueSpread(float(mean), float(np.sqrt(max(sums[2] / count - mean**2, 0.0))), *map(float, ends))
        whole = joined(surveyed)
        found[split] = Split(whole.pieces, whole.pixels, spread)
        _report_useless(split, pieces, found[split], reporter)
        reporter.log(f'{split}: {whole.pixels[0]} values from {ends[0]:.6g} to {ends[1]:.6g}, mean {mean:.6g}')
    train = found[SPLITS[0]]
    if not train.usable:
        raise LabelError('The training samples hold no value. Check the no-data value of what is to be predicted.')
    if train.spread is not None and train.spread.minimum == train.spread.maximum:
        raise LabelError(
            f'The training samples hold only the value {train.spread.minimum:g}, and there is nothing to learn from '
            'that. Select other patches.'
        )
    return found


def _require_training(places: Places) -> None:
    if not any(len(piece.indices) for piece in places.get(SPLITS[0], ())):
        folders = {
            piece.reader.samples.folder: piece.reader.samples.count for found in places.values() for piece in found
        }
        folder, count = next(iter(folders.items()), ('The dataset', 0))
        raise NoSamples(
            f'{folder}: none of {count} samples is in the split {SPLITS[0]!r}. Select patches with a share for it.'
        )


class _Progress:
    """Walks through the samples, some at a time, and says how far it is."""

    def __init__(self, places: Places, reporter: Reporter) -> None:
        self._total = sum(len(piece.indices) for pieces in places.values() for piece in pieces)
        self._reporter, self._done = reporter, 0

    def parts(self, piece: Piece) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the first, numbers of samples) of one part after the other."""
        for start in range(0, len(piece.indices), _AT_ONCE):
            self._reporter.check_cancelled()
            part = piece.indices[start : start + _AT_ONCE]
            yield start, part
            self._done += len(part)
            self._reporter.progress(self._done / self._total, 'Counting labels')


def _report_useless(split: str, pieces: Sequence[Piece], found: Split, reporter: Reporter) -> None:
    total = sum(len(piece.indices) for piece in pieces)
    if found.count < total:
        left_out = f'{total - found.count} of {total} samples'
        reporter.log(f'{split}: {left_out} have no labelled pixel and are left out')


def class_weights(pixels: np.ndarray, kind: Any, classes: Sequence[ClassDef] = ()) -> np.ndarray:
    """What a pixel of each class weighs in the loss.

    Args:
        pixels: of each class in the training split.
        kind: ``auto``: the inverse square root of the class' frequency, scaled so that the mean over the pixels is 1;
            a class without pixels weighs 1. ``none``: 1 for all. Or weights by class values as text, 1 for others.

    Raises:
        InvalidJob: weights of values that are no classes, or that are no weights.
    """
    weights = np.ones(len(pixels))
    present = pixels > 0
    if isinstance(kind, dict):
        places = {str(definition.value): number for number, definition in enumerate(classes)}
        for value, weight in kind.items():
            if str(value) not in places:
                raise InvalidJob(f'class_weights: {value} is no class; they are {", ".join(places)}.')
            if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not 0 <= weight < float('inf'):
                raise InvalidJob(f'class_weights: {weight!r} of class {value} is no weight; give a number from 0 on.')
            weights[places[str(value)]] = weight
        if not (weights[present] > 0).any():
            raise InvalidJob('class_weights: all classes that there are weigh 0, so nothing can be learnt.')
    elif kind == CLASS_WEIGHTS[0]:
        weights[present] = 1 / np.sqrt(pixels[present])
        weights[present] *= pixels.sum() / (pixels * weights)[present].sum()
    return weights


class _Counts:
    """Pixels by what becomes of them."""

    def __init__(self) -> None:
        self.total = self.without_data = 0
        self.ignored: dict[int, int] = {}
        self.unknown: dict[int, int] = {}
        self.nodata: dict[int, int] = {}

    def add(self, reader: SampleReader, indices: np.ndarray) -> Batch:
        """Count some samples; returns them as a network is fed."""
        target = reader.target
        if not isinstance(target, ClassTarget):
            raise TypeError('classes are counted where there are some')
        batch = reader.read(indices)
        values = reader.samples.read(target.info.name, indices)[..., 0]
        _, known = target.codes.encode(values)
        for value, count in zip(*np.unique(values[~known], return_counts=True)):
            where = self.ignored if int(value) in target.codes.ignored else self.unknown
            where[int(value)] = where.get(int(value), 0) + int(count)
            if where is self.ignored and value == target.info.nodata:
                self.nodata[int(value)] = self.nodata.get(int(value), 0) + int(count)
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

    def report(self, reporter: Reporter) -> None:
        """Say how many pixels each setting leaves out."""
        nodata = sum(self.nodata.values())
        unlabelled = sum(self.ignored.values()) - nodata
        counted = self.total - self.without_data - sum(self.ignored.values())
        share = 100 / max(self.total, 1)
        reporter.log(
            f'Pixels: {counted} of {self.total} count ({counted * share:.1f} %); left out are {unlabelled} unlabelled, '
            f'{nodata} with no-data in the labels and {self.without_data} with no-data in the image'
        )


def _require_two_classes(pixels: np.ndarray, classes: Sequence[ClassDef], counts: _Counts) -> None:
    """Raise `LabelError` where the training split leaves nothing to tell apart, with the remedy if one is near."""
    present = [definition for definition, count in zip(classes, pixels) if count]
    if len(present) > 1:
        return
    what = f'only class {present[0].value} ({present[0].name})' if present else 'no class'
    remedy = 'Add labels of other classes, or select other patches.'
    for nodata, count in counts.nodata.items():
        remedy = (
            f'The labels declare {nodata} as no-data ({count} pixels): if that is a class, a background say, name it '
            f'in CLASSES, with lines such as "{nodata},background"'
            + ''.join(f' and "{definition.value},{definition.name}"' for definition in present)
            + '.'
        )
    raise LabelError(f'The training samples hold {what}, and a network needs two to tell apart. {remedy}')


def _warn_of_missing(found: Mapping[str, Split], classes: Sequence[ClassDef], reporter: Reporter) -> None:
    """Warn of classes without pixels: in all of the dataset, or in the training split."""
    everywhere = np.sum([split.pixels for split in found.values()], 0)
    missing = found[SPLITS[0]].pixels == 0
    for lacking, where in (
        (missing & (everywhere == 0), 'no label has'),
        (missing & (everywhere > 0), 'no label of the training split has'),
    ):
        names = [f'{classes[number].value} ({classes[number].name})' for number in np.flatnonzero(lacking)]
        if len(names) > _NAMED:
            reporter.warn(
                f'{len(names)} of {len(classes)} classes, such as {names[0]}: {where} them; they are not learnt.'
            )
        else:
            for name in names:
                reporter.warn(f'Class {name}: {where} it, so it cannot be learnt.')
