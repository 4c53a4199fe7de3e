"""The samples that a job names: to train with, and to validate on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...datasets.manifest import Manifest
from ...datasets.reader import Dataset
from ...errors import DatasetError, InvalidJob, NoSamples
from ...events import Reporter
from ...jobs import SPLITS, ClassDef, SourceSpec, TrainSavedModelJob
from .samples import DatasetSamples, PatchesImages, Samples

TRAINING, VALIDATION = 'training', 'validation'  # what the sets of samples are called
_TRAIN, _VALIDATION, _ = SPLITS


@dataclasses.dataclass(frozen=True)
class Data:
    """Samples.

    Attributes:
        training: to train with.
        validation: to validate on besides those; None: there is no validation.
        own: names of the sources.
        given: names of what people say that each source is fed to; empty where they leave it open.
        compared: the same for validation; empty: as in training.
        ignored: values of labels that are none.
        classes: of the labels, where they are known.
    """

    training: Samples
    validation: Samples | None
    own: tuple[str, ...]
    given: tuple[str, ...]
    compared: tuple[str, ...]
    ignored: tuple[int, ...] = ()
    classes: tuple[ClassDef, ...] = ()


def open_data(job: TrainSavedModelJob, reporter: Reporter) -> Data:
    """Open the samples of a job.

    Raises:
        InvalidJob: sources and placeholders contradict one another.
        DatasetError, NoSamples, InputMissing, InputUnreadable, BandMismatch: there are no such samples.
    """
    return _of_dataset(job, reporter) if job.dataset else _of_images(job)


def load(data: Data, job: TrainSavedModelJob, reporter: Reporter) -> Data:
    """The same with the samples in memory, but for those that are to be read when they are needed.

    Raises:
        OutOfMemory: they do not fit into it.
    """
    training = data.training if job.streaming else data.training.loaded('training samples', reporter)
    validation = data.validation
    if validation is not None and not job.validation.streaming:
        validation = validation.loaded('validation samples', reporter)
    return dataclasses.replace(data, training=training, validation=validation)


def _of_images(job: TrainSavedModelJob) -> Data:
    validates = job.validation.mode != 'none'
    others = job.validation.sources
    if validates and len(others) != len(job.sources):
        raise InvalidJob(
            f'VALIDATION_INPUT: {len(others)} sources given, but {len(job.sources)} to train with. Give each its '
            'counterpart: what is fed, and what is compared with an output.'
        )
    others = tuple(
        other if any(other.patch_size) else dataclasses.replace(other, patch_size=source.patch_size)
        for source, other in zip(job.sources, others)
    )
    training = _filled(PatchesImages(job.sources), job.sources)
    validation = _filled(PatchesImages(others), others) if validates else None
    if validation is not None:
        for name, a, b in zip((source.name for source in job.sources), training.shapes, validation.shapes):
            if a[2] != b[2]:
                raise DatasetError(f'{name}: {a[2]} bands to train with, but {b[2]} to validate on.')
    return Data(
        training,
        validation,
        tuple(source.name for source in job.sources),
        tuple(source.placeholder for source in job.sources),
        tuple(source.placeholder for source in others),
    )


def _filled(samples: PatchesImages, sources: Sequence[SourceSpec]) -> PatchesImages:
    if not samples.count:
        raise NoSamples(f'{sources[0].rasters[0]}: holds no patch.')
    return samples


def _of_dataset(job: TrainSavedModelJob, reporter: Reporter) -> Data:
    dataset = Dataset.open(job.dataset, reporter=reporter)
    manifest, keys = dataset.manifest, dataset.keys
    for parameter, names in (
        ('PLACEHOLDER', job.placeholders),
        ('VALIDATION_PLACEHOLDER', job.validation.placeholders),
    ):
        if len(names) > len(keys):
            raise InvalidJob(
                f'{parameter}: {len(names)} names given, but the dataset has {len(keys)} keys: {", ".join(keys)}.'
            )
    training = dataset.indices(_TRAIN)
    if not len(training):
        raise NoSamples(f'{job.dataset}: no sample is in the split {_TRAIN!r}.')
    validation = dataset.indices(_VALIDATION)
    if job.validation.mode != 'none' and not len(validation):
        raise NoSamples(
            f'{job.dataset}: no sample is in the split {_VALIDATION!r}; validation needs some. Select patches with '
            'such a split, or give VALIDATION_MODE none.'
        )
    _warn_of_unlabelled(manifest, reporter)
    return Data(
        DatasetSamples(dataset, keys, training),
        DatasetSamples(dataset, keys, validation) if job.validation.mode != 'none' else None,
        keys,
        _padded(job.placeholders, len(keys)),
        _padded(job.validation.placeholders, len(keys)),
        _without_label(manifest),
        manifest.classes,
    )


def _padded(names: Sequence[str], count: int) -> tuple[str, ...]:
    return (*names, *[''] * (count - len(names)))


def _without_label(manifest: Manifest) -> tuple[int, ...]:
    """Values of pixels that have no label."""
    labels = manifest.labels
    if labels is None:
        return ()
    values = {labels.unlabelled} | ({labels.nodata} if labels.nodata is not None else set())
    return tuple(sorted(values - {definition.value for definition in manifest.classes}))


def _warn_of_unlabelled(manifest: Manifest, reporter: Reporter) -> None:
    """Warn where the graph is fed pixels without label, which it may not know."""
    labels, split = manifest.labels, manifest.splits.get(_TRAIN)
    if labels is None or split is None:
        return
    rows, cols, _ = labels.shape
    lacking = split.count * rows * cols - sum(split.pixels.values())
    if lacking:
        reporter.warn(
            f'{lacking} of {split.count * rows * cols} label pixels have no label; the model is fed '
            f'{" or ".join(map(str, _without_label(manifest)))} there, which its loss must know to leave out.'
        )
