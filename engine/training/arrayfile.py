"""Arrays in a file that is whole or not there."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping

import numpy as np


def write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name; the file lasts once this returns.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    new = path + '.new'
    try:
        with open(new, 'wb') as file:
            with zipfile.ZipFile(file, 'w') as archive:  # as numpy.savez, which leaves it open where the disk is full
                for name, array in arrays.items():
                    with archive.open(f'{name}.npy', 'w', force_zip64=True) as entry:
                        np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        if os.path.isfile(new):
            os.remove(new)


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
