"""Samples that classifiers are trained with and judged by: values of features, and the classes as texts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from ..datasets.classtexts import class_text, class_values, is_text
from ..errors import InvalidJob, LabelError, NoSamples
from ..events import Reporter
from ..gdalio import ogr
from ..jobs import ClassDef, VectorSpec
from ..vector import VectorLayer

_NUMBERS = (ogr.OFTInteger, ogr.OFTInteger64, ogr.OFTReal)
_SAMPLED = re.compile(r'value_(\d+)')  # fields as the sampling of raster values names them


@dataclasses.dataclass(frozen=True)
class Samples:
    """Values float32 (samples, features), and the class of each sample as a text (empty where nobody asks)."""

    values: np.ndarray
    texts: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def chosen(self, which: np.ndarray) -> Samples:
        """Some of them, by booleans or numbers."""
        return Samples(self.values[which], self.texts[which])


def read_table(spec: VectorSpec, features: Sequence[str], field: str, reporter: Reporter) -> Samples:
    """Samples from the attributes of a layer; those without a class, or without a number in each feature, are left out.

    Args:
        features: fields of numbers.
        field: of the class; empty: samples have none.

    Raises:
        InvalidJob: a field is missing, or holds no numbers.
        NoSamples: none is left.
    """
    layer = VectorLayer(spec)
    places = [layer.require_field(name) for name in features]
    definition = layer.layer.GetLayerDefn()
    for name, place in zip(features, places):
        if definition.GetFieldDefn(place).GetType() not in _NUMBERS:
            raise InvalidJob(f'{spec.path}: the field {name!r} holds no numbers, so it is no feature.')
    index = layer.require_field(field) if field else None
    rows: list[list[float]] = []
    texts: list[str] = []
    for feature in layer:
        reporter.check_cancelled()
        text = class_text(feature, index) if index is not None else ''
        if text is not None and all(feature.IsFieldSetAndNotNull(place) for place in places):
            rows.append([feature.GetFieldAsDouble(place) for place in places])
            texts.append(text)
    with np.errstate(over='ignore'):  # what is too large becomes infinite, and is left out
        values = np.array(rows, np.float64).reshape(-1, len(places)).astype(np.float32)
    known = np.isfinite(values).all(1)
    if not known.any():
        raise NoSamples(
            f'{spec.path}: none of the {len(layer)} features has a class and a number in each of {", ".join(features)}.'
        )
    left_out = len(layer) - int(known.sum())
    if left_out:
        reporter.warn(f'{spec.path}: {left_out} features are left out, which lack the class or the value of a feature.')
    return Samples(values, np.array(texts)).chosen(known)


def sampled_fields(spec: VectorSpec) -> tuple[str, ...]:
    """The fields ``value_0``, ``value_1`` and so on of a layer; `InvalidJob` where it has none."""
    found = {}
    for name in VectorLayer(spec).field_names:
        match = _SAMPLED.fullmatch(name)
        if match:
            found[int(match.group(1))] = name
    if not found:
        raise InvalidJob(
            f'{spec.path}: no fields value_0, value_1 …, which "Sample raster values" makes; name those with the '
            'features in FEATURES.'
        )
    return tuple(found[number] for number in sorted(found))


def classes_of(
    layers: Sequence[tuple[VectorSpec, Sequence[str]]], field: str, named: Sequence[ClassDef]
) -> tuple[dict[str, int], tuple[ClassDef, ...]]:
    """The value of each text of a class field in several layers, and the names that follow from the texts.

    Args:
        layers: each with the texts that occur in it.
        named: what the user calls classes.
    """
    texts = {text for _, own in layers for text in own}
    text = any(is_text(VectorLayer(spec), field) for spec, _ in layers)
    return class_values(texts, f'{layers[0][0].path}, field {field!r}', text, named)


def require_two(values: Sequence[int], where: str) -> None:
    """Raise `LabelError` where samples are of one class only."""
    if len(values) < 2:
        raise LabelError(f'{where}: all samples are of one class, {values[0]}; a classifier needs two at least.')
