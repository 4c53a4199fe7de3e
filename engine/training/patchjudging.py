"""A model judged by the samples of a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from ..datasets.foreign import is_foreign
from ..datasets.manifest import Manifest, SourceInfo
from ..datasets.reader import Dataset
from ..datasets.recognition import NO_LABELS
from ..errors import BandMismatch, InvalidJob, LabelError, ModelError, NoSamples
from ..events import Reporter
from ..jobs import EvaluateJob, SourceSpec, TrainJob, TrainOptions
from ..model_package.card import InputCard
from ..raster import unformat_nodata
from ..reports.training import Example
from ..runtimes.arrays import image_of
from ..serving.network import Network, class_output, load_network, with_bands
from ..serving.products import Product, products
from .examples import draw_examples
from .judgement import Judgement, spread_of
from .pipeline import Batch, SampleReader, batch_count, batches
from .splits import Piece, Split, ValueSpread
from .subject import REGRESSION, Subject
from .targets import ClassTarget, LabelCodes, Target, ValueTarget, label_info, value_source

_AT_ONCE = 64  # samples whose labels are read together
_BATCH = 16
_LABELS = 0.1  # share of the progress that reading the labels gets


@dataclasses.dataclass(frozen=True)
class Samples:
    """What a model is judged by.

    Attributes:
        data: the dataset. indices: of its samples that are taken.
        target: what the model should say.
        sources: what it is fed, in the order of the dataset.
    """

    data: Dataset
    indices: np.ndarray
    target: Target
    sources: tuple[SourceInfo, ...]


def judge_patches(job: EvaluateJob, subject: Subject, reporter: Reporter) -> tuple[Judgement, list[Example]]:
    """Judge a model by the samples of a split.

    Returns:
        The judgement, and pictures of a few samples.

    Raises:
        NoSamples, LabelError, DatasetError: there is nothing to judge by.
        BandMismatch, ModelError: the model takes or gives something else than the samples hold.
    """
    reporter.stage(0.0, _LABELS)
    samples = _open(job, subject, reporter)
    labelled, spread = _survey(samples, subject, reporter)
    judgement = Judgement(subject.classes, subject.measure, subject.probable, spread)
    values = np.array([item.value for item in subject.classes])
    reporter.stage(_LABELS, 1.0)
    predicting = _Predicting(subject, samples, reporter)
    reader, size = predicting.reader(), job.batch_size or _BATCH
    total = batch_count(len(samples.indices), size)
    for number, batch in enumerate(batches(reader, samples.indices, size)):
        reporter.check_cancelled()
        reporter.progress(number / total, 'Applying the model')
        found, confidence, known = predicting.predict(batch)
        here = batch.counted
        truth = values[batch.labels[here]] if subject.classes else batch.labels[here]
        judgement.add(truth, found[here], None if confidence is None else confidence[here], known[here])
    judgement.lost = labelled - judgement.count
    split = Split((Piece(reader, samples.indices),), np.array([labelled]), spread)
    shown = _Shown(predicting, values)
    return judgement, draw_examples(split, shown, subject.classes)  # type: ignore[arg-type]  # anything that predicts


def _open(job: EvaluateJob, subject: Subject, reporter: Reporter) -> Samples:
    """The samples, and what of them the model is fed and should say."""
    foreign = subject.task == REGRESSION and is_foreign(job.dataset)
    data = Dataset.open(job.dataset, NO_LABELS if foreign else '', reporter)
    indices = np.arange(data.count) if job.split == 'all' else data.indices(job.split)
    if not len(indices):
        there = ', '.join(f'{name} ({len(found)})' for name, found in data.splits.items() if len(found))
        raise NoSamples(f'{job.dataset}: no sample is in the split {job.split!r}. There are {there}; choose a SPLIT.')
    if job.split in ('train', 'all') and subject.trained('dataset').get('fingerprint') == data.manifest.fingerprint():
        reporter.warn(
            'The model was trained with samples of this split: the figures say how well it remembers them, not how '
            'well it maps other places.'
        )
    target = _target(data.manifest, job, subject)
    sources = tuple(source for source in data.manifest.sources if source is not getattr(target, 'info', None))
    names = [item.name for item in subject.model.card.inputs]
    if set(names) <= {source.name for source in sources}:
        sources = tuple(source for source in sources if source.name in names)
    return Samples(data, indices, target, sources)


def _target(manifest: Manifest, job: EvaluateJob, subject: Subject) -> Target:
    """What the model should say."""
    if subject.classes:
        info = label_info(manifest)
        return ClassTarget(info, LabelCodes([item.value for item in subject.classes], info))
    learnt = subject.trained('job').get('options', {}).get('target', '')
    name = job.target or (learnt if learnt in [source.name for source in manifest.sources] else '')
    found = value_source(manifest, TrainJob(job.dataset, '', task=REGRESSION, options=TrainOptions(target=name)))
    if found is not None and found.shape[2] != 1:
        raise InvalidJob(f'TARGET {found.name}: has {found.shape[2]} bands; what the model is judged by has one.')
    return ValueTarget(found or label_info(manifest))


def _survey(samples: Samples, subject: Subject, reporter: Reporter) -> tuple[int, Optional[ValueSpread]]:
    """Read all labels once; returns how many there are, and how values are spread, None for classes.

    Raises:
        LabelError: there are none, or some that are no class of the model.
    """
    labelled, sums, low, high = 0, np.zeros(2), np.inf, -np.inf
    unknown: dict[int, int] = {}
    for part in _parts(samples.indices, reporter):
        labels, known = samples.target.read(samples.data, part)
        labelled += int(known.sum())
        if isinstance(samples.target, ClassTarget):
            raw = samples.data.read(samples.target.info.name, part)[..., 0]
            others = raw[~known & ~np.isin(raw, samples.target.codes.ignored)]
            for value, count in zip(*np.unique(others, return_counts=True)):
                unknown[int(value)] = unknown.get(int(value), 0) + int(count)
        elif known.any():
            values = labels[known].astype(np.float64)
            sums += values.sum(), values @ values
            low, high = min(low, values.min()), max(high, values.max())
    if unknown:
        raise subject.unknown(samples.data.folder, unknown, 'Extract the patches again without them')
    if not labelled:
        raise LabelError(f'{samples.data.folder}: no pixel of these samples has a label. Choose another SPLIT.')
    if subject.classes:
        return labelled, None
    return labelled, spread_of(labelled, sums, low, high)


def _parts(indices: np.ndarray, reporter: Reporter) -> Iterator[np.ndarray]:
    """Numbers of samples, some at a time."""
    for start in range(0, len(indices), _AT_ONCE):
        reporter.check_cancelled()
        reporter.progress(start / len(indices), 'Reading labels')
        yield indices[start : start + _AT_ONCE]


class _Predicting:
    """The model applied to batches of samples, just as it makes maps."""

    def __init__(self, subject: Subject, samples: Samples, reporter: Reporter) -> None:
        self._subject, self._samples = subject, samples
        specs = tuple(SourceSpec(source.rasters, source.name) for source in samples.sources)
        self._serving = dataclasses.replace(subject.serving, sources=specs)
        self._network = load_network(subject.model, self._serving, (subject.output,), reporter)
        self._made: dict[str, Product] = {}
        for source, card in zip(samples.sources, self._network.cards):
            _require_bands(source, card, samples.data.folder, reporter)

    def reader(self) -> SampleReader:
        """Reads the samples as the model is fed."""
        pairs = zip(self._samples.sources, self._network.cards)
        filled = [
            dataclasses.replace(source, statistics=dataclasses.replace(source.statistics, mean=_fill(source, card)))
            for source, card in pairs
        ]
        return SampleReader(self._samples.data, filled, self._samples.target)

    def predict(self, batch: Batch) -> tuple[np.ndarray, Optional[np.ndarray], np.ndarray]:
        """Values of classes, or values; how sure the model is, None where it does not say; and where it gives numbers:
        (samples, rows, columns)."""
        values = self._values(batch)
        if not self._made:
            self._made = self._products(with_bands(self._network, {self._subject.output: values.shape[-1]}))
        made = [self._made[name].make(values)[..., 0] for name in self._subject.products]
        return made[0], made[1] if len(made) > 1 else None, np.isfinite(values).all(-1)

    def _values(self, batch: Batch) -> np.ndarray:
        """The model's output: (samples, rows, columns, bands)."""
        feeds = {card.name: image for card, image in zip(self._network.cards, batch.images)}
        values = self._network.runtime.run(feeds)[self._subject.output]
        try:
            return image_of(values, *batch.labels.shape)
        except ModelError:
            rows, cols = batch.labels.shape[1:]
            sizes = ' and '.join(f'{image.shape[2]} x {image.shape[1]}' for image in batch.images)
            raise ModelError(
                f'{self._subject.model.path}: gives values of the shape {values.shape[1:]} for patches of {sizes} '
                f'pixels, whose labels are of {cols} x {rows} in {self._samples.data.folder}. Give a dataset with '
                'patches and labels like those that the model was trained with.'
            ) from None

    def _products(self, network: Network) -> dict[str, Product]:
        """What is made of the output, as in maps."""
        subject = self._subject
        if not subject.classes and network.bands != 1:
            raise InvalidJob(
                f'{subject.model.path}: the output {subject.output} has {network.bands} bands, and of values one can '
                'be judged. If these are classes, name them in CLASSES, in the order of the bands.'
            )
        given = class_output(subject.model, self._serving)
        return products(self._serving, {}, subject.products, network, given, bool(subject.classes))


