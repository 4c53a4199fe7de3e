"""Operations on labels, with the names and arguments of OTBTF's Python interface."""

from __future__ import annotations

from typing import Any

import keras


def one_hot(labels: Any, nb_classes: int) -> Any:
    """Class numbers as a band for each class.

    Args:
        labels: (…, 1) of any type of numbers.
        nb_classes: how many classes there are.

    Returns:
        (…, nb_classes) float32: 1 in the band of the label; all 0 where that is no class.
    """
    indices = keras.ops.squeeze(keras.ops.cast(labels, 'int32'), axis=-1)
    return keras.ops.one_hot(indices, nb_classes, dtype='float32')
