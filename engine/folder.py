"""Folders and small files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from types import TracebackType

from .errors import EngineError, OutputRefused, write_error

_PASSING = re.compile(r'\.DS_Store|\.directory|desktop\.ini|Thumbs\.db|\.~lock\..*#|~\$.*', re.IGNORECASE)


class OutputFolder:
    """`<output>.part`, which `finish` renames to `output`; without `finish`, or on any error, it is removed.

    One of ours that was there before is replaced at the end. It is moved out of the way first and removed last.

    Args:
        output: the folder.
        what: what it is, for messages, such as ``dataset``.
        belongs: whether a name is one that such a folder holds; what else is there is never removed.
        recognise: raises `EngineError` where a folder that is not empty is no whole one of ours.

    Attributes:
        output: the absolute path.
        part: where to write.

    Raises, on entry:
        OutputRefused: `output` is a file, or holds what is not ours; or nothing can be written there.
    """

    def __init__(
        self,
        output: str,
        what: str,
        belongs: Callable[[str], bool],
        recognise: Callable[[str], object] = lambda folder: None,
    ) -> None:
        self.output = os.path.abspath(output)
        self.part = self.output + '.part'
        self._what, self._belongs, self._recognise = what, belongs, recognise

    def __enter__(self) -> OutputFolder:
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
        _remove(self.part)

    def finish(self) -> None:
        """Give the folder its name."""
        self._refuse_foreign()
        old = self.output + '.old'
        try:
            _sync(self.part)
            _remove(old)
            if os.path.isdir(self.output):
                os.rename(self.output, old)
            os.rename(self.part, self.output)
            _sync(os.path.dirname(self.output))
            _remove(old)
        except OSError as error:
            raise write_error(self.output, error) from error

    def _refuse_foreign(self) -> None:
        """Raise `OutputRefused` where something that is not ours would be replaced."""
        if os.path.lexists(self.output) and not os.path.isdir(self.output):
            raise OutputRefused(f'{self.output}: this is a file; a {self._what} is a folder. Give another name.')
        if names_in(self.output):
            try:
                self._recognise(self.output)
            except EngineError as error:
                raise OutputRefused(
                    f'{self.output}: the folder is not empty and holds no Quadrat {self._what}. Give another one.'
                ) from error
        for folder in (self.output, self.part, self.output + '.old'):
            foreign = [name for name in names_in(folder) if not self._belongs(name)]
            if foreign:
                raise OutputRefused(
                    f'{folder}: would be replaced, but holds {foreign[0]}, which is no part of a {self._what}. Move it '
                    'elsewhere, or give another folder.'
                )


def write_whole(path: str, content: str | bytes) -> None:
    """Write a small file, text or not, whole or not at all.

    Raises:
        OutputRefused, DiskFull: it cannot be written.
    """
    write_together({path: content})


def write_together(contents: Mapping[str, str | bytes]) -> None:
    """Write small files by path; none takes its name before all are whole.

    Raises:
        OutputRefused, DiskFull: one cannot be written.
    """
    path = ''
    try:
        for path, content in contents.items():
            with open(path + '.part', 'wb') as file:
                file.write(content.encode() if isinstance(content, str) else content)
        for path in contents:
            os.replace(path + '.part', path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        for part in (name + '.part' for name in contents):
            if os.path.isfile(part):
                os.remove(part)


def final_name(name: str) -> str:
    """The name of what is being written, or replaced, under another one."""
    return name.removesuffix('.part').removesuffix('.old')


def require_file_place(path: str) -> None:
    """Raise `OutputRefused` before long work where no file of this name could be written at its end."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise OutputRefused(f'{path}: this is a folder, and a file is to be written. Give another name.')
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise OutputRefused(f'{path}: there is no folder {folder} that can be written to. Choose another place.')


def is_passing(name: str) -> bool:
    """Whether desktops and office programs leave files of this name where people look: icons, and locks."""
    return _PASSING.fullmatch(name) is not None


def names_in(folder: str) -> list[str]:
    """What lies in a folder, if it exists."""
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _remove(folder: str) -> None:
    """Delete a folder if it exists."""
    if os.path.isdir(folder):
        shutil.rmtree(folder)


def _sync(folder: str) -> None:
    """Make the names in a folder last, where the system can."""
    if os.name == 'posix':
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
