"""One training, from the untrained network to the scores of its best weights."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Cancelled, InvalidJob
from ..events import Reporter
from ..jobs import TrainJob
from .augmentation import check_augmentation
from .cadence import Cadences, Clock
from .checks import augmentation_of
from .devices import open_devices, prepare_devices, threads_used
from .fingerprint import fingerprint_of
from .history import BoardLogs, summary_row
from .judge import Judge
from .opening import TEST, TRAIN, VALIDATION, Material
from .position import rest_of_epoch
from .results import Choice, stopped
from .schedule import Schedule
from .splits import Split
from .state import State, StateFolder
from .steps import Steps
from .survey import class_weights
from .telling import describe, tell_result, tell_resumed, tell_row

if TYPE_CHECKING:
    from .outcome import Outcome


class Training:
    """A network and all that happens to it.

    Args:
        job: what is asked for.
        material: what it is trained with.
        folder: keeps the state.
        clock: of what happens after so many seconds.

    Attributes:
        model: the network; after `fit` with the best weights.
        weights: of classes in the loss.
        state: where it stands.
        judge: tells how good epochs are.
        choice: which weights the network has, after `take`.
        results: how good these are on each split; `best_score`: how good the best ones were.
    """

    def __init__(
        self,
        job: TrainJob,
        material: Material,
        folder: StateFolder,
        reporter: Reporter,
        clock: Clock = time.monotonic,
    ) -> None:
        self.job, self.material, self.reporter, self._folder, self._clock = job, material, reporter, folder, clock
        options = job.options
        self._spec = augmentation_of(job)
        if self._spec is not None:
            check_augmentation(self._spec, [source.shape for source in material.sources])
        self.cadences = Cadences.of(options, clock)
        train = material.splits[TRAIN]
        self.weights = (
            class_weights(train.pixels, options.class_weights, material.classes) if material.classes else np.empty(0)
        )
        self.judge = Judge(job, material, folder.keep_best, reporter)
        self.state = State(job.epochs)
        self._resumes, self._fitted = job.resume and folder.resumes, False
        self.choice, self.best_score = Choice(0, 0, False), float('nan')
        self.results: dict[str, Outcome] = {}
        self._logs = BoardLogs('', self.cadences)
        self._began = self._epoch_began = clock()
        self._start()

    @property
    def history(self) -> list[dict[str, Any]]:
        """What each epoch gave."""
        return self.state.history

    @property
    def best_epoch(self) -> int:
        """That of the best weights."""
        return self.choices[0].epoch

    @property
    def score(self) -> float:
        """Of the weights that were taken."""
        return self.results[self.judge.split].summary()[self.judge.monitor.name]

    @property
    def choices(self) -> list[Choice]:
        """The best weights, the best ones first; the last ones where nothing can tell."""
        return [Choice(entry['epoch'], entry['step'], True) for entry in self.judge.ranking.entries] or [self.last]

    @property
    def last(self) -> Choice:
        """The last weights."""
        return Choice(self.state.epoch + bool(self.state.position), self.state.steps, False)

    @property
    def seconds(self) -> float:
        """That the training took so far, before an interruption and after it."""
        return self.state.seconds + self._clock() - self._began

    @property
    def shown(self) -> Split:
        """The samples that pictures are made of: those that the network has learnt least from."""
        return next(self.material.splits[name] for name in (TEST, VALIDATION, TRAIN) if name in self.material.splits)

    def _start(self) -> None:
        """The untrained network, everything random following from the seed; or what an interrupted training left."""
        self.reporter.progress(0.0, 'Starting TensorFlow')
        import keras

        from .fitting import start_fitting

        job, options = self.job, self.job.options
        known = self._folder.known() if self._resumes else {}
        words = prepare_devices(options.threads or int(known.get('threads', 0)), self.reporter, options.device)
        self.devices = open_devices(options, words, self.reporter)
        if self.devices.share is not None and (options.validation_secs or options.save_checkpoint_secs):
            raise InvalidJob('validation_secs, save_checkpoint_secs: clocks of workers differ; give epochs or steps.')
        self._steps = Steps(job, self.material, self.judge.split, self.devices.replicas)
        keras.utils.set_random_seed(job.seed)
        schedule = Schedule.of(options, job.learning_rate, self._steps.epoch, job.epochs)
        self.model, self.fitting, self.transfer = start_fitting(
            job, self.material, self.weights, schedule, self.devices, self._before_step, self.reporter
        )
        self._sums = self.fitting.nothing()
        self.fingerprint = fingerprint_of(job, self.material, threads_used(), self.devices, self._folder.free)
        self._restore()
        describe(job, self.material, self.weights, self.model.count_params(), self.devices.words, self.reporter)

    def _restore(self) -> None:
        """Go on from the state that an interrupted training left."""
        state = self._folder.load(self.fingerprint, self.reporter) if self._resumes else None
        steps = self.devices.agree(state.steps if state else 0)
        if not steps:
            return
        if state is None or state.steps != steps:
            raise InvalidJob(
                f'{self._folder.home}: the first worker goes on after step {steps}, and another one does not see its '
                'state. Give a folder that all workers share.'
            )
        self.fitting.restore(state.arrays, state.steps, state.rate)
        if state.position and (self.devices.share is None or self.devices.chief):
            self._sums.resume(state.arrays)
        self.judge.resume(state.best)
        resumed = [*state.resumed, {'epoch': state.epoch, 'step': state.steps}]
        self.state = dataclasses.replace(state, epochs=self.job.epochs, resumed=resumed, arrays={})
        tell_resumed(self.job, state, self._steps.epoch, self._folder.home, self.reporter)

    def fit(self) -> None:
        """Train, and take the best weights.

        Raises:
            TrainingDiverged: the loss is not a number any more.
            Cancelled: the state as it is has been kept.
        """
        self.cadences.begin()
        self._logs = BoardLogs(self._folder.logs if self._folder.writes else '', self.cadences)
        with self._logs:
            self._logs.restore(self.history, [summary_row(values, self._sums) for values in self.state.summaries])
            try:
                while self._goes_on():
                    self._epoch(self.state.epoch + 1)
            except Cancelled:
                if self.state.steps and self.devices.share is None:  # others would have to bring their sums
                    self._save()
                raise
        if self.state.epoch < self.job.epochs:
            self.reporter.log(f'Stopped: {stopped(self)["text"]}.')
        self._last = self.fitting.weights()
        self._steps.end()
        self.take(self.choices[0])
        self.best_score, self._fitted = self.score, True

    def take(self, choice: Choice) -> None:
        """Give the network weights that it had, and examine them."""
        if choice.step != self.choice.step or not self.results:
            held = {**self.judge.held, self.state.steps: self._last}
            self.fitting.set_weights(held.get(choice.step) or self._folder.weights(choice.step))
            for name in (self.judge.split, TEST):
                split = self.material.splits.get(name)
                if split is not None and split.usable:
                    self.results[name] = self.fitting.examine(split.batches(self.job.batch_size, self.devices.share))
                    tell_result(choice, self._steps.epoch, name, self.results[name], self.material, self.reporter)
        self.choice = choice

    def _goes_on(self) -> bool:
        """Whether there is anything left to train."""
        if self.state.epoch >= self.job.epochs:
            return False
        return bool(self.state.position) or not self._exhausted(self.state.epoch)

    def _exhausted(self, epoch: int) -> bool:
        """Whether there was no better score for long enough, so many epochs being done."""
        return self.judge.exhausted(self.history, self._steps.epoch, epoch)

    def _epoch(self, epoch: int) -> None:
        """Train and judge once, or the rest of it."""
        state = self.state
        self._steps.begin_epoch(state.epoch, state.position)
        self._epoch_began = self._clock() - state.elapsed
        if not state.position:
            self._sums = self.fitting.nothing()
        elif state.owed and state.position < self._steps.epoch:
            self._look_midway()
        samples, scores = self._training_batches(epoch, state.position), self.judge.scores(self.history, epoch)
        self.fitting.train(samples, epoch, scores, state.position, self._sums, self._after_step)
        self._end_epoch(epoch)

    def _training_batches(self, epoch: int, done: int = 0) -> Any:
        return rest_of_epoch(self.job, self.material, self._spec, epoch, done, self.devices.share)

    def _before_step(self) -> None:
        self.reporter.check_cancelled()
        if not self._fitted:
            self.reporter.progress(self._steps.count(), self._steps.text)

    def _after_step(self) -> None:
        """What happens within an epoch."""
        state = self.state
        state.position, state.steps, state.rate = state.position + 1, self.fitting.steps, self.fitting.rate
        if state.position == self._steps.epoch:
            return
        if self.cadences.summary.due(state.steps):
            self._summarise(self._sums.gathered(self.devices))
        if self.judge.validates and self.cadences.validation.due(state.steps):
            self._look_midway()
        if self.cadences.checkpoint.due(state.steps):
            self._save()

    def _end_epoch(self, epoch: int) -> None:
        """What happens after the last step of an epoch."""
        state, cadences = self.state, self.cadences
        numbers = {'training': self._sums.summary()}
        due = cadences.validation.due(state.steps, epoch)
        if self.judge.validates and (due or state.owed or epoch == self.job.epochs or self._exhausted(epoch)):
            numbers['validation'] = self._look()
        if cadences.summary.due(state.steps, epoch) and not cadences.summary.ends(epoch):
            self._summarise(self._sums)
        self._note(epoch, numbers)
        state.epoch, state.position, state.elapsed = epoch, 0, 0.0
        if cadences.checkpoint.due(state.steps, epoch) or not self._goes_on():
            self._save()

    def _look(self) -> dict[str, float]:
        """Judge the weights as they are."""
        self.state.owed = True
        samples = self.material.splits[VALIDATION].batches(self.job.batch_size, self.devices.share)
        found = self.fitting.evaluate(samples).summary()
        self.state.owed = False
        return found

    def _look_midway(self) -> None:
        """Judge within an epoch, which is not counted as progress."""
        numbers = self._look()
        self._steps.go_back(self.material.splits[VALIDATION].steps(self.job.batch_size))
        self._note(self.state.epoch + 1, {'validation': numbers})

    def _note(self, epoch: int, numbers: dict[str, dict[str, float]]) -> None:
        """Remember and tell what was found, and keep the weights if they are among the best."""
        state, seconds = self.state, round(self._clock() - self._epoch_began, 3)
        row = {'epoch': epoch, 'seconds': seconds, 'learning_rate': state.rate, **numbers, 'step': state.steps}
        state.history.append(row)
        self._logs.add(row)
        for name, summary in numbers.items():
            for key, value in summary.items():
                self.reporter.metric(f'{name}/{key}', value, state.steps if self.cadences.by_steps else epoch)
        best = self.judge.consider(row, self.fitting.weights)
        tell_row(self.job, self.judge.monitor, row, best, self.reporter)

    def _summarise(self, sums: Outcome) -> None:
        """Show how the epoch is going."""
        state = self.state
        state.summaries.append([state.epoch + 1, state.steps, state.rate, *sums.summary().values()])
        self._logs.summarise(summary_row(state.summaries[-1], sums))

    def _save(self) -> None:
        """Keep the state."""
        state = self.state
        sums = self._sums.gathered(self.devices).sums() if state.position else {}
        if not self._folder.writes:
            return
        state.best = list(self.judge.ranking.entries)
        now = dataclasses.replace(
            state,
            seconds=self.seconds,
            elapsed=self._clock() - self._epoch_began if state.position else 0.0,
            arrays={**self.fitting.arrays(), **sums},
        )
        self._folder.save(now, self.fingerprint, self.judge.held)
        self.judge.held = {}
