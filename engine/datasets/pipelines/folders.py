"""Samples from a dataset of Quadrat."""

from __future__ import annotations

import numpy as np

from ...errors import InvalidJob
from ..reader import Dataset
from .memory import aligned, copy_rows
from .readers import PatchesReaderBase, measure


class PatchesDatasetReader(PatchesReaderBase):
    """Samples from a dataset folder of any layout.

    Args:
        folder: the dataset.
        split: only the samples of this split; None: all.

    Attributes:
        dataset: the open dataset, with its manifest.

    Raises:
        InputMissing, DatasetError: see `datasets.reader.Dataset.open`.
        InvalidJob: there is no such split.
    """

    def __init__(self, folder: str, split: str | None = None) -> None:
        self.dataset = Dataset.open(folder)
        if split is not None and split not in self.dataset.splits:
            raise InvalidJob(f'{folder}: no split {split!r}; there are {", ".join(self.dataset.splits)}.')
        self._indices = np.arange(self.dataset.count) if split is None else self.dataset.indices(split)

    def get_sample(self, index: int) -> dict[str, np.ndarray]:
        """Sample `index`: name of the source or of the labels -> (rows, columns, bands)."""
        return {key: values[0] for key, values in self.get_samples(np.array([index])).items()}

    def get_samples(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        if len(indices) and indices.min() < 0:
            raise IndexError(f'sample {indices.min()} of {self.get_size()}')
        return {key: self._read(key, self._indices[indices]) for key in self.dataset.keys}

    def _read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """What `Dataset.read` gives, in an array that becomes a tensor without being copied."""
        form = self.dataset.forms[key]
        out = aligned((len(indices), *form.shape), form.dtype)
        for shard, chosen, positions in self.dataset.places.of(key, indices):
            opened = self.dataset.shard(shard)
            if opened.mapped is None or opened.mapped.dtype != form.dtype:
                out[chosen] = opened.read(key, positions)
            else:
                copy_rows(np.asarray(opened.mapped), positions, out, chosen)
        return out

    def get_stats(self) -> dict[str, dict[str, np.ndarray]]:
        """Of the sources and the labels, over all pixels of these samples: see `readers.measure`."""
        return measure(self, self.dataset.keys)

    def get_size(self) -> int:
        return len(self._indices)
