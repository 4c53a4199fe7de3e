"""The toy: a run that is done in seconds, with everything that it needs.

A network learns ten numbers by heart. The files of numbers are those of Deephub's toy, byte for byte.
"""

from __future__ import annotations

import os
import struct

import numpy as np

from .. import wire
from ..datasets.crc import crc32c
from ..datasets.records import masked
from ..datasets.tfmetadata import create_metadata
from ..errors import DatasetError, OutputRefused, write_error
from ..folder import write_whole

RUN_FILE = 'toy.yaml'
NUMBERS = {'train.tfrecord': range(10), 'validation.tfrecord': range(10, 20)}
_TEXT = """\
# The toy: a network learns ten numbers by heart. "quadrat train toy.yaml" does the run again.
model:
  type: dense  # layers of neurons
  task: classification
  hidden_neurons: 50
data:
  classes: 100  # 0 … 99; ten of them occur
  train:
    type: TFRecordExamplesFeeder
    file_patterns: [train.tfrecord]
    features_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
    labels_map: {number: {type: FixedLenFeature, shape: [1], dtype: int64}}
  # Judged by the same numbers: of those in validation.tfrecord, 10 … 19, the network never hears.
  validation: ${data.train}
train:
  epochs: 40
  batch_size: 10
  learning_rate: 0.1
  save_checkpoint_epochs: 10
output: run
"""


def make_toy(folder: str) -> str:
    """Make the files of the toy; what is there already stays as it is.

    Args:
        folder: it is made where it is missing.

    Returns:
        The path of the file that describes the run, whose folder is ``run`` beside it.

    Raises:
        OutputRefused, DiskFull: nothing can be written there.
        DatasetError: the numbers of an earlier toy were changed.
    """
    folder = os.path.abspath(folder)
    run_file = os.path.join(folder, RUN_FILE)
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise OutputRefused(f'{folder}: this is a file; the toy is made in a folder. Give another name.') from None
    except OSError as error:
        raise write_error(folder, error) from error
    for name, numbers in NUMBERS.items():
        _write_missing(os.path.join(folder, name), b''.join(_record(_example(number)) for number in numbers))
    report = create_metadata([os.path.join(folder, name) for name in NUMBERS])
    if not report.sound:
        faults = ' '.join(map(str, report.problems))
        raise DatasetError(f'{faults} Remove {folder} to have the toy made anew.')
    _write_missing(run_file, _TEXT)
    return run_file


def _write_missing(path: str, content: str | bytes) -> None:
    if not os.path.isfile(path):
        write_whole(path, content)


def _record(data: bytes) -> bytes:
    """The bytes of a record in a file; written here, so that TensorFlow is loaded by the run, as that wants it."""
    length = struct.pack('<Q', len(data))
    return b''.join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    crc = crc32c(np.frombuffer(data, np.uint8), np.zeros(1, np.int64), np.array([len(data)]))
    return masked(crc).astype('<u4').tobytes()


def _example(number: int) -> bytes:
    """A serialised ``tf.train.Example`` whose feature ``number`` is a list of one whole number from 0."""
    feature = wire.message(3, wire.message(1, wire.varint(number)))
    entry = wire.message(1, wire.message(1, b'number') + wire.message(2, feature))
    return wire.message(1, entry)
