"""The samples that a training is done with: opened, chosen and counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from ..datasets.feeders.feeder import Feeder
from ..datasets.feeders.making import make_feeder
from ..datasets.feeders.options import OF_THE_RUN
from ..datasets.feeders.samples import FeederSamples, samples_of
from ..datasets.feeders.wanted import Wanted
from ..datasets.foreign import is_foreign
from ..datasets.integrity import in_one_line, sealed, strangers
from ..datasets.manifest import LabelInfo, Manifest, SourceInfo
from ..datasets.reader import Dataset
from ..datasets.recognition import NO_LABELS
from ..errors import DatasetError, InvalidJob
from ..events import Reporter
from ..jobs import SPLITS, ClassDef, TrainJob
from .pipeline import SampleReader
from .spatial import spatial_share
from .splits import Piece, Split
from .survey import resolve_classes, survey_classes, survey_values
from .targets import (
    ClassTarget,
    LabelCodes,
    Samples,
    Target,
    ValueTarget,
    chosen_sources,
    is_per_pixel,
    label_info,
    value_source,
)
from .windows import WindowSamples

TRAIN, VALIDATION, TEST = SPLITS


@dataclasses.dataclass(frozen=True)
class Material:
    """What a training works on.

    Attributes:
        samples: where those for training are.
        others: where further ones for validation are.
        sources: what the network takes.
        classes: what it tells apart; none for values.
        per_pixel: whether it says something of each pixel, and not of the patch as a whole.
        splits: the samples by what they are for; those that have any.
    """

    samples: Samples
    others: tuple[Samples, ...]
    sources: tuple[SourceInfo, ...]
    classes: tuple[ClassDef, ...]
    per_pixel: bool
    splits: dict[str, Split]

    @property
    def manifest(self) -> Manifest:
        return self.samples.manifest


def open_material(job: TrainJob, reporter: Reporter, feeders: Mapping[str, Feeder] | None = None) -> Material:
    """Open the samples of a job and read all their labels once.

    Args:
        feeders: split -> where its samples come from, in place of what the job says.

    Raises:
        DatasetError, LabelError, NoSamples: there is nothing that this training could learn from.
        InvalidJob: settings that contradict themselves or the samples.
    """
    fed = _fed(job, feeders or _feeders(job, reporter), reporter)
    samples = fed[TRAIN] if fed else _unfed(job, reporter)
    sources = chosen_sources(samples.manifest, job)
    classes: tuple[ClassDef, ...] = ()
    if job.task != 'regression':
        classes = resolve_classes(job.classes, samples.manifest, label_info(samples.manifest))
    target = _target(samples.manifest, job, classes)
    per_pixel = is_per_pixel(job.task, sources[0].shape[:2], target.info.shape[:2])
    reader = SampleReader(samples, sources, target)
    places = {split: [Piece(reader, samples.indices(split))] for split in SPLITS if len(samples.indices(split))}
    others: list[Samples] = []
    if fed:
        further = {split: fed[split] for split in (VALIDATION, TEST) if split in fed}
        for split, other in further.items():
            places[split] = [_all_of(other, sources, _target(other.manifest, job, classes), target)]
        others = [other for split, other in further.items() if split == VALIDATION]
    elif job.validation:
        others = [_dataset(job, folder, reporter) for folder in job.validation]
        places[VALIDATION] = [
            _all_of(other, sources, _target(other.manifest, job, classes), target) for other in others
        ]
    elif job.validation_share and TRAIN in places:
        train, validation = spatial_share(samples, sources[0], places[TRAIN][0].indices, job, reporter)
        places[TRAIN], places[VALIDATION] = [Piece(reader, train)], [Piece(reader, validation)]
    ordered = {split: places[split] for split in SPLITS if split in places}
    splits = survey_classes(ordered, classes, reporter) if classes else survey_values(ordered, reporter)
    return Material(samples, tuple(others), sources, classes, per_pixel, splits)


def ratios(sources: Sequence[SourceInfo]) -> list[Fraction]:
    """Pixels of each source, along an axis, for one of the first; 1 where nobody knows the size of pixels.

    Raises:
        DatasetError: the two axes differ.
    """
    first, out = sources[0], []
    for source in sources:
        known = all(first.pixel_size) and all(source.pixel_size) and first.rasters != source.rasters
        pairs = zip(first.pixel_size, source.pixel_size) if known else zip(source.shape[:2], first.shape[:2])
        x, y = (Fraction(a / b).limit_denominator(1000) for a, b in pairs)
        if x != y:
            raise DatasetError(
                f'{source.name}: its pixels are {float(x):g} times as fine as those of {first.name} along rows and '
                f'{float(y):g} times along columns; a network needs one ratio.'
            )
        out.append(x)
    return out


def _unfed(job: TrainJob, reporter: Reporter) -> Samples:
    """The samples of a job without feeders."""
    return WindowSamples(job.windows, reporter) if job.windows else _dataset(job, job.dataset, reporter)


def _feeders(job: TrainJob, reporter: Reporter) -> dict[str, Feeder]:
    """The feeders of a job by split; none where it has none.

    Raises:
        InvalidJob: that of training samples says something else of batches and order than the job.
    """
    if job.feeders is None:
        return {}
    options = job.feeders.train.options
    for name, field in OF_THE_RUN.items():
        ruling = getattr(job if hasattr(job, field) else job.options, field)
        if name in options and options[name] != ruling:
            raise InvalidJob(
                f'feeders.train.{name} is {options[name]}, and {field} of the training {ruling}; give the latter only.'
            )
    specs = {split: getattr(job.feeders, split) for split in SPLITS}
    values = job.task == 'regression'
    return {split: make_feeder(spec, f'feeders.{split}', reporter, values) for split, spec in specs.items() if spec}


def _fed(job: TrainJob, feeders: Mapping[str, Feeder], reporter: Reporter) -> dict[str, FeederSamples]:
    """The samples of feeders by split."""
    values, target = job.task == 'regression', job.options.target
    first = Wanted(values, target, classes=not values and not job.classes)
    other = Wanted(values, target, classes=False, statistics=False)
    return {
        split: samples_of(feeder, first if split == TRAIN else other, reporter) for split, feeder in feeders.items()
    }


def _dataset(job: TrainJob, folder: str, reporter: Reporter) -> Dataset:
    """A dataset of any kind. Where values are to be predicted, the labels of a foreign one are one more source."""
    foreign = job.task == 'regression' and is_foreign(folder)
    dataset = Dataset.open(folder, NO_LABELS if foreign else '', reporter)
    doubts = [] if dataset.foreign else [*sealed(dataset), *strangers(dataset)]
    if doubts:
        reporter.warn(in_one_line(folder, doubts))
    return dataset


def _target(manifest: Manifest, job: TrainJob, classes: Sequence[ClassDef]) -> Target:
    """What is to be learnt from the samples of a manifest."""
    if job.task == 'regression':
        values = value_source(manifest, job)
        if values is not None and values.shape[2] != 1:
            raise InvalidJob(f'{values.name}: has {values.shape[2]} bands; what is to be predicted has one.')
        return ValueTarget(values or label_info(manifest))
    info = label_info(manifest)
    return ClassTarget(info, LabelCodes([definition.value for definition in classes], info))


def _all_of(other: Samples, sources: Sequence[SourceInfo], target: Target, first: Target) -> Piece:
    """All samples of another dataset, which must be like those for training.

    Raises:
        DatasetError: it has other sources or labels.
    """
    for source in sources:
        found = other.manifest.source(source.name)
        if found.shape != source.shape:
            sizes = [f'{shape[1]} x {shape[0]} pixels and {shape[2]} bands' for shape in (found.shape, source.shape)]
            raise DatasetError(
                f'{other.folder}: patches of {source.name} are of {sizes[0]} there and of {sizes[1]} in the training '
                f'samples; {_alike(other)}.'
            )
    if _size(target.info) != _size(first.info):
        raise DatasetError(f'{other.folder}: its labels have another size than those of the training samples.')
    return Piece(SampleReader(other, sources, target), np.arange(other.count))


def _alike(other: Samples) -> str:
    """What makes samples as large as others."""
    if isinstance(other, FeederSamples):
        return 'give both the same shape, and lists of any length a "length"'
    return 'extract them with the same size and bands'


def _size(info: LabelInfo | SourceInfo) -> tuple[int, int]:
    return info.shape[:2]
