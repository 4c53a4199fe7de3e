"""What the texts of a class field stand for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..errors import LabelError
from ..gdalio import ogr
from ..jobs import ClassDef
from ..vector import VectorLayer


def class_text(feature: ogr.Feature, index: int) -> str | None:
    """The class of a feature as text, or None where it has none; whole numbers without a fraction."""
    if not feature.IsFieldSetAndNotNull(index):
        return None
    if feature.GetFieldDefnRef(index).GetType() == ogr.OFTReal:
        number = feature.GetFieldAsDouble(index)
        return str(int(number)) if number.is_integer() else repr(number)
    return feature.GetFieldAsString(index).strip() or None


def is_text(layer: VectorLayer, name: str) -> bool:
    """Whether a field holds text, and no numbers."""
    index = layer.require_field(name)
    return bool(layer.layer.GetLayerDefn().GetFieldDefn(index).GetType() == ogr.OFTString)


def class_values(
    texts: Collection[str],
    where: str,
    text: bool,
    classes: Sequence[ClassDef] = (),
    outside: int | None = None,
    truncate: bool = False,
) -> tuple[dict[str, int], tuple[ClassDef, ...]]:
    """The value that each text of a class field stands for, and the names that follow from it.

    Whole numbers stand for themselves. Other text stands for the class of that name, or is numbered from 1 in
    alphabetical order where no class has a name.

    Args:
        texts: all there are.
        where: begins error messages: the file and the field.
        text: the field holds text; else only numbers are classes.
        classes: what the user named.
        outside: a value that is taken.
        truncate: take the whole part of numbers that have a fraction.

    Raises:
        LabelError: what is no class, or not among those named.
    """
    found = sorted(set(texts))
    numbers = {item: _whole_number(item) for item in found}
    if not text and truncate:
        numbers = {item: int(float(item)) for item in found}
    if all(number is not None for number in numbers.values()):
        values = {item: number for item, number in numbers.items() if number is not None}
        wrong = [item for item, number in values.items() if abs(number) >= 2**31 - 1]
        if wrong:
            raise LabelError(f'{where}: {wrong[0]} has more than 32 bits; renumber it.')
        return values, ()
    if not text:
        wrong = [item for item, number in numbers.items() if number is None]
        raise LabelError(f'{where}: {wrong[0]} is no class; whole numbers or text are.')
    by_name = {definition.name: definition.value for definition in classes if definition.name}
    if by_name:
        unknown = [item for item in found if item not in by_name]
        if unknown:
            raise LabelError(
                f'{where}: {", ".join(unknown[:10])} not among the named classes ({", ".join(by_name)}). Add them to '
                'the table of classes, or filter these features out.'
            )
        return {item: by_name[item] for item in found}, ()
    free = (value for value in range(1, len(found) + 2) if value != outside)
    named = dict(zip(found, free))
    return named, tuple(ClassDef(value, item) for item, value in named.items())


def _whole_number(text: str) -> int | None:
    """The number that a text is, or None."""
    digits = text[1:] if text[:1] in '+-' else text
    return int(text) if digits.isascii() and digits.isdigit() else None
