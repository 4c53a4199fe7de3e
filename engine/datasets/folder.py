"""The folder of a dataset while it is made: under a name of its own until it is whole."""

from __future__ import annotations

import os
import re
import shutil
from types import TracebackType

from ..errors import DatasetError, OutputRefused
from ..gdalio import write_error
from .manifest import FILE, Manifest, read_manifest
from .reader import SAMPLES

_OURS = re.compile(r'(?:[A-Za-z][A-Za-z0-9_-]*-\d{5}\.npy(?:\.new)?|polygons\.tif)$')


class DatasetFolder:
    """`<output>.part`, which `finish` renames to `output`; on any error it is removed.

    Raises, on entry:
        OutputRefused: `output` is a file, or a folder that is not empty and no dataset of ours.
    """

    def __init__(self, output: str) -> None:
        self.output = os.path.abspath(output)
        self.part = self.output + '.part'
        self._finished = False

    def __enter__(self) -> DatasetFolder:
        self._refuse_foreign()
        try:
            _remove(self.part)
            os.makedirs(self.part)
        except OSError as error:
            raise write_error(self.output, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            _remove(self.part)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and give the folder its name. A dataset there before is replaced."""
        with open(os.path.join(self.part, FILE), 'w', encoding='utf-8') as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self.part)
        self._refuse_foreign()
        old = self.output + '.old'
        _remove(old)
        if os.path.isdir(self.output):
            os.rename(self.output, old)
        os.rename(self.part, self.output)
        self._finished = True
        _sync_folder(os.path.dirname(self.output))
        _remove(old)

    def _refuse_foreign(self) -> None:
        """Raise `OutputRefused` where the output, or the folder that it grows in, holds what is not ours."""
        if os.path.lexists(self.output) and not os.path.isdir(self.output):
            raise OutputRefused(f'{self.output}: this is a file; a dataset is a folder. Give another name.')
        if os.path.isdir(self.output) and os.listdir(self.output):
            try:
                read_manifest(self.output)
            except DatasetError as error:
                raise OutputRefused(
                    f'{self.output}: the folder is not empty and holds no Quadrat dataset. Give another one.'
                ) from error
        for folder in (self.output, self.part, self.output + '.old'):
            foreign = [name for name in _names(folder) if name not in (FILE, SAMPLES) and not _OURS.match(name)]
            if foreign:
                raise OutputRefused(
                    f'{folder}: would be replaced, but holds {foreign[0]}, which is no part of a dataset. Move it '
                    'elsewhere, or give another folder.'
                )


def _names(folder: str) -> list[str]:
    """What lies in a folder, if it exists."""
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _remove(folder: str) -> None:
    """Delete a folder if it exists."""
    if os.path.isdir(folder):
        shutil.rmtree(folder)


def _sync_folder(path: str) -> None:
    """Make names in a folder last, where the system can."""
    if os.name == 'posix':
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
