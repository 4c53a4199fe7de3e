"""What each epoch gave, as a table and as logs of TensorBoard.

A history is a list of rows, which are plain values: ``epoch``, ``step`` (of the training, over all epochs),
``seconds`` since the epoch began, ``learning_rate``, and the numbers of ``training`` and ``validation``. Each epoch has
one; a validation within an epoch has another one, without ``training``, and an epoch that was not validated is without
``validation``.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .cadence import Cadences

if TYPE_CHECKING:
    from .outcome import Outcome

PARTS = ('training', 'validation')
_FILE = 'events.out.tfevents.'  # that names of TensorBoard's files begin with


def history_table(history: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a row for each of the history; what a row does not have is empty."""
    columns = []
    for part in PARTS:
        first: Mapping[str, Any] = next((row for row in history if part in row), {part: ()})
        columns += [(part, key) for key in first[part]]
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator='\n')
    rows.writerow(['epoch', 'seconds', 'learning_rate', *(f'{part}_{key}' for part, key in columns), 'step'])
    for row in history:
        numbers = [repr(float(row[part][key])) if part in row else '' for part, key in columns]
        rows.writerow([row['epoch'], row['seconds'], repr(row['learning_rate']), *numbers, row['step']])
    return stream.getvalue()


def summary_row(values: Sequence[float], outcome: Outcome) -> dict[str, Any]:
    """How an epoch was going after one of its steps, as a row.

    Args:
        values: epoch, step, learning rate, and the numbers of the epoch so far.
        outcome: any of such a training, which knows what its numbers are called.
    """
    epoch, step, rate, *numbers = values
    training = dict(zip(outcome.summary(), numbers))
    return {'epoch': int(epoch), 'step': int(step), 'learning_rate': rate, 'training': training}


class BoardLogs:
    """Logs that TensorBoard shows, a run for training and one for validation; a context manager.

    The axis is the step of the training where numbers are told within epochs, otherwise the epoch.

    Args:
        folder: where they go; it is made. Logs that are there are removed: the history has it all. Empty: nowhere.
        cadences: which epochs of the training are shown. Validations all are.
    """

    def __init__(self, folder: str, cadences: Cadences) -> None:
        self._folder, self._cadences = folder, cadences
        self._axis = 'step' if cadences.by_steps else 'epoch'
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> BoardLogs:
        for part in PARTS if self._folder else ():
            place = os.path.join(self._folder, part)
            for name in os.listdir(place) if os.path.isdir(place) else ():
                if name.startswith(_FILE):
                    os.remove(os.path.join(place, name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def restore(self, history: Sequence[Mapping[str, Any]], summaries: Sequence[Mapping[str, Any]]) -> None:
        """Write what there is already; see `add` and `summarise`."""
        for row in sorted([*history, *summaries], key=lambda row: row['step']):
            if 'seconds' in row:
                self.add(row)
            else:
                self.summarise(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row of the history."""
        if 'training' in row and self._cadences.summary.ends(row['epoch']):
            self.summarise(row)
        if 'validation' in row:
            self._write('validation', row['validation'], row)

    def summarise(self, row: Mapping[str, Any]) -> None:
        """Write how the training is going: such a row, with the numbers of the epoch so far."""
        self._write('training', {**row['training'], 'learning_rate': row['learning_rate']}, row)

    def _write(self, part: str, numbers: Mapping[str, float], row: Mapping[str, Any]) -> None:
        if not self._folder:
            return
        import tensorflow as tf

        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(os.path.join(self._folder, part))
        values = [tf.compat.v1.Summary.Value(tag=key, simple_value=value) for key, value in numbers.items()]
        with self._writers[part].as_default():
            tf.summary.experimental.write_raw_pb(
                tf.compat.v1.Summary(value=values).SerializeToString(), step=row[self._axis]
            )
        self._writers[part].flush()


def is_log(name: str) -> bool:
    """Whether a folder of such logs may hold this name, as a path within it."""
    part, _, file = name.replace(os.sep, '/').partition('/')
    return part in PARTS and (not file or file.startswith(_FILE))
