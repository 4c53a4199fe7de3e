"""What maps can hold, each made of the values that the network gives for a tile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import InvalidJob
from ..jobs import ClassDef, ServeJob
from ..maps.classes import NODATA, class_type, styled
from ..model_package.card import OutputCard
from ..runtimes.arrays import cast
from .network import Network, Values, is_whole

# Scale and no-data value of probabilities as whole numbers: even decimal steps, 0 to 250 and 0 to 50000.
SCALES = {'uint8': (0.004, 255), 'uint16': (0.00002, 65535)}
_FEW = 24  # bands, up to which comparing them one by one is quicker than numpy's own way (measured)
_ROWS = 32  # compared at once, which stay in the processor's cache


@dataclasses.dataclass(frozen=True)
class Product:
    """A raster made pixel by pixel.

    Attributes:
        dtype: of its pixels.
        nodata: the value that stands for no data; None: none does.
        bands: their descriptions.
        make: from values (rows, columns, bands of the network) to pixels (rows, columns, bands), no-data not seen to.
        legend: the classes, where it is a class map.
        scale: what pixels are multiplied with to get what they mean.
        fill: of pixels without data, where that is not `nodata`.
    """

    dtype: np.dtype
    nodata: float | None
    bands: tuple[str, ...]
    make: Callable[[np.ndarray], np.ndarray]
    legend: tuple[ClassDef, ...] = ()
    scale: float = 1.0
    fill: float = 0.0

    def pixels(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """The pixels of a tile as the file holds them: no-data where `valid` (rows, columns) is False."""
        made = np.ascontiguousarray(self.make(values), self.dtype)
        if not valid.all():
            fill = self.fill if self.nodata is None else self.nodata
            made = np.where(valid[..., None], made, self.dtype.type(fill))
        return made


def products(
    job: ServeJob,
    inner: Mapping[str, str],
    names: Sequence[str],
    network: Network,
    given: OutputCard | None,
    classes: bool,
) -> dict[str, Product]:
    """What the rasters of these names hold.

    Args:
        inner: the network's outputs by the names of rasters that have the values of one of them.
        names: of the rasters: those of `ServeJob.rasters`, and of `inner`.
        given: the output with classes.
        classes: whether OUTPUT is a map of classes.
    """
    outputs = {item.name: item for item in network.outputs}
    found = {}
    for name in names:
        if name == 'OUTPUT' and not (classes and given):
            wanted = [outputs[key] for key in job.output_names or outputs]
            found[name] = _values(job, wanted, given)
        elif name in inner:
            found[name] = _values(job, [outputs[inner[name]]], given)
        elif given is not None:
            found[name] = _of_classes(name, job, given, outputs[given.name])
    return found


def _of_classes(name: str, job: ServeJob, given: OutputCard, output: Values) -> Product:
    """A product of class probabilities."""
    legend = tuple({item.value: item for item in styled(given.classes)}.values())
    if name == 'OUTPUT' and is_whole(output.dtype):
        return _labels(job, given.classes, legend, output)
    spread = _spread(output, len(given.classes))
    if name == 'OUTPUT':
        return _class_map(job, given.classes, legend, spread)
    if name == 'PROBABILITIES':
        return _fractions(tuple(item.name for item in styled(given.classes)), spread, job.probability_type)
    if name == 'CONFIDENCE':
        return _fractions(('confidence',), lambda values: spread(values).max(-1, keepdims=True), job.probability_type)
    if name == 'MARGIN':
        return _fractions(('margin',), lambda values: _margin(spread(values)), job.probability_type)
    return _fractions(('entropy',), lambda values: _entropy(spread(values)), 'float32')


def _spread(output: Values, classes: int) -> Callable[[np.ndarray], np.ndarray]:
    """From all values to the probabilities of the classes; one band is that of the second of two."""
    if output.bands == 1 and classes == 2:
        return lambda values: np.concatenate([1 - values[..., output.part], values[..., output.part]], -1)
    if output.bands != classes:
        raise InvalidJob(
            f'CLASSES: there are {classes}, but the output {output.name} has {output.bands} bands; name as many, in '
            'the order of the bands.'
        )
    return lambda values: values[..., output.part]


def _class_map(
    job: ServeJob,
    classes: Sequence[ClassDef],
    legend: tuple[ClassDef, ...],
    spread: Callable[[np.ndarray], np.ndarray],
) -> Product:
    """The value of the most probable class; of several equal ones the first in the network's order. None where no
    probability reaches the threshold."""
    dtype, nodata = _class_type(job, classes)
    values = np.array([item.value for item in classes], dtype)

    def make(given: np.ndarray) -> np.ndarray:
        probabilities = spread(given)
        found = values.take(largest(probabilities))[..., None]
        if job.threshold is not None:
            found = np.where(probabilities.max(-1, keepdims=True) >= job.threshold, found, dtype.type(nodata))
        return found

    return Product(dtype, nodata, ('class',), make, legend)


def largest(values: np.ndarray) -> np.ndarray:
    """The place of the largest along the last axis of (rows, columns, bands), the first of equals, as `numpy.argmax`
    tells it, in a third of the time where bands are few; anything where one is no number."""
    bands = values.shape[-1]
    if not 1 < bands <= _FEW:
        return values.argmax(-1)
    found = np.empty(values.shape[:-1], np.uint8)
    for row in range(0, len(values), _ROWS):
        each = np.ascontiguousarray(np.moveaxis(values[row : row + _ROWS], -1, 0))
        best, place = each[0], np.zeros(each.shape[1:], np.uint8)
        for number in range(1, bands):
            np.maximum(place, (each[number] > best) * np.uint8(number), out=place)
            best = np.maximum(best, each[number])
        found[row : row + _ROWS] = place
    return found


def _labels(job: ServeJob, classes: Sequence[ClassDef], legend: tuple[ClassDef, ...], output: Values) -> Product:
    """Class values that the network gives itself."""
    dtype, nodata = _class_type(job, classes)

    def make(given: np.ndarray) -> np.ndarray:
        values = given[..., output.part]
        known = np.isin(values, [item.value for item in classes])
        return np.where(known, values, nodata)

    if output.bands != 1:
        raise InvalidJob(f'CLASSES: the output {output.name} has {output.bands} bands of whole numbers, not one.')
    return Product(dtype, nodata, ('class',), make, legend)


def _class_type(job: ServeJob, classes: Sequence[ClassDef]) -> tuple[np.dtype, int]:
    """Type and no-data value of a class map."""
    values = [item.value for item in classes]
    dtype, nodata = class_type(values)
    if job.output_type != 'auto':
        dtype = np.dtype(job.output_type)
        if dtype.kind == 'f' or min(values) < np.iinfo(dtype).min or max(values) > np.iinfo(dtype).max:
            raise InvalidJob(f'OUTPUT_TYPE {dtype}: it does not hold the class values {min(values)} to {max(values)}.')
        free = {nodata, NODATA, np.iinfo(dtype).max, np.iinfo(dtype).min} - set(values)
        fitting = [item for item in sorted(free, reverse=True) if np.iinfo(dtype).min <= item <= np.iinfo(dtype).max]
        if not fitting:
            raise InvalidJob(f'OUTPUT_TYPE {dtype}: the classes leave no value for no-data; use a larger type.')
        nodata = nodata if nodata in fitting else fitting[0]
    if job.fill_value is not None:
        if not _holds(dtype, job.fill_value):
            raise InvalidJob(f'FILL_VALUE {job.fill_value:g}: class maps of these classes are {dtype}, which lacks it.')
        nodata = int(job.fill_value)
        if nodata in values:
            raise InvalidJob(f'FILL_VALUE {nodata}: this is a class; choose a value that is none.')
    return dtype, nodata


def _values(job: ServeJob, outputs: Sequence[Values], given: OutputCard | None) -> Product:
    """The values of outputs, one after the other by band."""
    names = [name for item in outputs for name in _band_names(item, given)]
    parts = [item.part for item in outputs]
    whole = all(is_whole(item.dtype) for item in outputs)
    dtype = _type(job, outputs)
    nodata, fill = _nodata(job, dtype)

    def make(values: np.ndarray) -> np.ndarray:
        found = np.concatenate([values[..., part] for part in parts], -1) if len(parts) > 1 else values[..., parts[0]]
        if job.threshold is not None:
            return found >= job.threshold
        if dtype.kind in 'iu':
            if found.dtype.kind == 'f':
                # OTBTF cuts fractions off. The limits of int32 are no numbers of float32.
                to_whole = np.trunc if whole or job.mode != 'native' else np.rint
                found = to_whole(found, dtype=np.result_type(found.dtype, dtype))
            return cast(found, dtype)
        return found

    return Product(dtype, nodata, tuple(names), make, fill=fill)


def _type(job: ServeJob, outputs: Sequence[Values]) -> np.dtype:
    """Of the pixels of a raster of values."""
    if job.output_type != 'auto':
        return np.dtype(job.output_type)
    if job.threshold is not None:
        return np.dtype('uint8')
    kinds = {item.dtype for item in outputs}
    if not all(is_whole(kind) for kind in kinds):
        return np.dtype('float32')
    found = np.result_type(*(np.dtype('uint8') if kind.kind == 'b' else kind for kind in kinds))
    known = {'uint8': 'uint8', 'int8': 'int16', 'int16': 'int16', 'uint16': 'uint16'}
    return np.dtype(known.get(found.name, 'int32'))


def _nodata(job: ServeJob, dtype: np.dtype) -> tuple[float | None, float]:
    """No-data value and filling of a raster of values. Where OTBTF leaves out pixels they are 0, and not marked."""
    if job.fill_value is not None:
        value = job.fill_value
        if dtype.kind in 'iu' and not _holds(dtype, value):
            raise InvalidJob(f'FILL_VALUE {value:g}: the raster is of type {dtype}, which does not hold it.')
        return value, value
    if job.mode != 'native':
        return None, 0.0
    if dtype.kind == 'f':
        return float('nan'), 0.0
    limits = np.iinfo(dtype)
    return (limits.min if limits.min < 0 else limits.max), 0.0


def _holds(dtype: np.dtype, value: float) -> bool:
    """Whether a type of whole numbers holds a value."""
    return float(value).is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _band_names(output: Values, given: OutputCard | None) -> list[str]:
    if given is not None and output.name == given.name and len(given.classes) == output.bands:
        return [item.name for item in styled(given.classes)]
    return [output.name] if output.bands == 1 else [f'{output.name}_{number}' for number in range(1, output.bands + 1)]


def _margin(given: np.ndarray) -> np.ndarray:
    """How much more probable the first class is than the second."""
    if given.shape[-1] == 1:
        return given
    best = np.partition(given, -2, -1)[..., -2:]
    return best[..., 1:] - best[..., :1]


def _entropy(given: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats, after "A mathematical theory of communication" (1948): 0 where the network is certain,
    the logarithm of the number of classes where it cannot tell."""
    # What has no probability adds nothing; its logarithm would be infinite.
    tiny = np.finfo(np.float32).tiny
    return -(given * np.log(np.maximum(given, tiny))).sum(-1, keepdims=True)


def _fractions(bands: tuple[str, ...], make: Callable[[np.ndarray], np.ndarray], kind: str) -> Product:
    """Numbers from 0 to 1, or of any size in floating point."""
    if kind not in SCALES:
        return Product(np.dtype('float32'), float('nan'), bands, make)
    scale, nodata = SCALES[kind]
    steps = round(1 / scale)

    def scaled(values: np.ndarray) -> np.ndarray:
        return np.rint(np.nan_to_num(make(values)) * steps).clip(0, steps)

    return Product(np.dtype(kind), nodata, bands, scaled, scale=scale)
