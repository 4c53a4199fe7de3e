"""Training a classifier: on attributes of a vector layer, or on samples from anywhere."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np
from sklearn.pipeline import Pipeline

from ..classes import complete, merge
from ..errors import InvalidJob, OutputRefused
from ..events import Reporter
from ..folder import require_file_place, write_together
from ..jobs import (
    UNSUPERVISED,
    ClassDef,
    TrainDeepFeaturesJob,
    TrainVectorClassifierJob,
    classifier_options,
)
from ..records import versions
from ..reports.classifier import classifier_report
from .classifier import Classifier, ClassifierCard
from .kinds import CLASSIFIER, KINDS, SCALER, train
from .normalisation import read_statistics
from .samples import Samples, classes_of, read_table, require_two, sampled_fields
from .scoring import Judgement, confusion_csv, judge
from .store import EXTENSION, to_bytes

Job = Union[TrainVectorClassifierJob, TrainDeepFeaturesJob]


def train_vector_classifier(job: TrainVectorClassifierJob, reporter: Reporter) -> dict[str, Any]:
    """Train a classifier on attributes, and judge it by those of another layer.

    Without a validation layer it is judged by what it was trained with, which says how well it remembers, and a warning
    says so.

    Returns:
        What `finish` returns.

    Raises:
        EngineError: of the fitting class, with one line; then no output has changed.
    """
    check(job)
    features = job.features or sampled_fields(job.vector)
    field = '' if job.classifier in UNSUPERVISED else job.field
    reporter.progress(0.0, 'Reading samples')
    samples = read_table(job.vector, features, field, reporter)
    validation = read_table(job.validation, features, field, reporter) if job.validation and field else None
    reporter.progress(0.3, 'Training')
    return finish(job, features, samples, validation, reporter)


def check(job: Job) -> None:
    """Raise for what can be seen without reading anything: choices, options and places of outputs."""
    classifier_options(job.classifier, job.options)
    if not job.field and job.classifier not in UNSUPERVISED:
        raise InvalidJob('FIELD: the attribute with the class is needed; only k-means does without.')
    if job.confusion and job.classifier in UNSUPERVISED:
        raise InvalidJob('CONFUSION: k-means finds clusters, not the classes of the samples; leave it out.')
    if os.path.splitext(job.output)[1] != EXTENSION:
        raise OutputRefused(f'{job.output}: classifiers are files whose names end in {EXTENSION}; give such a name.')
    for path in filter(None, job.outputs().values()):
        require_file_place(path)
    given = [os.path.realpath(path) for path in job.outputs().values() if path]
    if len(set(given)) < len(given):
        raise InvalidJob('OUTPUT, CONFUSION and REPORT: two of them are the same file; give each another name.')


def finish(
    job: Job,
    features: Sequence[str],
    samples: Samples,
    validation: Samples | None,
    reporter: Reporter,
    **origin: Any,
) -> dict[str, Any]:
    """Train with samples, judge, and write what is asked for.

    Args:
        features: names of what the samples hold.
        validation: samples to judge by; None: those of the training.
        origin: further fields of the `ClassifierCard`.

    Returns:
        ``OUTPUT``, ``CONFUSION`` and ``REPORT``: the paths of those that were asked for; ``ACCURACY`` (overall) and
        ``KAPPA`` of a classifier that was judged.
    """
    options = classifier_options(job.classifier, job.options)
    statistics = read_statistics(job.statistics, len(features)) if job.statistics else None
    supervised = job.classifier not in UNSUPERVISED
    legend = _legend(job, samples, validation) if supervised else _clusters(job, options.n_clusters)
    labels = legend.indices(samples) if supervised else np.zeros(len(samples), np.int64)
    pipeline = train(job.classifier, options, job.seed, samples.values, labels, reporter, statistics)
    reporter.progress(0.6, 'Judging')
    classifier = Classifier(_card(job, options, features, legend.classes, pipeline, origin), pipeline)
    told = labels if supervised else classifier.predict(samples.values)
    counts = np.bincount(told, minlength=len(legend.classes)).tolist()
    classifier.card = dataclasses.replace(classifier.card, samples=tuple(counts))
    judgement = _judge(classifier, legend, samples, validation, reporter) if supervised else None
    reporter.progress(0.8, 'Writing')
    return _write(job, classifier, judgement)


@dataclasses.dataclass(frozen=True)
class _Legend:
    """The classes of a classifier.

    Attributes:
        numbers: the class value of each text of the class field.
        classes: of the training samples, ascending by value.
        others: classes that occur in the validation samples only.
    """

    numbers: Mapping[str, int]
    classes: tuple[ClassDef, ...]
    others: tuple[ClassDef, ...] = ()

    def values(self, samples: Samples) -> np.ndarray:
        """The class value of each sample."""
        return np.array([self.numbers[text] for text in samples.texts.tolist()], np.int64)

    def indices(self, samples: Samples) -> np.ndarray:
        """The place of each sample's class among `classes`."""
        return np.searchsorted([item.value for item in self.classes], self.values(samples))


