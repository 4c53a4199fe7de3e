"""Which sample lies in which file of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .manifest import Shard


class Places:
    """The way from numbers of samples to files, and back.

    The files of a key hold its samples one after another: those of all splits together, or those of one split each.

    Args:
        shards: all files of a dataset.
        splits: split -> numbers of its samples, ascending.
        count: samples of the dataset.
    """

    def __init__(self, shards: Sequence[Shard], splits: dict[str, np.ndarray], count: int) -> None:
        self._members = {'': np.arange(count), **splits}
        self._split = np.zeros(count, np.int16)  # 0 is no split
        self._rank = np.zeros(count, np.int64)  # within the split
        for number, indices in enumerate(splits.values(), 1):
            self._split[indices], self._rank[indices] = number, np.arange(len(indices))
        self._groups: dict[str, list[tuple[int, np.ndarray, list[Shard]]]] = {}
        self._starts: dict[str, int] = {}
        numbers = {'': 0, **{split: number for number, split in enumerate(splits, 1)}}
        grouped: dict[tuple[str, str], list[Shard]] = {}
        for shard in shards:
            grouped.setdefault((shard.key, shard.split), []).append(shard)
        for (key, split), files in grouped.items():
            starts = np.cumsum([0] + [shard.count for shard in files])
            self._groups.setdefault(key, []).append((numbers.get(split, -1), starts, files))
            self._starts.update(zip((shard.path for shard in files), starts.tolist()))

    def of(self, key: str, indices: np.ndarray) -> Iterator[tuple[Shard, np.ndarray, np.ndarray]]:
        """Where samples lie.

        Args:
            key: name of a source, or of the labels.
            indices: numbers of samples.

        Yields:
            A file, which of `indices` it holds, and their numbers within it.
        """
        for split, starts, files in self._groups.get(key) or self._groups.get('') or []:
            if split:
                here = np.flatnonzero(self._split[indices] == split)
                ranks = self._rank[indices[here]]
            else:
                here, ranks = np.arange(len(indices)), indices
            if len(files) == 1 and len(here):
                yield files[0], here, ranks
                continue
            numbers = np.searchsorted(starts, ranks, side='right') - 1
            for number in np.unique(numbers).tolist():
                chosen = np.flatnonzero(numbers == number)
                yield files[number], here[chosen], ranks[chosen] - starts[number]

    def samples(self, shard: Shard) -> np.ndarray:
        """The numbers of the samples in a file, in their order there."""
        start = self._starts[shard.path]
        return self._members.get(shard.split, np.empty(0, np.int64))[start : start + shard.count]

    def counts(self, key: str) -> dict[str, tuple[int, int]]:
        """Samples of a key in its files, and in the dataset, by split; the split '' means all of them."""
        found: dict[str, tuple[int, int]] = {}
        for shard_key in (key, ''):
            for _, starts, files in self._groups.get(shard_key, ()):
                split = files[0].split
                found[split] = int(starts[-1]), len(self._members.get(split, ()))
        missing = {} if '' in found else {split: (0, len(index)) for split, index in self._members.items() if split}
        return {**missing, **found}
