"""The receptive field of a Keras model, computed from its graph in exact integer arithmetic.

Along each axis, the input pixels that an output pixel depends on form an interval. Which one depends on where the
output pixel lies with respect to the strides of the layers; the pattern repeats with the total stride. So the
intervals of the pixels of one period, followed through the graph layer by layer, say everything. (The closed formulas
of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, give the size
but not the two sides for each phase.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple, Optional

import keras

Interval = Optional[tuple[int, int]]  # first and last input pixel; None: depends on none
_POINTWISE = (
    keras.layers.Activation,
    keras.layers.AlphaDropout,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.Softmax,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
# Of those in three dimensions the first two are rows and columns; what they do along the third is no matter.
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_PADDINGS = (keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)
_RESHAPINGS = ('ExpandDims', 'Squeeze')  # operations, which Keras does not export as classes


class Reach(NamedTuple):
    """What the output sees.

    Attributes:
        sides: (left, top, right, bottom): input pixels beyond a window, aligned to the stride, that the output in
            that window depends on. With stride 1 that is the receptive field of a pixel; else a pixel within the
            window may see further to one side, but none of them sees beyond this. None where it is unbounded or
            cannot be told from the graph.
        stride: the shift, in input pixels, that makes the output shift and not otherwise change; windows must start
            and end at multiples of it. 1 where `sides` is None.
    """

    sides: tuple[int, int, int, int] | None
    stride: int


class _Unknown(Exception):
    """A layer that may mix pixels in a way not known here."""


@dataclasses.dataclass(frozen=True)
class _Axis:
    """Pixels along an axis of a tensor.

    Attributes:
        ratio: pixels of the first input to one pixel of the tensor.
        extra: the tensor's length is that of the first input, divided by `ratio`, plus this.
        taps: pixels of each parent that pixel i is made of.
    """

    ratio: Fraction
    extra: int
    taps: Callable[[int], Iterable[int]]


def receptive_field(model: keras.Model) -> Reach:
    """The receptive field and total stride of a functional model with one image input (batch, rows, columns, bands).

    Where a model has several outputs, the field is the union of theirs. Inputs are taken to have rows and columns
    that are multiples of the stride; the field is that of pixels far from the edges. It is unknown where an output has
    not the rows and columns of the input.
    """
    if len(getattr(model, 'inputs', None) or ()) != 1:
        return Reach(None, 1)
    (reach,) = receptive_fields(model).values()
    return reach


def receptive_fields(model: keras.Model, ratios: Mapping[str, Fraction] | None = None) -> dict[str, Reach]:
    """As `receptive_field`, for each input by its name.

    Args:
        model: its outputs lie on the grid of its first input.
        ratios: pixels along an axis of each input for one of the first; 1 for those not named.

    Returns:
        Sides and stride are in pixels of the input itself. A stride is that of all inputs together: windows that are
        multiples of it in each input cover the same ground.
    """
    relation = {tensor.name: Fraction((ratios or {}).get(tensor.name, 1)) for tensor in getattr(model, 'inputs', [])}
    try:
        if not isinstance(model, keras.models.Model) or not hasattr(model, 'operations'):
            raise _Unknown(getattr(model, 'name', ''))
        rows, cols = _Along(model, 0, relation), _Along(model, 1, relation)
        period = math.lcm(rows.stride, cols.stride)
        strides = {name: period * ratio for name, ratio in relation.items()}
        if any(stride.denominator != 1 for stride in strides.values()):
            raise _Unknown(model.name)
        sides = {name: (rows.sides(name), cols.sides(name)) for name in relation}
    except _Unknown:
        return {name: Reach(None, 1) for name in relation}
    return {
        name: Reach((across[0], down[0], across[1], down[1]), int(strides[name]))
        for name, (down, across) in sides.items()
    }


class _Along:
    """A model along rows (0) or columns (1).

    Args:
        ratios: pixels of each input for one of the first.

    Attributes:
        stride: in pixels of the first input.
    """

    def __init__(self, model: keras.Model, axis: int, ratios: Mapping[str, Fraction]) -> None:
        self._model, self._ratios = model, ratios
        self._order = _sorted_tensors(model)
        self._axes: dict[int, _Axis] = {}
        for tensor, operation, parents in self._order:
            if parents:
                found = _layer_axis(operation, axis, [self._axes[id(parent)] for parent in parents])
            else:
                found = _Axis(1 / ratios[tensor.name], 0, lambda i: ())
            self._axes[id(tensor)] = found
        for output in model.outputs:
            end = self._axes[id(output)]
            if (end.ratio, end.extra) != (1, 0):
                raise _Unknown(output.name)  # it does not lie on the input pixel by pixel
        self.stride = math.lcm(*(item.ratio.numerator for item in self._axes.values()))

    def sides(self, name: str) -> tuple[int, int]:
        """(pixels before, pixels after) a window of one stride that the outputs in it depend on, of one input."""
        stride = int(self.stride * self._ratios[name])
        intervals: dict[int, list[Interval]] = {}
        for tensor, _, parents in self._order:
            own = self._axes[id(tensor)]
            count = int(self.stride / own.ratio)
            if parents:
                intervals[id(tensor)] = [
                    _union(_at(intervals[id(parent)], tap, stride) for parent in parents for tap in own.taps(i))
                    for i in range(count)
                ]
            else:
                intervals[id(tensor)] = [(i, i) if tensor.name == name else None for i in range(count)]
        first, last = _union(item for output in self._model.outputs for item in intervals[id(output)]) or (0, 0)
        return max(-first, 0), max(last - (stride - 1), 0)


def _sorted_tensors(model: keras.Model) -> list[tuple[keras.KerasTensor, keras.Operation, list[keras.KerasTensor]]]:
    """The tensors that the outputs depend on, each after its parents, with the operation that made it."""
    order: list[tuple[keras.KerasTensor, keras.Operation, list[keras.KerasTensor]]] = []
    done: set[int] = set()
    pending = [(tensor, False) for tensor in model.outputs]
    while pending:
        tensor, ready = pending.pop()
        if id(tensor) in done:
            continue
        operation, node_index, _ = tensor._keras_history
        parents = list(operation._inbound_nodes[node_index].input_tensors)
        if any(tensor is item for item in model.inputs):
            parents = []
        elif not parents:
            raise _Unknown(operation.name)
        if ready or not parents:
            done.add(id(tensor))
            order.append((tensor, operation, parents))
        else:
            pending.append((tensor, True))
            pending.extend((parent, False) for parent in parents)
    return order


def _union(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval around all of them."""
    known = [interval for interval in intervals if interval is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _at(intervals: list[Interval], pixel: int, stride: int) -> Interval:
    """The interval of any pixel, from those of the first period."""
    period, phase = divmod(pixel, len(intervals))
    interval = intervals[phase]
    return None if interval is None else (interval[0] + period * stride, interval[1] + period * stride)


def _layer_axis(layer: keras.Operation, axis: int, parents: list[_Axis]) -> _Axis:
    """How pixels of a layer's output lie on those of its inputs, along rows (0) or columns (1)."""
    first = parents[0]
    if getattr(layer, 'data_format', 'channels_last') != 'channels_last':
        raise _Unknown(layer.name)
    kind = type(layer)  # exactly: a subclass may do anything
    if kind in _POINTWISE:
        _require_pointwise(layer)
        if any((parent.ratio, parent.extra) != (first.ratio, first.extra) for parent in parents):
            raise _Unknown(layer.name)
        return _Axis(first.ratio, first.extra, lambda i: (i,))
    if kind in _CONVOLUTIONS:
        size, step, dilation = layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis]
        return _window(first, layer.padding, size, step, dilation)
    if kind in _POOLINGS:
        return _window(first, layer.padding, layer.pool_size[axis], layer.strides[axis], 1)
    if kind is keras.layers.Conv2DTranspose:
        if layer.output_padding is not None:
            raise _Unknown(layer.name)
        size, step, dilation = layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis]
        return _transposed(first, layer.padding, size, step, dilation)
    if kind is keras.layers.UpSampling2D:
        return _upsampled(first, layer.size[axis], layer.interpolation, layer.name)
    if kind in _PADDINGS:
        low, high = layer.padding[axis]
        return _Axis(first.ratio, first.extra + low + high, lambda i: (i - low,))
    if kind is keras.layers.Cropping2D:
        low, high = layer.cropping[axis]
        return _Axis(first.ratio, first.extra - low - high, lambda i: (i + low,))
    if kind.__name__ in _RESHAPINGS and kind.__module__.startswith('keras.') and _behind_columns(layer):
        return _Axis(first.ratio, first.extra, lambda i: (i,))
    raise _Unknown(layer.name)


