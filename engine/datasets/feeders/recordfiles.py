"""Several files of records as one list."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ...errors import DatasetError, NoSamples
from ...events import Reporter
from ..files import sha256
from ..manifest import Shard
from ..records import RecordFile, compression_of
from .examples import features_of

_OPEN = 256  # plain files: each takes a file handle, and systems give as few as 1024
_UNPACKED = 32  # compressed ones: each takes the room of its records


class RecordFiles:
    """The records of files one after the other. Threads may share it.

    Args:
        paths: the files, in their order.
        compression: one of `options.COMPRESSIONS`.
        threads: files that are opened at the same time.
        reporter: hears how many are, and can stop it.

    Attributes:
        count: number of records.

    Raises:
        DatasetError: a file is missing, cut off or damaged.
        NoSamples: there is no record in any.
    """

    def __init__(self, paths: Sequence[str], compression: str, threads: int, reporter: Reporter) -> None:
        self.paths = tuple(paths)
        self._compressions = [_compression(path, compression) for path in paths]
        self._open: OrderedDict[int, RecordFile] = OrderedDict()
        self._most = _UNPACKED if 'gzip' in self._compressions else _OPEN
        self._lock = threading.Lock()
        self._last = threading.local()
        self.counts = self._count(threads, reporter)
        self._ends = np.cumsum(self.counts)
        self.count = int(self._ends[-1])
        if not self.count:
            raise NoSamples(f'{paths[0]}: no record in it{", nor in the other files" if len(paths) > 1 else ""}.')

    def where(self, index: int) -> str:
        """A record, for messages: its file, and its number there."""
        file, record = self._place(index)
        return f'{self.paths[file]}: record {record}'

    def features(self, indices: np.ndarray) -> list[dict[str, memoryview]]:
        """The features of records, see `examples.features_of`.

        Raises:
            DatasetError: naming file and record of what is no example.
        """
        # All columns of a batch are read one after the other, by one thread.
        asked = indices.tolist()
        if getattr(self._last, 'asked', None) != asked:
            self._last.features = [self._features(index) for index in asked]
            self._last.asked = asked
        return list(self._last.features)

    def shards(self, reporter: Reporter) -> tuple[Shard, ...]:
        """The files with their checksums, after all records were compared with theirs.

        Raises:
            DatasetError: naming the first record that is damaged.
        """
        found = []
        for number, path in enumerate(self.paths):
            reporter.check_cancelled()
            reporter.progress(number / len(self.paths), f'Checking {os.path.basename(path)}')
            self._file(number).verify()
            hashed = sha256(path, reporter.check_cancelled)
            name, count = os.path.basename(path), int(self.counts[number])
            found.append(Shard('', name, count, os.path.getsize(path), hashed))
        return tuple(found)

    def _count(self, threads: int, reporter: Reporter) -> np.ndarray:
        """Records in each file."""
        counts = np.zeros(len(self.paths), np.int64)
        with ThreadPoolExecutor(threads, 'records') as pool:
            opening = [pool.submit(lambda file: len(self._file(file)), number) for number in range(len(self.paths))]
            try:
                for number, future in enumerate(opening):
                    reporter.check_cancelled()
                    reporter.progress(number / len(opening), 'Opening the files of records')
                    counts[number] = future.result()
            finally:
                for future in opening:
                    future.cancel()
        return counts

    def _features(self, index: int) -> dict[str, memoryview]:
        file, record = self._place(index)
        try:
            return features_of(self._file(file).record(record))
        except ValueError as error:
            raise DatasetError(f'{self.where(index)}: is no tf.train.Example, or a damaged one ({error}).') from None

    def _place(self, index: int) -> tuple[int, int]:
        """Number of the file of a record, and its number there."""
        file = int(np.searchsorted(self._ends, index, 'right'))
        return file, index - int(self._ends[file] - self.counts[file])

    def _file(self, number: int) -> RecordFile:
        """A file, opened; those used longest ago are closed."""
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
        found = RecordFile(self.paths[number], self._compressions[number])
        with self._lock:
            self._open[number] = found
            if len(self._open) > self._most:
                self._open.popitem(last=False)
        return found


def _compression(path: str, asked: str) -> str:
    """What `records` calls it.

    Raises:
        DatasetError: it is compressed, and nobody said so.
    """
    if asked == 'GZIP':
        return 'gzip'
    found = compression_of(path)
    if not asked and found == 'gzip':
        raise DatasetError(f'{path}: is compressed with gzip. Say so: compression "GZIP", or "auto".')
    return found