def _legend(job: Job, samples: Samples, validation: Samples | None) -> _Legend:
    """The classes of samples; `LabelError` where there is only one."""
    layers = [(job.vector, samples.texts.tolist())]
    if validation is not None:
        layers.append((job.validation or job.vector, validation.texts.tolist()))
    numbers, named = classes_of(layers, job.field, job.classes)
    values = sorted({numbers[text] for text in samples.texts.tolist()})
    require_two(values, job.vector.path)
    is_text = any(text != str(number) for text, number in numbers.items())
    legend = [
        ClassDef(numbers[item.name], item.name, item.colour) if is_text else item
        for item in job.legend
        if item.name in numbers or not is_text
    ]
    known = complete([*values, *sorted(set(numbers.values()) - set(values))], merge(job.classes, named, legend))
    return _Legend(numbers, known[: len(values)], known[len(values) :])


def _clusters(job: Job, count: int) -> _Legend:
    """The classes of a classifier that finds its own."""
    values = range(1, count + 1)
    return _Legend({}, complete(values, merge(job.classes, [ClassDef(value, f'cluster {value}') for value in values])))


def _card(
    job: Job,
    options: Any,
    features: Sequence[str],
    classes: tuple[ClassDef, ...],
    pipeline: Pipeline,
    origin: Mapping[str, Any],
) -> ClassifierCard:
    """What is known of a classifier, but for its samples."""
    scaler = pipeline.named_steps[SCALER]
    return ClassifierCard(
        kind=job.classifier,
        options=dataclasses.asdict(options),
        seed=job.seed,
        features=tuple(features),
        classes=classes,
        samples=(),
        mean=tuple(scaler.mean_.tolist()),
        scale=tuple(scaler.scale_.tolist()),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        versions=versions(),
        **origin,
    )


def _judge(
    classifier: Classifier, legend: _Legend, training: Samples, validation: Samples | None, reporter: Reporter
) -> Judgement:
    """The classifier judged by validation samples, or, with a warning, by those it was trained with."""
    samples, split = (training, 'training') if validation is None else (validation, 'validation')
    if validation is None:
        reporter.warn(
            'There are no samples for validation: the accuracy is that of the training samples, which says how well '
            'the classifier remembers, not how well it maps.'
        )
    values = np.array([item.value for item in classifier.card.classes])
    produced = values[classifier.predict(samples.values)]
    judgement = judge(split, legend.values(samples), produced, legend.classes, legend.others)
    scores = judgement.scores.summary()
    reporter.log(f'{split}: ' + ', '.join(f'{name.replace("_", " ")} {value:.4f}' for name, value in scores.items()))
    return judgement


def _write(job: Job, classifier: Classifier, judgement: Judgement | None) -> dict[str, Any]:
    """Write the outputs, none before all are whole; returns them."""
    contents: dict[str, str | bytes] = {job.output: to_bytes(classifier)}
    if judgement and job.confusion:
        contents[job.confusion] = confusion_csv(judgement)
    if job.report:
        contents[job.report] = _report(classifier, judgement)
    write_together(contents)
    found: dict[str, Any] = {name: path for name, path in job.outputs().items() if path}
    if judgement:
        found.update(ACCURACY=judgement.scores.overall_accuracy, KAPPA=judgement.scores.kappa)
    return found


def _report(classifier: Classifier, judgement: Judgement | None) -> str:
    """The report as HTML."""
    importances = getattr(classifier.pipeline.named_steps[CLASSIFIER], 'feature_importances_', None)
    return classifier_report(
        KINDS[classifier.card.kind].name,
        dataclasses.asdict(classifier.card),
        judgement.split if judgement else '',
        {**judgement.scores.to_dict(), 'confusion': judgement.counts.tolist()} if judgement else {},
        [dataclasses.asdict(item) for item in judgement.classes] if judgement else [],
        None if importances is None else importances.tolist(),
    )