def _behind_columns(operation: keras.Operation) -> bool:
    """Whether an operation adds or removes an axis after those of the batch, the rows and the columns."""
    axis = operation.axis  # type: ignore[attr-defined]
    rank = len(operation.output.shape)
    return isinstance(axis, int) and (axis if axis >= 0 else axis + rank) >= 3


def _require_pointwise(layer: keras.layers.Layer) -> None:
    """Raise `_Unknown` where a layer's axis is not the one of the bands."""
    axes = getattr(layer, 'axis', -1)
    if set(axes if isinstance(axes, (list, tuple)) else [axes]) - {-1, 3, None}:
        raise _Unknown(layer.name)
    if isinstance(layer, keras.layers.PReLU) and set(layer.shared_axes or ()) < {1, 2}:
        raise _Unknown(layer.name)  # a parameter for each pixel: it knows where it is
    known = vars(keras.activations).values()
    if isinstance(layer, keras.layers.Activation) and not any(layer.activation is item for item in known):
        raise _Unknown(layer.name)


def _window(parent: _Axis, padding: str, size: int, step: int, dilation: int) -> _Axis:
    """Convolution or pooling: taps at regular distance, moved in steps."""
    span = (size - 1) * dilation + 1
    if padding == 'valid':
        before, extra = 0, (parent.extra - span) // step + 1
    elif padding == 'same':
        # TensorFlow pads so much that ceil(length / step) windows fit, the odd pixel after the end.
        rest = parent.extra % step
        before, extra = max(span - (rest or step), 0) // 2, -(-parent.extra // step)
    else:
        raise _Unknown(padding)
    return _Axis(
        parent.ratio * step,
        extra,
        lambda i: range(i * step - before, i * step - before + span, dilation),
    )


def _transposed(parent: _Axis, padding: str, size: int, step: int, dilation: int) -> _Axis:
    """Transposed convolution: pixel j of the parent reaches pixels j*step + k*dilation of the output."""
    span = (size - 1) * dilation + 1
    extra = parent.extra * step + (max(span - step, 0) if padding == 'valid' else 0)
    before = 0 if padding == 'valid' else max(span - step, 0) // 2

    def taps(i: int) -> list[int]:
        positions = (i + before - k * dilation for k in range(size))
        return [position // step for position in positions if position % step == 0]

    return _Axis(parent.ratio / step, extra, taps)


def _upsampled(parent: _Axis, factor: int, interpolation: str, name: str) -> _Axis:
    """Enlargement by a whole factor."""
    if interpolation not in ('nearest', 'bilinear'):
        raise _Unknown(name)

    def taps(i: int) -> tuple[int, ...]:
        if interpolation == 'nearest':
            return (i // factor,)
        centre = Fraction(2 * i + 1, 2 * factor) - Fraction(1, 2)
        return math.floor(centre), math.ceil(centre)

    return _Axis(parent.ratio / factor, parent.extra * factor, taps)
