"""The course of a graph's training: epochs of steps, and what they and the validations gave."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError, TrainingDiverged
from ...events import Reporter
from ...jobs import TrainSavedModelJob
from ..pipeline import shuffled
from .data import TRAINING
from .samples import Samples, batches
from .scoring import ClassTally, ErrorTally, Tally
from .wiring import Wiring

_TALLIES: dict[str, type[ClassTally] | type[ErrorTally]] = {'class': ClassTally, 'rmse': ErrorTally}


@dataclasses.dataclass(frozen=True)
class Judge:
    """How a set of samples is validated.

    Attributes:
        samples: of all sources.
        wiring: of the run; its outputs are what is compared.
        names: of each source: the input that it is fed to, or the output that it is compared with.
        ignored: labels of references that are none.
    """

    samples: Samples
    wiring: Wiring
    names: Sequence[str]
    ignored: Collection[int] = ()


class Course:
    """Trains, epoch by epoch.

    Args:
        job: whose epochs, batch size, seed and validation count.
        samples: to train with.
        names: of each source: the input that it is fed to; empty: none.
        wiring: of a step.
        judges: by the names of the sets of samples that are validated.
        reporter: hears what each epoch gave.

    Attributes:
        history: of each epoch ``epoch``, ``seconds``, ``outputs`` (name -> mean) and ``validation`` (set -> output ->
            scores), the latter empty where there was none.
        tallies: of the last validation: set -> output -> what was gathered.
    """

    def __init__(
        self,
        job: TrainSavedModelJob,
        samples: Samples,
        names: Sequence[str],
        wiring: Wiring,
        judges: dict[str, Judge],
        reporter: Reporter,
    ) -> None:
        self._job, self._samples, self._names, self._wiring = job, samples, names, wiring
        self._judges, self._reporter = judges, reporter
        self.history: list[dict[str, Any]] = []
        self.tallies: dict[str, dict[str, Tally]] = {}
        epochs = range(1, job.epochs + 1)
        each = math.ceil(samples.count / job.batch_size)
        judging = sum(math.ceil(judge.samples.count / job.batch_size) for judge in judges.values())
        self._steps = each * job.epochs + judging * sum(map(self._is_validated, epochs))
        self._done = 0

    def run(self) -> None:
        """All epochs.

        Raises:
            TrainingDiverged: a loss is not a number any more.
            ModelError, OutOfMemory: the graph cannot be run on the samples.
        """
        for epoch in range(1, self._job.epochs + 1):
            clock = time.monotonic()
            outputs = self._epoch(epoch)
            scores = self._validate(epoch) if self._judges and self._is_validated(epoch) else {}
            seconds = time.monotonic() - clock
            self._tell(epoch, outputs, scores, seconds)
            self.history.append(
                {'epoch': epoch, 'seconds': round(seconds, 3), 'outputs': outputs, 'validation': scores}
            )

    def _is_validated(self, epoch: int) -> bool:
        return epoch % self._job.validation.step == 0 or epoch == self._job.epochs

    def _epoch(self, epoch: int) -> dict[str, float]:
        """One step for each batch; returns the mean of each output over the samples."""
        order = shuffled(np.arange(self._samples.count), self._job.seed, epoch)
        sources = [number for number, name in enumerate(self._names) if name in self._wiring.inputs]
        totals = dict.fromkeys(self._wiring.outputs, 0.0)
        for number, arrays in enumerate(batches(self._samples, sources, order, self._job.batch_size), 1):
            self._before_step(f'Epoch {epoch} of {self._job.epochs}')
            values = self._wiring.run({self._names[source]: array for source, array in zip(sources, arrays)})
            for name, value in values.items():
                mean = _mean(name, value)
                if 'loss' in name.lower() and not math.isfinite(mean):
                    raise TrainingDiverged(
                        f'{name} is {mean} in epoch {epoch}, batch {number}: the training has failed, and nothing is '
                        'written. Try a lower learning rate, or look for extreme values in the images and for labels '
                        'that the model does not know.'
                    )
                totals[name] += mean * len(arrays[0])
        return {name: total / self._samples.count for name, total in totals.items()}

    def _validate(self, epoch: int) -> dict[str, dict[str, dict[str, float]]]:
        """The scores of each set."""
        self.tallies = {
            name: self._gather(judge, f'Validation after epoch {epoch}') for name, judge in self._judges.items()
        }
        return {
            name: {output: tally.summary() for output, tally in of_set.items()} for name, of_set in self.tallies.items()
        }

    def _gather(self, judge: Judge, text: str) -> dict[str, Tally]:
        """Compare the outputs for all samples of a set with their references."""
        kind = _TALLIES[self._job.validation.mode]
        tallies: dict[str, Tally] = {name: kind(name, judge.ignored) for name in judge.wiring.outputs}
        used = {*judge.wiring.inputs, *judge.wiring.outputs}
        sources = [number for number, name in enumerate(judge.names) if name in used]
        for arrays in batches(judge.samples, sources, np.arange(judge.samples.count), self._job.batch_size):
            self._before_step(text)
            values = {judge.names[source]: array for source, array in zip(sources, arrays)}
            for name, produced in judge.wiring.run(values).items():
                tallies[name].update(values[name], produced)
        return tallies

    def _before_step(self, text: str) -> None:
        self._reporter.check_cancelled()
        self._reporter.progress(self._done / self._steps, text)
        self._done += 1

    def _tell(self, epoch: int, outputs: dict[str, float], scores: dict[str, Any], seconds: float) -> None:
        """Say what an epoch gave."""
        for name, value in outputs.items():
            self._reporter.metric(f'{TRAINING}/{name}', value, epoch)
        shown = ', '.join(f'{name} {value:.6g}' for name, value in outputs.items())
        self._reporter.log(f'Epoch {epoch}/{self._job.epochs}: {shown + ", " if shown else ""}{seconds:.1f} s')
        for name, of_set in scores.items():
            for output, numbers in of_set.items():
                for key, value in numbers.items():
                    self._reporter.metric(f'{name}/{output}/{key}', value, epoch)
                text = ', '.join(f'{key.replace("_", " ")} {value:.4f}' for key, value in numbers.items())
                self._reporter.log(f'  {name}, {output}: {text}')
                self._tell_classes(self.tallies[name][output], epoch < self._job.epochs)

    def _tell_classes(self, tally: Tally, detail: bool) -> None:
        if not isinstance(tally, ClassTally):
            return
        scores = tally.scores()
        for label, precision, recall, f1 in zip(tally.labels, scores.precision, scores.recall, scores.f1):
            text = f'    class {label}: precision {precision:.4f}, recall {recall:.4f}, F-score {f1:.4f}'
            self._reporter.log(text, detail)


def _mean(name: str, value: np.ndarray) -> float:
    """What is shown of an output for a batch."""
    if value.dtype.kind not in 'iufb' or not value.size:
        raise ModelError(f'{name}: its values are {value.dtype} of shape {value.shape}, which cannot be shown.')
    return float(value.astype(np.float64).mean())
