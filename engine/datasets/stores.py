"""The files of a dataset, open for reading: one class for each layout, all with the same `read`.

Opening a file checks that it is what the manifest says: shape, type and number of samples.
"""

from __future__ import annotations

import abc
import dataclasses
import math
import os
import threading
from collections.abc import Mapping

import numpy as np

from ..errors import DatasetError, EngineError
from ..gdalio import dtype_of, gdal, gdal_type, open_raster
from .example import decode
from .manifest import Manifest, Shard
from .records import RecordFile


@dataclasses.dataclass(frozen=True)
class Form:
    """What one sample of a key looks like.

    Attributes:
        shape: (rows, columns, bands).
        dtype: as it is read.
        missing: read where a file of another type has no number; None where files must have this type.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    missing: int | None = None

    def takes(self, dtype: np.dtype) -> bool:
        """Whether a file of this type will do."""
        return dtype == self.dtype or self.missing is not None

    def adapt(self, values: np.ndarray) -> np.ndarray:
        """Values of a file as they are read."""
        if self.missing is not None and values.dtype.kind == 'f':
            values = np.where(np.isnan(values), self.missing, values)
        return values.astype(self.dtype, copy=False)


def forms(manifest: Manifest, foreign: bool = False) -> dict[str, Form]:
    """The form of each key of a dataset.

    Args:
        foreign: the files are not ours, so labels may be of another type than the one they are read in.

    Raises:
        DatasetError: a type that there is not.
    """
    out = {source.name: Form(source.shape, _dtype(source.name, source.dtype)) for source in manifest.sources}
    labels = manifest.labels
    if labels:
        dtype = _dtype(labels.name, labels.dtype)
        out[labels.name] = Form(labels.shape, dtype, labels.unlabelled if foreign else None)
    return out


def _dtype(key: str, name: str) -> np.dtype:
    try:
        return np.dtype(name)
    except TypeError:
        raise DatasetError(
            f'The manifest says that {key} is of an unknown type {name!r}. Make the dataset again.'
        ) from None


class OpenShard(abc.ABC):
    """A file of samples, open for reading. Threads may share it.

    Attributes:
        mapped: all its samples, where it holds those of one key and is mapped into memory.
    """

    mapped: np.ndarray | None = None

    @abc.abstractmethod
    def read(self, key: str, positions: np.ndarray) -> np.ndarray:
        """Samples of a key by their numbers in this file, in the order asked for: (samples, rows, columns, bands)."""


def open_shard(path: str, manifest: Manifest, shard: Shard, keys: Mapping[str, Form]) -> OpenShard:
    """Open a file of a dataset.

    Raises:
        DatasetError: naming the file, where it is missing, damaged, or not what the manifest says.
    """
    if not os.path.isfile(path):
        raise DatasetError(f'{path}: this part of the dataset is missing.')
    if shard.key and shard.key not in keys:
        raise DatasetError(f'{path}: holds {shard.key!r}, which the manifest knows neither as source nor as labels.')
    if manifest.layout == 'numpy':
        return NumpyShard(path, shard.count, keys[shard.key])
    if manifest.layout == 'patchesimages':
        return ImageShard(path, shard.count, keys[shard.key])
    return RecordShard(path, shard.count, keys, manifest.compression)


class NumpyShard(OpenShard):
    """An .npy file, mapped into memory."""

    mapped: np.ndarray

    def __init__(self, path: str, count: int, form: Form) -> None:
        try:
            self.mapped = np.load(path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DatasetError(f'{path}: cannot be read ({error}).') from error
        found, expected = self.mapped.shape, (count, *form.shape)
        if found != expected or self.mapped.dtype != form.dtype:
            raise DatasetError(
                f'{path}: holds {self.mapped.dtype} of shape {found}, the manifest says {form.dtype} of shape '
                f'{expected}.'
            )

    def read(self, key: str, positions: np.ndarray) -> np.ndarray:
        return self.mapped[positions]


class ImageShard(OpenShard):
    """A patches-image: the patches of one key stand below one another in a raster.

    Where the pixels of an uncompressed GeoTIFF lie in their order, the file is mapped into memory; else GDAL reads it.
    """

    def __init__(self, path: str, count: int, form: Form) -> None:
        self._path, self._form = path, form
        try:
            dataset = open_raster(path)
            dtype = image_dtype(dataset, path)
        except EngineError as error:
            raise DatasetError(str(error)) from error
        rows, cols, bands = form.shape
        size = dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount
        if size != (cols, rows * count, bands) or not form.takes(dtype):
            raise DatasetError(
                f'{path}: {size[0]} x {size[1]} pixels of {size[2]} bands of {dtype}, the manifest says {cols} x '
                f'{rows * count} of {bands} bands of {form.dtype}.'
            )
        self._dataset, self._dtype = dataset, dtype
        self._lock = threading.Lock()
        place = _first_byte(dataset)
        if place is not None:
            stored = dtype.newbyteorder('<' if _little_endian(path) else '>')
            try:
                self.mapped = np.memmap(path, stored, 'r', place, (count, *form.shape))
            except (OSError, ValueError) as error:
                raise DatasetError(f'{path}: cannot be read ({error}).') from error

    def read(self, key: str, positions: np.ndarray) -> np.ndarray:
        if self.mapped is not None:
            return self._form.adapt(self.mapped[positions])
        out = np.empty((len(positions), *self._form.shape), self._dtype)
        order = np.argsort(positions, kind='stable')
        ends = np.flatnonzero(np.diff(positions[order]) != 1) + 1
        for run in np.split(order, ends):
            if len(run):
                out[run] = self._rows(int(positions[run[0]]), len(run))
        return self._form.adapt(out)

    def _rows(self, first: int, count: int) -> np.ndarray:
        """Patches that follow one another."""
        rows, cols, bands = self._form.shape
        part = np.empty((count, rows, cols, bands), self._dtype)
        size = part.itemsize
        try:
            with self._lock:  # GDAL's datasets are for one thread at a time
                done = self._dataset.ReadRaster(
                    0,
                    first * rows,
                    cols,
                    count * rows,
                    buf_type=gdal_type(self._dtype),
                    buf_pixel_space=size * bands,
                    buf_line_space=size * bands * cols,
                    buf_band_space=size,
                    buf_obj=part,
                )
            if done is None:  # what GDAL's own threads run into is no exception
                raise RuntimeError('a block cannot be decoded')
        except RuntimeError as error:
            raise DatasetError(
                f'{self._path}: patches {first} to {first + count - 1} cannot be read; the file is damaged or not '
                f'complete ({error}).'
            ) from error
        return part


class RecordShard(OpenShard):
    """A file of TFRecords, which holds all keys. A compressed one is unpacked when it is first read."""

    def __init__(self, path: str, count: int, keys: Mapping[str, Form], compression: str) -> None:
        self._path, self._count, self._keys, self._compression = path, count, keys, compression
        self._file: RecordFile | None = None
        self._template: _Template | None = None
        self._lock = threading.Lock()
        if compression == 'none':
            self._records()

    def read(self, key: str, positions: np.ndarray) -> np.ndarray:
        file, form = self._records(), self._keys[key]
        out = np.empty((len(positions), *form.shape), form.dtype)
        for i, position in enumerate(positions.tolist()):
            template = self._template  # another thread may change it
            values = template.find(file.record(position), key) if template else None
            if values is None:
                values = self._decode(file, position, key)
            out[i] = form.adapt(values).reshape(form.shape)
        return out

    def verify(self) -> None:
        """Compare all records with their checksums; `DatasetError` names the first that was damaged."""
        self._records().verify()

    def _records(self) -> RecordFile:
        with self._lock:
            if self._file is None:
                self._file = RecordFile(self._path, self._compression)
                if len(self._file) != self._count:
                    raise DatasetError(f'{self._path}: {len(self._file)} records, the manifest says {self._count}.')
            return self._file

    def _decode(self, file: RecordFile, position: int, key: str) -> np.ndarray:
        """A key of a record, with all checks."""
        sample, form = file.sample(position), self._keys[key]
        if key not in sample:
            raise DatasetError(f'{self._path}: record {position} has no {key!r}; it has {", ".join(sample) or "none"}.')
        values = sample[key]
        if values.size != math.prod(form.shape) or not form.takes(values.dtype):
            raise DatasetError(
                f'{self._path}: record {position}: {key!r} is {values.dtype} of shape {values.shape}, and should be '
                f'{form.dtype} of shape {form.shape}.'
            )
        self._template = _Template.of(file.record(position))
        return values


class _Template:
    """Where the numbers of each key stand in records that differ in nothing else.

    Samples of one dataset have the same types and shapes, so all bytes between their numbers are the same. Comparing
    these few takes a tenth of the time that decoding takes.
    """

    def __init__(self, length: int, fixed: list[tuple[int, int, bytes]], tensors: dict[str, tuple]) -> None:
        self._length, self._fixed, self._tensors = length, fixed, tensors

    @classmethod
    def of(cls, record: bytes) -> _Template | None:
        """The template of records like this one; None where some numbers do not stand in it one by one."""
        first = np.frombuffer(record, np.uint8).ctypes.data
        tensors, places = {}, []
        for key, values in decode(record).items():
            start = values.ctypes.data - first
            if not 0 <= start <= len(record) - values.nbytes or not values.nbytes:
                return None
            tensors[key] = (values.dtype, values.size, start)
            places.append((start, start + values.nbytes))
        places.sort()
        starts, ends = [0, *(end for _, end in places)], [*(start for start, _ in places), len(record)]
        return cls(len(record), [(a, b, record[a:b]) for a, b in zip(starts, ends)], tensors)

    def find(self, record: bytes, key: str) -> np.ndarray | None:
        """The numbers of a key; None where the record is of another form."""
        if key not in self._tensors or len(record) != self._length:
            return None
        if any(record[start:end] != content for start, end, content in self._fixed):
            return None
        return np.frombuffer(record, *self._tensors[key])


# -- rasters ----------------------------------------------------------------------------------------------------------


def image_dtype(dataset: gdal.Dataset, path: str) -> np.dtype:
    """The type that holds all bands of a raster."""
    return np.result_type(*(dtype_of(dataset.GetRasterBand(i + 1), path) for i in range(dataset.RasterCount)))


def _first_byte(dataset: gdal.Dataset) -> int | None:
    """Where the pixels begin in the file of a raster, if they all follow one another there, all bands of a pixel
    together; else None."""
    structure = dataset.GetMetadata('IMAGE_STRUCTURE')
    pixelwise = dataset.RasterCount == 1 or structure.get('INTERLEAVE') == 'PIXEL'
    if dataset.GetDriver().ShortName != 'GTiff' or 'COMPRESSION' in structure or not pixelwise:
        return None
    band = dataset.GetRasterBand(1)
    cols, rows = band.GetBlockSize()
    if cols != dataset.RasterXSize or band.GetMetadataItem('NBITS', 'IMAGE_STRUCTURE'):
        return None
    strip = cols * rows * dataset.RasterCount * (gdal.GetDataTypeSize(band.DataType) // 8)
    first = int(band.GetMetadataItem('BLOCK_OFFSET_0_0', 'TIFF') or 0)
    for number in range(-(-dataset.RasterYSize // rows)):
        if band.GetMetadataItem(f'BLOCK_OFFSET_0_{number}', 'TIFF') != str(first + number * strip):
            return None
    return first or None


def _little_endian(path: str) -> bool:
    """The order of bytes in a TIFF."""
    with open(path, 'rb') as file:
        return file.read(2) == b'II'
