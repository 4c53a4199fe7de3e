"""First weights from another model, also where it has other bands or other classes."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..errors import InvalidJob, ModelError
from ..events import Reporter
from ..jobs import TrainOptions
from ..model_package.card import ITEM, ModelCard
from ..model_package.package import open_package
from .opening import Material
from .optimizing import layers_of
from .runfolder import BEST

Channel = tuple[str, str]  # a source and a band of it
_KEEP = (  # layers that leave the bands as they are
    keras.layers.Cropping2D,
    keras.layers.Identity,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.ZeroPadding2D,
)


@dataclasses.dataclass
class Transfer:
    """What became of the layers with weights, by name.

    Attributes:
        loaded: taken over as they are.
        adapted: taken over with other bands or classes.
        mismatched: of another shape, so they begin anew.
        skipped: that the other model lacks.
        excluded: that were not to be taken over.
        unused: of the other model, that this one lacks.
    """

    loaded: list[str] = dataclasses.field(default_factory=list)
    adapted: list[str] = dataclasses.field(default_factory=list)
    mismatched: list[str] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    excluded: list[str] = dataclasses.field(default_factory=list)
    unused: list[str] = dataclasses.field(default_factory=list)

    @property
    def known(self) -> list[str]:
        """Layers that have learnt something already."""
        return [name for name in (*self.loaded, *self.adapted) if name != 'logits']


def warm_start(
    path: str, model: keras.Model, material: Material, options: TrainOptions, reporter: Reporter
) -> Transfer:
    """Take over what fits of the weights of a model package: layers by name; the first ones band by band, where the
    mean over all bands stands in for those that are new, or by their order where nobody has named them; the last one
    class by class.

    Args:
        path: of the package, or of a run folder with a package ``best`` in it.
        model: the untrained network.
        options: which layers take over weights.

    Raises:
        InvalidJob: no layer is to take over weights.
        ModelError: it is no package with a Keras model, or no layer of it fits.
    """
    begins = _chosen(layers_of(model), options)
    best = os.path.join(path, BEST)
    with open_package(best if os.path.isfile(os.path.join(best, ITEM)) else path) as package:
        card = package.card
        try:
            other = keras.saving.load_model(package.keras, compile=False, safe_mode=True)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f'{path}: its Keras model cannot be loaded to start from ({_first_line(error)}). Give a package that '
                '"Train a model" wrote.'
            ) from error
    done = _transfer(model, other, card, material, begins)
    if not done.known:
        why = f'layers such as {done.mismatched[0]} have other sizes there' if done.mismatched else 'none has its names'
        raise ModelError(
            f'{path}: no layer of it fits this network: {why}; it was made with {card.architecture or "another"}.'
        )
    for words, names in (
        ('taken over', done.loaded),
        ('taken over with other bands or classes', done.adapted),
        ('of another shape, and begun anew', done.mismatched),
        ('not in that model, and begun anew', done.skipped),
        ('not to be taken over, and begun anew', done.excluded),
        ('of that model not in this network', done.unused),
    ):
        if names:
            reporter.log(f'Warm start: {len(names)} layers {words}: {", ".join(names)}')
    return done


def _chosen(layers: Sequence[keras.layers.Layer], options: TrainOptions) -> set[str]:
    """Names of the layers that take over weights.

    Raises:
        InvalidJob: there is none.
    """
    names = [layer.name for layer in layers if layer.weights]
    include, exclude = options.warm_start_include, options.warm_start_exclude
    wanted = [name for name in names if not include or any(re.match(pattern, name) for pattern in include)]
    found = {name for name in wanted if not any(re.match(pattern, name) for pattern in exclude)}
    if not found:
        setting = 'warm_start_exclude' if wanted else 'warm_start_include'
        raise InvalidJob(
            f'{setting} {list(exclude if wanted else include)}: leaves no layer that could take over weights; the '
            f'layers are {", ".join(names)}.'
        )
    return found


def _transfer(
    model: keras.Model, other: keras.Model, card: ModelCard, material: Material, chosen: set[str]
) -> Transfer:
    theirs = {layer.name: layer for layer in layers_of(other) if layer.weights}
    bands = {source.name: source.bands for source in material.sources}
    old_bands = {item.name: item.bands for item in card.inputs}
    classes = [item.value for item in material.classes]
    old_classes = [item.value for item in card.outputs[0].classes]
    done = Transfer()
    for layer in layers_of(model):
        if not layer.weights:
            continue
        source = theirs.pop(layer.name, None)
        if layer.name not in chosen:
            done.excluded.append(layer.name)
            continue
        if source is None:
            done.skipped.append(layer.name)
            continue
        weights = source.get_weights()
        into, from_ = _channels(layer, bands), _channels(source, old_bands)
        if into and from_ and _by_place(into, from_):
            from_ = into
        if layer.name == 'logits':
            weights = _for_classes(layer.get_weights(), weights, classes, old_classes)
        elif into and from_ and into != from_:
            weights[0] = _for_bands(weights[0], into, from_)
        if [item.shape for item in weights] != [item.shape for item in layer.get_weights()]:
            done.mismatched.append(layer.name)
            continue
        layer.set_weights(weights)
        same = classes == old_classes if layer.name == 'logits' else not into or into == from_
        (done.loaded if same else done.adapted).append(layer.name)
    done.unused.extend(theirs)
    return done


def _by_place(wanted: Sequence[Channel], there: Sequence[Channel]) -> bool:
    """Whether nobody has named the bands on one side, and there are as many on both: then their order counts."""
    names, old = [band for _, band in wanted], [band for _, band in there]
    numbers = [f'B{number}' for number in range(1, len(names) + 1)]
    return len(names) == len(old) and numbers in (names, old) and not {*names} & {*old}


def _for_bands(kernel: np.ndarray, wanted: Sequence[Channel], there: Sequence[Channel]) -> np.ndarray:
    """A kernel (rows, columns, bands, …) for other bands."""
    if kernel.ndim < 3 or kernel.shape[2] != len(there):
        return kernel
    names = [band for _, band in there]
    mean = kernel.mean(2)
    out = []
    for source, band in wanted:
        if (source, band) in there:
            out.append(kernel[:, :, there.index((source, band))])
        else:
            out.append(kernel[:, :, names.index(band)] if names.count(band) == 1 else mean)
    return np.stack(out, 2)


def _for_classes(
    own: list[np.ndarray], weights: list[np.ndarray], wanted: Sequence[int], there: Sequence[int]
) -> list[np.ndarray]:
    """The weights of the last layer (…, classes) for other classes; those of new ones are its own first ones."""
    if wanted == there or any(a.shape[:-1] != b.shape[:-1] for a, b in zip(own, weights)) or not (wanted and there):
        return weights
    out = []
    for first, known in zip(own, weights):
        array = first.copy()
        for number, value in enumerate(wanted):
            if value in there:
                array[..., number] = known[..., there.index(value)]
        out.append(array)
    return out


def _channels(layer: keras.layers.Layer, bands: dict[str, tuple[str, ...]]) -> list[Channel] | None:
    """The bands that a layer is fed as they are; None where something was made of them before, or their names are not
    known."""
    found = _of_tensor(layer.input, bands) if not isinstance(layer.input, (list, tuple, dict)) else None
    return found if found and hasattr(layer, 'kernel') else None


def _of_tensor(tensor: Any, bands: dict[str, tuple[str, ...]]) -> list[Channel] | None:
    operation, node_index, _ = tensor._keras_history
    if isinstance(operation, keras.layers.InputLayer):
        names = bands.get(operation.name, ())
        return [(operation.name, band) for band in names] if len(names) == tensor.shape[-1] else None
    parents = operation._inbound_nodes[node_index].input_tensors
    if type(operation) is keras.layers.Concatenate and operation.axis in (-1, 3):
        parts = [_of_tensor(parent, bands) for parent in parents]
        return [channel for part in parts if part for channel in part] if all(parts) else None
    return _of_tensor(parents[0], bands) if type(operation) in _KEEP else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
