"""What a bundle's model.json says, read strictly.

Source: Tensor/IO's published schemas 0.6.1 to 1.2.6 and documentation; where the two disagree, both are taken.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError
from .values import COLOURS, STANDARDS, Scaling

FILE = 'model.json'
MODES = ('predict', 'train', 'eval')
TYPES = ('array', 'image', 'string', 'scalar')
DTYPES = ('uint8', 'float32', 'int32', 'int64')
FORMATS = ('RGB', 'BGR')
_TEXTS = ('name', 'details', 'id', 'version', 'author', 'license')
_TOP = (*_TEXTS, 'placeholder', 'model', 'inputs', 'outputs', 'placeholders', 'placholders', 'train', 'options')
_MODEL = ('file', 'quantized', 'backend', 'modes', 'type', 'class', 'placeholder')
_SCALINGS = {  # (is an input, is an image) -> the key of its scaling
    (True, True): 'normalize', (True, False): 'quantize', (False, True): 'denormalize', (False, False): 'dequantize',
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Layer:
    """An input, output or placeholder.

    Attributes:
        name: of the tensor in the graph, without ``:0``.
        type: one of `TYPES`.
        shape: without the axis of the batch.
        batched: whether there is such an axis: 0 in front, -1 at the end; None: none.
        dtype: name of numpy's type.
        format: of images, one of `FORMATS`.
        scaling: between what people give and what the graph takes.
        labels: path, within the bundle, of the names of the values.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    batched: int | None
    dtype: str
    format: str = ''
    scaling: Scaling | None = None
    labels: str = ''


@dataclasses.dataclass(frozen=True)
class Description:
    """What a bundle is.

    Attributes:
        file: path, within the bundle, of the SavedModel.
        empty: it has no model yet.
        backend: ``tensorflow``, another, or empty where it does not say.
        modes: of `MODES`.
        ops: names of operations that are run for a step of training.
    """

    name: str
    details: str
    id: str
    version: str
    author: str
    license: str
    file: str
    empty: bool
    backend: str
    modes: tuple[str, ...]
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]
    placeholders: tuple[Layer, ...]
    ops: tuple[str, ...]

    @property
    def trains(self) -> bool:
        return 'train' in self.modes


def parse(data: Any) -> Description:
    """The description in the content of a model.json.

    Raises:
        ModelError: naming the field, and what it should be.
    """
    top = _object(data, FILE, _TOP, (*_TEXTS, 'model', 'inputs', 'outputs'))
    model = _object(top['model'], 'model', _MODEL, ('file', 'quantized'))
    modes = _texts(model.get('modes', ['predict']), 'model.modes') or ('predict',)
    for mode in modes:
        _among(mode, MODES, 'model.modes')
    train = _object(top['train'], 'train', ('ops',), ('ops',)) if 'train' in top else {'ops': []}
    ops = _texts(train['ops'], 'train.ops')
    if 'train' in modes and not ops:
        raise ModelError('train.ops: missing; a bundle with the mode "train" names the operations that train it.')
    quantized = _boolean(model['quantized'], 'model.quantized')
    placeholders = top.get('placeholders', top.get('placholders', []))  # the published schema misspells it
    inputs = _layers(top['inputs'], 'inputs', True, quantized)
    further = _layers(placeholders, 'placeholders', True, quantized)
    names = [layer.name for layer in (*inputs, *further)]
    twice = next((name for name in names if names.count(name) > 1), '')
    if twice:
        raise ModelError(f'inputs: {twice!r} is described twice.')
    name, details, identity, version, author, license_ = (_text(top[key], key) for key in _TEXTS)
    return Description(
        name,
        details,
        identity,
        version,
        author,
        license_,
        file=_text(model['file'], 'model.file'),
        empty=_boolean(top.get('placeholder', model.get('placeholder', False)), 'placeholder'),
        backend=_text(model.get('backend', ''), 'model.backend').lower(),
        modes=modes,
        inputs=inputs,
        outputs=_layers(top['outputs'], 'outputs', False, quantized),
        placeholders=further,
        ops=ops,
    )


def _layers(items: Any, where: str, is_input: bool, quantized: bool) -> tuple[Layer, ...]:
    if not isinstance(items, list):
        raise ModelError(f'{where}: should be a list of layers, and is {items!r}.')
    return tuple(_layer(item, f'{where}[{i}]', is_input, quantized) for i, item in enumerate(items))


