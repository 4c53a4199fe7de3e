"""Training: from a dataset to a model package with a report."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..accuracy.confusion import Scores
from ..datasets.manifest import LabelInfo, SourceInfo
from ..datasets.reader import Dataset
from ..events import Reporter
from ..folder import write_whole
from ..jobs import SPLITS, ClassDef, TrainJob
from ..model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from ..model_package.package import REPORT, PackageFolder, fill_package, now
from ..records import versions
from ..reports.html import require_report_place
from ..reports.training import training_report
from .checks import check_job, require_patch_size
from .devices import prepare_devices
from .examples import draw_examples
from .ground import footprint
from .pipeline import LabelCodes, SampleReader, batch_count, batches, random_turns, shuffled
from .survey import SplitSurvey, class_weights, require_segmentation_labels, resolve_classes, survey

if TYPE_CHECKING:
    from .loop import Fitting, Outcome

TRAIN, VALIDATION, TEST = SPLITS


def train_model(job: TrainJob, reporter: Reporter) -> dict[str, Any]:
    """Train a network on a dataset and write a model package.

    Each epoch takes all samples of the training split once, in an order and turned in ways that follow from the seed
    and the epoch alone, and is then judged on the validation split. The package holds the weights of the epoch with
    the best mean intersection over union there; where that split is missing, or lacks a class, those of the last.

    Returns:
        ``OUTPUT`` the package, ``REPORT`` if asked for, ``BEST_EPOCH``, ``BEST_SCORE`` (mean intersection over union).

    Raises:
        InvalidJob: options that contradict themselves or the dataset.
        DatasetError, LabelError, NoSamples: there is nothing that this network could learn from.
        TrainingDiverged: the loss is not a number any more.
        OutputRefused, DiskFull: the package cannot be written.
    """
    check_job(job)
    if job.report:
        require_report_place(job.report)
    dataset = Dataset.open(job.dataset)
    folder = PackageFolder(job.output)
    with folder:
        reporter.stage(0.0, 0.04)
        training = _Training(job, dataset, reporter)
        reporter.stage(0.04, 0.96)
        training.fit()
        reporter.stage(0.96, 1.0)
        reporter.progress(0.0, 'Writing the model package')
        record = training.record()
        report = training_report(record, draw_examples(training.reader, training.fitting, training.classes))
        reporter.check_cancelled()
        fill_package(folder, training.fitting.model, training.card(record['created']), record, report)
        if job.report:
            write_whole(job.report, report)
        folder.finish()
    reporter.log(f'Model package: {job.output}, its report: {os.path.join(job.output, REPORT)}')
    values = {'OUTPUT': job.output, 'BEST_EPOCH': training.best_epoch, 'BEST_SCORE': training.best_score}
    return {**values, **({'REPORT': job.report} if job.report else {})}


class _Training:
    """One training, from the first look at the dataset to the scores of its best weights."""

    def __init__(self, job: TrainJob, dataset: Dataset, reporter: Reporter) -> None:
        self.job, self.dataset, self.reporter = job, dataset, reporter
        self.source, labels = require_segmentation_labels(dataset.manifest)
        require_patch_size(self.source, job)
        self.classes = resolve_classes(job.classes, dataset.manifest, labels)
        self.splits = survey(dataset, self.source, labels, self.classes, reporter)
        self.reader = _reader(dataset, self.source, labels, self.classes)
        self.weights = class_weights(self.splits[TRAIN].pixels, job.options.class_weights)
        self.judge, self.choosing = self._judge()
        self.history: list[dict[str, Any]] = []
        self.best_epoch, self.best_score = 0, float('nan')
        self.results: dict[str, Outcome] = {}
        self.seconds = 0.0

    def _judge(self) -> tuple[str, bool]:
        """The split that the weights are judged on, and whether it can tell which epoch is the best."""
        validation = self.splits.get(VALIDATION)
        if validation is None or not validation.pixels.sum():
            self.reporter.warn(
                'No labelled pixel is in the split "validation": the weights of the last epoch are kept, and judged '
                'on the samples they were trained with, which tells little.'
            )
            return TRAIN, False
        lacking = (self.splits[TRAIN].pixels > 0) & (validation.pixels == 0)
        if lacking.any():
            names = ', '.join(f'{self.classes[i].value} ({self.classes[i].name})' for i in np.flatnonzero(lacking))
            self.reporter.warn(
                f'The split "validation" has no pixel of class {names}, so it cannot tell which epoch is the best: '
                'the weights of the last one are kept. Select patches with smaller blocks or another seed.'
            )
        return VALIDATION, not lacking.any()

    def fit(self) -> None:
        """Train, keep the best weights, and score them."""
        started = time.monotonic()
        self.fitting = self._start()
        self._describe_start()
        best = None
        for epoch in range(1, self.job.epochs + 1):
            self._epoch_text = f'Epoch {epoch} of {self.job.epochs}'
            clock = time.monotonic()
            outcomes = {'training': self.fitting.train(self._training_batches(epoch), epoch)}
            if self.judge == VALIDATION:
                outcomes['validation'] = self.fitting.evaluate(self._plain_batches(VALIDATION))
            if self._note(epoch, outcomes, time.monotonic() - clock):
                best = self.fitting.model.get_weights()
            if self.job.options.patience and epoch - self.best_epoch >= self.job.options.patience:
                self.reporter.log(f'Stopped: no better validation score for {self.job.options.patience} epochs.')
                break
        if best is not None:
            self.fitting.model.set_weights(best)
        self._epoch_text = 'Final evaluation'
        for split in (self.judge, TEST):
            if split in self.splits and self.splits[split].pixels.sum():
                self.results[split] = self.fitting.evaluate(self._plain_batches(split))
                self._report_result(split, self.results[split])
        self.best_score = self.results[self.judge].scores.mean_iou
        self.seconds = time.monotonic() - started

    def _start(self) -> Fitting:
        """The untrained network, with everything random following from the seed."""
        self.reporter.progress(0.0, 'Starting TensorFlow')
        import keras

        from ..networks.registry import builder
        from .loop import Fitting

        options = self.job.options
        self.device = prepare_devices(options.threads, self.reporter)
        keras.utils.set_random_seed(self.job.seed)
        statistics = self.source.statistics
        model = builder(self.job.architecture)(
            len(self.source.bands),
            len(self.classes),
            input_name=self.source.name,
            mean=statistics.mean,
            stddev=statistics.stddev,
            filters=options.filters,
            depth=options.depth,
            dropout=options.dropout,
        )
        steps = {name: batch_count(len(split.indices), self.job.batch_size) for name, split in self.splits.items()}
        each_epoch = steps[TRAIN] + (steps[VALIDATION] if self.judge == VALIDATION else 0)
        self._steps_done = 0
        self._steps_total = self.job.epochs * each_epoch + steps[self.judge] + steps.get(TEST, 0)
        return Fitting(
            model,
            self.weights,
            self.job.learning_rate,
            options.weight_decay,
            steps[TRAIN] * self.job.epochs,
            self._before_step,
        )

    def _before_step(self) -> None:
        self.reporter.check_cancelled()
        self.reporter.progress(self._steps_done / self._steps_total, self._epoch_text)
        self._steps_done += 1

    def _training_batches(self, epoch: int) -> Any:
        order = shuffled(self.splits[TRAIN].indices, self.job.seed, epoch)
        rows, cols, _ = self.source.shape
        turns = random_turns(len(order), rows == cols, self.job.seed, epoch) if self.job.options.augment else None
        return batches(self.reader, order, self.job.batch_size, turns)

    def _plain_batches(self, split: str) -> Any:
        return batches(self.reader, self.splits[split].indices, self.job.batch_size)

    def _note(self, epoch: int, outcomes: dict[str, Outcome], seconds: float) -> bool:
        """Remember and tell what an epoch gave; returns whether it is the best so far."""
        numbers = {name: outcome.summary() for name, outcome in outcomes.items()}
        for name, summary in numbers.items():
            for key, value in summary.items():
                self.reporter.metric(f'{name}/{key}', value, epoch)
        score = numbers['validation' if self.judge == VALIDATION else 'training']['mean_iou']
        better = self.choosing and not score <= self.best_score
        if better or not self.choosing:
            self.best_epoch, self.best_score = epoch, score
        self.history.append({'epoch': epoch, 'seconds': round(seconds, 3), **numbers})
        parts = [
            f'{name} loss {summary["loss"]:.4f}, mean IoU {summary["mean_iou"]:.4f}'
            for name, summary in numbers.items()
        ]
        mark = ' (best)' if better else ''
        self.reporter.log(f'Epoch {epoch}/{self.job.epochs}: {"; ".join(parts)}{mark}, {seconds:.1f} s')
        return better

    def _describe_start(self) -> None:
        """Say what is about to be trained."""
        counts = ', '.join(f'{len(split.indices)} {name}' for name, split in self.splits.items())
        rows, cols, bands = self.source.shape
        self.reporter.log(
            f'{self.job.architecture} with {self.fitting.model.count_params()} parameters on '
            f'{self.device}; samples of {cols} x {rows} pixels and {bands} bands: {counts}'
        )
        for definition, weight, pixels in zip(self.classes, self.weights, self.splits[TRAIN].pixels):
            self.reporter.log(
                f'Class {definition.value} ({definition.name}): {pixels} training pixels, weight {weight:.3f}',
                detail=True,
            )

    def _report_result(self, split: str, outcome: Outcome) -> None:
        scores = outcome.scores
        self.reporter.log(
            f'Epoch {self.best_epoch} on {split}: overall accuracy {scores.overall_accuracy:.4f}, mean IoU '
            f'{scores.mean_iou:.4f}, macro F1 {scores.macro_f1:.4f}, kappa {scores.kappa:.4f}'
        )
        for definition, f1, iou in zip(self.classes, scores.f1, scores.iou):
            self.reporter.log(f'  {definition.value} ({definition.name}): F1 {f1:.4f}, IoU {iou:.4f}')

    def record(self) -> dict[str, Any]:
        """How the model was made, for training.json and the report."""
        manifest = self.dataset.manifest
        return {
            'created': now(),
            'model': {
                'name': os.path.basename(os.path.abspath(self.job.output)),
                'parameters': self.fitting.model.count_params(),
            },
            'job': self.job.to_dict(),
            'dataset': {
                'folder': os.path.abspath(self.dataset.folder),
                'fingerprint': manifest.fingerprint(),
                'rasters': list(self.source.rasters),
                'patch_size': list(self.source.shape[1::-1]),
                'bands': list(self.source.bands),
                'splits': {name: _split_record(split) for name, split in self.splits.items()},
            },
            'classes': [dataclasses.asdict(definition) for definition in self.classes],
            'class_weights': [float(weight) for weight in self.weights],
            'history': self.history,
            'best': {
                'epoch': self.best_epoch,
                'mean_iou': self.best_score,
                'split': self.judge,
                'chosen': self.choosing,
            },
            'results': {name: _result_record(outcome) for name, outcome in self.results.items()},
            'seconds': round(self.seconds, 3),
            'device': self.device,
            'versions': versions(),
        }

    def card(self, created: str) -> ModelCard:
        """What the package says of the model."""
        from ..networks.field import receptive_field

        reach = receptive_field(self.fitting.model)
        statistics, job = self.source.statistics, self.job
        source = InputCard(
            name=self.source.name,
            bands=self.source.bands,
            field=ReceptiveField(*reach.sides) if reach.sides else None,
            stride=reach.stride,
            patch_size=(self.source.shape[1], self.source.shape[0]),
            nodata=self.source.nodata,
            nodata_policy=self.source.nodata_policy,
            fill=statistics.mean,
            pixel_size=self.source.pixel_size,
            mean=statistics.mean,
            stddev=statistics.stddev,
            minimum=statistics.minimum,
            maximum=statistics.maximum,
        )
        options = {f'option_{key}': value for key, value in dataclasses.asdict(job.options).items()}
        return ModelCard(
            name=os.path.basename(os.path.abspath(job.output)),
            task=job.task,
            architecture=job.architecture,
            inputs=(source,),
            outputs=(OutputCard('probabilities', len(self.classes), self.classes),),
            batch_size=job.batch_size,
            created=created,
            geometry=footprint(self.dataset.manifest, self.reporter),
            hyperparameters={
                'epochs': job.epochs,
                'batch_size': job.batch_size,
                'learning_rate': job.learning_rate,
                'seed': job.seed,
                'optimizer': 'adamw',
                **options,
            },
            description=f'Trained by Quadrat on {self.dataset.manifest.count} patches; training.json says how.',
        )


def _reader(dataset: Dataset, source: SourceInfo, labels: LabelInfo, classes: tuple[ClassDef, ...]) -> SampleReader:
    return SampleReader(dataset, source, labels, LabelCodes([definition.value for definition in classes], labels))


def _split_record(split: SplitSurvey) -> dict[str, Any]:
    return {'samples': len(split.indices), 'pixels': [int(count) for count in split.pixels]}


def _result_record(outcome: Outcome) -> dict[str, Any]:
    counts = outcome.matrix.counts
    return {'loss': outcome.loss, **Scores.of(counts).to_dict(), 'confusion': counts.tolist()}
