"""What a feature of a TFRecord is, as a run says it (no TensorFlow here).

A descriptor is a mapping with ``type``, one of `DESCRIPTORS`, and the fields of that dataclass.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Dict, Mapping, Tuple, Union

from ...errors import InvalidJob
from ...options import bounded, checked_options

DTYPES = ('int64', 'float32', 'string')  # those that records of TensorFlow's examples have
FORMATS = ('auto', 'png', 'jpeg', 'gif', 'bmp')
IMAGE_DTYPES = ('float32', 'uint8')


@dataclasses.dataclass(frozen=True)
class FixedLenFeature:
    """As many values in each record.

    Attributes:
        shape: of the values; none for one number.
        dtype: one of `DTYPES`.
        default_value: of records without this feature: one for all, or a list of as many as the shape has; None: such
            records are an error.
    """

    shape: Tuple[int, ...] = bounded(least=1)
    dtype: str = bounded(among=DTYPES)
    default_value: Any = None


@dataclasses.dataclass(frozen=True)
class VarLenFeature:
    """A list of any length, filled up with zeros.

    Attributes:
        dtype: one of `DTYPES`.
        length: to fill up to; 0: the longest of all records.
    """

    dtype: str = bounded(among=DTYPES)
    length: int = bounded(0, least=0)


@dataclasses.dataclass(frozen=True)
class FixedLenSequenceFeature:
    """A list of any length of things of one shape, filled up with zeros.

    Attributes:
        shape: of one thing.
        dtype: one of `DTYPES`.
        length: things to fill up to; 0: the longest list of all records.
        allow_missing: a record without this feature is an empty list; else it is an error.
    """

    shape: Tuple[int, ...] = bounded(least=1)
    dtype: str = bounded(among=DTYPES)
    length: int = bounded(0, least=0)
    allow_missing: bool = True


@dataclasses.dataclass(frozen=True)
class ImageFeature:
    """A picture in the bytes of its file.

    Attributes:
        decode_format: one of `FORMATS`.
        channels: 1 grey, 3 red, green and blue, 0 as many as there are.
        enforced_dtype: ``float32`` from 0 to 1, or ``uint8`` as it is.
        resize_height, resize_width: pixels to enlarge or shrink to (bilinear, the centres of pixels half a pixel from
            their edges, no antialiasing), both or neither.
        standard_scaling: from -1 to 1 in place of 0 to 1.
    """

    decode_format: str = bounded('auto', among=FORMATS)
    channels: int = bounded(3, among=(0, 1, 3))
    enforced_dtype: str = bounded('float32', among=IMAGE_DTYPES)
    resize_height: int = bounded(0, least=0)
    resize_width: int = bounded(0, least=0)
    standard_scaling: bool = False


Descriptor = Union[FixedLenFeature, VarLenFeature, FixedLenSequenceFeature, ImageFeature]
DESCRIPTORS: Dict[str, Any] = {
    kind.__name__: kind for kind in (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature, ImageFeature)
}


def descriptors(given: Any, where: str) -> Dict[str, Descriptor]:
    """The descriptors of a map, by feature.

    Args:
        given: name -> mapping, descriptor, or TensorFlow's object of the same name.
        where: what messages call it.

    Raises:
        InvalidJob: naming the feature and what is wrong with it.
    """
    if not isinstance(given, Mapping) or not given:
        raise InvalidJob(f'{where}: name at least one feature, as in {{image: {{type: ImageFeature}}}}.')
    return {str(name): descriptor(value, f'{where}.{name}') for name, value in given.items()}


def descriptor(given: Any, where: str) -> Descriptor:
    """One descriptor, see `descriptors`."""
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        cls = DESCRIPTORS.get(kind)
        names = [field.name for field in dataclasses.fields(cls)] if cls else []
        given = {'type': kind, **{name: getattr(given, name) for name in names if hasattr(given, name)}}
        if 'dtype' in given:
            given['dtype'] = getattr(given['dtype'], 'name', given['dtype'])
    kind = given.get('type')
    if not isinstance(kind, str) or kind not in DESCRIPTORS:
        raise InvalidJob(f'{where}: type {kind!r} is unknown; the types of features are {", ".join(DESCRIPTORS)}.')
    others = {key: value for key, value in given.items() if key != 'type'}
    found = checked_options(DESCRIPTORS[kind], others, where, f'{where}.')
    fault = fault_of(found)
    if fault:
        raise InvalidJob(f'{where}: {fault}')
    return found


def fault_of(found: Descriptor) -> str:
    """What is wrong with a descriptor whose fields are sound one by one; empty where nothing is."""
    if isinstance(found, ImageFeature):
        if bool(found.resize_height) != bool(found.resize_width):
            return 'resize_height and resize_width go together; give both or neither.'
        if found.enforced_dtype != 'float32' and (found.resize_height or found.standard_scaling):
            return (
                f'enforced_dtype {found.enforced_dtype} keeps pictures as they are; resized or scaled they are float32.'
            )
    if isinstance(found, FixedLenFeature) and found.default_value is not None:
        values = found.default_value if isinstance(found.default_value, (list, tuple)) else [found.default_value]
        kinds = {'int64': (int,), 'float32': (int, float), 'string': (str, bytes)}[found.dtype]
        if len(values) not in (1, math.prod(found.shape)):
            return f'default_value has {len(values)} values, the shape {math.prod(found.shape)}; give one or as many.'
        wrong = [value for value in values if not isinstance(value, kinds) or isinstance(value, bool)]
        if wrong:
            return f'default_value {wrong[0]!r} is no {found.dtype}.'
    return ''
