"""Writing samples in one of the layouts of a dataset."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..errors import InvalidJob
from ..events import Reporter
from ..jobs import COMPRESSIONS, LAYOUTS, LayoutOptions
from ..maps.classes import qml, styled
from .files import SHAPES, TYPES, sha256, style_of, sync
from .manifest import LabelInfo, Manifest, Shard, SourceInfo
from .patchesimages import write_patches_image
from .reader import Dataset
from .shards import SHARD_BYTES, ShardWriter
from .stores import Form, forms
from .table import read_table

_CHUNK_BYTES = 16 << 20


class Samples(Protocol):
    """What is written: a `Dataset`, or something that can be read like one.

    Attributes:
        manifest: of the samples; its layout and shards do not matter.
        splits: split -> numbers of its samples, ascending.
    """

    manifest: Manifest
    splits: dict[str, np.ndarray]

    def read(self, key: str, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Samples in the order asked for, as `Dataset.read` gives them."""


def check_options(options: LayoutOptions) -> None:
    """Raise `InvalidJob` for options that mean nothing."""
    if options.layout not in LAYOUTS:
        raise InvalidJob(f'Layout {options.layout!r}: choose one of {", ".join(LAYOUTS)}.')
    if options.compression not in COMPRESSIONS:
        raise InvalidJob(f'Compression {options.compression!r}: choose one of {", ".join(COMPRESSIONS)}.')
    if options.layout == 'numpy' and options.compression != 'none':
        raise InvalidJob('Numpy files are not compressed: they are mapped into memory. Choose another layout for that.')
    if options.samples_per_shard < 0:
        raise InvalidJob(f'{options.samples_per_shard} samples in a file: should be 0 or more.')


def rewrite(folder: str, manifest: Manifest, options: LayoutOptions, reporter: Reporter) -> Manifest:
    """Turn a dataset of numpy shards into another layout, in place.

    Args:
        folder: holds samples.csv and the numpy shards, which are removed; no manifest yet.
        manifest: of the numpy shards.

    Returns:
        The manifest of what is there now.
    """
    check_options(options)
    if options.layout == manifest.layout:
        return manifest
    dataset = Dataset(folder, manifest, read_table(folder, manifest.count))
    written = write(dataset, folder, options, reporter)
    paths = [dataset.path(shard) for shard in manifest.shards]
    del dataset  # closes the files
    for path in paths:
        os.remove(path)
    return written


def write(samples: Samples, folder: str, options: LayoutOptions, reporter: Reporter) -> Manifest:
    """Write the files of all samples; samples.csv and the manifest are the caller's.

    Returns:
        The manifest of what was written.

    Raises:
        InvalidJob: options that mean nothing, or samples that the layout cannot hold.
        DiskFull, OutputRefused: it cannot be written.
    """
    check_options(options)
    writer = _Writer(samples, folder, options, reporter)
    shards = {'numpy': writer.numpy, 'tfrecords': writer.records, 'patchesimages': writer.images}[options.layout]()
    return dataclasses.replace(
        samples.manifest, layout=options.layout, compression=options.compression, shards=tuple(shards)
    )


