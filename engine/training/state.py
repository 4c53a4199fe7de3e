"""What a training keeps while it runs, so that it can go on where it was interrupted.

In a folder ``checkpoint`` lie ``state.npz``, written under another name and then renamed, and ``best-<step>.npz``, the
best weights, written before the state that names them. Of a training of a package that folder is in ``<OUTPUT>.part``,
beside ``package``, in which the result is made.
"""

from __future__ import annotations

import abc
import dataclasses
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from ..errors import OutputRefused, TrainingDiverged, write_error
from ..events import Reporter
from ..folder import names_in
from ..jobs import TrainJob
from ..model_package.package import LOGS, PackageFolder
from .arrayfile import read_arrays, write_arrays

if TYPE_CHECKING:
    from .results import Choice
    from .training import Training

CHECKPOINT = 'checkpoint'
_STATE = 'state.npz'
_BEST = re.compile(r'best-\d+\.npz$')
_META = 'meta'
_SUMMARIES = 'summaries'
_VERSION = 2
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)  # by reading

Fill = Callable[[PackageFolder, 'Choice'], str]  # writes the files of a package for some weights; returns its report


@dataclasses.dataclass
class State:
    """Where a training stands, after any of its steps.

    Attributes:
        epochs: that it was to have.
        epoch: epochs that are done.
        position: batches of the next one that are done.
        steps: of training that are done.
        rate: the learning rate of the last one.
        owed: whether these weights were being judged.
        history: what was found, see `history`.
        best: epochs whose weights are kept, see `monitor.Ranking`.
        resumed: where it went on after an interruption, each with ``epoch`` and ``step``.
        seconds: that it took.
        elapsed: those of the epoch that is not done.
        summaries: what was told within epochs, see `Training`.
        arrays: of the network, its optimisers and the sums of the epoch that is not done, by name.
    """

    epochs: int
    epoch: int = 0
    position: int = 0
    steps: int = 0
    rate: float = 0.0
    owed: bool = False
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    resumed: list[dict[str, int]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    elapsed: float = 0.0
    summaries: list[list[float]] = dataclasses.field(default_factory=list)
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class StateFolder(abc.ABC):
    """Where a training keeps its state, a context manager; and, in subclasses, where its results go.

    Args:
        home: what messages call it.
        output: what is written in the end.
        checkpoints: the folder of the state.
        logs: the folder for TensorBoard.

    Attributes:
        writes: whether this process does; another one of the same training only reads.
        keep_best: of how many epochs the weights are kept.
        resumes: whether it goes on with what is there.
        free: settings that may change in between, see `fingerprint`.
        what: it is that comes out.
    """

    what = 'Model package'
    keep_best = 1
    resumes = True
    free: Sequence[str] = ()

    def __init__(self, home: str, output: str, checkpoints: str, logs: str, writes: bool = True) -> None:
        self.home, self.output, self.checkpoints, self.logs, self.writes = home, output, checkpoints, logs, writes
        self._anew = True

    @abc.abstractmethod
    def __enter__(self) -> StateFolder: ...

    @abc.abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, job: TrainJob) -> Optional[dict[str, Any]]:
        """Say what is about to be trained; returns what came out where that has been done before."""
        return None

    def choices(self, training: Training) -> list[Choice]:
        """The weights that come out of a training that is done."""
        return training.choices[:1]

    @abc.abstractmethod
    def deliver(self, training: Training, fill: Fill) -> str:
        """Write the results of a training that is done; returns the report."""

    @abc.abstractmethod
    def finish(self) -> None:
        """All is written: the results take their names."""

    def values(self) -> dict[str, Any]:
        """Where the results are, by name."""
        return {'OUTPUT': self.output}

    def has_state(self) -> bool:
        """Whether there is one."""
        return os.path.isfile(os.path.join(self.checkpoints, _STATE))

    def clear(self) -> None:
        """Forget what was kept."""
        if os.path.isdir(self.checkpoints):
            shutil.rmtree(self.checkpoints)

    def save(self, state: State, fingerprint: dict[str, Any], best: Mapping[int, Mapping[str, np.ndarray]]) -> None:
        """Keep the state.

        Args:
            fingerprint: of the training, see `load`.
            best: by step, those of the best weights that no earlier call had.

        Raises:
            DiskFull, OutputRefused: it cannot be written.
        """
        names = [f'best-{entry["step"]}.npz' for entry in state.best]
        plain = {key: value for key, value in vars(state).items() if key not in ('arrays', 'summaries')}
        meta = {'version': _VERSION, 'fingerprint': fingerprint, 'state': plain}
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        try:
            if self._anew:  # no weights of another training may be taken for those of this one, nor the reverse
                self.clear()
            self._anew = False
            os.makedirs(self.checkpoints, exist_ok=True)
            for step, weights in best.items():
                write_arrays(os.path.join(self.checkpoints, f'best-{step}.npz'), weights)
            summaries = np.array(state.summaries, np.float64)
            write_arrays(os.path.join(self.checkpoints, _STATE), {_META: text, _SUMMARIES: summaries, **state.arrays})
            for name in names_in(self.checkpoints):
                if _BEST.match(name) and name not in names:
                    os.remove(os.path.join(self.checkpoints, name))
        except OSError as error:
            raise write_error(self.output, error) from error

    def load(self, fingerprint: dict[str, Any], reporter: Reporter) -> State | None:
        """The state that an interrupted training left, if there is one. Without this, the next `save` begins anew.

        Args:
            fingerprint: plain values by name, which all must be as they were; of others the log says that they are not.
        """
        state = self._load(fingerprint, reporter) if self.has_state() else None
        self._anew = state is None
        return state

    def _load(self, fingerprint: dict[str, Any], reporter: Reporter) -> State | None:
        path = os.path.join(self.checkpoints, _STATE)
        try:
            arrays = read_arrays(path)
            meta = json.loads(arrays.pop(_META).tobytes())
            if meta['version'] != _VERSION:
                raise ValueError(f'version {meta["version"]}')
            old = meta['fingerprint']
            differing = [key for key in {**fingerprint, **old} if key not in self.free]
            differing = [key for key in differing if old.get(key) != fingerprint.get(key)]
            state = State(**meta['state'], summaries=arrays.pop(_SUMMARIES).tolist(), arrays=arrays)
            kept = [self._weights(entry['step']) for entry in state.best]
        except _DAMAGED:
            reporter.warn(f'{path}: damaged, or of another version; the training starts over.')
            return None
        if differing:
            reporter.warn(
                f'{self.home} holds the state of a training that differs in {", ".join(differing)}; this one starts '
                'over.'
            )
            return None
        lost = [name for name in kept if not os.path.isfile(name)]
        if lost:
            reporter.warn(f'{lost[0]}: is missing; the training starts over.')
            return None
        return state

    def known(self) -> dict[str, Any]:
        """The fingerprint of the interrupted training that there is; empty where there is none, or none can be read."""
        try:
            with np.load(os.path.join(self.checkpoints, _STATE), allow_pickle=False) as file:
                return dict(json.loads(file[_META].tobytes())['fingerprint'])
        except _DAMAGED:
            return {}

    def weights(self, step: int) -> dict[str, np.ndarray]:
        """The best weights, as `save` was given them.

        Raises:
            OutputRefused: they are gone.
        """
        try:
            return read_arrays(self._weights(step))
        except _DAMAGED as error:
            raise OutputRefused(
                f'{self._weights(step)}: cannot be read ({error}). Train again from the beginning: with RESUME off, or '
                'restart.'
            ) from error

    def _weights(self, step: int) -> str:
        return os.path.join(self.checkpoints, f'best-{step}.npz')


