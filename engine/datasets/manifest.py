"""The manifest of a dataset: what is in the folder, exactly.

It is written last, so a folder with a manifest is whole. Numbers that JSON lacks (NaN) are text here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any, Optional

from ..errors import DatasetError, InputMissing, InvalidJob
from ..jobs import ClassDef, from_dict

VERSION = 1
FILE = 'manifest.json'
_SEAL = 'fingerprint'


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Of each band over the valid pixels of the training split: float64 sums, so they do not depend on the order."""

    count: tuple[int, ...]
    mean: tuple[float, ...]
    stddev: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """An image source. `shape` is (rows, columns, bands); `nodata` has one text a band, empty where there is none."""

    name: str
    dtype: str
    shape: tuple[int, int, int]
    bands: tuple[str, ...]
    nodata: tuple[str, ...]
    nodata_policy: str
    pixel_size: tuple[float, float]
    rasters: tuple[str, ...]
    statistics: Statistics


@dataclasses.dataclass(frozen=True)
class LabelInfo:
    """The labels. Pixels of value `unlabelled` have no label; those of value `nodata`, if any, are the label
    raster's no-data: they have none either, unless the user names that value as a class."""

    name: str
    dtype: str
    shape: tuple[int, int, int]
    unlabelled: int
    nodata: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of samples.

    Attributes:
        key: the source, or the labels, whose patches it holds; empty where it holds those of all (TFRecords).
        path: relative to the folder of the dataset, with ``/``.
        count: samples in it. The files of one key and split follow one another in the order of samples.csv.
        size, sha256: of the file.
        split: the split whose samples it holds; empty where files do not go by splits.
    """

    key: str
    path: str
    count: int
    size: int
    sha256: str
    split: str = ''


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """Samples of a split, and labelled pixels of each class in it (keys: class values as text)."""

    count: int
    pixels: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything about a dataset but the pixels.

    Attributes:
        extent: (west, south, east, north) in `crs`; None where nobody knows where the samples lie.
        layout: one of `jobs.LAYOUTS`.
        compression: of the files, one of `jobs.COMPRESSIONS`.
        unsplit: the points named no splits: all samples count as training, and there are no folders of splits.
    """

    count: int
    sources: tuple[SourceInfo, ...]
    labels: Optional[LabelInfo]
    classes: tuple[ClassDef, ...]
    splits: dict[str, SplitInfo]
    shards: tuple[Shard, ...]
    crs: str
    extent: Optional[tuple[float, float, float, float]]
    layout: str = 'numpy'
    compression: str = 'none'
    unsplit: bool = False
    version: int = VERSION

    def to_json(self) -> str:
        return json.dumps({'quadrat': 'dataset', **dataclasses.asdict(self)}, indent=1, ensure_ascii=False)

    def to_file(self) -> str:
        """The text of manifest.json: `to_json` with the fingerprint, by which later changes are found."""
        own = {'quadrat': 'dataset', _SEAL: self.fingerprint()}
        return json.dumps({**own, **dataclasses.asdict(self)}, indent=1, ensure_ascii=False)

    def fingerprint(self) -> str:
        """SHA-256 over what training depends on; two datasets with the same fingerprint hold the same samples."""
        return _hash(self.to_json())

    def source(self, name: str) -> SourceInfo:
        for source in self.sources:
            if source.name == name:
                return source
        raise DatasetError(f'A dataset has no source {name!r}; it has {", ".join(s.name for s in self.sources)}.')


def read_manifest(folder: str) -> Manifest:
    """The manifest of a dataset folder.

    Raises:
        InputMissing: no such folder.
        DatasetError: the folder is no dataset, or its manifest is damaged or of a newer version.
    """
    path = os.path.join(folder, FILE)
    data = _read(folder)
    if not isinstance(data, dict) or data.pop('quadrat', None) != 'dataset':
        raise DatasetError(f'{path}: not the manifest of a Quadrat dataset.')
    data.pop(_SEAL, None)
    if data.get('version') != VERSION:
        raise DatasetError(f'{path}: version {data.get("version")!r}; this Quadrat reads version {VERSION}.')
    try:
        return from_dict(Manifest, data)
    except InvalidJob as error:
        raise DatasetError(f'{path}: {error} Make the dataset again.') from error


def is_as_written(folder: str) -> bool:
    """Whether the manifest of a dataset folder has the fingerprint that it names, or names none.

    Raises:
        InputMissing, DatasetError: it cannot be read.
    """
    data = _read(folder)
    seal = data.pop(_SEAL, None) if isinstance(data, dict) else None
    return seal is None or seal == _hash(json.dumps(data, indent=1, ensure_ascii=False))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()


def _read(folder: str) -> Any:
    """What stands in the manifest of a folder."""
    path = os.path.join(folder, FILE)
    if not os.path.isdir(folder):
        raise InputMissing(f'{folder}: no such folder. Give the folder of a dataset.')
    if not os.path.isfile(path):
        raise DatasetError(
            f'{folder}: no {FILE} in it, and no TFRecords or patches-images, so it is no dataset. Give the folder that '
            '"Extract patches" wrote.'
        )
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f'{path}: cannot be read ({error}). Make the dataset again.') from error