class _Writer:
    """One run of `write`."""

    def __init__(self, samples: Samples, folder: str, options: LayoutOptions, reporter: Reporter) -> None:
        self._samples, self._folder, self._options, self._reporter = samples, folder, options, reporter
        self._manifest = samples.manifest
        self._forms = forms(self._manifest)
        self._total = self._manifest.count * sum(map(_bytes, self._forms.values()))
        self._done = 0

    def numpy(self) -> list[Shard]:
        """Numpy shards, whose samples are those of all splits in their order."""
        shards: list[Shard] = []
        for key, form in self._forms.items():
            count = self._manifest.count
            writer = ShardWriter(self._folder, key, form.shape, form.dtype, count, self._options.samples_per_shard)
            for start, stop in _chunks(count, _bytes(form)):
                indices = np.arange(start, stop)
                writer.write_many(indices, self._read(key, indices))
            shards.extend(writer.finish())
        return shards

    def images(self) -> list[Shard]:
        """Patches-images, one for each key and split."""
        return [self._image(key, split, indices) for key in self._forms for split, indices in self._groups().items()]

    def records(self) -> list[Shard]:
        """TFRecords, each of which holds all keys."""
        from .example import encode
        from .records import RecordWriter

        shards = []
        sample_bytes = sum(map(_bytes, self._forms.values()))
        per_shard = self._options.samples_per_shard or max(1, SHARD_BYTES // sample_bytes)
        for split, indices in self._groups().items():
            place = self._place(split)
            _write_json(os.path.join(place, TYPES), {key: form.dtype.name for key, form in self._forms.items()})
            _write_json(os.path.join(place, SHAPES), {key: list(form.shape) for key, form in self._forms.items()})
            for number, first in enumerate(range(0, len(indices), per_shard)):
                part = indices[first : first + per_shard]
                path = f'{split}/{number}.records'.lstrip('/')
                with RecordWriter(os.path.join(place, f'{number}.records'), self._options.compression) as writer:
                    for start, stop in _chunks(len(part), sample_bytes):
                        columns = [self._read(key, part[start:stop]) for key in self._forms]
                        for sample in zip(*columns):
                            writer.write(encode(dict(zip(self._forms, sample))))
                shards.append(self._shard('', path, len(part), split))
        return shards

    def _groups(self) -> dict[str, np.ndarray]:
        """The samples of each folder of files."""
        if self._manifest.unsplit:
            return {'': np.arange(self._manifest.count)}
        return {split: indices for split, indices in self._samples.splits.items() if len(indices)}

    def _place(self, split: str) -> str:
        """The folder of a split."""
        place = os.path.join(self._folder, split) if split else self._folder
        os.makedirs(place, exist_ok=True)
        return place

    def _image(self, key: str, split: str, indices: np.ndarray) -> Shard:
        """The patches-image of a key and a split."""
        path = os.path.join(self._place(split), f'{key}.tif')
        labels = self._manifest.labels
        is_labels = labels is not None and key == labels.name
        info = labels if labels and is_labels else self._manifest.source(key)
        write_patches_image(
            path,
            self._forms[key],
            len(indices),
            _spacing(self._manifest, info),
            lambda start, stop: self._read(key, indices[start:stop]),
            _nodata(info),
            info.bands if isinstance(info, SourceInfo) else (),
            self._options.compression == 'gzip',
        )
        sync(path)
        if is_labels and self._manifest.classes:
            with open(style_of(path), 'w', encoding='utf-8') as file:
                file.write(qml(styled(self._manifest.classes)))
        return self._shard(key, f'{split}/{key}.tif'.lstrip('/'), len(indices), split)

    def _read(self, key: str, indices: np.ndarray) -> np.ndarray:
        """Samples, while people can see how far it is and stop it."""
        self._reporter.check_cancelled()
        self._reporter.progress(self._done / self._total, 'Writing samples')
        self._done += len(indices) * _bytes(self._forms[key])
        return self._samples.read(key, indices)

    def _shard(self, key: str, path: str, count: int, split: str) -> Shard:
        """What a finished file is."""
        place = os.path.join(self._folder, *path.split('/'))
        return Shard(key, path, count, os.path.getsize(place), sha256(place), split)


def _bytes(form: Form) -> int:
    """Of a sample."""
    return math.prod(form.shape) * form.dtype.itemsize


def _chunks(count: int, sample_bytes: int) -> list[tuple[int, int]]:
    """Samples from one number to before another, as many as are read together."""
    step = max(1, _CHUNK_BYTES // sample_bytes)
    return [(start, min(start + step, count)) for start in range(0, count, step)]


def _spacing(manifest: Manifest, info: SourceInfo | LabelInfo) -> tuple[float, float]:
    """The signed size of pixels in a patches-image, as the peer writes it."""
    if isinstance(info, SourceInfo):
        return _known(info.pixel_size[0]), -_known(info.pixel_size[1])
    if info.shape[:2] == (1, 1):
        return 1.0, 1.0  # a value for a patch is no pixel of the ground
    first = manifest.sources[0]
    rows, cols = (mine / own for mine, own in zip(first.shape[:2], info.shape[:2]))
    return _known(first.pixel_size[0]) * cols, -_known(first.pixel_size[1]) * rows


def _known(size: float) -> float:
    """The size of a pixel, or what stands for one that nobody knows."""
    return size or 1.0


def _nodata(info: SourceInfo | LabelInfo) -> float | None:
    """The one no-data value of a file, or None."""
    if isinstance(info, LabelInfo):
        return info.unlabelled
    values = set(info.nodata)
    return float(values.pop()) if len(values) == 1 and '' not in values else None


def _write_json(path: str, data: dict) -> None:
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(data, file)
