"""What a training keeps while it runs, so that it can go on where it was interrupted.

All of it lies in ``<OUTPUT>.part``: ``checkpoint/state.npz``, written after each epoch under another name and then
renamed; ``checkpoint/best-<epoch>.npz``, the best weights, written before the state that names them; and ``package``,
in which the result is made.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import zipfile
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import OutputRefused, TrainingDiverged
from ..events import Reporter
from ..gdalio import write_error
from ..model_package.package import PackageFolder

CHECKPOINT = 'checkpoint'
_STATE = 'state.npz'
_BEST = re.compile(r'best-\d+\.npz$')
_META = 'meta'
_VERSION = 1
_DAMAGED = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile)  # what reading such a file raises


@dataclasses.dataclass
class State:
    """A training after an epoch.

    Attributes:
        epoch: epochs that are done.
        steps: of training that are done.
        best: the epoch of the best weights; 0 where there is none.
        history: what each epoch gave.
        arrays: of the network and its optimisers, by name.
    """

    epoch: int
    steps: int
    best: int
    history: list[dict[str, Any]]
    arrays: dict[str, np.ndarray]


class TrainingFolder:
    """``<OUTPUT>.part``, a context manager. What is in it stays after a kill, a cancel or an error, if there is a
    state that a later run can go on from; `finish` gives the package its name and removes the rest.

    Args:
        output: the package folder.
        writes: whether this process does; another one of the same training only reads.

    Attributes:
        package: where the package is made.

    Raises, on entry:
        OutputRefused: there is something that is not ours.
    """

    def __init__(self, output: str, writes: bool = True) -> None:
        self.part = os.path.abspath(output) + '.part'
        self.checkpoints = os.path.join(self.part, CHECKPOINT)
        self.writes = writes
        self.package = PackageFolder(output)
        self.package.part = os.path.join(self.part, 'package')

    def __enter__(self) -> TrainingFolder:
        if self.writes:
            foreign = [name for name in _names(self.part) if name not in (CHECKPOINT, 'package')]
            foreign += [name for name in _names(self.checkpoints) if not _is_ours(name)]
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
        if not (keeps and os.path.isfile(os.path.join(self.checkpoints, _STATE))):
            self.clear()
            if os.path.isdir(self.part):
                os.rmdir(self.part)

    def finish(self) -> None:
        """Give the package its name."""
        self.package.finish()

    def clear(self) -> None:
        """Forget what was kept."""
        if os.path.isdir(self.checkpoints):
            shutil.rmtree(self.checkpoints)

    def save(self, state: State, fingerprint: dict[str, Any], best: dict[str, np.ndarray] | None = None) -> None:
        """Keep the state after an epoch.

        Args:
            fingerprint: of the job, see `load`.
            best: the weights, where they are the best so far.

        Raises:
            DiskFull, OutputRefused: it cannot be written.
        """
        try:
            os.makedirs(self.checkpoints, exist_ok=True)
            if best is not None:
                _write(os.path.join(self.checkpoints, f'best-{state.best}.npz'), best)
            meta = {
                'version': _VERSION,
                'fingerprint': fingerprint,
                **{key: getattr(state, key) for key in ('epoch', 'steps', 'best', 'history')},
            }
            text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
            _write(os.path.join(self.checkpoints, _STATE), {_META: text, **state.arrays})
            for name in _names(self.checkpoints):
                if _BEST.match(name) and name != f'best-{state.best}.npz':
                    os.remove(os.path.join(self.checkpoints, name))
        except OSError as error:
            raise write_error(self.package.output, error) from error

    def load(self, fingerprint: dict[str, Any], reporter: Reporter) -> State | None:
        """The state that an interrupted training of the same job left, if there is one.

        Args:
            fingerprint: plain values by name, which all must be as they were; of others the log says that they are not.
        """
        path = os.path.join(self.checkpoints, _STATE)
        if not os.path.isfile(path):
            return None
        try:
            arrays = _read(path)
            meta = json.loads(arrays.pop(_META).tobytes())
            if meta['version'] != _VERSION:
                raise ValueError(f'version {meta["version"]}')
            differing = [key for key, value in fingerprint.items() if meta['fingerprint'].get(key) != value]
            state = State(meta['epoch'], meta['steps'], meta['best'], meta['history'], arrays)
        except _DAMAGED as error:
            reporter.warn(f'{path}: cannot be read ({error}); the training starts over.')
            return None
        if differing:
            reporter.warn(
                f'{self.part} holds an interrupted training that differs in {", ".join(differing)}; this one starts '
                'over.'
            )
            return None
        return state

    def known(self) -> dict[str, Any]:
        """The fingerprint of the interrupted training that there is; empty where there is none, or none can be read."""
        try:
            with np.load(os.path.join(self.checkpoints, _STATE), allow_pickle=False) as file:
                return dict(json.loads(file[_META].tobytes())['fingerprint'])
        except _DAMAGED:
            return {}

    def best(self, epoch: int) -> dict[str, np.ndarray]:
        """The best weights.

        Raises:
            OutputRefused: they are gone.
        """
        path = os.path.join(self.checkpoints, f'best-{epoch}.npz')
        try:
            return _read(path)
        except _DAMAGED as error:
            raise OutputRefused(f'{path}: cannot be read ({error}). Train again with RESUME off.') from error


def _write(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays, whole or not at all."""
    new = path + '.new'
    try:
        with open(new, 'wb') as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        if os.path.isfile(new):
            os.remove(new)


def _read(path: str) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _is_ours(name: str) -> bool:
    name = name.removesuffix('.new')
    return name == _STATE or _BEST.match(name) is not None


def _names(folder: str) -> list[str]:
    """What lies in a folder, if it exists."""
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
