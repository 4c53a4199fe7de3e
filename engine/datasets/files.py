"""The files of a dataset besides its manifest and its table: their names and checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

TYPES, SHAPES = 'output_types.json', 'output_shapes.json'  # beside TFRecords: what their keys hold
LISTING = '_tfrecord_metadata.json'  # beside TFRecords, where someone made it: see `tflisting`


def style_of(path: str) -> str:
    """The QGIS style beside a patches-image of labels. Colours in the file would make OTB read four bands of it."""
    return os.path.splitext(path)[0] + '.qml'


def sha256(path: str, each: Callable[[], None] = lambda: None) -> str:
    """The SHA-256 of a file; `each` is called now and then."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
            each()
    return digest.hexdigest()


def sync(path: str) -> None:
    """Make a file last."""
    with open(path, 'rb+') as file:
        os.fsync(file.fileno())


def is_name(name: str) -> bool:
    """Whether this is the name of a file or a folder, and no path to another place."""
    return name not in ('', '.', '..') and not {'/', '\\', '\0'} & set(name) and not os.path.splitdrive(name)[0]
