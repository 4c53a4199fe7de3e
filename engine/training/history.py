"""What each epoch gave, as a table and as logs of TensorBoard."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

PARTS = ('training', 'validation')


def history_table(history: Sequence[Mapping[str, Any]]) -> str:
    """CSV with one row an epoch."""
    parts = [part for part in PARTS if history and part in history[0]]
    columns = [(part, key) for part in parts for key in history[0][part]]
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator='\n')
    rows.writerow(['epoch', 'seconds', 'learning_rate', *(f'{part}_{key}' for part, key in columns)])
    for epoch in history:
        numbers = [repr(float(epoch[part][key])) for part, key in columns]
        rows.writerow([epoch['epoch'], epoch['seconds'], repr(epoch['learning_rate']), *numbers])
    return stream.getvalue()


class BoardLogs:
    """Logs that TensorBoard shows: a run for training and one for validation.

    Args:
        folder: where they go; it is made.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def add(self, epoch: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch."""
        import tensorflow as tf

        for part in PARTS:
            if part not in epoch:
                continue
            if part not in self._writers:
                self._writers[part] = tf.summary.create_file_writer(os.path.join(self._folder, part))
            numbers = {**epoch[part], **({'learning_rate': epoch['learning_rate']} if part == PARTS[0] else {})}
            values = [tf.compat.v1.Summary.Value(tag=key, simple_value=value) for key, value in numbers.items()]
            with self._writers[part].as_default():
                tf.summary.experimental.write_raw_pb(
                    tf.compat.v1.Summary(value=values).SerializeToString(), step=epoch['epoch']
                )
            self._writers[part].flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
