"""One training, from the untrained network to the scores of its best weights."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import TrainJob
from ..model_package.package import LOGS
from .augmentation import check_augmentation
from .checks import augmentation_of
from .devices import open_devices, prepare_devices, threads_used
from .fingerprint import fingerprint_of
from .history import BoardLogs
from .opening import TEST, TRAIN, VALIDATION, Material
from .outcome import MEASURES
from .pipeline import augmentation, batches, shuffled
from .schedule import Schedule
from .splits import Split
from .state import State, TrainingFolder
from .survey import class_weights

if TYPE_CHECKING:
    from .outcome import Outcome

WORDS = {
    'overall_accuracy': 'overall accuracy',
    'mean_iou': 'mean IoU',
    'macro_f1': 'macro F1',
    'rmse': 'RMSE',
    'mae': 'MAE',
    'r2': 'R²',
}


class Training:
    """A network and all that happens to it.

    Args:
        job: what is asked for.
        material: what it is trained with.
        folder: keeps the state.

    Attributes:
        model: the network; after `fit` with the best weights.
        weights: of classes in the loss.
        history: what each epoch gave.
        best_epoch, best_score: of the weights that are kept.
        judge: the split that epochs are judged by; `choosing`: whether it can tell which is the best.
    """

    def __init__(self, job: TrainJob, material: Material, folder: TrainingFolder, reporter: Reporter) -> None:
        self.job, self.material, self.reporter, self._folder = job, material, reporter, folder
        options = job.options
        self._spec = augmentation_of(job)
        if self._spec is not None:
            check_augmentation(self._spec, [source.shape for source in material.sources])
        self.measure = MEASURES[job.task]
        train = material.splits[TRAIN]
        self.weights = (
            class_weights(train.pixels, options.class_weights, material.classes) if material.classes else np.empty(0)
        )
        self.judge, self.choosing = self._judge()
        self.history: list[dict[str, Any]] = []
        self.best_epoch, self.best_score = 0, float('nan')
        self.results: dict[str, Outcome] = {}
        self._started = time.monotonic()
        self._steps_done, self._text = 0, ''
        self._start()

    @property
    def shown(self) -> Split:
        """The samples that pictures are made of: those that the network has learnt least from."""
        return next(self.material.splits[name] for name in (TEST, VALIDATION, TRAIN) if name in self.material.splits)

    def _judge(self) -> tuple[str, bool]:
        """The split that the weights are judged on, and whether it can tell which epoch is the best."""
        splits, classes = self.material.splits, self.material.classes
        validation = splits.get(VALIDATION)
        if validation is None or not validation.usable:
            self.reporter.warn(
                'No labelled pixel is in the split "validation": the weights of the last epoch are kept, and judged '
                'on the samples they were trained with, which tells little. VALIDATION_DATASET or VALIDATION_SHARE '
                'give others.'
            )
            return TRAIN, False
        lacking = (splits[TRAIN].pixels > 0) & (validation.pixels == 0)
        if lacking.any():
            names = ', '.join(f'{classes[i].value} ({classes[i].name})' for i in np.flatnonzero(lacking))
            self.reporter.warn(
                f'The split "validation" has no pixel of class {names}, so it cannot tell which epoch is the best: '
                'the weights of the last one are kept. Select patches with smaller blocks or another seed.'
            )
        return VALIDATION, not lacking.any()

    def _start(self) -> None:
        """The untrained network, everything random following from the seed; or what an interrupted training left."""
        self.reporter.progress(0.0, 'Starting TensorFlow')
        import keras

        from .fitting import start_fitting

        job, options = self.job, self.job.options
        known = self._folder.known() if job.resume else {}
        words = prepare_devices(options.threads or int(known.get('threads', 0)), self.reporter)
        self.devices = open_devices(options, words, self.reporter)
        steps = {name: split.steps(job.batch_size) for name, split in self.material.splits.items()}
        self._require_batches(steps[TRAIN])
        each_epoch = steps[TRAIN] + (steps[VALIDATION] if self.judge == VALIDATION else 0)
        self._steps_total = job.epochs * each_epoch + steps[self.judge] + steps.get(TEST, 0)
        self._each_epoch = each_epoch
        keras.utils.set_random_seed(job.seed)
        schedule = Schedule.of(options, job.learning_rate, steps[TRAIN] * job.epochs)
        self.model, self.fitting, self.transfer = start_fitting(
            job, self.material, self.weights, schedule, self.devices, self._before_step, self.reporter
        )
        self._fingerprint = fingerprint_of(job, self.material, threads_used(), self.devices.replicas)
        self._restore()
        self._describe()

    def _require_batches(self, steps: int) -> None:
        """Raise `InvalidJob` where some device would get no sample of a batch."""
        least = self.material.splits[TRAIN].count // steps
        if least < self.devices.replicas:
            raise InvalidJob(
                f'BATCH_SIZE {self.job.batch_size}: batches of {least} samples cannot be shared by '
                f'{self.devices.replicas} devices. Give larger batches, or more samples.'
            )

    def _restore(self) -> None:
        """Go on from the state that an interrupted training left."""
        state = self._folder.load(self._fingerprint, self.reporter) if self.job.resume else None
        done = self.devices.agree(state.epoch if state else 0)
        if not done:
            return
        if state is None or state.epoch != done:
            raise InvalidJob(
                f'{self._folder.part}: the first worker goes on after epoch {done}, and another one does not see its '
                'state. Give a folder that all workers share.'
            )
        self.fitting.restore(state.arrays, state.steps)
        self.history = state.history
        self.best_epoch = state.best
        if state.best:
            self.best_score = self._score(self.history[state.best - 1])
        self._steps_done = done * self._each_epoch
        self.reporter.log(f'Resumed after epoch {done} of {self.job.epochs}, from {self._folder.part}')

    def fit(self) -> None:
        """Train, keep the best weights, and score them."""
        logs = BoardLogs(os.path.join(self._folder.package.part, LOGS)) if self._folder.writes else None
        best: dict[str, np.ndarray] | None = None
        if self.best_epoch and self.choosing:
            best = self._folder.best(self.best_epoch)
        try:
            for item in self.history if logs else ():
                logs.add(item)  # type: ignore[union-attr]
            for epoch in range(len(self.history) + 1, self.job.epochs + 1):
                if self._stops():
                    break
                better = self._epoch(epoch)
                if logs:
                    logs.add(self.history[-1])
                if better:
                    best = self.fitting.weights()
                if self._folder.writes:
                    self._save(best if better else None)
        finally:
            if logs:
                logs.close()
        if best is not None:
            self.fitting.set_weights(best)
        self._score_best()

    def _epoch(self, epoch: int) -> bool:
        """Train and judge once; returns whether the weights are the best so far."""
        self._text = f'Epoch {epoch} of {self.job.epochs}'
        clock = time.monotonic()
        scores = [self._score(item) for item in self.history]
        outcomes = {'training': self.fitting.train(self._training_batches(epoch), epoch, scores)}
        if self.judge == VALIDATION:
            samples = self.material.splits[VALIDATION].batches(self.job.batch_size, self.devices.share)
            outcomes['validation'] = self.fitting.evaluate(samples)
        return self._note(epoch, outcomes, time.monotonic() - clock)

    def _stops(self) -> bool:
        """Whether there was no better score for long enough."""
        patience = self.job.options.patience
        if not patience or len(self.history) - self.best_epoch < patience:
            return False
        self.reporter.log(f'Stopped: no better validation score for {patience} epochs.')
        return True

    def _save(self, best: dict[str, np.ndarray] | None) -> None:
        """Keep the state after an epoch."""
        state = State(len(self.history), self.fitting.steps, self.best_epoch, self.history, self.fitting.arrays())
        self._folder.save(state, self._fingerprint, best)

    def _score_best(self) -> None:
        """Examine the weights that are kept."""
        self._text = 'Final evaluation'
        for name in (self.judge, TEST):
            split = self.material.splits.get(name)
            if split is not None and split.usable:
                self.results[name] = self.fitting.examine(split.batches(self.job.batch_size, self.devices.share))
                self._report_result(name, self.results[name])
        self.best_score = self.results[self.judge].scores()[self.measure]

    def _before_step(self) -> None:
        self.reporter.check_cancelled()
        self.reporter.progress(self._steps_done / self._steps_total, self._text)
        self._steps_done += 1

    def _training_batches(self, epoch: int) -> Any:
        piece = self.material.splits[TRAIN].pieces[0]
        seed, spec = self.job.seed, self._spec
        change = augmentation(spec, self.material.sources, seed, epoch) if spec is not None else None
        order = shuffled(piece.indices, seed, epoch)
        return batches(piece.reader, order, self.job.batch_size, change, self.devices.share)

    def _score(self, epoch: dict[str, Any]) -> float:
        """By which an epoch of the history is judged."""
        return float(epoch['validation' if self.judge == VALIDATION else 'training'][self.measure])

    def _note(self, epoch: int, outcomes: dict[str, Outcome], seconds: float) -> bool:
        """Remember and tell what an epoch gave; returns whether it is the best so far."""
        numbers = {name: outcome.summary() for name, outcome in outcomes.items()}
        for name, summary in numbers.items():
            for key, value in summary.items():
                self.reporter.metric(f'{name}/{key}', value, epoch)
        rate = self.fitting.rate
        self.history.append({'epoch': epoch, 'seconds': round(seconds, 3), 'learning_rate': rate, **numbers})
        score = self._score(self.history[-1])
        better = self.choosing and (self.best_score != self.best_score or score > self.best_score)
        if better or not self.choosing:
            self.best_epoch, self.best_score = epoch, score
        parts = [
            f'{name} loss {summary["loss"]:.4f}, {WORDS[self.measure]} {summary[self.measure]:.4f}'
            for name, summary in numbers.items()
        ]
        mark = ' (best)' if better else ''
        self.reporter.log(f'Epoch {epoch}/{self.job.epochs}: {"; ".join(parts)}{mark}, {seconds:.1f} s')
        return better

    def _describe(self) -> None:
        """Say what is about to be trained."""
        splits, job = self.material.splits, self.job
        counts = ', '.join(f'{split.count} {name}' for name, split in splits.items())
        sizes = ' and '.join(
            f'{source.shape[1]} x {source.shape[0]} pixels and {source.shape[2]} '
            + ('bands' if source.shape[2] != 1 else 'band')
            for source in self.material.sources
        )
        self.reporter.log(
            f'{job.architecture} with {self.model.count_params()} parameters on {self.devices.words}; samples of '
            f'{sizes}: {counts}'
        )
        for definition, weight, pixels in zip(self.material.classes, self.weights, splits[TRAIN].pixels):
            self.reporter.log(
                f'Class {definition.value} ({definition.name}): {pixels} training pixels, weight {weight:.3f}',
                detail=True,
            )

    def _report_result(self, split: str, outcome: Outcome) -> None:
        scores = ', '.join(f'{WORDS.get(key, key)} {value:.4f}' for key, value in outcome.scores().items())
        self.reporter.log(f'Epoch {self.best_epoch} on {split}: {scores}')
        record = outcome.record()
        for number, definition in enumerate(self.material.classes):
            f1, iou = (record[key][number] for key in ('f1', 'iou'))
            if f1 is not None:
                self.reporter.log(f'  {definition.value} ({definition.name}): F1 {f1:.4f}, IoU {iou:.4f}')

    def outcome(self) -> dict[str, Any]:
        """What came out, for the record."""
        return {
            'history': self.history,
            'best': {
                'epoch': self.best_epoch,
                'score': self.best_score,
                'measure': self.measure,
                'split': self.judge,
                'chosen': self.choosing,
            },
            'results': {name: outcome.record() for name, outcome in self.results.items()},
            'warm_start': self.transfer,
            'seconds': round(time.monotonic() - self._started, 3),
            'device': self.devices.words,
        }