class _Shown:
    """The model as `examples.draw_examples` asks it.

    Args:
        values: of the classes, ascending; none for values.
    """

    def __init__(self, predicting: _Predicting, values: np.ndarray) -> None:
        self._predicting, self._values = predicting, values

    def predict(self, batch: Batch) -> np.ndarray:
        """The class index or the value of every pixel: (samples, rows, columns)."""
        found, _, _ = self._predicting.predict(batch)
        return np.searchsorted(self._values, found).clip(0, len(self._values) - 1) if len(self._values) else found


def _fill(source: SourceInfo, card: InputCard) -> tuple[float, ...]:
    """What the model is fed where the image has no data; one that was not trained with any gets what is there."""
    declared: Sequence[float | None] = unformat_nodata(source.nodata)
    return card.fill or tuple(0.0 if value is None or value != value else value for value in declared)


def _require_bands(source: SourceInfo, card: InputCard, folder: str, reporter: Reporter) -> None:
    """Raise `BandMismatch` where a source has not as many bands as the model wants."""
    if card.bands and len(card.bands) != len(source.bands):
        raise BandMismatch(
            f'{folder}: {source.name} has {len(source.bands)} bands ({", ".join(source.bands)}), but the model wants '
            f'{len(card.bands)} ({", ".join(card.bands)}). Extract patches of the bands that it was trained with.'
        )
    if card.fill and source.bands != card.bands and sorted(source.bands) == sorted(card.bands):
        reporter.warn(
            f'The bands of {source.name} are in another order ({", ".join(source.bands)}) than the model was trained '
            f'with ({", ".join(card.bands)}); they are used as they are.'
        )
