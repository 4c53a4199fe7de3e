"""What is kept between runs of Quadrat, as it can always be made again: converted models, measurements.

A kept thing is a folder named after a hash of everything that it follows from. It appears whole or not at all, and the
ones used least recently go when there are too many.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import ModelError
from .spec import ModelSpec

VARIABLE = 'QUADRAT_CACHE'  # names the folder, where it is set
_MOST = 32  # things of a kind
_CHUNK = 1 << 20


def cache_folder() -> str:
    """Where things are kept: what `VARIABLE` says, else where the system keeps caches of its users."""
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    home = os.path.expanduser('~')
    if sys.platform == 'win32':
        base = os.environ.get('LOCALAPPDATA') or os.path.join(home, 'AppData', 'Local')
        return os.path.join(base, 'Quadrat', 'Cache')
    if sys.platform == 'darwin':
        return os.path.join(home, 'Library', 'Caches', 'quadrat')
    return os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.join(home, '.cache'), 'quadrat')


def key_of(spec: ModelSpec, *parts: Any) -> str:
    """The name for a thing that follows from a model, the choice of its inputs and outputs, and plain values.

    Raises:
        ModelError: the model cannot be read.
    """
    try:
        content = [content_of(path) for path in (spec.path, spec.keras) if os.path.exists(path)]
    except OSError as error:
        raise ModelError(f'{spec.path}: cannot be read ({error}).') from error
    choice = [spec.outputs, spec.inputs, spec.tags, spec.signature]
    return hashlib.sha256(json.dumps([content, choice, parts]).encode()).hexdigest()[:32]


def content_of(path: str) -> str:
    """A hash of a file, or of all files of a folder and their names. `OSError` where they cannot be read."""
    names = [''] if os.path.isfile(path) else sorted(_files(path))
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b'\0')
        with open(os.path.join(path, name) if name else path, 'rb') as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


class Cache:
    """Kept things of a kind.

    Args:
        kind: of what; the name of a folder.
    """

    def __init__(self, kind: str) -> None:
        self._folder = os.path.join(cache_folder(), kind)

    def find(self, key: str) -> str | None:
        """The folder of a kept thing; None where there is none."""
        place = os.path.join(self._folder, key)
        if not os.path.isdir(place):
            return None
        try:
            os.utime(place)  # it was used now
        except OSError:
            return place  # it can be read only, and nothing goes from there
        return place

    def keep(self, key: str, fill: Callable[[str], None]) -> str:
        """Keep a thing.

        Args:
            key: its name.
            fill: writes it into a folder.

        Returns:
            Its folder.

        Raises:
            OSError: nothing can be written there.
        """
        place, part = os.path.join(self._folder, key), os.path.join(self._folder, f'{uuid.uuid4().hex}.part')
        os.makedirs(part)
        try:
            fill(part)
            self.drop(key)
            try:
                os.rename(part, place)
            except OSError:
                if not os.path.isdir(place):  # else another process was quicker
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self._forget()
        return place

    def drop(self, key: str) -> None:
        """Forget a thing."""
        shutil.rmtree(os.path.join(self._folder, key), ignore_errors=True)

    def _forget(self) -> None:
        """Remove what was not used for longest where there is too much."""
        places = [os.path.join(self._folder, name) for name in os.listdir(self._folder)]
        times = {place: os.path.getmtime(place) for place in places if os.path.isdir(place)}
        for place in sorted(times, key=lambda item: -times[item])[_MOST:]:
            shutil.rmtree(place, ignore_errors=True)


def _files(folder: str) -> list[str]:
    """The files below a folder, relative to it."""
    return [
        os.path.relpath(os.path.join(top, name), folder).replace(os.sep, '/')
        for top, _, names in os.walk(folder)
        for name in names
    ]