def _layer(item: Any, where: str, is_input: bool, quantized: bool) -> Layer:
    kind = _among(item.get('type') if isinstance(item, dict) else None, TYPES, f'{where}.type')
    image = kind == 'image'
    scaling = _SCALINGS[is_input, image]
    needed = ('name', 'type', 'shape', *(['format'] if image else ['dtype'] if kind == 'string' else []))
    further = [scaling] if kind != 'string' else []
    further += ['dtype'] if not image else []
    further += ['labels'] if not is_input and kind in ('array', 'scalar') else []
    _object(item, where, (*needed, *further), needed)
    shape, batched = _shape(item['shape'], f'{where}.shape', image)
    scale = _scaling(item[scaling], f'{where}.{scaling}', image) if scaling in item else None
    if scale is not None and len(scale.bias) == 3 != shape[-1]:
        raise ModelError(f'{where}.{scaling}.bias: of red, green and blue, but the image has {shape[-1]} bands.')
    default = 'uint8' if quantized else 'float32'
    return Layer(
        name=_text(item['name'], f'{where}.name').removesuffix(':0'),
        type=kind,
        shape=shape,
        batched=batched,
        dtype=_among(item.get('dtype', default), DTYPES, f'{where}.dtype'),
        format=_among(item['format'], FORMATS, f'{where}.format') if image else '',
        scaling=scale,
        labels=_text(item.get('labels', ''), f'{where}.labels'),
    )


def _shape(sizes: Any, where: str, image: bool) -> tuple[tuple[int, ...], int | None]:
    """The shape without the axis of the batch, and where that is."""
    whole = isinstance(sizes, list) and all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
    if not whole or any(size < -1 or size == 0 for size in sizes) or sizes.count(-1) > 1:
        raise ModelError(f'{where}: should be a list of sizes, -1 for the batch, and is {sizes!r}.')
    batched = None
    if -1 in sizes:
        batched = 0 if sizes[0] == -1 else -1 if image and sizes[-1] == -1 else None
        if batched is None:
            raise ModelError(f'{where}: {sizes}: only the first axis can be that of the batch (-1).')
    shape = tuple(size for size in sizes if size != -1)
    if image and len(shape) != 3:
        raise ModelError(f'{where}: {sizes}: an image has rows, columns and bands.')
    return shape, batched


def _scaling(value: Any, where: str, image: bool) -> Scaling:
    _object(value, where, ('standard', 'scale', 'bias'), ())
    if 'standard' in value:
        if len(value) > 1:
            raise ModelError(f'{where}: either "standard", or "scale" and "bias".')
        return Scaling(_among(value['standard'], STANDARDS, f'{where}.standard'))
    if not value or (not image and set(value) != {'scale', 'bias'}):
        raise ModelError(f'{where}: should have "standard", or "scale" and "bias".')
    scale = _number(value.get('scale', 1), f'{where}.scale')
    if not image:
        return Scaling('', scale, (_number(value['bias'], f'{where}.bias'),))
    bias = _object(value.get('bias', {}), f'{where}.bias', COLOURS, ())
    values = tuple(_number(bias.get(colour, 0), f'{where}.bias.{colour}') for colour in COLOURS)
    return Scaling('', scale, values if len(set(values)) > 1 else values[:1])


def _object(value: Any, where: str, known: Sequence[str], needed: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f'{where}: should be an object, and is {value!r}.')
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}.'
            raise ModelError(f'{where}: unknown field {key!r}; {hint}')
    for key in needed:
        if key not in value:
            raise ModelError(f'{where}: the field {key!r} is missing.')
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ModelError(f'{where}: should be a text, and is {value!r}.')
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ModelError(f'{where}: should be a list of texts, and is {value!r}.')
    return tuple(_text(item, where) for item in value)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f'{where}: should be true or false, and is {value!r}.')
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not np.isfinite(value):
        raise ModelError(f'{where}: should be a number, and is {value!r}.')
    return float(value)


def _among(value: Any, known: Collection[str], where: str) -> str:
    if value not in known:
        raise ModelError(f'{where}: {value!r}; known are {", ".join(known)}.')
    return str(value)