class TrainingFolder(StateFolder):
    """``<OUTPUT>.part``. What is in it stays after a kill, a cancel or an error, if there is a state that a later run
    can go on from; `finish` gives the package its name, and then the rest is removed.

    Args:
        output: the package folder.
        writes: see `StateFolder`.

    Attributes:
        package: where the package is made.

    Raises, on entry:
        OutputRefused: there is something that is not ours.
    """

    def __init__(self, output: str, writes: bool = True) -> None:
        self.part = os.path.abspath(output) + '.part'
        self.package = PackageFolder(output)
        self.package.part = os.path.join(self.part, 'package')
        logs = os.path.join(self.package.part, LOGS)
        super().__init__(self.part, output, os.path.join(self.part, CHECKPOINT), logs, writes)

    def __enter__(self) -> TrainingFolder:
        if self.writes:
            foreign = [name for name in names_in(self.part) if name not in (CHECKPOINT, 'package')]
            foreign += [name for name in names_in(self.checkpoints) if not is_state(name)]
            if foreign:
                raise OutputRefused(
                    f'{self.part}: would be replaced, but holds {foreign[0]}, which is no part of a training. Move it '
                    'elsewhere, or give another folder.'
                )
            self.package.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.writes:
            return
        self.package.__exit__(kind, error, trace)
        keeps = error is not None and not isinstance(error, TrainingDiverged)
        if not (keeps and self.has_state()):
            self.clear()
            if os.path.isdir(self.part):
                os.rmdir(self.part)

    def deliver(self, training: Training, fill: Fill) -> str:
        return fill(self.package, self.choices(training)[0])

    def finish(self) -> None:
        self.package.finish()


def is_state(name: str) -> bool:
    """Whether the folder of a state may hold this name."""
    name = name.removesuffix('.new')
    return name == _STATE or _BEST.match(name) is not None
