"""A file that appears under its name only when it is whole.

Until then everything that belongs to it lies in the folder ``<name>.part`` beside it: the file, its sidecars, a
journal of what is done, and ``job.json``, which says what is being made there and marks the folder as one of ours.
Other forms of the file, of which one may be published in its place, lie there in folders of their own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from ..errors import InvalidJob, OutputRefused, write_error
from .journal import FILE as JOURNAL

MARKER = 'job.json'
EXTENSIONS = ('.tif', '.tiff')
POLYGONS = 'POLYGONS'  # the parameter that names a vector file
# GDAL, or SQLite, would take those of a former file for the new one's.
_DERIVED = ('.aux.xml', '.ovr', '.msk', '-journal', '-wal', '-shm')


def check_outputs(outputs: dict[str, str], inputs: Iterable[str]) -> None:
    """Raise where outputs cannot be made, before any work.

    Args:
        outputs: paths by the name of the parameter that gave them.
        inputs: files and folders that are read.

    Raises:
        InvalidJob: the same file twice.
        OutputRefused: no GeoTIFF (for polygons: no GeoPackage), an input, a folder, or in a folder that does not exist.
    """
    taken: dict[str, str] = {}
    read = {_key(path) for path in inputs}
    for name, path in outputs.items():
        extension = os.path.splitext(path)[1].lower()
        if name == POLYGONS:
            if extension != '.gpkg':
                raise OutputRefused(f'{name} {path}: polygons are GeoPackage files; give a name that ends in .gpkg.')
        elif extension not in EXTENSIONS:
            raise OutputRefused(f'{name} {path}: maps are GeoTIFF files; give a name that ends in .tif.')
        if _key(path) in taken:
            raise InvalidJob(f'{name} and {taken[_key(path)]} are the same file, {path}; give two names.')
        if _key(path) in read:
            raise OutputRefused(f'{name} {path}: this is an input, which is never written to; give another name.')
        if os.path.isdir(path):
            raise OutputRefused(f'{name} {path}: this is a folder; give the name of a file.')
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise OutputRefused(f'{name} {path}: there is no folder {folder}; make it first, or give another one.')
        taken[_key(path)] = name


def _key(path: str) -> str:
    """Equal for paths of the same file."""
    return os.path.normcase(os.path.realpath(path))


class PartFolder:
    """``<path>.part``, a context manager: it is made on entry and removed on exit, unless it is to be kept.

    Args:
        path: the file that is to appear.

    Attributes:
        keep: leave the folder on exit, for a later run to go on with. What an earlier run left is kept until `begin`
            says otherwise.
        result: which file is published; `file`, unless another form of it was made (see `stage`).

    Raises, on entry:
        OutputRefused, DiskFull: nothing can be written there, or something that is not ours has the folder's name.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.folder = self.path + '.part'
        self.keep = False
        self.result = self.file

    @property
    def file(self) -> str:
        """Where to write the file."""
        return os.path.join(self.folder, os.path.basename(self.path))

    def __enter__(self) -> PartFolder:
        if os.path.lexists(self.folder):
            self._require_ours()
            self.keep = True
        try:
            os.makedirs(self.folder, exist_ok=True)
            if self.state() is None:
                self._mark({})
        except OSError as error:
            refusal = write_error(self.path, error)
            self._remove()
            raise refusal from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep:
            self._remove()

    def state(self) -> dict[str, Any] | None:
        """What the run that made the folder said it was making; None where it cannot be read."""
        try:
            with open(os.path.join(self.folder, MARKER), encoding='utf-8') as file:
                found = json.load(file)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def begin(self, state: dict[str, Any]) -> None:
        """Clear the folder and say what is made in it from now on."""
        self.keep = False
        try:
            self.clear_stages()
            for name in os.listdir(self.folder):
                os.remove(os.path.join(self.folder, name))
            self._mark(state)
        except OSError as error:
            raise write_error(self.path, error) from error

    def stage(self, name: str) -> str:
        """Where to write another form of the file, with sidecars of its own: in an empty folder of that name."""
        folder = os.path.join(self.folder, name)
        try:
            if os.path.isdir(folder):
                shutil.rmtree(folder)
            os.mkdir(folder)
        except OSError as error:
            raise write_error(self.path, error) from error
        return os.path.join(folder, os.path.basename(self.path))

    def clear_stages(self) -> None:
        """Remove all other forms of the file, such as a run that was ended leaves."""
        self.result = self.file
        try:
            for entry in os.scandir(self.folder):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
        except OSError as error:
            raise write_error(self.path, error) from error

    def publish(self) -> None:
        """Give `result` and all sidecars their final place: sidecars first, the file itself last.

        Raises:
            OutputRefused: a file there cannot be replaced.
        """
        target = os.path.dirname(self.path)
        try:
            sidecars = self._sidecars()
            names = {os.path.basename(path) for path in sidecars}
            _sync(self.result)
            for stale in (self.path + extension for extension in _DERIVED):
                if os.path.exists(stale) and os.path.basename(stale) not in names:
                    os.remove(stale)
            for path in [*sidecars, self.result]:
                os.replace(path, os.path.join(target, os.path.basename(path)))
            self.keep = False
        except OSError as error:
            raise write_error(self.path, error) from error

    def _sidecars(self) -> list[str]:
        """What is published beside the result: what lies beside it, and what lies in the folder itself and was not
        derived from the file in its first form."""
        own = os.path.basename(self.path)
        home = os.path.dirname(self.result)
        not_published = {MARKER, JOURNAL, own}
        if home == self.folder:
            return _files(self.folder, not_published)
        not_published.update(own + extension for extension in _DERIVED)
        return _files(self.folder, not_published) + _files(home, {own})

    def _remove(self) -> None:
        # What cannot be removed is of no harm, and must not hide the error that led here; the next run clears it.
        shutil.rmtree(self.folder, ignore_errors=True)

    def _mark(self, state: dict[str, Any]) -> None:
        with open(os.path.join(self.folder, MARKER), 'w', encoding='utf-8') as file:
            json.dump(state, file, indent=1)

    def _require_ours(self) -> None:
        """Raise `OutputRefused` where what has the folder's name was not made by a run of ours."""
        ours = os.path.isdir(self.folder) and (
            not os.listdir(self.folder) or os.path.isfile(os.path.join(self.folder, MARKER))
        )
        if not ours:
            raise OutputRefused(
                f'{self.folder}: would be needed, but is not of Quadrat; move it, or give another name.'
            )


def _files(folder: str, without: set[str]) -> list[str]:
    """The files in a folder, in the order of their names."""
    paths = (os.path.join(folder, name) for name in sorted(set(os.listdir(folder)) - without))
    return [path for path in paths if os.path.isfile(path)]


def _sync(path: str) -> None:
    """Have the operating system write the file out, so that a name never stands for data still to come."""
    with open(path, 'rb+') as file:
        os.fsync(file.fileno())
